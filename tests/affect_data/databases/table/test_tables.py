"""One table says the same in every kind of file, and every row knows its line."""

from pathlib import Path
from typing import Any

import pytest
from own_tables import COLUMNS, ROWS, Scanned, write_table

from affect_data.errors import DatabaseNotFoundError

LABELS = ("image", "subject", "split", "expression", "valence", "arousal", "au_1", "au_12", "au_intensity_12")
TRUTH = [
    ("pictures/a.png", "ann", "train", "happiness", -1.0, 1.0, 0, 1, 2.0),
    ("pictures/b.png", "ann", "train", "sadness", 0.0, -0.5, 1, 0, 0.0),
    ("pictures/c.png", "bob", "validation", None, None, None, 1, 1, 5.0),
    ("pictures/d.png", "eve", "test", "anger", 1.0, -1.0, None, None, None),
]


@pytest.mark.parametrize("name", ["labels.csv", "labels.tsv", "labels.jsonl", "labels.parquet", "labels.xlsx"])
def test_every_kind_of_file_gives_the_same_rows(own: Path, scanned: Scanned, name: str) -> None:
    write_table(own / name, ROWS)
    scan = scanned(file=name)
    assert scan.defects == ()
    assert scan.rows.select(LABELS).rows() == TRUTH
    first = 1 if name.endswith(("jsonl", "parquet")) else 2
    assert scan.rows.select("source_file", "source_line").rows() == [(name, first + row) for row in range(4)]
    assert scan.rows["expression_masked"].to_list() == [None, None, "emotion = 9: declared as no label", None]
    assert scan.annotation_files == (name,)


def test_a_table_with_an_index_blanks_quotes_and_semicolons_is_the_same_table(own: Path, scanned: Scanned) -> None:
    lines = (own / "labels.csv").read_text().splitlines()
    spelt = [f'"{index}";{line.replace(",", " ; ")}' for index, line in enumerate(lines[1:])]
    (own / "labels.csv").write_text("\ufeff" + "\r\n".join([";" + lines[0].replace(",", ";"), *spelt]) + "\r\n")
    assert scanned().rows.select(LABELS).rows() == TRUTH


def test_a_table_for_each_split_and_rows_that_are_left_out(own: Path, scanned: Scanned) -> None:
    write_table(own / "more.csv", ROWS[2:])
    write_table(own / "labels.csv", ROWS[:2])
    columns = {key: value for key, value in COLUMNS.items() if key != "split"}
    scan = scanned(columns, file={"train": "labels.csv", "dev": "more.csv"}, exclude=["more.csv:3"])
    assert scan.rows.select("image", "split").rows() == [
        ("pictures/a.png", "train"), ("pictures/b.png", "train"), ("pictures/c.png", "validation"),
    ]  # fmt: skip
    assert scan.failures.rows() == [("more.csv", 3, "", "excluded by the recipe")]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("file,file\na.png,1\n", "labels.csv:1: found two columns called 'file'"),
        ("", "labels.csv:1: found no header"),
        ("file,person\na.png\n", "labels.csv:2: found 1 field(s): 'a.png'"),
        (
            "file,person,emotion\na.png,ann,0\n",
            "labels.csv:1: found no column 'v'; expected the column of columns.valence",
        ),
    ],
)
def test_what_is_no_such_table_is_a_defect_with_its_place(own: Path, scanned: Scanned, text: str, found: str) -> None:
    (own / "labels.csv").write_text(text)
    assert any(str(defect).startswith(found) for defect in scanned().defects)


def test_broken_lines_of_json_are_defects_of_their_lines(own: Path, scanned: Scanned) -> None:
    (own / "labels.jsonl").write_text('{"file": "a.png"\n[1]\n' + "[" * 50_000 + "\n")
    found = [str(defect) for defect in scanned(file="labels.jsonl").defects]
    assert [text.partition(":")[2].partition(":")[0] for text in found] == ["1", "2", "3"]


@pytest.mark.parametrize("name", ["labels.parquet", "labels.xlsx", "labels.doc"])
def test_a_file_that_is_not_what_its_name_says_is_a_defect(own: Path, scanned: Scanned, name: str) -> None:
    (own / name).write_bytes(b"PK\x03\x04 and no more")
    (defect,) = scanned(file=name).defects
    assert defect.path == name
    assert defect.remedy


def test_a_file_that_is_not_there_is_said_with_what_is(own: Path, scanned: Scanned) -> None:
    with pytest.raises(DatabaseNotFoundError, match=r"(?s)there is no file 'faces.csv'.*--root mine=PATH"):
        scanned(file="faces.csv")


def test_pictures_within_a_parquet_file_are_rows_of_it(own: Path, scanned: Scanned) -> None:
    pictures = [(own / "pictures" / row["file"]).read_bytes() for row in ROWS]
    rows: list[dict[str, Any]] = [
        {**row, "image": {"bytes": data, "path": row["file"]}} for row, data in zip(ROWS, pictures, strict=True)
    ]
    rows[1]["image"] = None
    rows[3]["image"] = {"bytes": None, "path": "pictures/d.png"}
    write_table(own / "faces.parquet", rows)
    columns = {key: value for key, value in COLUMNS.items() if key != "image"} | {
        "track": {"column": "image.path", "pattern": r"([a-z]+)"}
    }
    columns["missing"] = {"emotion": 9}
    scan = scanned(columns, file="faces.parquet")
    assert scan.rows.select("image", "track").rows() == [
        ("faces.parquet/0", "a"), ("faces.parquet/2", "c"), ("pictures/d.png", "pictures"),
    ]  # fmt: skip
    assert scan.failures.rows() == [("faces.parquet", 2, "", "image file missing")]


def test_names_with_braces_and_texts_that_are_no_utf_8_are_defects_like_others(own: Path, scanned: Scanned) -> None:
    (own / "labels.csv").write_text("file,{person},{0}\na.png\n")
    assert "3 field(s): file,{person},{0}" in {defect.expected for defect in scanned().defects}
    write_table(own / "labels.parquet", ROWS)
    data = (own / "labels.parquet").read_bytes()
    (own / "labels.parquet").write_bytes(data.replace(b"ann", b"a\xffn"))
    (defect,) = scanned(file="labels.parquet").defects
    assert "no readable table" in defect.found
