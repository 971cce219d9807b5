"""The folder of a database: lines with their numbers, values with their codes, and a defect for everything else."""

from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from affect_data.databases.root import DatabaseRoot

COLUMNS = ("name", "code")
TO_FIX = "to fix: correct the line, or name it under `exclude` in the recipe"


def write(folder: Path, text: str | bytes, name: str = "a.txt") -> DatabaseRoot:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return DatabaseRoot(folder)


def frame(*values: str | None) -> pl.DataFrame:
    return pl.DataFrame(
        {"source_file": ["a.txt"] * len(values), "source_line": range(1, len(values) + 1), "code": values},
        schema={"source_file": pl.String, "source_line": pl.Int32, "code": pl.String},
    )


def defects(root: DatabaseRoot) -> list[str]:
    return [str(defect) for defect in root.defects]


# ---------------------------------------------------------------- what exists


def test_entries_of_a_folder_that_is_not_there_are_none(tmp_path: Path) -> None:
    assert DatabaseRoot(tmp_path).entries("nothing/here") == frozenset()
    assert write(tmp_path, "x").entries("a.txt") == frozenset()


def test_the_first_alias_that_exists_is_found_in_any_case(tmp_path: Path) -> None:
    root = write(tmp_path, "x", "Data/Label.LST")
    assert root.one_of("labels", "data") == "Data"
    assert root.one_of("label.lst", under="Data") == "Data/Label.LST"
    assert root.one_of("label.lst") is None


def test_files_come_sorted_and_without_folders(tmp_path: Path) -> None:
    for name in ("b/2.txt", "b/10.txt", "a/1.txt", "a/x.png"):
        write(tmp_path, "x", name)
    (tmp_path / "a" / "folder.txt").mkdir()
    assert DatabaseRoot(tmp_path).files("*/*.txt") == ["a/1.txt", "b/10.txt", "b/2.txt"]


def test_missing_images_keep_their_order_and_case_counts(tmp_path: Path) -> None:
    root = write(tmp_path, "x", "a/1.jpg")
    missing = root.missing_images(pl.Series(["b/1.jpg", "a/1.JPG", "a/1.jpg", "1.jpg", "a/1.jpg"]))
    assert missing.to_list() == [True, True, False, True, False]


# ---------------------------------------------------------------- lines


def test_each_line_has_its_file_and_number(tmp_path: Path) -> None:
    write(tmp_path, "x,1\ny,2\n")
    root = write(tmp_path, "z,3\n", "b.txt")
    found = root.table(["a.txt", "b.txt"], COLUMNS)
    assert found.rows() == [("x", "1", "a.txt", 1), ("y", "2", "a.txt", 2), ("z", "3", "b.txt", 1)]
    assert root.annotation_files == {"a.txt", "b.txt"}


def test_header_lines_are_skipped_and_counted(tmp_path: Path) -> None:
    found = write(tmp_path, "name,code\nx,1\n").table("a.txt", COLUMNS, skip_lines=1)
    assert found.rows() == [("x", "1", "a.txt", 2)]


@pytest.mark.parametrize("text", ["x,1\r\ny,2\r\n", "\ufeffx,1\ny,2", "x,1\ny,2\n\n\n"])
def test_windows_line_ends_a_byte_order_mark_and_blank_lines_at_the_end_change_nothing(
    tmp_path: Path, text: str
) -> None:
    root = write(tmp_path, text)
    assert root.table("a.txt", COLUMNS).select(COLUMNS).rows() == [("x", "1"), ("y", "2")]
    assert root.defects == []


@pytest.mark.parametrize(
    ("text", "defect"),
    [
        ("x,1\ny\nz,3\n", "a.txt:2: found 1 field(s): 'y'; expected 2 field(s): name,code"),
        ("x,1\ny,2,2\n", "a.txt:2: found 3 field(s): 'y,2,2'; expected 2 field(s): name,code"),
        ("x,1\n\nz,3\n", "a.txt:2: found 1 field(s): ''; expected 2 field(s): name,code"),
        ("x,1\n" + "y" * 100 + "\n", "a.txt:2: found 1 field(s): '" + "y" * 60 + "...'; expected 2"),
    ],
)  # fmt: skip
def test_one_bad_line_is_a_defect_with_its_number_and_the_others_are_read(
    tmp_path: Path, text: str, defect: str
) -> None:
    root = write(tmp_path, text)
    names = root.table("a.txt", COLUMNS)["name"].to_list()
    assert names[0] == "x"
    assert len(root.defects) == 1
    assert defects(root)[0].startswith(defect)


