"""Out-of-fold labels: no row is labelled by a teacher that was trained on it."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from python_processes import run_python
from training_runs import fresh_accelerator

from affect_data.dataset.folder import open_dataset
from affect_data.dataset.kinds.soft_labels import SOFT_LABELS
from affect_data.dataset.loading import load_dataset
from affect_data.errors import DataError, RecipeError, UnknownNameError, UsageError
from affect_train.inputs.labels import column_array
from affect_train.labelling.averaging import merge
from affect_train.labelling.cross_label import cross_label
from affect_train.labelling.teachers import AffectTeacher
from affect_train.recipe.recipe import Recipe, recipe_from
from affect_train.training.loop import train

Values = Callable[..., dict[str, Any]]


@pytest.fixture
def people(tmp_path: Path, world: Any) -> Path:
    """Twelve rows of six people in training, every picture another; the last of them is in validation too."""

    def edit(row: dict[str, Any]) -> dict[str, Any]:
        number = row["frame"]
        subject = "p5" if number >= 100 else f"p{number % 6}"
        digest = hashlib.sha256(str(number).encode()).hexdigest()
        return {**row, "database": 0, "subject": subject, "track": f"{subject}-{number}", "image_digest": digest}

    splits = {
        "train": [(number, world.all) for number in range(12)],
        "validation": [(100, world.all), (101, world.all)],
    }
    return world.write_dataset(tmp_path / "merged", splits, edit=edit)


@pytest.fixture
def recipe(people: Path, recipe_values: Values, tmp_path: Path) -> Recipe:
    training = {"epochs": 2, "record_rows": True, "validation_split": None}
    values = recipe_values(dataset=str(people), output=str(tmp_path / "runs/oof"), training=training)
    values["batches"] = {"size": 6}
    values["model"]["dropout"] = 0.0  # each process draws its own
    return recipe_from(values)


def trained_rows(run: Path) -> set[int]:
    lines = (run / "rows.rank0.jsonl").read_text().splitlines()
    return {row for line in lines for batch in json.loads(line)["rows"] for row in batch}


def test_every_row_is_labelled_by_the_teacher_that_has_not_seen_it(recipe: Recipe, people: Path) -> None:
    result = cross_label(recipe, 2)

    assert SOFT_LABELS.read(open_dataset(people), "oof").out_of_fold
    folds = column_array(open_dataset(people).load("train", ["folds.oof"]), "folds.oof")
    assert result["folds"] == {"-1": 2, "0": int((folds == 0).sum()), "1": int((folds == 1).sum())}
    runs = [Path(run) for run in result["runs"]]
    for fold, run in enumerate(runs):
        assert trained_rows(run) == set(np.flatnonzero((folds >= 0) & (folds != fold)).tolist())

    # the person who is in validation too was seen by nobody
    subjects = open_dataset(people).labels("train", ["subject"])["subject"].to_numpy()
    assert set(np.flatnonzero(folds < 0)) == set(np.flatnonzero(subjects == "p5"))
    for subject in set(subjects):
        assert len(set(folds[subjects == subject])) == 1

    joined = load_dataset(people, "train", ["oof"])
    teachers = [AffectTeacher(run) for run in runs]
    for row in range(12):
        pixels = pixels_of(people, row, teachers[0])
        each = [teacher.logits(pixels) for teacher in teachers]
        fold = int(folds[row])
        expected = (
            each[fold]
            if fold >= 0
            else merge(teachers[0].tasks, [(t.tasks, e) for t, e in zip(teachers, each, strict=True)])
        )
        other = each[1 - fold] if fold >= 0 else each[0]
        found = np.array(joined["soft.oof.expression"][row])
        np.testing.assert_allclose(found, expected["expression"][0].detach(), atol=5e-3)
        assert np.abs(found - other["expression"][0].detach().numpy()).max() > 5e-3


def pixels_of(dataset: Path, row: int, teacher: AffectTeacher) -> Any:
    import torch

    picture = load_dataset(dataset, "train").with_format("arrow")[row]["image"][0].as_py()
    box = open_dataset(dataset).labels("train", ["face_box"])["face_box"][row]
    face = teacher.preprocessing(picture["bytes"], box.to_list())
    return torch.from_numpy(face.transpose(2, 0, 1).copy())[None]


def test_running_it_again_trains_and_writes_nothing(recipe: Recipe, people: Path) -> None:
    cross_label(recipe, 2)
    manifest = (people / "dataset.json").read_bytes()
    weights = {path: path.read_bytes() for path in people.parent.rglob("model.safetensors")}
    fresh_accelerator()
    assert cross_label(recipe, 2)["rows_found"] == 14
    assert (people / "dataset.json").read_bytes() == manifest
    assert {path: path.read_bytes() for path in weights} == weights


def test_more_folds_than_people_are_refused_before_anything_is_trained(recipe: Recipe, people: Path) -> None:
    with pytest.raises(DataError, match=r"6 folds of 5 group\(s\) of subjects, tracks and copies: choose fewer folds"):
        cross_label(recipe, 6)
    assert not Path(recipe.output).exists()


def test_a_single_fold_is_refused(recipe: Recipe) -> None:
    with pytest.raises(UsageError, match="1 folds: choose a number from 2"):
        cross_label(recipe, 1)


def test_a_recipe_that_holds_out_folds_itself_is_refused(recipe_values: Values, people: Path) -> None:
    values = recipe_values(dataset=str(people), training={"held_out": {"folds": "mine", "fold": 0}})
    with pytest.raises(UsageError, match=r"training\.held_out: cross-label holds out every fold in turn"):
        cross_label(recipe_from(values), 2)


def test_folds_that_the_dataset_lacks_are_named(recipe_values: Values, people: Path) -> None:
    values = recipe_values(dataset=str(people), training={"held_out": {"folds": "mine", "fold": 0}})
    with pytest.raises(
        UnknownNameError,
        match=r"unknown folds in .* \(`affect-data folds DATASET --name mine` writes them\) 'mine'; known: $",
    ):
        train(recipe_from(values))
    with pytest.raises(RecipeError, match=r"training\.held_out\.fold: found -1"):
        recipe_from(recipe_values(training={"held_out": {"folds": "mine", "fold": -1}}))


def test_a_fold_that_the_folds_lack_is_refused(recipe: Recipe, recipe_values: Values, people: Path) -> None:
    cross_label(recipe, 2)
    fresh_accelerator()
    values = recipe_values(dataset=str(people), training={"held_out": {"folds": "oof", "fold": 2}})
    with pytest.raises(UsageError, match=r"the folds 'oof' go from 0 to 1; found 2"):
        train(recipe_from(values))


@pytest.mark.slow
def test_two_processes_train_and_label_out_of_fold_as_one(recipe: Recipe, people: Path, tmp_path: Path) -> None:
    cross_label(recipe, 2)
    path = tmp_path / "recipe.yaml"
    path.write_text(recipe.to_yaml())
    command = ["-m", "affect_train", "cross-label", path, f"output={tmp_path / 'runs/two'}", "--folds", "2", "--json"]
    done = run_python(command, processes=2)
    assert done.returncode == 0, done.stderr[-4000:]
    assert json.loads(done.stdout)["provenance"]["out_of_fold"]
    for split in ("train", "validation"):
        joined = load_dataset(people, split, ["oof", "two"])
        for head in ("au", "expression", "valence", "arousal"):
            one, shared = (np.array(joined[f"soft.{name}.{head}"][:], np.float32) for name in ("oof", "two"))
            np.testing.assert_allclose(one, shared, atol=2e-2)
