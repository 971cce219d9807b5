"""SIGKILL at a random moment of any command: what was there is readable at once, and the same command ends with the bytes of one not killed."""

from pathlib import Path

import interrupting
import killing
import pytest
from killing import QUICK, torture
from torture import PART, table


@pytest.mark.slow
def test_a_kill_at_a_random_moment_of_each_command_loses_nothing(tmp_path: Path) -> None:
    tried = list(torture(tmp_path, len(QUICK), 0, QUICK))
    assert {one.command for one in tried} == set(QUICK)
    assert {(one.command, round(one.moment, 3)): one.complaints for one in tried if one.complaints} == {}


def test_the_page_has_a_row_for_each_command(request: pytest.FixtureRequest) -> None:
    page = (request.config.rootpath / "docs/reliability.md").read_text()
    _, _, part = page.partition(f"<!-- {PART} -->")
    shown = [line.split(" | ")[0] for line in part.partition(f"<!-- /{PART} -->")[0].splitlines() if " | " in line]
    killed = [killing.Try(name, 0.0) for name in killing.COMMANDS]
    interrupted = [interrupting.Try(name, forked=True, moment=0.0) for name in interrupting.COMMANDS]
    assert shown == [line.split(" | ")[0] for line in table(killed, interrupted) if " | " in line]
