"""Clips the whole way: from drawn files to a trained model whose outputs are the mean logits of its frames."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from affect_data.build.build import build
from affect_data.build.recipe import recipe_from as data_recipe_from
from affect_data.databases.totals import DRAWN_MARKER
from affect_data.dataset.folder import DatasetFolder, open_dataset
from affect_data.dataset.loading import load_dataset
from affect_data.dataset.schema import FRAMES, IMAGES, LABELS
from affect_data.demo import dfew, expw
from affect_data.demo.sampler import FaceSampler
from affect_data.errors import DataError, UsageError
from affect_data.vocabulary import CLIP_SCOPE, LABEL_SCOPES
from affect_train.clips import shown_frames
from affect_train.evaluation.evaluate import evaluate
from affect_train.inference.features import store_features
from affect_train.inference.inference import open_model
from affect_train.inference.inputs import computed_features
from affect_train.inputs.augment import Augmentation
from affect_train.inputs.batch import Pick
from affect_train.inputs.features import StoredFeatures, uids_of
from affect_train.inputs.foreign.reading import SourceError
from affect_train.inputs.inputs import RowsInOrder
from affect_train.inputs.labels import clip_rows
from affect_train.inputs.loading import FaceImages, View
from affect_train.inputs.preprocess import Preprocessing
from affect_train.inputs.source import open_source
from affect_train.inputs.undecodable import SkippedRows
from affect_train.labelling.ensemble import ensemble
from affect_train.labelling.label import label, label_with
from affect_train.labelling.teachers import Teacher, TeacherLogits
from affect_train.network.model import AffectModel
from affect_train.recipe.dataset import DatasetOptions
from affect_train.recipe.model import ModelOptions
from affect_train.recipe.recipe import Recipe, recipe_from
from affect_train.runtime import Runtime
from affect_train.tasks import TaskSet
from affect_train.training.data import check_clips
from affect_train.training.loop import train

CLIP = LABEL_SCOPES.index(CLIP_SCOPE)
SIZE, FRAMES_SHOWN = 32, 3


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of about twenty clips and twelve photographs; column groups are added to it."""
    folder = tmp_path_factory.mktemp("clips")
    for name, generator, faces in (("dfew", dfew, 20), ("expw", expw, 12)):
        (folder / name).mkdir()
        generator.write(folder / name, FaceSampler(5), faces)
        (folder / name / DRAWN_MARKER).write_text("Faces drawn by a test; nobody's.\n")
    databases = {name: {"incomplete": "accepted"} for name in ("dfew", "expw")}
    roots = {name: folder / name for name in databases}
    return build(data_recipe_from({"databases": databases, "shard_rows": 5}), roots, folder / "merged").dataset.path


@pytest.fixture(scope="module")
def values(clips: Path, world: Any) -> Callable[..., dict[str, Any]]:
    def of(output: Path, **sections: Any) -> dict[str, Any]:
        model = {"backbone": world.tiny_vit, "image_size": SIZE, "clip_frames": FRAMES_SHOWN}
        return {
            "dataset": str(clips),
            "output": str(output),
            "tasks": {"expression": "aff_wild2_7"},
            "model": model,
            "batches": {"size": 8},
            "augmentation": {"flip": True},
            "training": {"epochs": 1, "validation_split": "test"},
            **sections,
        }

    return of


