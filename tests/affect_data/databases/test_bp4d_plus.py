"""BP4D+: headers that name action units, pictures that count from 0, four coded tasks, and other people under BP4D's names."""

from pathlib import Path

import pytest

from affect_data.databases.base import Scan
from affect_data.databases.bp4d.coded_sequences import CODED_UNITS, CodedSequencesOptions
from affect_data.databases.bp4d.reader import Bp4d
from affect_data.databases.bp4d_plus import FOLDS, SEQUENCES, SUBJECTS, Bp4dPlus
from affect_data.databases.root import DatabaseRoot
from affect_data.errors import DatabaseNotFoundError


def write(root: Path, frames: int = 3, first_picture: int = 0, track: str = "F041_T6", first_cell: str = "0") -> Path:
    """A sequence whose frames have AU12, and not AU1; AU2 is not coded."""
    codes = {1: 0, 2: 9, 12: 1}
    lines = [
        ",".join(map(str, [number, *(codes.get(unit, 0) for unit in CODED_UNITS)])) for number in range(1, frames + 1)
    ]
    (root / "AUCoding/AU_OCC").mkdir(parents=True, exist_ok=True)
    header = ",".join([first_cell, *map(str, CODED_UNITS)])
    (root / f"AUCoding/AU_OCC/{track}.csv").write_text("\n".join([header, *lines]) + "\n")
    (root / "AUCoding/AU_INT/AU12").mkdir(parents=True, exist_ok=True)
    (root / f"AUCoding/AU_INT/AU12/{track}_AU12.csv").write_text(
        "".join(f"{n},{min(n, 5)}\n" for n in range(1, frames + 1))
    )
    folder = root / "2D+3D" / track.replace("_", "/")
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(first_picture, first_picture + frames):
        (folder / f"{number:03d}.jpg").touch()
    return root


def read(root: Path, **options: object) -> Scan:
    return Bp4dPlus(CodedSequencesOptions.model_validate(options)).read(DatabaseRoot(root))


def test_it_has_140_people_in_three_parts_and_four_tasks_each() -> None:
    assert [len(part) for part in FOLDS.values()] == [46, 47, 47]
    assert tuple([f"F{n:03d}" for n in range(1, 83)] + [f"M{n:03d}" for n in range(1, 59)]) == SUBJECTS
    assert len(SEQUENCES) == 560


@pytest.mark.parametrize("first_cell", ["0", "1", "", "Frame"])
def test_a_frame_has_the_picture_of_one_number_less(tmp_path: Path, first_cell: str) -> None:
    scan = read(write(tmp_path, first_cell=first_cell))
    assert scan.defects == ()
    assert scan.rows.select("image", "frame", "au_1", "au_2", "au_12", "au_intensity_12").rows() == [
        (f"2D+3D/F041/T6/00{n - 1}.jpg", n, 0, None, 1, n) for n in (1, 2, 3)
    ]
    assert scan.rows["subject"].unique().to_list() == ["F041"]


def test_pictures_of_the_same_numbers_are_a_defect_until_the_recipe_says_so(tmp_path: Path) -> None:
    root = write(tmp_path, first_picture=1)
    (defect,) = read(root).defects
    assert defect.found == "pictures of the same number for 3 of 3 coded frames, of one lower for 2"
    assert defect.expected == "pictures that have one number less than their frame"
    assert "under `databases: bp4d_plus:`" in defect.remedy
    assert read(root, frame_offset=0).rows["image"].to_list() == [f"2D+3D/F041/T6/00{n}.jpg" for n in (1, 2, 3)]


def test_a_task_that_is_not_coded_and_a_person_of_neither_are_defects(tmp_path: Path) -> None:
    root = write(tmp_path)
    for name in ("F041_T9.csv", "F083_T1.csv"):
        (root / "AUCoding/AU_OCC" / name).write_text((root / "AUCoding/AU_OCC/F041_T6.csv").read_text())
    assert [(d.path, d.found) for d in read(root).defects] == [
        ("AUCoding/AU_OCC/F041_T9.csv", "sequence F041_T9"),
        ("AUCoding/AU_OCC/F083_T1.csv", "sequence F083_T1"),
    ]


def test_it_and_bp4d_are_not_taken_for_each_other(tmp_path: Path) -> None:
    plus = write(tmp_path / "plus")
    assert [reader().recognises(DatabaseRoot(plus)) for reader in (Bp4d, Bp4dPlus)] == [False, True]
    with pytest.raises(DatabaseNotFoundError, match=r"it holds BP4D\+"):
        Bp4d().read(DatabaseRoot(plus))
    other = write(tmp_path / "other", track="F001_T2")
    with pytest.raises(DatabaseNotFoundError, match="it holds BP4D "):
        read(other)
    (tmp_path / "small").mkdir()
    small = write(tmp_path / "small", track="F001_T1")
    assert [reader().recognises(DatabaseRoot(small)) for reader in (Bp4d, Bp4dPlus)] == [False, True]


def test_without_pictures_their_place_is_named(tmp_path: Path) -> None:
    root = write(tmp_path)
    (root / "2D+3D").rename(root / "pictures")
    with pytest.raises(DatabaseNotFoundError, match=r"no pictures such as 2D\+3D/F041/T6/0001\.jpg"):
        read(root)
