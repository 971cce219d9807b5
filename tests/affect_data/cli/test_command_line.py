import os
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import affect_data
from affect_data.cli.app import app as data
from affect_data.cli.documents import EnvironmentDocument
from affect_data.environment import environment
from affect_train.cli.app import app as train

RUNNER = CliRunner()


@pytest.mark.parametrize("app", [data, train], ids=["affect-data", "affect-train"])
def test_both_command_lines_state_their_version_and_help_in_short_form(app: object) -> None:
    assert RUNNER.invoke(app, ["--version"]).output == f"affectkit {version('affectkit')}\n"
    short, long = (RUNNER.invoke(app, [option]) for option in ("-h", "--help"))
    assert short.exit_code == 0
    assert short.output == long.output


@pytest.mark.parametrize("app", [data, train], ids=["affect-data", "affect-train"])
def test_no_help_shows_a_type_of_python(app: object) -> None:
    from typer.main import get_command

    for words, command in commands_of(get_command(app)):
        page = RUNNER.invoke(app, [*words, "-h"]).output
        assert not re.search(r"<(int|float|str|path|file|dir|bool)\b|list\[| range ", page), words
        assert "--help" in page, words
        for parameter in command.params:
            assert (parameter.help or "").strip(), (words, parameter.name)


def commands_of(group: Any, *words: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command of a command line, those of groups too, with the words that call it."""
    for name, command in group.commands.items():
        yield (*words, name), command
        if hasattr(command, "commands"):
            yield from commands_of(command, *words, name)


def test_help_says_what_an_option_takes_and_which_choices_there_are() -> None:
    page = " ".join(RUNNER.invoke(train, ["evaluate", "-h"]).output.split())
    assert re.search(r"--bootstrap NUMBER", page)
    assert re.search(r"--absent <skip\|zero>", page)
    assert re.search(r"\* DATASET A dataset folder", page)


@pytest.mark.parametrize(
    ("app", "word", "meant"), [(data, "rport", "report"), (train, "valdate", "validate"), (train, "reprot", "report")]
)
def test_a_slip_in_a_command_is_answered_with_the_command_that_is_near(app: object, word: str, meant: str) -> None:
    result = RUNNER.invoke(app, [word, "x"])
    assert result.exit_code == 2
    assert f"'{meant}'" in result.output


def test_a_slip_in_an_option_is_answered_with_the_option_that_is_near() -> None:
    assert "--bootstrap" in RUNNER.invoke(train, ["evaluate", "r", "d", "--bootstarp", "5"]).output


def test_a_recipe_is_validated_without_the_modules_that_take_seconds() -> None:
    code = (
        "import sys; from affect_train.cli.app import main; main(['validate', 'recipes/demo/teacher.yaml'])\n"
        "slow = {'torch', 'transformers', 'datasets', 'polars', 'accelerate'} & sys.modules.keys()\n"
        "assert not slow, slow"
    )
    code = code.replace("main([", "import contextlib\nwith contextlib.suppress(SystemExit): main([", 1)
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


def test_a_review_has_the_short_form_of_help_too() -> None:
    assert "serve" in RUNNER.invoke(data, ["review", "-h"]).output


def test_the_version_is_that_of_the_package() -> None:
    assert affect_data.__version__ == version("affectkit")


def test_the_environment_names_packages_caches_and_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    monkeypatch.setenv("AFFECT_MAX_PIXELS", "17")
    monkeypatch.delenv("TORCH_HOME", raising=False)
    monkeypatch.setenv("AFFECT_CACHE", "")
    found = environment()
    assert found["packages"]["polars"] == version("polars")
    assert found["packages"]["face-alignment"] in (_installed("face-alignment"), "not installed")
    assert "pytest" not in found["packages"]
    own = {"AFFECT_CACHE": "~/.cache/affectkit"}
    assert found["caches"] == own | {"HF_HOME": str(tmp_path / "hub"), "TORCH_HOME": "~/.cache/torch"}
    assert found["settings"]["AFFECT_MAX_PIXELS"] == "17"


def test_the_environment_names_no_machine_and_no_person() -> None:
    said = str(environment())
    assert os.uname().nodename not in said
    assert str(Path.home()) not in said


def test_env_prints_what_a_report_of_a_defect_needs() -> None:
    lines = RUNNER.invoke(data, ["env"]).output.splitlines()
    assert f"affectkit: {version('affectkit')}" in lines
    assert f"packages polars: {version('polars')}" in lines
    assert any(line.startswith("devices torch:") for line in RUNNER.invoke(train, ["env"]).output.splitlines())
    for app, has_devices in ((data, False), (train, True)):
        document = EnvironmentDocument.model_validate_json(RUNNER.invoke(app, ["env", "--json"]).stdout)
        assert bool(document.devices) == has_devices


def test_a_shell_completes_commands() -> None:
    asked = {"_AFFECT_DATA_COMPLETE": "complete_bash", "COMP_WORDS": "affect-data ba", "COMP_CWORD": "1"}
    ended = subprocess.run(
        [Path(sys.executable).parent / "affect-data"], env=os.environ | asked, capture_output=True, text=True
    )
    assert ended.stdout.split() == ["balance"], ended.stderr


def _installed(name: str) -> str:
    try:
        return version(name)
    except ModuleNotFoundError:
        return "not installed"
