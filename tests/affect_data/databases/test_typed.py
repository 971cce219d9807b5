"""Files of plain numbers are read at once, and everything is as if they were read line by line: rows, failures, counts and defects."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from affect_data.databases import typed
from affect_data.databases.affectnet import reader as affectnet
from affect_data.databases.affectnet import typed_lists
from affect_data.databases.affectnet.forms import LIST_COLUMNS
from affect_data.databases.affwild2 import labels as affwild2
from affect_data.databases.base import Database, Scan
from affect_data.databases.disfa import reader as disfa
from affect_data.databases.registry import DATABASES
from affect_data.databases.root import DatabaseRoot
from affect_data.databases.typed import UnusualError, plain_lines, typed_columns

FAST = {"affectnet": (affectnet, "typed_faces"), "affwild2": (affwild2, "dense_rows"), "disfa": (disfa, "dense_frames")}
"""The databases whose plain files are read at once, and by what."""


def read(database: Database, root: Path, *, line_by_line: bool = False) -> Scan:
    return database.read(DatabaseRoot(root, line_by_line=line_by_line))


def assert_same(found: Scan, expected: Scan) -> None:
    assert_frame_equal(found.rows, expected.rows)
    assert_frame_equal(found.failures, expected.failures)
    for name in ("defects", "annotation_files", "lines", "notes", "counts", "losses", "missing_pictures", "excluded"):
        assert getattr(found, name) == getattr(expected, name), name


def was_read_at_once(name: str, root: Path, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether nothing in the files was left to the strict reader."""
    module, function = FAST[name]
    refused = []
    original = getattr(module, function)

    def watched(*arguments: object, **named: object) -> object:
        try:
            return original(*arguments, **named)
        except UnusualError as error:
            refused.append(error)
            raise

    monkeypatch.setattr(module, function, watched)
    read(DATABASES[name](), root)
    return not refused


# ---------------------------------------------------------------- the databases


