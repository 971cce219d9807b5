"""Small files that stand for gigabytes are refused by file and option, and cost little memory before they are; so do those that just pass."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from bombs import MEMORY, clip, emotionet, expw_list, in_line, lying_array, read_as, sparse, workbook

from affect_data import bounds
from affect_data.bounds import (
    LIMITS,
    BoundError,
    Limit,
    line_blocks,
    lines_of,
    parse_array,
    parse_json,
    read_file,
    read_lines_file,
)
from affect_data.errors import DataError
from affect_data.pages import limits_page

MEBIBYTE = 1 << 20
MOST_MEMORY = 300 * MEBIBYTE
REPOSITORY = Path(__file__).parents[2]
FRAME = '{"video_id": "001", "frames": {"00000": {"valence": 0, "arousal": 0, "landmarks": [[0, 0]]}}}'


# ---------------------------------------------------------------- limits


def test_a_limit_is_raised_by_its_variable_and_by_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    limit = Limit("AFFECT_MAX_TEST", 10, "bytes", "a test")
    assert limit.value() == 10
    for nonsense in ("", "0", "-5", "many", "1e9", "²", "9" * 5_000):
        monkeypatch.setenv("AFFECT_MAX_TEST", nonsense)
        assert limit.value() == 10
    monkeypatch.setenv("AFFECT_MAX_TEST", "12")
    limit.check("a.txt", 12)
    with pytest.raises(BoundError) as caught:
        limit.check("a.txt", 13_000)
    expected = (
        "a.txt: at most 12 bytes are read, found 13,000; set the environment variable AFFECT_MAX_TEST to accept it"
    )
    assert str(caught.value) == expected


def test_every_limit_is_listed_once() -> None:
    held = [value for value in vars(bounds).values() if isinstance(value, Limit)]
    assert sorted(map(id, held)) == sorted(map(id, LIMITS))
    named = [limit.variable for limit in LIMITS if limit.variable]
    assert len(set(named)) == len(named)


def test_the_page_of_limits_is_that_of_the_code() -> None:
    page = (REPOSITORY / "docs/limits.md").read_text(encoding="utf-8")
    assert limits_page(page) == page, "run `make docs`"


# ---------------------------------------------------------------- bombs


def bombs(folder: Path) -> dict[str, tuple[str, Path, str]]:
    """By name: what reads it, where it lies, and what is said of it."""
    many = [in_line("x" * 2000)] * 50_000
    far = ['<row r="1"><c r="A1"><v>1</v></c></row><row r="1048576"><c r="XFD1048576"><v>1</v></c></row>']
    nearer = [far[0].replace("XFD1048576", "ZZ5600").replace('r="1048576"', 'r="5600"')]
    shared = ['<row><c t="s"><v>0</v></c></row>'] * 20_000
    blocks = "".join(f"k{level}: &k{level} [{', '.join([f'*k{level - 1}'] * 9)}]\n" for level in range(1, 9))
    write = {
        "inline": ("workbook", emotionet, lambda path: workbook(path, many), "AFFECT_MAX_CELL_TEXT"),
        "far": ("workbook", emotionet, lambda path: workbook(path, far), "AFFECT_MAX_CELLS"),
        "shared": ("workbook", emotionet, lambda path: workbook(path, shared, "x" * 30_000), "AFFECT_MAX_CELL_TEXT"),
        "repeated": ("workbook", emotionet, lambda path: workbook(path, many[:9_000], sheets=60), "one and the same part"),
        "expanding": ("workbook", emotionet, lambda path: workbook(path, [" " * MEBIBYTE] * 300), "AFFECT_MAX_EXPANDED_BYTES"),
        "lying": ("array", lambda root: root / "a.npy", lying_array, "AFFECT_MAX_ARRAY_BYTES"),
        "aliases": ("yaml", lambda root: root / "a.yaml", lambda path: path.write_text(f"k0: &k0 [1]\n{blocks}"), "AFFECT_MAX_RECIPE_VALUES"),
        "recipe": ("yaml", lambda root: root / "a.yaml", lambda path: path.write_text("[" + "[]," * MEBIBYTE + "]"), "AFFECT_MAX_RECIPE_BYTES"),
        "brackets": ("json", lambda root: root / "a.json", lambda path: path.write_text("[" + "[]," * 4 * MEBIBYTE + "[]]"), "AFFECT_MAX_JSON_BYTES"),
        "quotes": ("json", lambda root: root / "a.json", lambda path: path.write_text('"' + '\\"' * 4_000_000), "JSONDecodeError"),
        "deep": ("afew_va", lambda root: root, lambda path: clip(path, "[" * 50_000 + "]" * 50_000), "at most 100"),
        "digits": ("afew_va", lambda root: root, lambda path: clip(path, FRAME.replace("0,", "9" * 5_000 + ",", 1)), "at most 1,000"),
        "line": ("expw", lambda root: root, lambda path: expw_list(path, lambda file: sparse(file, 1023 * MEBIBYTE)), "AFFECT_MAX_LINE_BYTES"),
        "lines": ("expw", lambda root: root, lambda path: expw_list(path, lambda file: file.write_bytes(b"x\n" * 6_000_000)), "AFFECT_MAX_LINES"),
        "file": ("expw", lambda root: root, lambda path: expw_list(path, lambda file: sparse(file, 5000 * MEBIBYTE)), "AFFECT_MAX_ANNOTATION_BYTES"),
        "picture": ("picture", lambda root: root / "a.jpg", lambda path: sparse(path, 5000 * MEBIBYTE), "AFFECT_MAX_PICTURE_BYTES"),
        # What just passes.
        "much text": ("workbook", emotionet, lambda path: workbook(path, many[:30_000]), "a header"),
        "many cells": ("workbook", emotionet, lambda path: workbook(path, nearer), "a header"),
        "brackets of 8 MiB": ("json", lambda root: root / "a.json", lambda path: path.write_text("[" + "[]," * 2_790_000 + "[]]"), "read"),
        "long recipe": ("yaml", lambda root: root / "a.yaml", lambda path: path.write_text("[" + "[]," * 85_000 + "[]]"), "read"),
        "separators": ("expw",
            lambda root: root, lambda path: expw_list(path, lambda file: file.write_bytes((b" " * 1_000_000 + b"\n") * 25)), "field(s)"),
    }  # fmt: skip
    found = {}
    for name, (kind, place, make, said) in write.items():
        (folder / name).mkdir()
        path = place(folder / name)
        if kind == "afew_va" or kind == "expw":
            path.rmdir()
        make(path)
        found[name] = (kind, path, said)
    return found


def test_no_bomb_takes_much_memory_and_each_names_what_would_accept_it(tmp_path: Path) -> None:
    found = bombs(tmp_path)
    asked = json.dumps([(name, kind, str(path)) for name, (kind, path, _) in found.items()])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(REPOSITORY), str(Path(__file__).parent)])}
    done = subprocess.run(
        [sys.executable, "-c", MEMORY], input=asked, capture_output=True, text=True, check=False, timeout=300, env=environment
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    answers = json.loads(done.stdout)
    wrong = {name: text[:300] for name, (text, _) in answers.items() if found[name][2] not in text}
    assert not wrong
    assert not {name: peak >> 20 for name, (_, peak) in answers.items() if peak > MOST_MEMORY}


def test_a_part_that_says_it_is_smaller_than_it_is_is_measured_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = workbook(tmp_path / "list.xlsx", [" " * 10_000])
    data = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        place = data.index(b"PK\x01\x02", archive.start_dir)
        for part in archive.infolist():
            if part.filename.endswith("sheet1.xml"):
                data[place + 24 : place + 28] = (100).to_bytes(4, "little")
            place = data.find(b"PK\x01\x02", place + 1)
    path.write_bytes(data)
    monkeypatch.setenv("AFFECT_MAX_EXPANDED_BYTES", "5000")
    assert "list.xlsx: found more bytes when expanded; expected at most 5,000" in read_as("workbook", path)


@pytest.mark.parametrize(
    ("part", "because"),
    [
        ("xl/workbook.bin", "it holds 'xl/workbook.bin', which is of another kind of workbook"),
        ("content.xml", "it holds 'content.xml', which is of another kind of workbook"),
    ],
)
def test_another_kind_of_workbook_is_not_opened(tmp_path: Path, part: str, because: str) -> None:
    path = workbook(tmp_path / "list.xlsx", [])
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(part, "x")
    assert f"found no readable workbook ({because})" in read_as("workbook", path)


@pytest.mark.parametrize(
    ("sheet", "because"),
    [
        ("<!DOCTYPE x [<!ENTITY a 'b'>]><worksheet/>", "declares a document type"),
        ("<worksheet><sheetData>", "its XML is broken"),
    ],
)
def test_a_sheet_of_broken_or_strange_xml_is_not_opened(tmp_path: Path, sheet: str, because: str) -> None:
    path = tmp_path / "list.xlsx"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("xl/worksheets/sheet1.xml", sheet)
    assert because in read_as("workbook", path)


def test_a_part_that_is_compressed_otherwise_is_not_expanded(tmp_path: Path) -> None:
    path = tmp_path / "list.xlsx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", "<worksheet/>")
    assert "its part 'xl/worksheets/sheet1.xml' is compressed in another way" in read_as("workbook", path)


# ---------------------------------------------------------------- files


def test_a_pipe_or_a_device_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match=r"label.lst is no ordinary file"):
        read_file(tmp_path / "pipe", bounds.PICTURE_BYTES, "label.lst")
    with pytest.raises(DataError, match="no ordinary file"):
        read_file(Path("/dev/zero"), bounds.PICTURE_BYTES)


def test_a_line_is_measured_wherever_it_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AFFECT_MAX_LINE_BYTES", "100")
    path = tmp_path / "a.txt"
    for before in (0, 1, 50, 99, 100, 101, 150):
        for length, fits in ((99, True), (100, True), (101, False), (250, False)):
            for end in ("\n", ""):
                path.write_text("y\n" * before + "x" * length + end)
                if fits:
                    assert bounds.read_lines_file(path, "a.txt") == path.read_bytes()
                else:
                    with pytest.raises(BoundError, match="AFFECT_MAX_LINE_BYTES"):
                        bounds.read_lines_file(path, "a.txt")


def test_lines_come_one_at_a_time_until_one_is_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AFFECT_MAX_LINE_BYTES", "4")
    (tmp_path / "a.txt").write_bytes(b"abc\nde\nabcde\n")
    with (tmp_path / "a.txt").open("rb") as file:
        lines = lines_of(file, "a.txt")
        assert [next(lines), next(lines)] == [b"abc\n", b"de\n"]
        with pytest.raises(BoundError, match=r"^a.txt: at most 4 bytes in one line are read, found more"):
            next(lines)


# ---------------------------------------------------------------- JSON and arrays


@pytest.mark.parametrize(
    "value", [None, 1, -2.5, "a", '"[[[', "\\", '\\"', "é", [], {}, [[{"a": ["}"]}]], "9" * 5_000, "[" * 500, 10**999]
)
def test_json_within_the_limits_is_read_as_it_stands(value: object) -> None:
    assert parse_json(json.dumps(value), "a.json") == value
    assert parse_json(json.dumps({"key": value}).encode(), "a.json") == {"key": value}


def test_json_that_is_too_deep_or_has_too_long_numbers_is_refused() -> None:
    parse_json("[" * 100 + "]" * 100, "a.json")
    for text in ("[" * 101 + "]" * 101, '{"a":' * 101 + "1" + "}" * 101, "[" * 50_000):
        with pytest.raises(BoundError, match=r"^a.json: at most 100 brackets in one another are read, found"):
            parse_json(text, "a.json")
    for text in ("1" * 1001, '{"a": -' + "1" * 1001 + "}", "0." + "1" * 1001):
        with pytest.raises(BoundError, match=r"^a.json: at most 1,000 digits of a number are read, found more"):
            parse_json(text, "a.json")


def test_arrays_are_read_as_numpy_reads_them(tmp_path: Path) -> None:
    arrays = [
        np.array(3), np.array([1.5]), np.array("text"), np.arange(6).reshape(2, 3), np.asfortranarray(np.arange(6).reshape(2, 3)), np.zeros(0),
        np.array([b"ab"]), np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")]), np.arange(3, dtype=">i4"),
    ]  # fmt: skip
    for array in arrays:
        np.save(tmp_path / "a.npy", array)
        found = parse_array((tmp_path / "a.npy").read_bytes(), "a.npy")
        assert (found.dtype, found.shape, found.tolist()) == (array.dtype, array.shape, array.tolist())


@pytest.mark.parametrize(
    ("shape", "kind", "because"),
    [
        ("(100000000000,)", "'<f8'", "at most 65,536 bytes are read, found 800,000,000,000"),
        ("(4,)", "'<f8'", "its header promises 32 bytes, 0 are there"),
        ("(-1,)", "'<f8'", "an array of shape"),
        ("(1,)", "'|O'", "Object arrays cannot be loaded"),
        ("(1,)", "'nonsense'", "no array that can be read"),
        ("(1, 'a')", "'<f8'", "no array that can be read"),
        ("(" * 3_000 + ")" * 3_000, "'<f8'", "no array that can be read"),
        ("(10000000000,)", "'|S0'", "at most 65,536 bytes are read"),
    ],
)
def test_a_header_that_lies_makes_no_array(tmp_path: Path, shape: str, kind: str, because: str) -> None:
    path = lying_array(tmp_path / "a.npy", shape, kind)
    with pytest.raises((BoundError, ValueError), match=because):
        parse_array(path.read_bytes(), "a.npy")
    for damaged in (b"", b"\x93NUMPY", path.read_bytes()[:20], b"\x93NUMPY\x09\x00" + path.read_bytes()[8:]):
        with pytest.raises(ValueError, match="no array that can be read"):
            parse_array(damaged, "a.npy")


@pytest.mark.parametrize("size", [1, 7, 40, 10_000])
def test_blocks_hold_whole_lines_and_are_the_file_together(
    size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"".join(b"%d,%s\n" % (number, b"x" * (number % 9)) for number in range(50)) + b"end")
    monkeypatch.setenv("AFFECT_MAX_LINE_BYTES", "16")
    blocks = list(line_blocks(path, "a.csv", size))
    assert b"".join(blocks) == path.read_bytes() == read_lines_file(path, "a.csv")
    assert all(block.endswith(b"\n") for block in blocks[:-1])
    assert len(blocks) == 1 or size < 10_000
    monkeypatch.setenv("AFFECT_MAX_LINE_BYTES", "10")
    with pytest.raises(BoundError, match=r"a\.csv: at most 10 bytes in one line"):
        list(line_blocks(path, "a.csv", size))
