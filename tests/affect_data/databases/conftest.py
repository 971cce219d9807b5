"""The demo files of every database, each written once a session."""

from collections.abc import Callable

import pytest
from written_databases import Written, write_database


@pytest.fixture(scope="session")
def written_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Written]:
    """A function from a database's name to its demo files, for reading only."""
    made: dict[str, Written] = {}

    def of(name: str) -> Written:
        if name not in made:
            made[name] = write_database(name, tmp_path_factory.mktemp(name))
        return made[name]

    return of
