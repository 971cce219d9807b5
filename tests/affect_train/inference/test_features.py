"""A backbone's features, stored once: written, checked against the model, and trained on without an image."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from training_runs import fresh_accelerator

from affect_data.dataset.folder import open_dataset
from affect_data.dataset.kinds.base import StaleGroupError
from affect_data.dataset.kinds.features import FEATURES
from affect_data.dataset.loading import load_dataset
from affect_data.errors import DataError, RecipeError, UnknownNameError
from affect_train.errors import ModelMismatchError
from affect_train.inference.features import backbone_digest, check_features, store_features
from affect_train.inference.inference import infer, open_model
from affect_train.inputs.batch import Pick
from affect_train.inputs.features import StoredFeatures
from affect_train.inputs.loading import FaceImages
from affect_train.inputs.preprocess import Preprocessing
from affect_train.network.model import AffectModel
from affect_train.recipe.model import ModelOptions
from affect_train.recipe.recipe import recipe_from
from affect_train.runtime import Runtime
from affect_train.tasks import TaskSet
from affect_train.training.loop import train

Values = Callable[..., dict[str, Any]]


@pytest.fixture
def stored(backbone: Path, own_dataset: Path) -> Path:
    """A dataset with the features `tiny`."""
    written = store_features(str(backbone), own_dataset, "tiny", image_size=32)
    assert written["rows"] == {"train": 16, "validation": 9}
    fresh_accelerator()
    return own_dataset


@pytest.fixture
def values(recipe_values: Values, backbone: Path, stored: Path) -> Callable[..., dict[str, Any]]:
    def build(**model: Any) -> dict[str, Any]:
        options = {"backbone": str(backbone), "image_size": 32, "freeze_backbone": True, "features": "tiny", **model}
        return recipe_values(dataset=str(stored), model=options)

    return build


def test_stored_features_are_the_backbone_s_of_every_row(stored: Path, backbone: Path) -> None:
    provenance = FEATURES.read(open_dataset(stored), "tiny")
    assert (provenance.width, provenance.pooling, provenance.model_id) == (32, "cls_mean", "tiny")
    assert provenance.preprocessing_hash == Preprocessing(32, 0.2).digest()
    options = ModelOptions(backbone=str(backbone), image_size=32, freeze_backbone=True)
    model = AffectModel.build(TaskSet((1, 2), (), 0), options).eval()
    assert provenance.backbone_digest == backbone_digest(model.backbone)
    for split, rows in (("train", 16), ("validation", 9)):
        images = FaceImages(load_dataset(stored, split), Preprocessing(32, 0.2)).__getitems__(
            [Pick(row) for row in range(rows)]
        )
        with torch.no_grad():
            expected = model.features(images.inputs)
        held = StoredFeatures(open_dataset(stored).load(split, ["labels", "features.tiny"]), "tiny")
        picked = held.__getitems__([Pick(row) for row in range(rows)])
        assert len(held) == rows
        assert picked.uids == images.uids
        assert torch.allclose(picked.inputs, expected, atol=2e-3)  # float16
        backwards = held.__getitems__([Pick(3), Pick(1), Pick(3)])
        assert torch.equal(backwards.inputs, picked.inputs[[3, 1, 3]])
        assert backwards.rows.tolist() == [3, 1, 3]


def test_writing_features_changes_no_label_and_no_image_and_may_be_repeated(backbone: Path, own_dataset: Path) -> None:
    def content(folder: Path) -> dict[str, bytes]:
        return {str(path): path.read_bytes() for path in sorted(folder.rglob("*.arrow"))}

    before, fingerprint = content(own_dataset), open_dataset(own_dataset).fingerprint
    store_features(str(backbone), own_dataset, "tiny", image_size=32)
    after = content(own_dataset)
    assert all(after[path] == data for path, data in before.items())
    assert {path.split("/")[-2] for path in after.keys() - before.keys()} == {"features.tiny"}
    assert open_dataset(own_dataset).fingerprint == fingerprint
    fresh_accelerator()
    store_features(str(backbone), own_dataset, "tiny", image_size=32)
    again = content(own_dataset)
    assert sorted(again.values()) == sorted(after.values())


def test_heads_train_from_features_and_the_model_says_the_same_of_the_images(
    values: Callable[..., dict[str, Any]], stored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_image(*arguments: object) -> None:
        raise AssertionError("an image was decoded")

    with monkeypatch.context() as context:
        context.setattr(FaceImages, "__getitems__", no_image)
        result = train(recipe_from(values(), ["training.epochs=3", "optimizer.learning_rate=0.01"]))
    assert result["steps"] > 3
    records = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    losses = [record["losses"]["expression"] for record in records if record["kind"] == "train"]
    assert losses[-1] < losses[0]

    model, preprocessing = open_model(tmp_path / "run/model")
    provenance = FEATURES.read(open_dataset(stored), "tiny")
    assert backbone_digest(model.backbone) == provenance.backbone_digest
    runtime = Runtime.start()
    dataset = load_dataset(stored, "validation")
    from_images = infer(model, FaceImages(dataset, preprocessing), runtime)
    held = StoredFeatures(open_dataset(stored).load("validation", ["labels", "features.tiny"]), "tiny")
    from_features = infer(model, held, runtime)
    for head, logits in from_images.items():
        assert np.allclose(logits, from_features[head], atol=5e-3), head
        assert logits.std() > 0.02
    # and the evaluation of the training, from features, is that of the images
    from affect_train.evaluation.evaluate import evaluate

    fresh_accelerator()
    trained = json.loads((tmp_path / "run/evaluation.json").read_text())["splits"]["validation"]["overall"]
    found = evaluate(tmp_path / "run/model", stored, ["validation"], optimistic=True)["splits"]["validation"]["overall"]
    assert found["expression"]["accuracy"] == pytest.approx(trained["expression"]["accuracy"], abs=0.12)
    assert found["va"]["valence_ccc"] == pytest.approx(trained["va"]["valence_ccc"], abs=0.02)


def test_a_recipe_with_another_crop_backbone_or_pooling_is_refused(
    values: Callable[..., dict[str, Any]], backbone: Path, stored: Path, tmp_path: Path
) -> None:
    with pytest.raises(ModelMismatchError, match=r"features 'tiny', preprocessing: found [0-9a-f]{16}; expected"):
        train(recipe_from(values(), ["crop.margin=0.5"]))
    fresh_accelerator()
    with pytest.raises(ModelMismatchError, match=r"features 'tiny', pooling: found cls_mean; expected mean"):
        train(recipe_from(values(pooling="mean")))
    fresh_accelerator()
    with pytest.raises(
        ModelMismatchError, match=r"features 'tiny', backbone weights: found .* to fix: give the recipe the backbone"
    ):
        train(recipe_from(values(pretrained=False)))
    assert not (tmp_path / "run").exists()


def test_check_features_accepts_the_backbone_that_made_them(stored: Path, backbone: Path) -> None:
    preprocessing = Preprocessing(32, 0.2)
    options = ModelOptions(backbone=str(backbone), image_size=32, freeze_backbone=True)
    model = AffectModel.build(TaskSet((1,), (), 0), options, preprocessing.to_dict(), preprocessing.digest())
    provenance = FEATURES.read(open_dataset(stored), "tiny")
    check_features(model, provenance)
    with torch.no_grad():
        next(model.backbone.parameters()).flatten()[0] += 1e-3
    with pytest.raises(ModelMismatchError, match="backbone weights"):
        check_features(model, provenance)


def changed(dataset: Path, name: str) -> None:
    """Gives a dataset another fingerprint of pictures, labels or people."""
    manifest = json.loads((dataset / "dataset.json").read_text())
    manifest["fingerprints"][name] = "0123456789abcdef"
    (dataset / "dataset.json").write_text(json.dumps(manifest))


def test_features_of_other_pictures_are_refused(values: Callable[..., dict[str, Any]], stored: Path) -> None:
    changed(stored, "pictures")
    with pytest.raises(
        StaleGroupError,
        match=r"features 'tiny' were made from other pictures than the dataset has now. Make them again: `affect-train features .*` *$",
    ):
        train(recipe_from(values()))


def test_features_stay_when_labels_or_people_change(values: Callable[..., dict[str, Any]], stored: Path) -> None:
    for name in ("labels", "people"):
        changed(stored, name)
    assert train(recipe_from(values())) is not None


def test_features_that_are_not_there_are_named_with_those_that_are(values: Callable[..., dict[str, Any]]) -> None:
    with pytest.raises(UnknownNameError, match=r"`affect-train features .*` writes them\) 'other'; known: tiny"):
        train(recipe_from(values(features="other")))


def test_features_take_a_frozen_backbone(recipe_values: Values) -> None:
    model = {"backbone": "somewhere", "features": "tiny"}
    with pytest.raises(RecipeError, match=r"model.features: stored features stay as they are; set `model.freeze_back"):
        recipe_from(recipe_values(model=model))


def test_a_feature_that_is_not_finite_is_an_error_with_its_row(
    backbone: Path, own_dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forward = AffectModel.features

    def diverging(self: AffectModel, pixels: torch.Tensor) -> torch.Tensor:
        found = forward(self, pixels)
        found[min(5, len(found) - 1)] = torch.nan
        return found

    monkeypatch.setattr(AffectModel, "features", diverging)
    with pytest.raises(DataError, match=r"features of split 'train': row 5 is not finite as float16"):
        store_features(str(backbone), own_dataset, "tiny", image_size=32)
    with pytest.raises(UnknownNameError):
        FEATURES.read(open_dataset(own_dataset), "tiny")


def test_features_of_a_run_are_those_of_its_own_backbone_and_preprocessing(
    recipe_values: Values, own_dataset: Path, tmp_path: Path
) -> None:
    train(recipe_from(recipe_values(dataset=str(own_dataset)), ["training.max_steps=1", "crop.margin=0.4"]))
    fresh_accelerator()
    written = store_features(str(tmp_path / "run"), own_dataset, "own")
    model, preprocessing = open_model(tmp_path / "run/model")
    assert preprocessing.margin == 0.4
    provenance = FEATURES.read(open_dataset(own_dataset), "own")
    assert provenance.preprocessing_hash == preprocessing.digest()
    assert provenance.backbone_digest == backbone_digest(model.backbone)
    assert written["provenance"] == provenance.model_dump()
    assert written["name"] == "own"


def test_the_group_of_features_bears_their_name() -> None:
    assert FEATURES.group("tiny") == "features.tiny"
