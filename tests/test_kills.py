"""SIGKILL at a random moment of any command: what was there is readable at once, and the same command ends with the bytes of one not killed."""

from pathlib import Path

import pytest
from killing import COMMANDS, torture


@pytest.mark.slow
def test_a_kill_at_a_random_moment_of_each_command_loses_nothing(tmp_path: Path) -> None:
    tried = torture(tmp_path, len(COMMANDS), seed=0)
    assert {one.command for one in tried} == set(COMMANDS)
    assert {(one.command, round(one.moment, 3)): one.complaints for one in tried if one.complaints} == {}
