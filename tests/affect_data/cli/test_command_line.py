import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from typer.testing import CliRunner

import affect_data
from affect_data.cli.app import app as data
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
def test_no_help_gives_a_flag_a_type(app: object) -> None:
    from typer.main import get_command

    group = get_command(app)
    for name in group.commands:
        page = RUNNER.invoke(app, [name, "-h"]).output
        assert "<bool>" not in page, name
        assert "--help" in page, name


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
