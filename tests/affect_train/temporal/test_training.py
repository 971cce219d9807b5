"""Training a recurrent stage over windows of stored features."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from training_runs import fresh_accelerator

from affect_data.dataset.folder import open_dataset
from affect_data.dataset.kinds.features import FEATURES
from affect_data.vocabulary import EXPRESSIONS
from affect_train.errors import ModelMismatchError
from affect_train.inference.features import features_of, store_features
from affect_train.inputs.labels import column_array, load_labels
from affect_train.inputs.windows import track_windows
from affect_train.labelling.label import label
from affect_train.network.model import load_model
from affect_train.recipe.recipe import recipe_from
from affect_train.runtime import build_accelerator
from affect_train.training.loop import train

Values = Callable[..., dict[str, Any]]

Trained = Callable[..., Path]


def test_training_over_windows_lowers_the_losses_and_says_what_takes_no_part(
    capsys: pytest.CaptureFixture[str], trained: Trained
) -> None:
    run = trained("training.epochs=8", "training.record_rows=true")
    told = " ".join(capsys.readouterr().err.split())
    # six videos of 6 and 4 frames: two windows and one each
    assert "18 windows of 4 to 4 frames over 12 runs of consecutive frames (60 rows)" in told
    assert "20 rows without a track, or held out, take no part" in told
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    losses = [record["losses"] for record in records if record["kind"] == "train"]
    assert losses[-1]["expression"] < losses[0]["expression"]
    batches = [json.loads(line)["rows"][0] for line in (run / "rows.rank0.jsonl").read_text().splitlines()]
    assert {len(rows) for rows in batches} == {24}
    assert all(np.diff(rows[start : start + 4]).tolist() == [1, 1, 1] for rows in batches for start in range(0, 24, 4))
    assert not {row for rows in batches for row in rows} & {*range(30, 40), *range(70, 80)}


def test_windows_are_drawn_by_their_labels_in_equal_shares(values: Values, videos: Path, trained: Trained) -> None:
    run = trained("training.epochs=1", "training.record_rows=true")
    tasks = recipe_from(values()).tasks.task_set()
    dataset, labels = load_labels(open_dataset(videos), "train", tasks)
    windows = track_windows(dataset, 4, 2)
    labelled = labels.pools(tasks)
    names = list(labelled)
    for line in (run / "rows.rank0.jsonl").read_text().splitlines():
        rows = np.reshape(json.loads(line)["rows"][0], (6, 4))
        for place, window in enumerate(rows):
            assert np.isin(window, labelled[names[place % 3]]).any()
    held = windows.pools({name: SimpleNamespace(rows=rows) for name, rows in labelled.items()})
    assert {name: len(pool) for name, pool in held.items()} != {name: len(windows) for name in names}


def test_soft_terms_count_frames_and_no_filling(values: Values, videos: Path, trained: Trained) -> None:
    """Windows of six where runs have six and four frames: a soft loss over all rows is the mean over real frames alone."""
    run = trained()
    label(run, videos, "gru")
    fresh_accelerator()
    from affect_train.methods import build_method
    from affect_train.training.data import TrainingData
    from affect_train.training.source import open_training_source

    settings = values({"window": 6, "stride": 6}, soft_labels=["gru"], method={"name": "distillation"})
    recipe = recipe_from(settings)
    data = TrainingData.load(recipe, open_training_source(recipe), build_accelerator())
    batch = next(iter(data.batches))
    runs = sum(1 for place in batch.places if place == 0)
    assert runs == 6
    assert len(batch) < 36
    counts = build_method(recipe.method, recipe.tasks.task_set()).counts(batch)
    soft = [count for name, count in counts.items() if name.endswith("soft") and not name.startswith("au")]
    assert soft
    assert all(int(count) == len(batch) for count in soft)


def test_held_out_folds_keep_their_tracks_out_of_the_windows(videos: Path, trained: Trained) -> None:
    from affect_data.leaks.folds import write_folds

    write_folds(open_dataset(videos), "two", 2, seed=0, splits=("train",))
    folds = column_array(open_dataset(videos).load("train", ["folds.two"]), "folds.two")
    run = trained("training.record_rows=true", "training.held_out={folds: two, fold: 0}", "training.epochs=3")
    seen = {row for line in (run / "rows.rank0.jsonl").read_text().splitlines() for row in json.loads(line)["rows"][0]}
    tracked = [row for row in range(80) if row // 10 % 4 != 3]
    assert seen == {row for row in tracked if folds[row] == 1}


def test_it_learns_what_depends_on_the_frame_before_and_a_head_on_single_frames_cannot(
    recipe_values: Values, backbone: Path, tmp_path: Path, world: SimpleNamespace
) -> None:
    """Every frame is one of two pictures at random; its expression says which one came before."""
    bits = np.random.default_rng(0).integers(0, 2, 4000)
    classes = [EXPRESSIONS.index(name) for name in ("happiness", "sadness")]

    def edit(row: dict[str, Any]) -> dict[str, Any]:
        number = row["frame"]
        before = classes[bits[number - 1]] if number % 24 else -1
        row = {**row, "database": 0, "track": f"clip{number // 24}", "subject": f"s{number // 24}"}
        return {**row, "expression": before, "expression_mask": before >= 0, "face_box": [np.nan] * 4}

    splits = {
        "train": [(number, ("expression",)) for number in range(1200)],
        "validation": [(number, ("expression",)) for number in range(2400, 2880)],
    }
    path = world.write_dataset(
        tmp_path / "toy", splits, face=lambda number: world.face_bytes(2 * int(bits[number]) + 1, 32), edit=edit
    )
    store_features(str(backbone), path, "tiny", image_size=32)
    fresh_accelerator()
    model = {"backbone": str(backbone), "image_size": 32, "freeze_backbone": True, "features": "tiny"}
    common = {
        "dataset": str(path),
        "tasks": {"expression": ["happiness", "sadness"]},
        "optimizer": {"learning_rate": 0.01},
        "training": {"epochs": 12, "best_metric": "expression.accuracy"},
    }

    def accuracy(name: str, size: int, **options: Any) -> float:
        output = str(tmp_path / name)
        result = train(
            recipe_from(recipe_values(**common, output=output, model={**model, **options}, batches={"size": size}))
        )
        fresh_accelerator()
        return result["best_score"]

    framewise = accuracy("frames", 96, head={"hidden": 16})
    recurrent = accuracy("windows", 8, temporal={"window": 12, "projection": 16, "hidden": 16})
    assert framewise < 0.6
    assert recurrent > 0.9


def test_a_model_of_ours_gives_its_features_from_its_run_and_its_model_folder_alike(
    recipe_values: Values, videos: Path, tmp_path: Path
) -> None:
    student = recipe_values(dataset=str(videos))
    student["model"] |= {"standardise": True}
    train(recipe_from(student, ["training.max_steps=2", "crop.margin=0.4"]))
    fresh_accelerator()
    store_features(str(tmp_path / "run"), videos, "student")
    fresh_accelerator()
    store_features(str(tmp_path / "run/model"), videos, "again")
    fresh_accelerator()
    provenance = FEATURES.read(open_dataset(videos), "student")
    again = FEATURES.read(open_dataset(videos), "again")
    assert provenance.normalisation.endswith("then every image to mean 0 and deviation 1")
    assert provenance.preprocessing["margin"] == 0.4
    assert (again.preprocessing_hash, again.backbone_digest) == (
        provenance.preprocessing_hash,
        provenance.backbone_digest,
    )
    first, second = (
        column_array(open_dataset(videos).load("train", [f"features.{name}"]), f"features.{name}")
        for name in ("student", "again")
    )
    assert np.array_equal(first, second)

    temporal = {
        "backbone": str(tmp_path / "run/model"),
        "image_size": 32,
        "freeze_backbone": True,
        "features": "student",
        "temporal": {"window": 4},
        "standardise": True,
    }
    recipe = recipe_values(dataset=str(videos), model=temporal, output=str(tmp_path / "gru"), batches={"size": 6})
    train(recipe_from(recipe, ["training.max_steps=2", "crop.margin=0.4"]))
    fresh_accelerator()
    assert features_of(load_model(tmp_path / "gru/model"), open_dataset(videos)) in ("student", "again")
    with pytest.raises(ModelMismatchError, match=r"features 'student', normalisation: found mean .* deviation 1; expe"):
        train(recipe_from(recipe, ["training.max_steps=2", "crop.margin=0.4", "model.standardise=false"]))
