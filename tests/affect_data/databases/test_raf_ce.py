"""RAF-CE: three lists of the same pictures, the order of classes and parts, bursts that the official split tears apart, and what can be wrong."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from affect_data.databases.base import Scan
from affect_data.databases.raf_ce import CODED, COMPOUND, RafCe, RafCeOptions
from affect_data.databases.root import DatabaseRoot
from affect_data.errors import DatabaseNotFoundError

# Of the official lists.
CLASSES = ("0001.jpg 5", "0004.jpg 10", "0009.jpg 13")
PARTS = ("0001.jpg 0", "0004.jpg 1", "0009.jpg 2")
UNITS = ("0001.jpg 1+4+25", "0004.jpg null", "0009.jpg R35+30+L12L")


def write(
    root: Path,
    classes: Sequence[str] = CLASSES,
    parts: Sequence[str] | None = PARTS,
    units: Sequence[str] | None = UNITS,
) -> Path:
    (root / "aligned").mkdir(parents=True)
    for line in classes:
        (root / "aligned" / f"{line[:4]}_aligned.jpg").touch()
    for name, lines in (("emolabel", classes), ("partition", parts), ("AUlabel", units)):
        if lines is not None:
            (root / f"RAFCE_{name}.txt").write_text("\n".join(lines))
    return root


def read(root: Path, **options: object) -> Scan:
    return RafCe(RafCeOptions.model_validate(options)).read(DatabaseRoot(root))


def test_class_part_and_action_units_come_from_three_lists_by_the_name_of_the_picture(tmp_path: Path) -> None:
    scan = read(write(tmp_path, parts=PARTS[::-1]))
    assert scan.defects == ()
    assert scan.rows.select("image", "compound_expression", "split", "source_line").rows() == [
        ("aligned/0001_aligned.jpg", "sadly disgusted", "train", 1),
        ("aligned/0004_aligned.jpg", "angrily disgusted", "test", 2),
        ("aligned/0009_aligned.jpg", "happily sad", "validation", 3),
    ]
    present = [{unit for unit in CODED if row[f"au_{unit}"]} for row in scan.rows.iter_rows(named=True)]
    assert present == [{1, 4, 25}, set(), {12, 30, 35}]
    assert scan.rows.select("side_12", "side_35", "side_30").row(2) == ("left", "right", None)
    assert scan.counts == {"faces": 3, "train faces": 1, "test faces": 1, "validation faces": 1}


def test_the_fourteen_classes_are_in_the_order_of_the_official_lists() -> None:
    assert (COMPOUND[0], COMPOUND[5], COMPOUND[8], COMPOUND[10], COMPOUND[13]) == (
        "happily surprised",
        "sadly disgusted",
        "fearfully disgusted",
        "angrily disgusted",
        "happily sad",
    )
    assert len(set(COMPOUND)) == 14


def test_a_burst_that_lies_in_several_parts_is_noted(tmp_path: Path) -> None:
    numbers = [2240, 2241, 2242, 2243, 2300, 2301]
    classes = [f"{number}.jpg 7" for number in numbers]
    parts = [f"{number}.jpg {part}" for number, part in zip(numbers, (0, 1, 0, 2, 0, 1), strict=True)]
    units = [f"{number}.jpg 1+2+5+25" for number in numbers]
    notes = read(write(tmp_path / "a", classes, parts, units)).notes
    assert (
        "the official split tears 1 rows of near copies apart (consecutive pictures with one class and the same action units), "
        "such as the 4 from 2240.jpg on: figures on it are too high" in notes
    )
    apart = read(write(tmp_path / "b", classes, [f"{number}.jpg 0" for number in numbers], units)).notes
    assert not [note for note in apart if "near copies" in note]


@pytest.mark.parametrize(
    ("name", "lines", "found"),
    [
        ("emolabel", ("0001.jpg 14",), "compound_expression = '14'"),
        ("emolabel", ("1.jpg 0",), "picture = '1.jpg'"),
        ("emolabel", ("0001.jpg 0", "0001.jpg 1"), "0001.jpg again (first in line 1)"),
        ("partition", ("0001.jpg 3",), "split = '3'"),
        ("AUlabel", ("0001.jpg 12+",), "'0001.jpg 12+'"),
        ("AUlabel", ("0001.jpg",), "'0001.jpg'"),
    ],
)
def test_a_line_of_another_form_is_a_defect(tmp_path: Path, name: str, lines: tuple[str, ...], found: str) -> None:
    write(tmp_path)
    (tmp_path / f"RAFCE_{name}.txt").write_text("\n".join(lines))
    first = read(tmp_path).defects[0]
    assert (first.path, first.found) == (f"RAFCE_{name}.txt", found)


def test_a_picture_that_one_list_lacks_is_a_defect_with_the_list_that_lacks_it(tmp_path: Path) -> None:
    found = read(write(tmp_path / "a", parts=PARTS[:2])).defects
    assert [(d.path, d.line, d.found) for d in found] == [
        ("RAFCE_emolabel.txt", 3, "0009.jpg, which RAFCE_partition.txt lacks")
    ]
    found = read(write(tmp_path / "b", units=(*UNITS, "0010.jpg 4"))).defects
    assert [(d.path, d.line, d.found) for d in found] == [
        ("RAFCE_AUlabel.txt", 4, "0010.jpg, which RAFCE_emolabel.txt lacks")
    ]


def test_without_parts_or_action_units_the_copy_has_lost_them(tmp_path: Path) -> None:
    scan = read(write(tmp_path, parts=None, units=None))
    assert scan.losses == (
        "no official split (no RAFCE_partition.txt)",
        "no action units (no RAFCE_AUlabel.txt)",
    )
    assert scan.rows["compound_expression"].null_count() == 0


def test_lists_may_lie_in_a_folder_and_without_them_the_place_is_named(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "EmoLabel").mkdir()
    for name in ("emolabel", "partition", "AUlabel"):
        (tmp_path / f"RAFCE_{name}.txt").rename(tmp_path / "EmoLabel" / f"RAFCE_{name}.txt")
    assert len(read(tmp_path).rows) == 3
    assert [defect.path for defect in read(tmp_path, images="original").defects] == ["original"]
    (tmp_path / "EmoLabel" / "RAFCE_emolabel.txt").unlink()
    with pytest.raises(DatabaseNotFoundError, match=r"there is no RAFCE_emolabel\.txt"):
        read(tmp_path)
