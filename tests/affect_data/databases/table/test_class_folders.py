"""Class folders by name are a table without a file; numbers say nothing without names."""

from pathlib import Path

from own_tables import Scanned
from PIL import Image


def folders(own: Path, *paths: str) -> None:
    for path in paths:
        (own / path).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8)).save(own / path) if path.endswith("png") else (own / path).write_text("")


def test_folders_are_the_classes_and_the_folders_above_them_the_splits(own: Path, scanned: Scanned) -> None:
    folders(
        own, "data/train/Happy/1.png", "data/train/2_sad/1.png", "data/valid/happy/2.png", "data/valid/.cache/3.png"
    )
    scan = scanned({}, class_folders="data")
    assert scan.defects == ()
    assert scan.rows.select("image", "split", "expression").rows() == [
        ("data/train/2_sad/1.png", "train", "sadness"),
        ("data/train/Happy/1.png", "train", "happiness"),
        ("data/valid/happy/2.png", "validation", "happiness"),
    ]
    assert scan.rows["source_file"].to_list() == scan.rows["image"].to_list()


def test_folders_without_splits_are_read_and_other_names_are_given_a_class(own: Path, scanned: Scanned) -> None:
    folders(own, "joyful/s1_1.png", "none/s2_1.png", "joyful/notes.txt")
    columns = {
        "expression": {"names": {"joyful": "happiness"}},
        "missing": {"class": "none"},
        "subject": {"column": "image", "pattern": "(s[0-9])_"},
    }
    scan = scanned(columns, class_folders=".")
    rows = scan.rows.filter(scan.rows["image"].str.starts_with("pictures").not_())
    assert rows.select("expression", "subject").rows() == [("happiness", "s1"), (None, "s2")]
    assert any("joyful/notes.txt" in note for note in scan.notes)
    # The folder of the other fixture is called after no class.
    assert {defect.found for defect in scan.defects} >= {"class = 'pictures'"}


def test_numbers_demand_names(own: Path, scanned: Scanned) -> None:
    folders(own, *(f"data/{number}/{n}.png" for number in range(2) for n in range(15)))
    found = scanned({}, class_folders="data").defects
    assert [(defect.found, defect.line) for defect in found[:1]] == [("class = '0'", 1)]
    named = scanned({"expression": {"names": ["fear", "happiness"]}}, class_folders="data")
    assert named.defects == ()
    assert named.rows["expression"].value_counts().sort("expression").rows() == [("fear", 15), ("happiness", 15)]
