"""The image processor of a model with a crop policy: it cuts found faces as in training, and the card says how."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from affect_data.errors import DataError, UsageError
from affect_data.faces.detection import DetectedFace
from affect_data.faces.orientation import upright_pixels
from affect_data.faces.policies import ARCFACE_112, policy_named
from affect_train.hub.card import _crop
from affect_train.hub.processor import AffectImageProcessor
from affect_train.inference.cropping import faces_as_trained
from affect_train.inputs.preprocess import Preprocessing

POINTS = np.array(ARCFACE_112, np.float32) / 2
FACES = [
    DetectedFace((20, 12, 60, 70), 0.9, POINTS + np.float32([12, 10])),
    DetectedFace((70, 8, 118, 66), 0.8, POINTS + np.float32([64, 6])),
]


def photograph(path: Path, orientation: int = 1) -> Path:
    blocks = np.random.default_rng(5).integers(0, 256, (8, 13, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(blocks).resize((130, 80), Image.Resampling.BICUBIC).save(path, quality=95, exif=exif)
    return path


def processor_of(preprocessing: Preprocessing) -> AffectImageProcessor:
    """A processor as it comes back from the file of a published model."""
    stored = AffectImageProcessor(preprocessing.to_dict(), preprocessing.digest()).to_json_string()
    return AffectImageProcessor.from_dict(json.loads(stored))


@pytest.mark.parametrize("orientation", [1, 3])
def test_faces_of_a_photograph_are_cut_as_in_training_from_whatever_holds_it(tmp_path: Path, orientation: int) -> None:
    path, seen = (
        photograph(tmp_path / "people.jpg", orientation),
        Preprocessing.of_crops(48, policy_named("affwild2-112")),
    )
    pixels = upright_pixels(path.read_bytes())
    expected = faces_as_trained(pixels, FACES, seen).transpose(0, 3, 1, 2)
    with Image.open(path) as undecoded, Image.open(path) as decoded:
        decoded.load()
        for picture in (path, path.read_bytes(), undecoded, decoded, pixels):
            found = processor_of(seen)(picture, faces=[FACES])["inputs"]
            assert np.array_equal(found, expected)


def test_a_ready_crop_is_taken_as_it_is(tmp_path: Path) -> None:
    policy = policy_named("affwild2-112")
    data = policy.crop_bytes(upright_pixels(photograph(tmp_path / "people.jpg").read_bytes()), FACES[0])
    found = processor_of(Preprocessing.of_crops(112, policy))(data)["inputs"]
    assert np.array_equal(found[0].transpose(1, 2, 0), np.asarray(Image.open(io.BytesIO(data))))


def test_a_face_that_cannot_be_cut_and_faces_of_other_pictures_are_refused(tmp_path: Path) -> None:
    path = photograph(tmp_path / "people.jpg")
    processor = processor_of(Preprocessing.of_crops(48, policy_named("affwild2-112")))
    with pytest.raises(
        DataError,
        match=r"people\.jpg', face 1: affwild2-112 takes five points, and the detector gave none for this face\. Leave",
    ):
        processor(path, faces=[[FACES[0], DetectedFace(FACES[1].box, 0.8)]])
    with pytest.raises(UsageError, match="faces: found those of 2 pictures; give those of each of the 1"):
        processor(path, faces=[FACES, FACES])
    with pytest.raises(UsageError, match="found float64"):
        processor(np.zeros((4, 4, 3)), faces=[[]])
    with pytest.raises(DataError, match=r"nowhere\.jpg' does not exist"):
        processor(tmp_path / "nowhere.jpg", faces=[FACES])


def test_another_version_of_the_policy_is_refused_by_name() -> None:
    seen = Preprocessing.of_crops(48, policy_named("fmae-5"))
    values = {**seen.to_dict(), "policy": {**seen.to_dict()["policy"], "version": 9}}
    with pytest.raises(
        DataError, match=r"the crop policy fmae-5 differs in version .*; use the release of affectkit that published it"
    ):
        AffectImageProcessor(values, "0" * 16)(np.zeros((8, 8, 3), np.uint8))


def test_the_card_states_the_policy() -> None:
    assert (
        _crop(Preprocessing(112, 0.3).to_dict())
        == "a square around the face box with a margin of 0.3 of its longer side"
    )
    told = _crop(Preprocessing.of_crops(112, policy_named("fmae-5")).to_dict())
    assert told.startswith("`fmae-5`, version 1, of affectkit's crop policies; `affect-train predict` and")