def test_an_empty_file_has_no_lines(tmp_path: Path) -> None:
    root = write(tmp_path, "")
    assert root.table("a.txt", COLUMNS).rows() == []
    assert root.first_line("a.txt") == ""
    assert root.defects == []


def test_a_file_that_is_no_text_is_a_defect(tmp_path: Path) -> None:
    root = write(tmp_path, b"x,1\ny,\xff\n")
    assert root.table("a.txt", COLUMNS).is_empty()
    assert defects(root) == [
        "a.txt: found a byte that is not UTF-8 at offset 6; expected a text file; to fix: replace the file by the official one"
    ]


def test_a_quoted_field_may_hold_the_separator(tmp_path: Path) -> None:
    root = write(tmp_path, 'x,"(0, 0, 48, 48)"\n')
    assert root.table("a.txt", COLUMNS, quoted=True)["code"].to_list() == ["(0, 0, 48, 48)"]


def test_a_quotation_mark_that_is_not_closed_spoils_its_own_line_alone(tmp_path: Path) -> None:
    root = write(tmp_path, 'x,1\ny,"2\nz,3\n')
    assert root.table("a.txt", COLUMNS, quoted=True)["name"].to_list() == ["x", "y", "z"]


FIELD = st.text(st.characters(codec="utf-8", exclude_characters="\n\r\ufeff,", exclude_categories=("Cs",)), max_size=6)


@given(st.lists(st.tuples(FIELD, FIELD), max_size=8))
def test_whatever_fields_are_written_come_back_with_their_line(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]]
) -> None:
    folder = tmp_path_factory.mktemp("table", numbered=True)
    root = write(folder, "".join(f"{name},{code}\n" for name, code in rows))
    assert root.table("a.txt", COLUMNS).rows() == [
        (name, code, "a.txt", line) for line, (name, code) in enumerate(rows, start=1)
    ]
    assert root.defects == []


# ---------------------------------------------------------------- excluded lines


def test_an_excluded_line_is_dropped_before_it_is_judged_and_counted(tmp_path: Path) -> None:
    write(tmp_path, "x,1\nbroken\nz,3\n")
    root = DatabaseRoot(tmp_path, ["a.txt:2"])
    assert root.table("a.txt", COLUMNS)["name"].to_list() == ["x", "z"]
    assert root.failures().rows() == [("a.txt", 2, "", "excluded by the recipe")]
    assert root.defects == []


@pytest.mark.parametrize("exclude", ["a.txt:9", "b.txt:1", "a.txt", "a.txt:0", "a.txt:x"])
def test_an_exclusion_that_names_no_line_is_a_defect(tmp_path: Path, exclude: str) -> None:
    write(tmp_path, "x,1\n")
    root = DatabaseRoot(tmp_path, [exclude])
    root.table("a.txt", COLUMNS)
    assert root.failures().is_empty()
    assert len(root.defects) == 1
    assert "found no such line; expected an annotation line that `exclude` can drop" in defects(root)[0]


# ---------------------------------------------------------------- values


def test_integers_are_the_documented_ones_and_missing_codes_are_null(tmp_path: Path) -> None:
    root = DatabaseRoot(tmp_path)
    found = root.integers(frame("0", " 1 ", "-1"), ["code"], allowed=(0, 1), missing=(-1,))
    assert found["code"].to_list() == [0, 1, None]
    assert found.schema["code"] == pl.Int8
    assert root.defects == []


