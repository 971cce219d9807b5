"""SFEW: folders are classes, names are clips and frames, and what may be missing."""

from pathlib import Path

import pytest

from affect_data.databases.base import Scan
from affect_data.databases.root import DatabaseRoot
from affect_data.databases.sfew import Sfew
from affect_data.errors import DatabaseNotFoundError

CLASSES = ("Angry", "Disgust", "Fear", "Happy", "Neutral", "Sad", "Surprise")
TRAIN = "Train/Train_Aligned_Faces"
VALIDATION = "Val/Val_Aligned_Faces_new/Val_Aligned_Faces"


def write(root: Path, train: str = TRAIN, validation: str = VALIDATION) -> Path:
    for part in (train, validation):
        for name in CLASSES:
            (root / part / name).mkdir(parents=True)
    (root / train / "Angry" / "Airheads_000519240_00000005.png").touch()
    (root / train / "Happy" / "Deja_Vu_000519240_00000025.png").touch()
    (root / validation / "Sad" / "21_000000040_00000005.png").touch()
    return root


def read(root: Path) -> Scan:
    return Sfew().read(DatabaseRoot(root))


def test_the_class_is_the_folder_and_the_clip_is_film_and_time(tmp_path: Path) -> None:
    scan = read(write(tmp_path))
    assert (scan.defects, scan.losses) == ((), ())
    assert scan.rows.select("image", "expression", "split", "track", "frame").rows() == [
        (f"{TRAIN}/Angry/Airheads_000519240_00000005.png", "anger", "train", "Airheads_000519240", 5),
        (f"{TRAIN}/Happy/Deja_Vu_000519240_00000025.png", "happiness", "train", "Deja_Vu_000519240", 25),
        (f"{VALIDATION}/Sad/21_000000040_00000005.png", "sadness", "validation", "21_000000040", 5),
    ]
    assert scan.counts == {"faces": 3, "train faces": 2, "validation faces": 1}


@pytest.mark.parametrize(
    ("train", "validation"),
    [
        ("Train_Aligned_Faces", "Val_Aligned_Faces"),
        ("Train/Train_Aligned_Faces/Train_Aligned_Faces", "Val/Val_Aligned_Faces"),
    ],
)
def test_archives_may_lie_where_people_unpack_them(tmp_path: Path, train: str, validation: str) -> None:
    scan = read(write(tmp_path, train, validation))
    assert (len(scan.rows), scan.defects, scan.losses) == (3, (), ())


def test_a_name_of_another_form_is_a_row_without_a_track(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / TRAIN / "Fear" / "picture.png").touch()
    rows = read(tmp_path).rows
    assert rows.filter(rows["expression"] == "fear").select("track", "frame").rows() == [(None, None)]


def test_a_class_without_a_folder_a_part_that_is_absent_and_other_files_are_said(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / TRAIN / "Fear").rmdir()
    (tmp_path / TRAIN / "Joyful").mkdir()
    (tmp_path / TRAIN / "Sad" / "notes.txt").touch()
    (tmp_path / "Val").rename(tmp_path / "elsewhere")
    scan = read(tmp_path)
    assert scan.losses == (f"no folder of fear in {TRAIN}", "no validation part")
    assert f"2 file(s) or folder(s) in {TRAIN} are not read, such as Joyful" in scan.notes


def test_pictures_without_a_label_are_counted_and_not_read(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "Test" / "Test_Aligned_Faces").mkdir(parents=True)
    (tmp_path / "Test" / "Test_Aligned_Faces" / "00000001.png").touch()
    scan = read(tmp_path)
    assert "1 pictures of the test part have no label and are not read" in scan.notes
    assert len(scan.rows) == 3


def test_folders_without_pictures_and_another_root_are_named(tmp_path: Path) -> None:
    root = write(tmp_path / "a")
    (root / VALIDATION / "Sad" / "21_000000040_00000005.png").unlink()
    assert [(defect.path, defect.found) for defect in read(root).defects] == [(VALIDATION, "no picture")]
    (tmp_path / "b" / "Train").mkdir(parents=True)
    with pytest.raises(DatabaseNotFoundError, match="there is no folder Train/Train_Aligned_Faces"):
        read(tmp_path / "b")


def test_an_excluded_picture_is_a_failure(tmp_path: Path) -> None:
    picture = f"{TRAIN}/Angry/Airheads_000519240_00000005.png"
    scan = Sfew().read(DatabaseRoot(write(tmp_path), (f"{picture}:1",)))
    assert (len(scan.rows), scan.failures["source_file"].to_list()) == (2, [picture])
