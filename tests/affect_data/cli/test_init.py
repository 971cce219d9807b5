"""The first recipe: databases are recognised, own tables are proposed, questions are asked only where nobody can know."""

import io
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from PIL import Image

from affect_data.build.check import check
from affect_data.build.recipe import read_recipe
from affect_data.databases.recognition import recognised
from affect_data.demo.world import SHARES

Run = Callable[..., CompletedProcess[str]]


class Terminal(io.StringIO):
    """Answers, typed at a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    return lambda *lines: monkeypatch.setattr(sys, "stdin", Terminal("".join(f"{line}\n" for line in lines)))


@pytest.fixture
def own_table(tmp_path: Path) -> Path:
    """A folder with three pictures and a table whose codes nobody explains."""
    folder = tmp_path / "faces"
    folder.mkdir()
    for name in "abc":
        Image.new("RGB", (32, 32), (9, 9, 99)).save(folder / f"{name}.png")
    (folder / "labels.csv").write_text("file,emotion,part\na.png,0,tr\nb.png,1,dev\nc.png,9,dev\n")
    return folder


def test_every_demo_database_is_recognised_by_its_folder_and_as_nothing_else(demo_roots: dict[str, Path]) -> None:
    assert {name: recognised(root) for name, root in demo_roots.items()} == {name: [name] for name in SHARES}


def test_a_folder_of_databases_becomes_a_recipe_that_checks_clean(
    affect_data: Run, demo_world: Path, tmp_path: Path
) -> None:
    out = tmp_path / "recipe.yaml"
    run = affect_data("init", demo_world, "--out", out, "--json")
    assert run.returncode == 0, run.stderr
    said = json.loads(run.stdout)
    assert set(said["databases"]) == set(SHARES)
    assert said["next"] == [f"affect-data {w} --roots {demo_world}" for w in (f"check {out}", f"build {out} merged")]
    recipe = read_recipe(out)
    assert set(recipe.databases) == set(SHARES)
    assert all(found.is_clean for found in check(recipe, {name: demo_world / name for name in SHARES}))
    text = out.read_text()
    assert "# DISFA: au." in text
    assert str(demo_world) not in text, "the recipe can be shared"


def test_a_recipe_that_exists_is_left_alone(affect_data: Run, demo_world: Path, tmp_path: Path) -> None:
    out = tmp_path / "recipe.yaml"
    out.write_text("mine")
    run = affect_data("init", demo_world, "--out", out)
    assert (run.returncode, out.read_text()) == (2, "mine")
    assert "exists, and is not overwritten; name another by --out" in run.stderr


def test_without_questions_what_nobody_can_know_is_left_to_decide(
    affect_data: Run, own_table: Path, tmp_path: Path
) -> None:
    out = tmp_path / "recipe.yaml"
    run = affect_data("init", own_table, "--out", out, "--yes", "--json")
    said = json.loads(run.stdout)
    assert said["databases"] == {"faces": {"root": str(own_table), "own_data": True}}
    assert [question.partition(":")[0] for question in said["to_decide"]["faces"]] == ["part", "emotion"]
    assert "#   to decide: emotion: say what 0, 1, 9 mean" in out.read_text()
    assert affect_data("check", out, "--root", f"faces={own_table}").returncode == 1


def test_answers_make_a_table_of_codes_one_that_builds(
    affect_data: Run, answers: Callable[..., None], own_table: Path, tmp_path: Path
) -> None:
    out = tmp_path / "recipe.yaml"
    answers("nowhere", own_table, "train", "neu", "grin", "happiness", "none", "")
    run = affect_data("init", "--out", out)
    assert run.returncode == 0, run.stderr
    assert "'nowhere' does not exist" in run.stderr
    assert "known: neutral, anger" in run.stderr, "an answer that is no expression is asked for again"
    assert f"Next: affect-data check {out} --roots {own_table.parent}" in run.stdout
    found = check(read_recipe(out), {"faces": own_table})[0]
    assert found.is_clean
    assert (found.rows, [entry["rows"] for entry in found.masked]) == (3, [1])
    assert "emotion: 0 = neutral in 1 rows, 1 = happiness in 1 rows, 9 = no label in 1 rows" in found.notes


def test_folders_that_cannot_be_used_are_refused_with_what_to_do(
    affect_data: Run, demo_world: Path, tmp_path: Path
) -> None:
    out = ("--out", tmp_path / "recipe.yaml")
    (tmp_path / "empty").mkdir()
    nothing = affect_data("init", tmp_path / "empty", *out)
    assert "looks like none of the databases that affectkit reads" in nothing.stderr
    twice = affect_data("init", demo_world, demo_world / "disfa", *out)
    assert "are both disfa, which a recipe holds once; name one of the two folders" in twice.stderr
    misspelt = affect_data("init", f"dsfa={demo_world / 'disfa'}", *out)
    assert "did you mean 'disfa'?" in misspelt.stderr
    unnamed = affect_data("init", *out)
    assert "name at least one FOLDER" in unnamed.stderr
    assert [run.returncode for run in (nothing, twice, misspelt, unnamed)] == [1, 2, 2, 2]
    assert not (tmp_path / "recipe.yaml").exists()


def test_a_folder_like_two_databases_is_asked_about_or_refused(
    affect_data: Run, answers: Callable[..., None], demo_world: Path, make_expw: Callable[..., Path], tmp_path: Path
) -> None:
    both = make_expw(tmp_path / "both")
    shutil.copytree(demo_world / "disfa", both, dirs_exist_ok=True)
    assert sorted(recognised(both)) == ["disfa", "expw"]
    refused = affect_data("init", both, "--out", tmp_path / "a.yaml")
    assert refused.returncode == 2
    assert f"say which it is: disfa={both} or expw={both}" in refused.stderr
    answers("expw")
    assert affect_data("init", both, "--out", tmp_path / "b.yaml").returncode == 0
    assert affect_data("init", f"DISFA={both}", "--out", tmp_path / "c.yaml", "--yes").returncode == 0
    assert [list(read_recipe(tmp_path / name).databases) for name in ("b.yaml", "c.yaml")] == [["expw"], ["disfa"]]
