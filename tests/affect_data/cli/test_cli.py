"""The command line: exit codes, one JSON document on stdout, help with an example, and no progress bars where nobody looks."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from typer.main import get_command

from affect_data.build.build import BuildReport
from affect_data.cli.app import app
from affect_data.databases.registry import DATABASES
from affect_data.demo.world import SHARES

Run = Callable[..., CompletedProcess[str]]
COMMANDS = sorted(get_command(app).commands)  # type: ignore[attr-defined]


@pytest.fixture
def expw(tmp_path: Path, make_expw: Callable[..., Path]) -> Path:
    return make_expw(tmp_path / "expw")


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "data.yaml"
    path.write_text("databases: {expw: {}}\nshard_rows: 4\n")
    return path


def document(run: CompletedProcess[str]) -> dict[str, object]:
    """The one JSON document on stdout."""
    assert run.stdout.endswith("\n")
    return json.loads(run.stdout)


# ---------------------------------------------------------------- help


def test_the_commands_of_the_dataset_toolkit_are_there() -> None:
    assert {"databases", "demo", "check", "build", "stats", "schema"} <= set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(affect_data: Run, command: str) -> None:
    found = affect_data(command, "--help")
    assert found.returncode == 0
    assert f"Example: affect-data {command}" in " ".join(found.stdout.split())
    assert "--json" in found.stdout


def test_without_a_command_the_help_is_shown(affect_data: Run) -> None:
    assert "Usage" in affect_data().stdout + affect_data().stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("nothing",),
        ("check",),
        ("build", "data.yaml"),
        ("stats", "x", "--unknown"),
        ("demo", "x", "--seed", "many"),
        ("demo", "x", "--faces", "0"),
        ("demo", "x", "--workers", "0"),
    ],
)
def test_a_call_that_is_wrong_ends_with_2_and_no_traceback(affect_data: Run, arguments: tuple[str, ...]) -> None:
    found = affect_data(*arguments)
    assert found.returncode == 2
    assert found.stdout == ""
    assert "Traceback" not in found.stderr
    assert "Error" in found.stderr


# ---------------------------------------------------------------- what the project knows


def test_databases_are_listed_with_their_labels(affect_data: Run) -> None:
    found = affect_data("databases")
    assert found.returncode == 0
    assert [line.split()[0] for line in found.stdout.splitlines()[2:]] == sorted(DATABASES)


def test_one_database_is_shown_in_full(affect_data: Run) -> None:
    found = affect_data("databases", "disfa")
    assert "expected layout:" in found.stdout
    assert "[/" not in found.stdout
    assert DATABASES["disfa"].layout().splitlines()[0] in found.stdout


def test_a_database_is_shown_by_another_name_too(affect_data: Run) -> None:
    assert affect_data("databases", "rafdb").stdout == affect_data("databases", "raf_db").stdout != ""


def test_databases_as_json(affect_data: Run) -> None:
    assert [entry["name"] for entry in json.loads(affect_data("databases", "--json").stdout)] == sorted(DATABASES)
    assert document(affect_data("databases", "expw", "--json"))["name"] == "expw"


def test_an_unknown_database_is_the_fault_of_the_call(affect_data: Run) -> None:
    found = affect_data("databases", "expv")
    assert (found.returncode, found.stdout) == (2, "")
    assert (
        found.stderr == f"error: unknown database 'expv'; did you mean 'expw'? known: {', '.join(sorted(DATABASES))}\n"
    )


def test_the_schema_as_page_and_as_json(affect_data: Run) -> None:
    from affect_data.dataset.schema import COLUMNS, RULES
    from affect_data.dataset.schema_page import schema_page

    assert affect_data("schema").stdout == schema_page()
    found = json.loads(affect_data("schema", "--json").stdout)
    assert [column["name"] for column in found["columns"]] == [column.name for column in COLUMNS]
    assert [rule["name"] for rule in found["rules"]] == [rule.name for rule in RULES]
    assert {"name": "sex", "group": "people", "type": "int64"}.items() <= found["side"][2].items()


# ---------------------------------------------------------------- demo, check, build, stats


def test_the_whole_way_of_the_dataset_toolkit(affect_data: Run, tmp_path: Path) -> None:
    world, merged, recipe = tmp_path / "world", tmp_path / "merged", tmp_path / "data.yaml"
    recipe.write_text("databases: {" + ", ".join(f"{name}: {{}}" for name in SHARES) + "}\n")
    made = document(affect_data("demo", world, "--seed", 1, "--faces", 60, "--json"))
    assert made["faces"] == sum(made["databases"].values())  # type: ignore[attr-defined]
    assert set(made["databases"]) == set(SHARES)  # type: ignore[call-overload]
    checked = affect_data("check", recipe, "--roots", world, "--json")
    assert (checked.returncode, checked.stderr, document(checked)["clean"]) == (0, "", True)
    built = affect_data("build", recipe, merged, "--roots", world, "--json")
    assert (built.returncode, built.stderr) == (0, "")
    rows = sum(document(built)["rows"].values())  # type: ignore[attr-defined]
    counted = document(affect_data("stats", merged, "--json"))
    assert sum(line["rows"] for line in counted["coverage"]) == rows  # type: ignore[attr-defined]


def test_the_same_as_text(affect_data: Run, expw: Path, recipe: Path, tmp_path: Path) -> None:
    assert affect_data("check", recipe, "--root", f"expw={expw}").stdout.startswith("expw (2018): whole\n")
    built = affect_data("build", recipe, tmp_path / "merged", "--root", f"expw={expw}")
    assert f"built {tmp_path / 'merged'}: train 10; fingerprint" in built.stdout
    again = affect_data("build", recipe, tmp_path / "merged", "--root", f"expw={expw}")
    assert "is this dataset already: nothing was written (train 10; fingerprint" in again.stdout
    assert again.returncode == 0
    assert "Complete cases: 0 of 10" in affect_data("stats", tmp_path / "merged").stdout


def test_check_ends_with_1_and_lists_the_defects(affect_data: Run, expw: Path, recipe: Path) -> None:
    listed = expw / "label" / "label.lst"
    listed.write_text(listed.read_text().replace("20.5 3\n", "20.5 9\n"))
    found = affect_data("check", recipe, "--root", f"expw={expw}")
    assert (found.returncode, found.stderr) == (1, "")
    assert (
        "label/label.lst:4: found expression = '9'; expected one of the codes 0, 1, 2, 3, 4, 5, 6; to fix: "
        in found.stdout
    )
    as_json = affect_data("check", recipe, "--root", f"expw={expw}", "--json")
    assert as_json.returncode == 1
    assert document(as_json)["clean"] is False
    assert document(as_json)["databases"][0]["defects"][0]["line"] == 4  # type: ignore[index]


def test_a_root_comes_before_the_folder_of_all_roots(
    affect_data: Run, expw: Path, recipe: Path, tmp_path: Path
) -> None:
    other = tmp_path / "roots"
    (other / "expw").mkdir(parents=True)
    assert affect_data("check", recipe, "--roots", other).returncode == 1
    assert affect_data("check", recipe, "--roots", other, "--root", f"expw={expw}").returncode == 0


def test_a_folder_of_roots_without_the_database_says_what_it_holds(
    affect_data: Run, expw: Path, recipe: Path, tmp_path: Path
) -> None:
    roots = tmp_path / "roots"
    (roots / "holidays").mkdir(parents=True)
    found = affect_data("build", recipe, tmp_path / "merged", "--roots", roots)
    assert found.returncode == 1
    assert f"database not found in root '{roots / 'expw'}': the folder does not exist" in found.stderr
    assert f"'{roots}' holds holidays." in found.stderr
    shutil.move(expw, roots / "ExpW")
    assert affect_data("check", recipe, "--roots", roots).returncode == 0


def test_a_root_that_the_recipe_does_not_use_is_the_fault_of_the_call(
    affect_data: Run, expw: Path, recipe: Path
) -> None:
    found = affect_data("check", recipe, "--root", f"expw={expw}", "--root", "DISFA=x")
    assert (found.returncode, found.stdout) == (2, "")
    assert "error: --root disfa=x: not used, the recipe merges expw." in found.stderr


def test_overwrite_and_workers_reach_the_build(affect_data: Run, expw: Path, recipe: Path, tmp_path: Path) -> None:
    arguments = ("build", recipe, tmp_path / "merged", "--root", f"expw={expw}")
    affect_data(*arguments)
    listed = expw / "label/label.lst"
    listed.write_text(listed.read_text().replace(" 0\n", " 5\n", 1))
    refused = affect_data(*arguments)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "label/label.lst has changed" in refused.stderr
    assert "Choose another folder, or pass --overwrite to replace it" in refused.stderr
    assert affect_data(*arguments, "--overwrite", "--workers", 2).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("check", "none.yaml"), 2, "error: data recipe 'none.yaml' does not exist"),
        (("check", "{recipe}"), 1, ""),
        (("check", "{recipe}", "--root", "expw"), 2, "error: --root takes name=PATH"),
        (("check", "{recipe}", "--root", "expv=x"), 2, "error: --root expv=x: unknown database 'expv'"),
        (("check", "{recipe}", "--roots", "none"), 2, "error: --roots none: the folder does not exist"),
        (("build", "{recipe}", "{out}"), 1, "error: expw: database not found (no root was given)"),
        (("build", "{recipe}", "{out}", "--root", "expw=none"), 1, "error: expw: database not found in root 'none'"),
        (("build", "{recipe}", "{out}", "--root", "expw=x", "--workers", "0"), 2, "Invalid value for '--workers'"),
        (("stats", "none"), 1, "error: 'none' is no affectkit dataset: the folder does not exist. Build it with"),
        (("stats", "{folder}"), 1, "is no affectkit dataset: it has no dataset.json, so it was not built to its end"),
        (("demo", "{folder}"), 1, "is not empty; name a new folder"),
    ],
)
def test_every_error_is_a_message_and_a_status(
    affect_data: Run, recipe: Path, tmp_path: Path, arguments: tuple[str, ...], status: int, message: str
) -> None:
    places = {"recipe": recipe, "out": tmp_path / "merged", "folder": tmp_path}
    found = affect_data(*(argument.format(**places) for argument in arguments))
    assert found.returncode == status
    assert message in found.stderr
    assert "Traceback" not in found.stderr
    assert bool(found.stdout) == (message == "")
    assert not (tmp_path / "merged").exists()


def test_mistakes_in_a_recipe_are_listed_and_end_with_2(affect_data: Run, recipe: Path) -> None:
    recipe.write_text("databases: {expw: {minimum: 1}}\nshards: 4\n")
    found = affect_data("check", recipe)
    assert found.returncode == 2
    assert found.stderr.splitlines() == [
        f"error: {recipe}: 2 mistake(s):",
        f"  {recipe}:1: databases.expw.minimum: unknown key; known: release, root, exclude, incomplete, holdout, minimum_confidence",
        f"  {recipe}:2: shards: unknown key; did you mean 'shard_rows'? known: databases, splits, workers, engine, shard_rows, decisions",
    ]


def test_square_brackets_in_a_message_are_text(affect_data: Run, tmp_path: Path) -> None:
    assert "recipe '[red]x[/red].yaml' does not exist" in affect_data("check", "[red]x[/red].yaml").stderr


def test_a_process_without_a_terminal_shows_no_bars_and_no_colours(
    request: pytest.FixtureRequest, expw: Path, recipe: Path, tmp_path: Path
) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in ("FORCE_COLOR", "TTY_COMPATIBLE")}
    command = [
        sys.executable,
        "-m",
        "affect_data",
        "build",
        str(recipe),
        str(tmp_path / "merged"),
        "--root",
        f"expw={expw}",
        "--json",
    ]
    found = subprocess.run(
        command, cwd=request.config.rootpath, env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    assert (found.returncode, found.stderr) == (0, "")
    assert "\x1b" not in found.stdout
    assert document(found)["rows"] == {"train": 10}


def test_stats_of_the_demo_world_names_every_database(affect_data: Run, demo_report: BuildReport) -> None:
    found = affect_data("stats", demo_report.dataset.path)
    assert found.returncode == 0
    assert all(name in found.stdout for name in SHARES)