@pytest.mark.parametrize("name", FAST)
def test_official_files_are_read_at_once_and_as_line_by_line(
    name: str, demo_roots: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    database = DATABASES[name]()
    assert_same(read(database, demo_roots[name]), read(database, demo_roots[name], line_by_line=True))
    assert was_read_at_once(name, demo_roots[name], monkeypatch)


def test_other_official_forms_are_read_at_once(
    demo_roots: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "affectnet"
    shutil.copytree(demo_roots["affectnet"], root)
    lists = root / "Manually_Annotated_file_lists"
    lines = (lists / "training.csv").read_text().splitlines()
    indexed = ["," + lines[0], *(f"{number},{line}" for number, line in enumerate(lines[1:]))]
    (lists / "training.csv").write_bytes("\ufeff".encode() + "\r\n".join(indexed).encode() + b"\r\n\r\n")
    monkeypatch.setattr(typed_lists, "BLOCK_BYTES", 10_000)  # several blocks
    database = DATABASES["affectnet"]()
    assert_same(read(database, root), read(database, root, line_by_line=True))
    assert was_read_at_once("affectnet", root, monkeypatch)


ODD = (
    "", " ", "0", "1", "-1", "9", "1.0", "3.5", "-0", "01", "0x1", "1e0", "+1", "1_0", ".5", "5.", "nan", "inf", "NULL", " 1", "1 ", "\t1", '"1"',
    "'1'", "1\r", "\r", "\v1", "\x1c1", "\u00a01", "\ufeff1", "é", "1,1", "1\n1", "\n", "-5", "-2", "2147483648", "1e400", "a/b.jpg", "99999",
)  # fmt: skip
"""What may stand in a field, by design or by accident."""


def mutate(data: st.DataObject, path: Path) -> None:
    """Puts odd texts in the place of fields, or of lines, of a file."""
    lines = path.read_bytes().decode().split("\n")
    for _ in range(data.draw(st.integers(1, 2))):
        number = data.draw(st.integers(0, len(lines) - 1))
        fields = lines[number].split(",")
        fields[data.draw(st.integers(0, len(fields) - 1))] = data.draw(st.sampled_from(ODD))
        whole = data.draw(st.sampled_from([",".join(fields), *ODD[:3], lines[number] + "\n" + lines[number]]))
        lines[number] = whole
    path.write_bytes("\n".join(lines).encode())


def assert_same_when_mutated(data: st.DataObject, database: Database, root: Path, files: Sequence[str]) -> None:
    path = root / data.draw(st.sampled_from(files))
    before = path.read_bytes()
    try:
        mutate(data, path)
        assert_same(read(database, root), read(database, root, line_by_line=True))
    finally:
        path.write_bytes(before)


@pytest.fixture(scope="module")
def small_affwild2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A track of all tasks, one of two, and one of one, of four frames each; one frame has no crop."""
    root = tmp_path_factory.mktemp("small") / "affwild2"
    tasks = {
        "VA_Estimation_Challenge": ("valence,arousal", ["0.25,-1", "-5,-5", "0.5,0.125"]),
        "EXPR_Classification_Challenge": (
            "Neutral,Anger,Disgust,Fear,Happiness,Sadness,Surprise,Other",
            ["0", "-1", "7", "3"],
        ),
        "AU_Detection_Challenge": (
            ",".join(f"AU{unit}" for unit in (1, 2, 4, 6, 7, 10, 12, 15, 23, 24, 25, 26)),
            [",".join("01" * 6), ",".join(["-1"] * 12), ",".join(["0", "-1", *"1100110011"])],
        ),
    }
    for folder, (header, lines) in tasks.items():
        names = {"VA_Estimation_Challenge": "abc", "EXPR_Classification_Challenge": "ab", "AU_Detection_Challenge": "a"}
        for number, name in enumerate(names[folder] + "v"):
            path = root / "Third ABAW Annotations" / folder / ("Validation_Set" if name == "v" else "Train_Set")
            path.mkdir(parents=True, exist_ok=True)
            (path / f"{name}.txt").write_text("\n".join([header, *lines[number % 2 :]]) + "\n")
            (root / "cropped_aligned" / name).mkdir(parents=True, exist_ok=True)
            for frame in (1, 2, 4):
                (root / "cropped_aligned" / name / f"{frame:05d}.jpg").touch()
    return root


@given(st.data())
@settings(max_examples=20, deadline=None)
def test_mutants_of_affwild2_are_read_as_line_by_line(small_affwild2: Path, data: st.DataObject) -> None:
    files = sorted(path.relative_to(small_affwild2).as_posix() for path in small_affwild2.rglob("*.txt"))
    assert_same_when_mutated(data, DATABASES["affwild2"](), small_affwild2, files)


@pytest.fixture(scope="module")
def small_affectnet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eleven faces, one of each class; one has no box, and one no picture."""
    root = tmp_path_factory.mktemp("small") / "affectnet"
    lists, images = root / "Manually_Annotated_file_lists", root / "Manually_Annotated/Manually_Annotated_Images/1"
    lists.mkdir(parents=True)
    images.mkdir(parents=True)
    lines = []
    for code in range(11):
        box, va = "10,20,30,40" if code != 3 else "NULL,NULL,-1,-1", "0.5,-0.125" if code < 9 else "-2,-2"
        lines.append(f"1/{code}.jpg,{box},1;2,{code},{va}")
        if code != 5:
            (images / f"{code}.jpg").touch()
    (lists / "training.csv").write_text("\n".join([",".join(LIST_COLUMNS), *lines[:8]]) + "\n")
    (lists / "validation.csv").write_text("\n".join(lines[8:]) + "\n")
    return root


@given(st.data())
@settings(max_examples=20, deadline=None)
def test_mutants_of_affectnet_are_read_as_line_by_line(small_affectnet: Path, data: st.DataObject) -> None:
    files = [f"Manually_Annotated_file_lists/{name}.csv" for name in ("training", "validation")]
    assert_same_when_mutated(data, DATABASES["affectnet"](), small_affectnet, files)


@pytest.fixture(scope="module")
def small_disfa(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two subjects; one lacks two label files, and files list different frames."""
    root = tmp_path_factory.mktemp("small") / "disfa"
    for subject, units in (("SN001", (1, 2, 4, 5, 6, 9, 12, 15, 17, 20, 25, 26)), ("SN002", (2, 4))):
        (root / "ActionUnit_Labels" / subject).mkdir(parents=True)
        (root / "Images" / subject).mkdir(parents=True)
        for unit in units:
            frames = [3, 1, 2] if unit == 2 else [1, 2, 3, 4]
            lines = (f"{frame},{(unit + frame) % 6}\n" for frame in frames)
            (root / "ActionUnit_Labels" / subject / f"{subject}_au{unit}.txt").write_text("".join(lines))
        for frame in (1, 2, 4):
            (root / "Images" / subject / f"{frame:05d}.jpg").touch()
    return root


@given(st.data())
@settings(max_examples=20, deadline=None)
def test_mutants_of_disfa_are_read_as_line_by_line(small_disfa: Path, data: st.DataObject) -> None:
    files = sorted(path.relative_to(small_disfa).as_posix() for path in small_disfa.rglob("SN*_au[24].txt"))
    assert_same_when_mutated(data, DATABASES["disfa"](), small_disfa, files)


# ---------------------------------------------------------------- the parser


def test_plain_lines_become_arrays(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfx,y\r\n1,0.5\r\n-2,-1\r\n\r\n")
    (tmp_path / "b.txt").write_bytes(b"x,y\n")
    root = DatabaseRoot(tmp_path)
    texts = [plain_lines(root, name, skip_lines=1) for name in ("a.txt", "b.txt", "a.txt")]
    columns = typed_columns(texts, {"x": pa.int8(), "y": pa.float64()})
    assert columns["x"].tolist() == [1, -2, 1, -2]
    assert columns["y"].tolist() == [0.5, -1.0, 0.5, -1.0]
    assert typed.line_counts(texts).tolist() == [2, 0, 2]
    assert root.annotation_files == {"a.txt", "b.txt"}


@pytest.mark.parametrize("text", [b"", b"x,y", b"x,y\n\n"])
def test_without_lines_there_are_empty_arrays(text: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(text)
    assert plain_lines(DatabaseRoot(tmp_path), "a.txt", skip_lines=1) == b""
    assert typed_columns([b""], {"x": pa.int8()})["x"].dtype == np.int8


@pytest.mark.parametrize(
    "line", [b"1", b"1,2,3", b"1,", b"1,a", b"1,0x1", b"1, 2", b"128,1", b"\n1,2", b"1.0,2", b"--1,2"]
)
def test_anything_else_is_unusual(line: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"1,2\n" + line + b"\n3,4\n")
    with pytest.raises(UnusualError):
        typed_columns([plain_lines(DatabaseRoot(tmp_path), "a.txt")], {"x": pa.int8(), "y": pa.float64()})


def test_a_file_over_a_limit_is_unusual(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.txt").write_text("1\n" * 9)
    monkeypatch.setenv("AFFECT_MAX_LINES", "8")
    with pytest.raises(UnusualError):
        plain_lines(DatabaseRoot(tmp_path), "a.txt")


def test_codes_become_texts_and_negative_ones_nothing() -> None:
    assert typed.gathered(["a", "b"], np.array([1, -1, 0])).to_list() == ["b", None, "a"]
    assert typed.gathered([], np.array([-1])).to_list() == [None]
    assert typed.gathered(["a"], np.empty(0, np.int8)).dtype == pl.String
