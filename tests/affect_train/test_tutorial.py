"""The tutorial is true: its commands are run in order, and print what it shows."""

import doctest
import re
import shlex
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hub_fixtures import hub  # noqa: F401 - fixture
from training_runs import fresh_accelerator

from affect_data.cli.app import main as run_affect_data
from affect_train.cli.app import main as run_affect_train

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "tutorial.md"
FENCE = re.compile(r"^```(console|pycon)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMANDS = {"affect-data": run_affect_data, "affect-train": run_affect_train}


def steps(block: str) -> Iterator[tuple[str, str]]:
    """The commands of a block, each with the output that is shown below it."""
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, _, output = part.partition("\n")
        yield command, output


def pattern(shown: str) -> re.Pattern[str]:
    """What the output may be: a line of dots stands for any lines, dots in a line for any text."""
    literal = (".*?".join(re.escape(part) for part in line.split("...")) + "\n" for line in shown.splitlines())
    return re.compile("".join(r"(?:.*\n)*?" if line == ".*?\n" else line for line in literal))


def ended(command: Callable[[], None]) -> object:
    """The status with which a command ends."""
    try:
        command()
    except SystemExit as end:
        return end.code
    return 0


@pytest.fixture
def _in_a_new_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "recipes").symlink_to(ROOT / "recipes")
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("hub", "_in_a_new_folder")
def test_every_command_of_the_tutorial_prints_what_is_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    names: dict[str, object] = {}
    for kind, block in FENCE.findall(PAGE.read_text(encoding="utf-8")):
        if kind == "pycon":
            example = doctest.DocTestParser().get_doctest(block, names, "tutorial", str(PAGE), 0)
            assert doctest.DocTestRunner().run(example, clear_globs=False).failed == 0, capsys.readouterr().out
            names = example.globs
            continue
        for command, shown in steps(block):
            program, *arguments = shlex.split(command)
            monkeypatch.setattr(sys, "argv", [program, *arguments])
            status = ended(COMMANDS[program])
            printed = capsys.readouterr()
            assert not status, f"{command}: {printed.err}"
            assert pattern(shown).fullmatch(printed.out), f"{command}\n{printed.out}"
            fresh_accelerator()


def test_the_dots_stand_for_any_text_and_nothing_else_is_passed_over() -> None:
    assert pattern("built ...; done\n...\nend\n").fullmatch("built a, b; done\nx\ny\nend\n")
    assert not pattern("built 3\n").fullmatch("built 4\n")
    assert not pattern("built 3\n").fullmatch("built 3\nmore\n")