@pytest.fixture(scope="module")
def run(values: Callable[..., dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a few steps."""
    recipe = recipe_from(values(tmp_path_factory.mktemp("runs") / "run"))
    train(recipe)
    return Path(recipe.output)


def by_hand(run: Path, folder: DatasetFolder, split: str) -> torch.Tensor:
    """The logits of every row, a picture at a time: of a clip, the mean over the middle frame of each of three parts."""
    model, preprocessing = open_model(run / "model")
    found = []
    table = folder.load(split, [LABELS, IMAGES, FRAMES]).data.table
    for row in table.select(["label_scope", "image", "frames"]).to_pylist():
        pictures = [frame["bytes"] for frame in row["frames"]] or [row["image"]["bytes"]]
        shown = [pictures[number] for number in shown_frames(len(pictures), FRAMES_SHOWN)]
        pixels = torch.stack([torch.tensor(preprocessing(data)).permute(2, 0, 1) for data in shown])
        with torch.inference_mode():
            found.append(model.eval()(pixels).expression_logits.mean(0))
    return torch.stack(found)


def is_clip(folder: DatasetFolder, split: str) -> np.ndarray:
    return folder.labels(split, ["label_scope"])["label_scope"].to_numpy() == CLIP


# ---------------------------------------------------------------- what is computed


def test_the_figures_are_those_of_the_mean_logits_computed_by_hand(run: Path, clips: Path) -> None:
    folder = open_dataset(clips)
    assert is_clip(folder, "test").all()
    report = evaluate(run, clips, ["test"])
    assert report is not None
    found = report["splits"]["test"]
    labels = folder.labels("test", ["expression", "expression_mask"])
    chosen = by_hand(run, folder, "test").argmax(1).numpy()[labels["expression_mask"].to_numpy()]
    truth = labels["expression"].to_numpy()[labels["expression_mask"].to_numpy()]
    assert found["overall"]["expression"]["accuracy"] == pytest.approx((chosen == truth).mean())
    assert found["clips"] == {"rows": len(labels), "frames": 3, "pooling": "mean of the frames' logits"}


def test_labels_of_clips_are_the_mean_logits_and_of_photographs_their_own(
    run: Path, clips: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = label(run, clips, "teacher")
    folder = open_dataset(clips)
    assert result is not None
    assert result["provenance"]["view"].endswith("clips by the mean logits of up to 3 frames")
    stored = np.array(load_dataset(clips, "train", ["teacher"])["soft.teacher.expression"][:], dtype=np.float32)
    clip = is_clip(folder, "train")
    assert 0 < clip.sum() < len(clip)
    # Photographs have face boxes, which the computation by hand leaves out.
    assert np.abs(stored - by_hand(run, folder, "train").numpy())[clip].max() < 2e-3
    assert f"{clip.sum():,} rows are clips: each has the mean logits of up to 3 frames" in capsys.readouterr().err


def test_an_ensemble_has_one_output_for_a_clip_and_says_so(run: Path, clips: Path) -> None:
    label(run, clips, "member")
    report = ensemble(clips, [run], ["member"], splits=["test"])
    assert report is not None
    assert report["splits"]["test"]["clips"]["rows"] == open_dataset(clips).rows("test")


class Red(Teacher):
    """A foreign model that says how red each picture is."""

    def __init__(self) -> None:
        super().__init__("red", "1", TaskSet(expressions=("neutral", "anger")), Preprocessing(16))

    def logits(self, pixels: torch.Tensor) -> TeacherLogits:
        red = pixels[:, 0].float().mean(dim=(1, 2))[:, None] / 64
        return {"expression": torch.cat([red, -red], dim=1)}


def test_a_foreign_teacher_sees_eight_frames_of_a_clip_and_has_the_mean_of_their_logits(clips: Path) -> None:
    folder, teacher = open_dataset(clips), Red()
    label_with(teacher, folder, "red", Runtime.start())
    stored = np.array(load_dataset(clips, "test", ["red"])["soft.red.expression"][:], dtype=np.float32)
    for logits, row in zip(stored, folder.load("test", [FRAMES]).data.table.column("frames").to_pylist(), strict=True):
        seen = [teacher.preprocessing(frame["bytes"])[..., 0].mean() / 64 for frame in row]
        assert len(seen) <= 8
        assert logits[0] == pytest.approx(np.mean(seen), abs=2e-3)


def test_features_of_a_clip_are_the_mean_over_its_frames(run: Path, clips: Path) -> None:
    store_features(str(run), clips, "own")
    folder = open_dataset(clips)
    model, preprocessing = open_model(run / "model")
    stored = np.array(folder.load("test", ["features.own"])["features.own"][:], dtype=np.float32)
    for features, row in zip(
        stored, folder.load("test", [FRAMES]).data.table.column("frames").to_pylist(), strict=True
    ):
        shown = [row[number]["bytes"] for number in shown_frames(len(row), FRAMES_SHOWN)]
        pixels = torch.stack([torch.tensor(preprocessing(data)).permute(2, 0, 1) for data in shown])
        with torch.inference_mode():
            assert np.abs(features - model.eval().features(pixels).mean(0).numpy()).max() < 5e-3


def test_the_run_says_that_clips_were_pooled_and_keeps_how_many_frames(
    values: Callable[..., dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str], run: Path
) -> None:
    train(recipe_from(values(tmp_path / "run", training={"epochs": 1, "max_steps": 1, "validation_split": None})))
    assert "rows are clips: each has the mean logits of up to 3 frames" in capsys.readouterr().err
    assert json.loads((run / "model" / "config.json").read_text())["clip_frames"] == 3


# ---------------------------------------------------------------- recurrent models


def test_a_recurrent_stage_reads_the_frames_of_a_clip_as_one_window_and_its_logits_are_their_mean(
    values: Callable[..., dict[str, Any]], clips: Path, backbone: Path, tmp_path: Path
) -> None:
    store_features(str(backbone), clips, "tiny", image_size=SIZE)
    model = {
        "backbone": str(backbone), "image_size": SIZE, "freeze_backbone": True, "features": "tiny",
        "temporal": {"window": 6, "projection": 8, "hidden": 6},
    }  # fmt: skip
    sections = {"model": model, "augmentation": {}, "training": {"epochs": 1, "max_steps": 2, "validation_split": None}}
    train(recipe_from(values(tmp_path / "run", **sections)))
    stored = label(tmp_path / "run", clips, "recurrent")
    assert stored is not None
    folder = open_dataset(clips)
    found = np.array(load_dataset(clips, "test", ["recurrent"])["soft.recurrent.expression"][:], dtype=np.float32)
    network, _ = open_model(tmp_path / "run" / "model")
    column = folder.load("test", ["features.tiny"]).data.table.column("features.tiny.frames").to_pylist()
    pictures = folder.load("test", [FRAMES]).data.table.column("frames").to_pylist()
    assert [len(frames) for frames in column] == [len(row) for row in pictures]
    for logits, frames in zip(found, column, strict=True):
        shown = torch.tensor([frames[number] for number in shown_frames(len(frames), 6)])
        with torch.inference_mode():
            by_frame = network.eval()(shown.float(), torch.arange(len(shown))).expression_logits
        assert np.abs(by_frame.mean(0).numpy() - logits).max() < 2e-3
        # It reads them together: alone, they would say something else.
        with torch.inference_mode():
            alone = network(shown.float(), torch.zeros(len(shown))).expression_logits
        assert len(shown) == 1 or np.abs((alone.mean(0) - by_frame.mean(0)).numpy()).max() > 1e-6


def test_features_that_are_computed_are_those_that_are_stored(
    values: Callable[..., dict[str, Any]], clips: Path, backbone: Path
) -> None:
    store_features(str(backbone), clips, "held", image_size=SIZE)
    folder = open_dataset(clips)
    stored = StoredFeatures.of(folder, "train", "held")
    network = AffectModel.build(
        TaskSet((), (), 2), ModelOptions(backbone=str(backbone), image_size=SIZE, freeze_backbone=True)
    )
    pictures, rows = FaceImages(folder.load("train"), Preprocessing(SIZE)), clip_rows(folder, "train")
    computed = computed_features(network, pictures, uids_of(folder.load("train")), Runtime.start(), rows)
    every = np.arange(folder.rows("train"))
    for one, other in (
        (stored.take(every), computed.take(every)),
        (stored.take_frames(every, 5), computed.take_frames(every, 5)),
    ):
        assert torch.equal(one.inputs, other.inputs)
    counts = stored.take_frames(every, 5).counts
    assert counts is not None
    assert set(counts[rows].tolist()) <= {5}
    assert counts.sum() == len(every) + 4 * len(rows)


# ---------------------------------------------------------------- what is shown


def images(clips: Path, **options: Any) -> FaceImages:
    return FaceImages(open_dataset(clips).load("test"), Preprocessing(SIZE), clip_frames=FRAMES_SHOWN, **options)


def test_training_draws_other_frames_in_every_epoch_and_the_same_again(clips: Path) -> None:
    shown = images(clips, augmentation=Augmentation(), seed=1)
    first, *later = (shown.__getitems__([Pick(0, epoch)]).inputs for epoch in (0, 0, 1, 2, 3))
    assert torch.equal(first, later[0])
    assert any(not torch.equal(first, other) for other in later[1:])
    assert {len(other) for other in later} == {FRAMES_SHOWN}


def test_all_frames_of_a_clip_are_augmented_alike(clips: Path) -> None:
    plain = images(clips)
    flipped = images(clips, augmentation=Augmentation(flip=True))
    flipped._draws_frames = False
    for row in range(len(plain)):
        own, others = (shown.__getitems__([Pick(row)]).inputs for shown in (plain, flipped))
        assert torch.equal(others, own) or torch.equal(others, own.flip(3))


def test_a_frame_that_was_damaged_since_is_an_error_and_its_clip_is_left_out_where_the_recipe_says_so(
    clips: Path,
) -> None:
    class Damaged(Preprocessing):
        def __call__(self, data: Any, *rest: Any) -> Any:
            return super().__call__(b"no picture" if bytes(data) == broken else data, *rest)

    row = open_dataset(clips).load("test", [FRAMES]).data.table.column("frames").to_pylist()[0]
    broken = row[shown_frames(len(row), FRAMES_SHOWN)[1]]["bytes"]
    stopped = FaceImages(open_dataset(clips).load("test"), Damaged(SIZE), clip_frames=FRAMES_SHOWN)
    assert isinstance(stopped.__getitems__([Pick(0)]), DataError)
    skipped = FaceImages(
        open_dataset(clips).load("test"), Damaged(SIZE), clip_frames=FRAMES_SHOWN, skipped=SkippedRows()
    )
    skipped.skipped.allow_for(1000)
    order = RowsInOrder(len(skipped), len(skipped))
    (batch,) = skipped.batches(order, spares=lambda _: iter([1]))
    assert batch.uids[0] == batch.uids[1]
    assert batch.undecoded == ()
    assert torch.equal(batch.inputs[:FRAMES_SHOWN], batch.inputs[FRAMES_SHOWN : 2 * FRAMES_SHOWN])


# ---------------------------------------------------------------- what is refused


def refused(recipe: Recipe, because: str) -> None:
    with pytest.raises(UsageError, match=because):
        train(recipe)


def test_a_method_that_takes_rows_for_pictures_refuses_clips_unless_one_frame_is_shown(
    values: Callable[..., dict[str, Any]], clips: Path, tmp_path: Path
) -> None:
    sections = values(tmp_path / "run", tasks={"action_units": [1], "expression": "aff_wild2_7"})
    with pytest.raises(
        UsageError, match=r"judges its steps by rows of one picture, and .* holds clips; set `model.clip_frames: 1`"
    ):
        check_clips(recipe_from({**sections, "method": {"name": "meta_auxiliary"}}), 3)
    one = {**sections["model"], "clip_frames": 1}
    check_clips(recipe_from({**sections, "model": one, "method": {"name": "meta_auxiliary"}}), 3)


def test_decoded_clips_are_not_kept_in_memory(values: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    recipe = recipe_from(values(tmp_path / "run", batches={"size": 8, "cache": True}))
    refused(recipe, "batches.cache: the dataset has clips, whose frames are not kept in memory; set it to false")


def test_clips_of_a_dataset_that_is_no_dataset_folder_are_refused_and_its_other_rows_are_read(
    clips: Path, tmp_path: Path
) -> None:
    rows = load_dataset(clips, "train").remove_columns(["frames"])
    photographs = rows.select(np.flatnonzero(~is_clip(open_dataset(clips), "train")))
    for name, part in (("both", rows), ("photographs", photographs)):
        (tmp_path / name).mkdir()
        part.to_parquet(tmp_path / name / "train.parquet")
    tasks, view = TaskSet(expressions=("neutral", "anger")), View(Preprocessing(SIZE))
    with pytest.raises(
        SourceError, match=r"15 rows are whole clips, the first dfew:00001\. Train on the dataset folder itself"
    ):
        open_source(DatasetOptions(path=str(tmp_path / "both"))).split("train", tasks, view)
    split = open_source(DatasetOptions(path=str(tmp_path / "photographs"))).split("train", tasks, view)
    assert split.inputs.rows == len(photographs) == 11