@pytest.mark.parametrize("code", ["2", "9", "999", "-5", "1.5", "+-1", "1'", "", "null", "nan", "x", None])
def test_an_integer_that_is_not_documented_is_a_defect_and_never_a_label(tmp_path: Path, code: str | None) -> None:
    root = DatabaseRoot(tmp_path)
    assert root.integers(frame("1", code), ["code"], allowed=(0, 1), missing=(-1,))["code"].to_list() == [1, None]
    assert defects(root) == [f"a.txt:2: found code = {code or ''!r}; expected one of 0, 1, -1; {TO_FIX}"]


@pytest.mark.parametrize("code", ["1.0", "+1", "01", "1.", " 1e0 ", '"1"', "'1.00'"])
def test_an_integer_may_be_spelt_as_another_program_writes_it(tmp_path: Path, code: str) -> None:
    root = DatabaseRoot(tmp_path)
    assert root.integers(frame("1", code), ["code"], allowed=(0, 1))["code"].to_list() == [1, 1]
    assert root.classes(frame("1", code), "code", {"1": "fear"})["code"].to_list() == ["fear", "fear"]
    assert root.numbers(frame("1", code), ["code"], 0, 1)["code"].to_list() == [1, 1]
    assert root.defects == []


def test_one_wrong_code_in_many_columns_is_one_finding(tmp_path: Path) -> None:
    root = DatabaseRoot(tmp_path)
    lines = frame("1").with_columns(pl.lit("7").alias(f"AU {number}") for number in range(30))
    root.integers(lines, [f"AU {number}" for number in range(30)], allowed=(0, 1))
    assert [(defect.found, defect.count) for defect in root.defects] == [("AU 0 = '7'", 30)]


def test_numbers_are_in_range_and_missing_codes_are_null(tmp_path: Path) -> None:
    root = DatabaseRoot(tmp_path)
    found = root.numbers(frame("-1", "1.0", "0.25", "-5", "1e-3"), ["code"], -1, 1, missing=(-5, -2))
    assert found["code"].to_list() == [-1.0, 1.0, 0.25, None, 0.001]
    assert root.defects == []


@pytest.mark.parametrize("code", ["1.0001", "-4.9", "nan", "inf", "-inf", "", "0,5", "x", None])
def test_a_number_out_of_range_is_a_defect_and_never_a_label(tmp_path: Path, code: str | None) -> None:
    root = DatabaseRoot(tmp_path)
    assert root.numbers(frame("0.5", code), ["code"], -1, 1, missing=(-5,))["code"].to_list() == [0.5, None]
    assert defects(root) == [
        f"a.txt:2: found code = {code or ''!r}; expected a number in [-1, 1], or -5 for missing; {TO_FIX}"
    ]


def test_a_missing_code_inside_the_range_is_missing(tmp_path: Path) -> None:
    assert DatabaseRoot(tmp_path).numbers(frame("0", "1"), ["code"], 0, 5, missing=(0,))["code"].to_list() == [
        None,
        1.0,
    ]


def test_classes_go_by_name_and_an_unknown_code_is_a_defect(tmp_path: Path) -> None:
    root = DatabaseRoot(tmp_path)
    names = {"0": "neutral", "1": "anger", "-1": None}
    assert root.classes(frame("1", "0", "-1", "7"), "code", names)["code"].to_list() == ["anger", "neutral", None, None]
    assert defects(root) == [f"a.txt:4: found code = '7'; expected one of the codes 0, 1, -1; {TO_FIX}"]


@given(st.lists(st.sampled_from(["0", "1", "-1", "2", "", "x"]), max_size=10))
def test_every_value_is_a_label_missing_or_a_defect(codes: list[str]) -> None:
    root = DatabaseRoot(Path())
    found = root.integers(frame(*codes), ["code"], allowed=(0, 1), missing=(-1,))["code"].to_list()
    assert [value for value in found if value is not None] == [int(code) for code in codes if code in ("0", "1")]
    assert [defect.line for defect in root.defects] == [
        line for line, code in enumerate(codes, start=1) if code not in ("0", "1", "-1")
    ]


# ---------------------------------------------------------------- refused rows


