"""RAF-AU: action units on one side of the face, letters in every spelling that the list has, and what is not coded."""

import re
from pathlib import Path

import polars as pl
import pytest
from PIL import Image

from affect_data.build.build import build
from affect_data.build.recipe import recipe_from
from affect_data.databases.base import Scan
from affect_data.databases.raf_au import CODED, RafAu, RafAuOptions
from affect_data.databases.root import DatabaseRoot
from affect_data.databases.totals import DRAWN_MARKER
from affect_data.demo import raf_au as demo
from affect_data.demo.sampler import FaceSampler
from affect_data.errors import DatabaseNotFoundError


def write(root: Path, *lines: str, folders: tuple[str, ...] = ("aligned", "original")) -> Path:
    for folder in folders:
        (root / folder).mkdir(parents=True, exist_ok=True)
        for line in lines:
            ending = "_aligned.jpg" if folder == "aligned" else ".jpg"
            Image.new("RGB", (8, 8)).save(root / folder / f"{line[:4]}{ending}")
    (root / "RAFAU_label.txt").write_text("".join(f"{line}\n" for line in lines))
    return root


def read(root: Path, **options: object) -> Scan:
    return RafAu(RafAuOptions.model_validate(options)).read(DatabaseRoot(root))


def said(scan: Scan, row: int = 0) -> tuple[set[int], dict[int, str]]:
    """The action units that are present in a row, and the sides that are named."""
    values = scan.rows.row(row, named=True)
    sides = {unit: values[f"side_{unit}"] for unit in CODED if values[f"side_{unit}"] is not None}
    return {unit for unit in CODED if values[f"au_{unit}"] == 1}, sides


@pytest.mark.parametrize(
    ("tokens", "units", "sides"),
    [
        # Lines of the official list.
        ("1+4+25", {1, 4, 25}, {}),
        ("null", set(), {}),
        ("25 ", {25}, {}),
        ("L12+24", {12, 24}, {12: "left"}),
        ("1+6+7+L10+15+17", {1, 6, 7, 10, 15, 17}, {10: "left"}),
        ("2+4+5+7+9+10+17+20+21+B22+25", {2, 4, 5, 7, 9, 10, 17, 20, 21, 22, 25}, {22: "bottom"}),
        ("15+17+T24", {15, 17, 24}, {24: "top"}),
        ("4+7+9+17+t23", {4, 7, 9, 17, 23}, {23: "top"}),
        ("L6+L9+L10+L12L+25", {6, 9, 10, 12, 25}, {6: "left", 9: "left", 10: "left", 12: "left"}),
        ("R12", {12}, {12: "right"}),
        ("1+2+5+26+26", {1, 2, 5, 26}, {}),
        # What two letters or two tokens say together.
        ("L6+R6", {6}, {6: "both"}),
        ("L6+6", {6}, {}),
        ("BL18+25", {18, 25}, {}),
    ],
)
def test_an_action_unit_is_present_whatever_its_side(
    tmp_path: Path, tokens: str, units: set[int], sides: dict[int, str]
) -> None:
    scan = read(write(tmp_path, f"0001.jpg {tokens}"))
    assert scan.defects == ()
    assert said(scan) == (units, sides)
    assert scan.rows["au_masked"].to_list() == [None]


def test_what_is_not_listed_is_absent_for_all_coded_units(tmp_path: Path) -> None:
    rows = read(write(tmp_path, "0001.jpg null", "0002.jpg 12 ")).rows
    assert rows.select(pl.sum_horizontal(f"au_{unit}" for unit in CODED)).to_series().to_list() == [0, 1]
    assert rows.select(f"au_{unit}" for unit in CODED).null_count().row(0) == (0,) * 26


def test_descriptors_and_units_that_are_not_coded_are_counted_and_take_no_label(tmp_path: Path) -> None:
    scan = read(write(tmp_path, "0001.jpg 9+AD19+24", "0002.jpg 30+25", "0003.jpg 25 "))
    reason = "an action descriptor, or an action unit that is not coded"
    assert scan.rows["au_masked"].to_list() == [reason, reason, None]
    assert [said(scan, row)[0] for row in range(3)] == [{9, 24}, {25}, {25}]


def test_a_side_of_two_kinds_is_noted(tmp_path: Path) -> None:
    scan = read(write(tmp_path, "0001.jpg BL18+25", "0002.jpg RB18"))
    assert scan.notes[-1] == "2 side(s) left out that are none of left, right, both, top and bottom, such as BL18"


def test_both_kinds_of_pictures_are_read(tmp_path: Path) -> None:
    root = write(tmp_path, "0001.jpg 12 ")
    assert read(root).rows["image"].to_list() == ["aligned/0001_aligned.jpg"]
    assert read(root, images="original").rows["image"].to_list() == ["original/0001.jpg"]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("0001.jpg", "'0001.jpg'"),
        ("0001.jpg 12+", "'0001.jpg 12+'"),
        ("0001.jpg 12 25", "'0001.jpg 12 25'"),
        ("0001.jpg X12", "'0001.jpg X12'"),
        ("0001.jpg L12 or L14", "'0001.jpg L12 or L14'"),
        ("0001.png 12", "'0001.png 12'"),
    ],
)
def test_a_line_of_another_form_is_a_defect(tmp_path: Path, line: str, found: str) -> None:
    (defect,) = read(write(tmp_path, line)).defects
    assert str(defect).startswith(
        f"RAFAU_label.txt:1: found {found}; expected a picture and its action units, such as 0003.jpg L12+24, or null; "
    )


def test_a_picture_twice_an_empty_list_and_absent_folders_are_defects(tmp_path: Path) -> None:
    assert "found 0001.jpg again (first in line 1)" in str(
        read(write(tmp_path / "a", "0001.jpg 1", "0001.jpg 2")).defects[0]
    )
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "RAFAU_label.txt").write_text("\n")
    assert "found no face" in " ".join(map(str, read(tmp_path / "b").defects))
    (defect,) = read(write(tmp_path / "c", "0001.jpg 1", folders=("original",))).defects
    assert "aligned: found no such folder; expected the aligned pictures; to fix: unpack the archive there" in str(
        defect
    )
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "x.txt").touch()
    with pytest.raises(DatabaseNotFoundError, match=re.escape("there is no RAFAU_label.txt")):
        read(tmp_path / "d")


def test_sides_of_the_demo_come_back_from_a_built_dataset(tmp_path: Path) -> None:
    root = tmp_path / "raf_au"
    root.mkdir()
    demo.write(root, FaceSampler(4), 60)
    (root / DRAWN_MARKER).write_text("drawn\n")
    dataset = build(
        recipe_from({"databases": {"raf_au": {}}, "workers": 1}, "data.yaml"), {"raf_au": root}, tmp_path / "out"
    ).dataset
    labels = dataset.labels("train", ["source_line"], side=["au_side"]).sort("source_line")
    lines = (root / "RAFAU_label.txt").read_text().splitlines()
    names = {"L": 0, "R": 1, "T": 3, "B": 4}
    found = 0
    for line, sides in zip(lines, labels["au_side"].to_numpy(), strict=True):
        sided = [token.upper() for token in line.split(" ")[1].split("+") if token[0].upper() in names]
        assert sorted(sides[sides >= 0]) == sorted(names[token[0]] for token in set(sided))
        found += len(sided)
    assert found > 5
