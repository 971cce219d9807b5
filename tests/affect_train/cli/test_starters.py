"""Recipes to start from, backbones that are known to work, and several processes without a traceback."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from affect_train.cli.app import app, main_with_recipe
from affect_train.recipe.recipe import read_recipe
from affect_train.recipe.starters.catalogue import BACKBONES, copy_starter, starters

RUNNER = CliRunner()
STARTERS = sorted(starters())


def test_the_list_says_what_each_is_for() -> None:
    listed = json.loads(RUNNER.invoke(app, ["recipe", "list", "--json"]).output)
    assert (
        [entry["name"] for entry in listed]
        == STARTERS
        == ["frozen-224", "photographs-112", "photographs-224", "student"]
    )
    assert all(entry["description"].endswith(".") for entry in listed)


@pytest.mark.parametrize("name", STARTERS)
def test_a_copy_validates_and_its_comments_name_its_own_file(name: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    run = RUNNER.invoke(app, ["recipe", "copy", name, str(file)])
    assert run.exit_code == 0, run.output
    assert f"Next: affect-train validate {file}" in run.output
    recipe = read_recipe(file)
    assert recipe.tasks.task_set().names == ("au", "expression", "va")
    assert recipe.model.backbone == "facebook/dinov2-small"
    text = file.read_text()
    assert "accelerate launch -m affect_train mine.yaml dataset=merged" in text
    assert f"image_size: {name[-3:] if name[-3:].isdigit() else 224}" in text


def test_a_starter_trains_a_step_on_a_dataset(backbone: Path, dataset: Path, tmp_path: Path) -> None:
    """The smallest backbone stands in for the pretrained one, which would be downloaded."""
    from affect_train.training.loop import train

    file = tmp_path / "photographs.yaml"
    copy_starter("photographs-112", file)
    smaller = [f"model={{backbone: {backbone}, image_size: 32}}", "training.mixed_precision=no", "batches={size: 8}"]
    recipe = read_recipe(
        file, [f"dataset={dataset}", f"output={tmp_path / 'run'}", "schedule.warmup_steps=0", *smaller]
    )
    result = train(recipe, dry_run=True)
    assert result is not None
    assert {"au", "expression"} <= set(result["losses"])


def test_a_file_that_exists_is_kept_and_an_unknown_name_is_suggested(tmp_path: Path) -> None:
    file = tmp_path / "student.yaml"
    file.write_text("mine")
    kept = RUNNER.invoke(app, ["recipe", "copy", "student", str(file)])
    assert "exists, and is not overwritten" in str(kept.exception)
    assert file.read_text() == "mine"
    assert "did you mean 'student'?" in str(RUNNER.invoke(app, ["recipe", "copy", "studnt"]).exception)


def test_backbones_known_to_work_are_kinds_that_transformers_has() -> None:
    from affect_train.recipe.model_types import known_model_types

    assert {backbone.model_type for backbone in BACKBONES} <= known_model_types()
    listed = json.loads(RUNNER.invoke(app, ["backbones", "--json"]).output)
    assert listed[0]["on_the_hub"] == "facebook/dinov2-small"


def test_a_slip_in_a_command_is_no_recipe() -> None:
    assert main_with_recipe(["evalute", "runs/a"]) == ["evalute", "runs/a"]
    assert "Did you mean 'evaluate'" in RUNNER.invoke(app, ["evalute"]).output
    assert main_with_recipe(["teacher.yaml"]) == ["train", "teacher.yaml"]


def launched(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "affect_train", "launch", *map(str, words)]
    return subprocess.run(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True)


def test_a_mistake_of_a_recipe_is_said_once_before_any_process_starts(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    copy_starter("student", file)
    ended = launched("--processes", 2, file, "training.epoch=3")
    assert ended.returncode == 2
    assert ended.stderr.count("did you mean 'epochs'?") == 1
    assert "Traceback" not in ended.stderr


def test_two_processes_that_fail_end_without_a_traceback_below_their_message(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    copy_starter("student", file)
    ended = launched("--processes", 2, file, f"dataset={tmp_path / 'nowhere'}")
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    lines = ended.stderr.strip().splitlines()
    assert "is no affectkit dataset: the folder does not exist" in lines[0]
    assert lines[-1] == "error: a process ended with status 1; its message stands above"
    assert {line.partition(":")[0] for line in lines} == {"error"}, ended.stderr
