"""Own data, and a function that reads an entry of a recipe as a build does."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hub_fixtures import hub, slept  # noqa: F401 - fixtures
from own_tables import COLUMNS, Scanned, write_own

from affect_data.build.recipe import recipe_from
from affect_data.databases.base import Scan
from affect_data.databases.root import DatabaseRoot


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """The folder of own data: four pictures, and their table as csv."""
    return write_own(tmp_path / "own")


@pytest.fixture
def scanned(own: Path) -> Scanned:
    """A function that reads the folder as an entry says; its arguments are options of the entry."""

    def scan(columns: Mapping[str, Any] | None = None, **options: Any) -> Scan:
        entry = {"reader": "table", "columns": dict(COLUMNS if columns is None else columns), **options}
        if not {"class_folders", "dataset"} & entry.keys():
            entry.setdefault("file", "labels.csv")
        reader = recipe_from({"databases": {"mine": entry}}).readers()["mine"]
        return reader.read(DatabaseRoot(own, reader.options.exclude))

    return scan