def test_refused_rows_are_defects_in_the_words_of_their_columns_and_the_others_stay(tmp_path: Path) -> None:
    root = DatabaseRoot(tmp_path)
    rows = frame("1", "x" * 70, None, "{1}").with_columns(limit=pl.lit(0.5))
    kept = root.refuse(rows, pl.col("source_line") > 1, "code = {code!r}", "more than {limit:.2f}", "leave it out")
    assert kept["source_line"].to_list() == [1]
    assert defects(root) == [
        f"a.txt:2: found code = '{'x' * 60}...'; expected more than 0.50; to fix: leave it out",
        "a.txt:3: found code = ''; expected more than 0.50; to fix: leave it out",
        "a.txt:4: found code = '{1}'; expected more than 0.50; to fix: leave it out",
    ]


def test_a_row_of_which_nothing_is_known_is_not_refused(tmp_path: Path) -> None:
    root = DatabaseRoot(tmp_path)
    assert root.refuse(frame("1", None), pl.col("code") != "1", "x", "y")["code"].to_list() == ["1", None]
    assert root.defects == []


def test_a_defect_that_repeats_is_one_finding_with_its_count_and_first_lines(tmp_path: Path) -> None:
    root = DatabaseRoot(tmp_path)
    assert root.integers(frame(*["x"] * 3000, "1"), ["code"], allowed=(0, 1))["code"].drop_nulls().to_list() == [1]
    assert defects(root) == [
        "a.txt:1: found code = 'x', and the like in 2,999 more lines (a.txt:2, a.txt:3, a.txt:4, a.txt:5, ...); "
        f"expected one of 0, 1; {TO_FIX}"
    ]
    assert root.defects[0].count == 3000


def test_twenty_rows_are_listed_one_by_one_so_that_each_can_be_excluded(tmp_path: Path) -> None:
    root = DatabaseRoot(tmp_path)
    root.integers(frame(*["x"] * 20), ["code"], allowed=(0, 1))
    assert [(defect.line, defect.count) for defect in root.defects] == [(line, 1) for line in range(1, 21)]


def test_the_first_row_of_each_key_stays_and_rows_without_a_key_too(tmp_path: Path) -> None:
    root = DatabaseRoot(tmp_path)
    kept = root.refuse_repeated(
        frame("1", None, "2", "1", None), "code", "{code} again ({first_file}:{first_line})", "y"
    )
    assert kept["source_line"].to_list() == [1, 2, 3, 5]
    assert defects(root) == [f"a.txt:4: found 1 again (a.txt:1); expected y; {TO_FIX}"]


def test_a_file_without_rows_is_a_defect_unless_its_own_defects_say_why(tmp_path: Path) -> None:
    root = write(tmp_path, "broken")
    root.refuse_empty("b.txt", frame(), "no face", "one line for each face")
    root.refuse_empty("a.txt", root.table("a.txt", COLUMNS), "no face", "one line for each face")
    root.refuse_empty("a.txt", frame("1"), "no face", "one line for each face")
    assert [(defect.path, defect.found) for defect in root.defects] == [
        ("b.txt", "no face"),
        ("a.txt", "1 field(s): 'broken'"),
    ]


def test_boxes_are_numbers_with_an_area(tmp_path: Path) -> None:
    root = DatabaseRoot(tmp_path)
    sides = {"left": ["0", "5", "x"], "top": ["-1", "0", "0"], "right": ["2.5", "5", "3"], "bottom": ["1", "1", "1"]}
    found = root.boxes(frame("", "", "").with_columns(**{side: pl.Series(values) for side, values in sides.items()}))
    assert found.select(list(sides)).row(0) == (0, -1, 2.5, 1)
    assert [(defect.line, defect.found) for defect in root.defects] == [
        (3, "left = 'x'"),
        (2, "left = 5, top = 0, right = 5, bottom = 1"),
    ]


# ---------------------------------------------------------------- failures


def test_failures_keep_place_picture_and_reason(tmp_path: Path) -> None:
    root = DatabaseRoot(tmp_path)
    root.fail(frame("0"), "no face")
    root.fail(frame("0", "1").with_columns(image=pl.lit("x.jpg")).tail(1), "gone")
    root.fail(frame(), "never")
    assert root.failures().rows() == [("a.txt", 1, "", "no face"), ("a.txt", 2, "x.jpg", "gone")]
