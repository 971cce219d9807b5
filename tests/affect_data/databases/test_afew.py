"""AFEW: clips in folders of their class, faces in folders of their name, the same names in both parts, and what may be missing."""

from pathlib import Path

import pytest

from affect_data.databases.afew import TWICE, Afew
from affect_data.databases.base import Scan
from affect_data.databases.root import DatabaseRoot
from affect_data.errors import DatabaseNotFoundError

CLASSES = ("Angry", "Disgust", "Fear", "Happy", "Neutral", "Sad", "Surprise")
TRAIN_FACES = "Train_AFEW/AlignedFaces_LBPTOP_Points/Faces"
VALIDATION_FACES = "Val_AFEW/AlignedFaces_LBPTOP_Points_Val/Faces"


def clip(root: Path, video: str, faces: str) -> None:
    (root / video).touch()
    folder = root / faces / Path(video).stem
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("009.jpg", "010.jpg"):
        (folder / name).touch()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two clips for training and one for validation, which has the name of one of them."""
    for part in ("Train_AFEW", "Val_AFEW"):
        for name in CLASSES:
            (tmp_path / part / name).mkdir(parents=True)
    clip(tmp_path, "Train_AFEW/Angry/000046280.avi", TRAIN_FACES)
    clip(tmp_path, "Train_AFEW/Happy/000149120.avi", TRAIN_FACES)
    clip(tmp_path, "Val_AFEW/Sad/000046280.avi", VALIDATION_FACES)
    return tmp_path


def read(root: Path) -> Scan:
    return Afew().read(DatabaseRoot(root))


def test_a_name_in_both_parts_is_two_clips(root: Path) -> None:
    scan = read(root)
    assert (scan.defects, scan.losses) == ((), ())
    assert scan.rows.select("track", "expression", "split", "source_file", "source_line").rows() == [
        ("train/000046280", "anger", "train", "Train_AFEW/Angry/000046280.avi", 1),
        ("train/000149120", "happiness", "train", "Train_AFEW/Happy/000149120.avi", 1),
        ("validation/000046280", "sadness", "validation", "Val_AFEW/Sad/000046280.avi", 1),
    ]
    assert scan.rows["clip_frames"].to_list()[0] == [f"{TRAIN_FACES}/000046280/{name}.jpg" for name in ("009", "010")]
    assert scan.counts == {"clips": 3, "train clips": 2, "validation clips": 1}


def test_two_clips_of_one_name_in_a_part_are_failures_because_their_faces_are_not_known(root: Path) -> None:
    clip(root, "Train_AFEW/Fear/000046280.avi", TRAIN_FACES)
    scan = read(root)
    assert scan.failures.select("source_file", "reason").rows() == [
        ("Train_AFEW/Angry/000046280.avi", TWICE),
        ("Train_AFEW/Fear/000046280.avi", TWICE),
    ]
    assert scan.rows["track"].to_list() == ["train/000149120", "validation/000046280"]


def test_a_clip_without_faces_is_a_failure_and_without_any_faces_the_place_is_named(root: Path) -> None:
    (root / "Train_AFEW" / "Fear" / "000200000.avi").touch()
    assert read(root).failures.select("source_file", "reason").rows() == [
        ("Train_AFEW/Fear/000200000.avi", "clip folder missing")
    ]
    (root / TRAIN_FACES).rename(root / "elsewhere")
    assert [(defect.path, defect.remedy) for defect in read(root).defects] == [
        (TRAIN_FACES, "unpack AlignedFaces_LBPTOP_Points.zip there")
    ]


def test_an_absent_part_an_absent_class_and_other_files_are_said(root: Path) -> None:
    (root / "Val_AFEW").rename(root / "elsewhere")
    (root / "Train_AFEW" / "Surprise").rmdir()
    (root / "Train_AFEW" / "Angry" / "000046280.xml").touch()
    scan = read(root)
    assert scan.losses == ("no folder of surprise in Train_AFEW", "no validation part")
    assert "1 file(s) or folder(s) in Train_AFEW are not read, such as Angry/000046280.xml" in scan.notes


def test_another_root_is_refused_with_what_is_looked_for(tmp_path: Path) -> None:
    (tmp_path / "Train_AFEW").mkdir()
    with pytest.raises(DatabaseNotFoundError, match=r"there is no clip such as Train_AFEW/Angry/000046280\.avi"):
        read(tmp_path)
