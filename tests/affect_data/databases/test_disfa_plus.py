"""DISFA+: lines that name pictures, comments above them, a file for each action unit, and people of DISFA."""

from pathlib import Path

import pytest

from affect_data.databases.base import Scan
from affect_data.databases.disfa.reader import SUBJECTS as SUBJECTS_OF_DISFA
from affect_data.databases.disfa.reader import Disfa
from affect_data.databases.disfa_plus import SUBJECTS, DisfaPlus, DisfaPlusOptions
from affect_data.databases.root import DatabaseRoot
from affect_data.errors import DatabaseNotFoundError

TRIAL = "A1_AU1_TrailNo_1"


def write(root: Path, files: dict[str, str], person: str = "SN001", pictures: tuple[str, ...] = ("000", "001")) -> Path:
    """Label files by name, with two lines of comment, and pictures."""
    for name, lines in files.items():
        path = root / "Labels" / person / TRIAL / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"# DISFA+\n# frame intensity\n{lines}")
    for name in pictures:
        (root / "Images" / person / TRIAL).mkdir(parents=True, exist_ok=True)
        (root / "Images" / person / TRIAL / f"{name}.jpg").touch()
    return root


def all_files(lines: str) -> dict[str, str]:
    return {f"AU{unit}.txt": lines for unit in DisfaPlus.action_units}


def read(root: Path, **options: int) -> Scan:
    return DisfaPlus(DisfaPlusOptions(**options)).read(DatabaseRoot(root))


def test_a_line_names_a_picture_and_presence_begins_at_the_threshold(tmp_path: Path) -> None:
    root = write(tmp_path, {**all_files("000.jpg   0\n001.jpg   1\n"), "AU12.txt": "000.jpg   2\n\n001.jpg\t5\n"})
    scan = read(root)
    assert scan.defects == ()
    assert scan.rows.select("image", "track", "frame", "au_12", "au_intensity_12", "au_1", "source_line").rows() == [
        (f"Images/SN001/{TRIAL}/000.jpg", f"SN001/{TRIAL}", 0, 1, 2, 0, 3),
        (f"Images/SN001/{TRIAL}/001.jpg", f"SN001/{TRIAL}", 1, 1, 5, 0, 4),
    ]
    assert scan.rows["au_masked"].null_count() == 2
    assert read(root, action_unit_threshold=1).rows["au_1"].to_list() == [0, 1]


def test_a_file_or_a_line_that_is_missing_says_nothing(tmp_path: Path) -> None:
    files = {**all_files("000.jpg  3\n001.jpg  3\n"), "AU6.txt": "001.jpg  3\n"}
    del files["AU26.txt"]
    scan = read(write(tmp_path, files))
    assert scan.rows.select("au_6", "au_26", "au_masked").rows() == [
        (None, None, "the file of AU6, AU26 does not list the frame"),
        (1, None, "the file of AU26 does not list the frame"),
    ]


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        ("000.jpg  6\n", "intensity = '6'"),
        ("000.jpg\n", "'000.jpg'"),
        ("face.jpg  3\n", "'face.jpg  3'"),
        ("../000.jpg  3\n", "'../000.jpg  3'"),
        ("000.jpg  3\n000.jpg  3\n", "000.jpg again (first in line 3)"),
    ],
)
def test_a_line_of_another_form_is_a_defect(tmp_path: Path, lines: str, found: str) -> None:
    (defect,) = read(write(tmp_path, {"AU4.txt": lines})).defects
    assert (defect.path, defect.found) == (f"Labels/SN001/{TRIAL}/AU4.txt", found)


def test_another_person_another_action_unit_and_another_file_are_said(tmp_path: Path) -> None:
    root = write(tmp_path, {"AU4.txt": "000.jpg  3\n", "AU7.txt": "000.jpg  3\n", "notes.txt": ""})
    write(root, {"AU4.txt": "000.jpg  3\n"}, person="SN002")
    scan = read(root)
    assert sorted((d.path, d.found) for d in scan.defects) == [
        (f"Labels/SN001/{TRIAL}/AU7.txt", "a file of AU7"),
        ("Labels/SN002", "a person SN002"),
    ]
    assert scan.losses == (f"Labels/SN001/{TRIAL}/notes.txt: not read, the official names are like AU1.txt",)


def test_its_people_are_of_disfa_and_the_two_are_one_family() -> None:
    assert set(SUBJECTS) < set(SUBJECTS_OF_DISFA)
    assert DisfaPlus.source_family == Disfa.source_family


def test_without_pictures_or_labels_the_place_is_named(tmp_path: Path) -> None:
    root = write(tmp_path / "a", all_files("000.jpg  3\n"), pictures=())
    with pytest.raises(DatabaseNotFoundError, match="no folder Images"):
        read(root)
    (tmp_path / "b" / "Labels" / "SN001").mkdir(parents=True)
    with pytest.raises(DatabaseNotFoundError, match=r"there is no file such as Labels/SN001/<trial>/AU1\.txt"):
        read(tmp_path / "b")
