"""What a trained recurrent stage says of rows, wherever it is asked."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from training_runs import fresh_accelerator

from affect_data.dataset.folder import open_dataset
from affect_data.dataset.kinds.soft_labels import SOFT_LABELS
from affect_data.dataset.loading import load_dataset
from affect_data.errors import UsageError
from affect_train.evaluation.evaluate import evaluate
from affect_train.inference.features import features_of
from affect_train.inference.inference import infer, open_model
from affect_train.inference.inputs import inputs_of
from affect_train.inference.predict import predict
from affect_train.inputs.labels import column_array
from affect_train.inputs.windows import FeatureWindows
from affect_train.labelling.cross_label import cross_label
from affect_train.labelling.ensemble import ensemble
from affect_train.labelling.label import label
from affect_train.recipe.recipe import recipe_from
from affect_train.runtime import Runtime
from affect_train.training.loop import train

Values = Callable[..., dict[str, Any]]

Trained = Callable[..., Path]
Edit = Callable[[dict[str, Any]], dict[str, Any]]


def test_a_saved_model_says_of_every_row_what_it_says_of_its_window(videos: Path, trained: Trained) -> None:
    run = trained(temporal={"evaluation_stride": 2})
    model, preprocessing = open_model(run / "model")
    assert model.config.temporal["window"] == 4
    folder, runtime = open_dataset(videos), Runtime.start()
    assert features_of(model, folder) == "tiny"
    inputs = inputs_of(model, preprocessing, folder, "validation", runtime)
    assert isinstance(inputs, FeatureWindows)
    found = infer(model, inputs, runtime)
    stored = column_array(folder.load("validation", ["features.tiny"]), "features.tiny")
    features = torch.from_numpy(stored.astype(np.float32))

    def say(rows: list[int]) -> torch.Tensor:
        with torch.no_grad():
            return model(features[rows], torch.arange(len(rows))).expression_logits

    # frames 0..5 in windows 0..3 and 2..5, frames 6..9 behind the gap in one
    first, second, third = say([0, 1, 2, 3]), say([2, 3, 4, 5]), say([6, 7, 8, 9])
    expected = torch.cat([first[:2], (first[2:] + second[:2]) / 2, second[2:], third])
    assert np.allclose(found["expression"][:10], expected, atol=1e-6)
    # a photograph is a window of one frame
    assert np.allclose(found["expression"][30], say([30])[0], atol=1e-6)


def test_evaluation_inside_training_is_that_of_the_saved_model_with_stored_and_with_computed_features(
    tmp_path: Path,
    videos: Path,
    world: SimpleNamespace,
    capsys: pytest.CaptureFixture[str],
    trained: Trained,
    video_row: Edit,
) -> None:
    run = trained("training.keep_best=0", "training.epochs=1")
    inside = json.loads((run / "evaluation.json").read_text())["splits"]["validation"]
    stored = evaluate(run / "model", videos, ["validation"])["splits"]["validation"]
    fresh_accelerator()
    assert stored == inside
    assert stored["rows"] == 40
    bare = world.write_dataset(
        tmp_path / "bare", {"validation": [(number, world.all) for number in range(200, 240)]}, edit=video_row
    )
    capsys.readouterr()
    computed = evaluate(run / "model", bare, ["validation"])["splits"]["validation"]
    assert "has no features of this model's backbone: computing those of 40 rows" in capsys.readouterr().err
    assert computed == stored


def test_soft_labels_of_a_recurrent_teacher_teach_another(
    values: Values, tmp_path: Path, videos: Path, capsys: pytest.CaptureFixture[str], trained: Trained
) -> None:
    run = trained()
    written = label(run, videos, "gru")
    fresh_accelerator()
    assert written["rows"] == {"train": 80, "validation": 40}
    assert SOFT_LABELS.read(open_dataset(videos), "gru").view.endswith("windows of 4 frames every 4")
    model, preprocessing = open_model(run / "model")
    runtime = Runtime.start()
    inputs = inputs_of(model, preprocessing, open_dataset(videos), "train", runtime)
    logits = infer(model, inputs, runtime)
    stored = load_dataset(videos, "train", ["gru"])
    for head, found in logits.items():
        assert np.allclose(column_array(stored, f"soft.gru.{head}"), found, atol=2e-3)
    fresh_accelerator()
    capsys.readouterr()
    label(run, videos, "gru")
    assert "nothing was done" in capsys.readouterr().err
    fresh_accelerator()
    student = values(soft_labels=["gru"], method={"name": "distillation"})
    result = train(recipe_from({**student, "output": str(tmp_path / "student")}, ["training.epochs=2"]))
    assert result["steps"] > 2


def test_out_of_fold_labels_and_ensembles_take_recurrent_models(values: Values, tmp_path: Path, videos: Path) -> None:
    recipe = recipe_from(values(output=str(tmp_path / "oof")), ["training.max_steps=4"])
    written = cross_label(recipe, 2, "oof")
    fresh_accelerator()
    assert sum(written["folds"].values()) == 80
    folds = column_array(open_dataset(videos).load("train", ["folds.oof"]), "folds.oof")
    stored = column_array(load_dataset(videos, "train", ["oof"]), "soft.oof.expression")
    for fold, run in enumerate(written["runs"]):
        model, preprocessing = open_model(Path(run) / "model")
        inputs = inputs_of(model, preprocessing, open_dataset(videos), "train", Runtime.start())
        said = infer(model, inputs, Runtime.start())["expression"]
        assert np.allclose(stored[folds == fold], said[folds == fold], atol=2e-3)
        assert not np.allclose(stored[folds != fold], said[folds != fold], atol=2e-3)
    fresh_accelerator()
    label(written["runs"][0], videos, "first")
    fresh_accelerator()
    merged = ensemble(videos, [written["runs"][0]], ["first"], splits=["validation"])["splits"]["validation"]["overall"]
    fresh_accelerator()
    alone = evaluate(written["runs"][0], videos, ["validation"])["splits"]["validation"]["overall"]
    assert merged["expression"]["accuracy"] == alone["expression"]["accuracy"]
    assert merged["va"]["valence_ccc"] == pytest.approx(alone["va"]["valence_ccc"], abs=2e-3)


def test_frames_of_a_video_are_predicted_as_the_rows_of_a_track(
    values: Values, tmp_path: Path, world: SimpleNamespace, trained: Trained, video_row: Edit
) -> None:
    run = trained("crop.margin=0.2")
    # whole pictures, as the command takes them
    bare = world.write_dataset(
        tmp_path / "bare",
        {"validation": [(number, world.all) for number in range(200, 206)]},
        edit=lambda row: {**video_row(row), "face_box": [np.nan] * 4},
    )
    model, preprocessing = open_model(run / "model")
    runtime = Runtime.start()
    inputs = inputs_of(model, preprocessing, open_dataset(bare), "validation", runtime)
    logits = infer(model, inputs, runtime)
    expected = torch.from_numpy(logits["expression"]).softmax(dim=1).numpy()
    fresh_accelerator()
    pictures = []
    for number in range(200, 206):
        pictures.append(tmp_path / f"{number}.img")
        pictures[-1].write_bytes(world.face_bytes(number))
    together = predict(run, pictures, sequence=True, as_is=True)
    fresh_accelerator()
    found = [list(one["expression_probabilities"].values()) for one in together]
    assert np.allclose(found, expected, atol=2e-3)
    alone = predict(run, pictures, as_is=True)
    assert alone[0] != together[0]


def test_a_sequence_takes_a_recurrent_stage(recipe_values: Values, tmp_path: Path, world: SimpleNamespace) -> None:
    train(recipe_from(recipe_values(), ["training.max_steps=1"]))
    fresh_accelerator()
    picture = tmp_path / "face.jpg"
    picture.write_bytes(world.face_bytes(2))
    with pytest.raises(UsageError, match="looks at every picture by itself: it has no recurrent stage, leave --seq"):
        predict(tmp_path / "run", [picture], sequence=True)
