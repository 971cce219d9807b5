"""What readers say that they map: every native value in the demo files has a row in the table, and the row says what the scan does."""

import csv
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import openpyxl
import pytest
from written_databases import Written

from affect_data.databases.facts import KEPT, NativeValue
from affect_data.databases.registry import BUILT_IN, DATABASES

Key = tuple[Any, ...]


class Cell(NamedTuple):
    """A value in a file, the key of its row in a scan, and the column of the scan that it decides."""

    key: Key
    field: str
    native: str
    column: str


def lines_of(path: Path) -> Iterator[tuple[int, list[str]]]:
    with path.open(encoding="utf-8", newline="") as source:
        yield from enumerate(csv.reader(source), start=1)


def expw(root: Path) -> Iterator[Cell]:
    for number, line in enumerate((root / "label/label.lst").read_text().splitlines(), start=1):
        yield Cell(("label/label.lst", number), "expression", line.split()[-1], "expression")


def affectnet(root: Path) -> Iterator[Cell]:
    for name in ("training", "validation"):
        path = f"Manually_Annotated_file_lists/{name}.csv"
        for number, cells in lines_of(root / path):
            if cells[-1] == "arousal":
                continue
            for field, native in zip(("expression", "valence", "arousal"), cells[-3:], strict=True):
                yield Cell((path, number), field, native, field)
            for field, native in zip(("face_x, face_y", "face_width, face_height"), cells[1:4:2], strict=True):
                if native in ("NULL", "-1"):
                    yield Cell((path, number), field, native, "face_box")


def affwild2(root: Path) -> Iterator[Cell]:
    for path in sorted((root / "Third ABAW Annotations").rglob("*.txt")):
        lines = list(lines_of(path))
        for number, cells in lines[1:]:
            key = (path.stem, number - 1)
            if len(cells) == 1:
                yield Cell(key, "expression", cells[0], "expression")
            elif len(cells) == 2:
                for (field, native), other in zip(
                    (("valence", cells[0]), ("arousal", cells[1])), ("arousal", "valence"), strict=True
                ):
                    half = native != "-5" and "-5" in cells
                    yield Cell(key, field, f"-1..1 where {other} is -5" if half else native, field)
            else:
                for name, native in zip(lines[0][1], cells, strict=True):
                    yield Cell(key, "action unit", native, f"au_{name[2:]}")


def disfa(root: Path) -> Iterator[Cell]:
    for path in sorted((root / "ActionUnit_Labels").rglob("*.txt")):
        unit = path.stem.partition("_au")[2]
        for _, (frame, native) in lines_of(path):
            for column in (f"au_intensity_{unit}", f"au_{unit}"):
                yield Cell((path.parent.name, int(frame)), "intensity", native, column)


def bp4d(root: Path) -> Iterator[Cell]:
    for path in sorted((root / "AUCoding").rglob("*.csv")):
        for number, (frame, *codes) in lines_of(path):
            for unit, native in enumerate(codes, start=1) if number > 1 else ():
                if unit in DATABASES["bp4d"].action_units:
                    yield Cell((path.stem, int(frame)), "occurrence", native, f"au_{unit}")
                elif unit == 99:
                    yield Cell((path.stem, int(frame)), "column 99", native, "")
    for path in sorted((root / "AU Intensity Codes3.0").rglob("*.csv")):
        for _, (frame, native) in lines_of(path):
            yield Cell((path.stem, int(frame)), "intensity", native, f"au_intensity_{int(path.parent.name[2:])}")


def afew_va(root: Path) -> Iterator[Cell]:
    for path in sorted(root.rglob("*.json")):
        for frame, label in json.loads(path.read_text())["frames"].items():
            for field in ("valence", "arousal"):
                yield Cell((path.stem, int(frame)), field, f"{label[field] + 0:g}", field)


def emotionet(root: Path) -> Iterator[Cell]:
    path = next(root.glob("*.xlsx"))
    for number, cells in enumerate(openpyxl.load_workbook(path).worksheets[0].values, start=1):
        for unit in DATABASES["emotionet"].action_units if number > 1 else ():
            yield Cell((path.name, number), "coded action unit", str(cells[unit + 1]), f"au_{unit}")


def raf_db(root: Path) -> Iterator[Cell]:
    for part, field in (("basic", "expression"), ("compound", "compound_expression")):
        path = f"{part}/EmoLabel/list_patition_label.txt"
        for number, line in enumerate((root / path).read_text().splitlines(), start=1):
            name, native = line.split()
            yield Cell((path, number), field, native, field)
            said = (root / part / f"Annotation/manual/{name[:-4]}_manu_attri.txt").read_text().split("\n")
            for attribute, code in zip(("sex", "ethnicity", "age_band"), said[5:], strict=False):
                yield Cell((path, number), attribute, code, attribute)


def raf_au(root: Path) -> Iterator[Cell]:
    for number, line in enumerate((root / "RAFAU_label.txt").read_text().splitlines(), start=1):
        tokens, key = line.split()[1].split("+"), ("RAFAU_label.txt", number)
        if tokens == ["null"]:
            yield Cell(key, "action units", "null", "")
        for token in tokens if tokens != ["null"] else ():
            letters, digits = re.fullmatch(r"([A-Za-z]*)(\d+)", token).groups()  # type: ignore[union-attr]
            yield Cell(key, "action units", token if letters == "AD" else digits, f"au_{digits}")
            if letters not in ("", "AD"):
                yield Cell(key, "side", letters.upper(), f"side_{digits}")


def unbc(root: Path) -> Iterator[Cell]:
    for path in sorted((root / "Frame_Labels/FACS").rglob("*.txt")):
        key = (path.parent.name, int(path.stem.removesuffix("_facs").removeprefix(path.parent.name)))
        for line in path.read_text().splitlines():
            unit, level = (str(int(float(number))) for number in line.split()[:2])
            yield Cell(key, "action unit", unit, f"au_{unit}")
            for column in (f"au_intensity_{unit}", f"au_{unit}"):
                yield Cell(key, "intensity", level, column)
    for path in sorted((root / "Frame_Labels/PSPI").rglob("*.txt")):
        key = (path.parent.name, int(path.stem.removesuffix("_facs").removeprefix(path.parent.name)))
        yield Cell(key, "pain score", f"{float(path.read_text()):g}", "score_pspi")


def dfew(root: Path) -> Iterator[Cell]:
    for part in ("train", "test"):
        path = f"EmoLabel_DataSplit/{part}(single-labeled)/set_1.csv"
        for number, (_, native) in lines_of(root / path):
            if number > 1:
                yield Cell((path, number), "label", native, "expression")


def ferv39k(root: Path) -> Iterator[Cell]:
    for part in ("train", "test"):
        path = f"4_setups/All_scenes/{part}_All.csv"
        for number, line in enumerate((root / path).read_text().splitlines(), start=1):
            yield Cell((path, number), "expression", line.split()[1], "expression")


def mafw(root: Path) -> Iterator[Cell]:
    for part in ("train", "test"):
        path = f"Train & Test Set/single/no_caption/set_1/{part}.txt"
        for number, line in enumerate((root / path).read_text().splitlines(), start=1):
            yield Cell((path, number), "class", line.split()[1], "expression")


def raf_ce(root: Path) -> Iterator[Cell]:
    lists = ("emolabel", "compound_expression"), ("partition", "split")
    for name, column in lists:
        for number, line in enumerate((root / f"RAFCE_{name}.txt").read_text().splitlines(), start=1):
            yield Cell(("RAFCE_emolabel.txt", number), column, line.split()[1], column)


def ck_plus(root: Path) -> Iterator[Cell]:
    for path in sorted(root.glob("FACS/*/*/*_facs.txt")):
        key = (path.stem[:8], int(path.stem[9:17]))
        for line in path.read_text().splitlines():
            unit, level = (str(int(float(number))) for number in line.split())
            yield Cell(key, "action unit", unit if unit != "54" else "another number", f"au_{unit}")
            for column in (f"au_{unit}", f"au_intensity_{unit}") if level != "0" and unit != "54" else ():
                yield Cell(key, "intensity", level, column)
    for path in sorted(root.glob("Emotion/*/*/*_emotion.txt")):
        yield Cell((path.stem[:8], int(path.stem[9:17])), "emotion", f"{float(path.read_text()):g}", "expression")


NATIVE: dict[str, tuple[tuple[str, str], Callable[[Path], Iterator[Cell]]]] = {
    **{reader.__name__: (("source_file", "source_line"), reader) for reader in (expw, affectnet, emotionet, raf_db)},
    **{reader.__name__: (("source_file", "source_line"), reader) for reader in (raf_au, dfew)},
    **{reader.__name__: (("source_file", "source_line"), reader) for reader in (ferv39k, mafw, raf_ce)},
    **{reader.__name__: (("track", "frame"), reader) for reader in (affwild2, disfa, bp4d, afew_va, unbc, ck_plus)},
}


def matches(row: NativeValue, cell: Cell) -> bool:
    """Whether a row of the table is about a value: it names the value, or a range or a list that holds it."""
    if row.field != cell.field:
        return False
    if cell.native in (row.native, *row.native.split(", ")):
        return True
    limits = re.fullmatch(r"(-?\d+)\.\.(-?\d+)", row.native)
    try:
        return limits is not None and int(limits[1]) <= float(cell.native) <= int(limits[2])
    except ValueError:
        return False


def says(row: NativeValue, column: str, native: str) -> Any:
    """The cell of a scan that a row of the table promises."""
    if row.masked:
        return None
    if row.unified in ("absent", "present"):
        return int(row.unified == "present")
    if level := re.fullmatch(r"intensity (\d)(?:, (absent|present))?", row.unified):
        return int(level[1]) if column.startswith("au_intensity") or not level[2] else int(level[2] == "present")
    if row.unified in ("the same number", "kept in group pspi"):
        return pytest.approx(float(native))
    if row.unified.startswith(f"{row.field} "):
        return pytest.approx(float(row.unified.split()[-1]))
    return row.unified


@pytest.mark.parametrize("name", sorted(NATIVE))
def test_every_native_value_has_one_row_and_the_scan_does_what_the_row_says(
    name: str, written_of: Callable[[str], Written]
) -> None:
    written = written_of(name)
    key, native = NATIVE[name]
    by_key = {tuple(row[column] for column in key): row for row in written.scan.rows.iter_rows(named=True)}
    compared, used = 0, set()
    for cell in native(written.root):
        rows = [row for row in written.database.mapping if matches(row, cell)]
        assert len(rows) == 1, (cell, rows)
        used.add(rows[0])
        face = by_key.get(cell.key)
        if face is None or not cell.column or rows[0].unified in ("its intensity", "the frame is read"):
            continue
        if name in ("dfew", "mafw") and face["expression_masked"]:
            continue
        found, promised = face.get(cell.column), says(rows[0], cell.column, cell.native)
        if name == "affectnet" and rows[0].unified.startswith(KEPT):
            assert face["native_expression"] == rows[0].unified.removeprefix(f"{KEPT}native: ")
        assert found == promised, (cell, rows[0])
        compared += 1
    assert compared > 50
    assert any(row.masked for row in used) or name in (
        "expw", "disfa", "afew_va", "raf_db", "unbc", "dfew", "ferv39k", "raf_ce",
    )  # fmt: skip


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_class_that_a_database_has_is_in_its_table(name: str) -> None:
    database = DATABASES[name]
    unified = {row.unified for row in database.mapping}
    classes = {*database.compound_expressions, *(() if database.has_expression_votes else database.expressions)}
    assert classes <= unified
    assert {word for words in database.people.values() for word in words} <= unified
    assert len(set(database.mapping)) == len(database.mapping) > 0


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_database_grades_what_it_relies_on(name: str) -> None:
    evidence = DATABASES[name].evidence
    assert len(evidence) >= 3
    assert len({known.fact for known in evidence}) == len(evidence)
    assert all(len(known.where) > 7 for known in evidence)


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_reason_that_masks_a_label_is_in_the_table(name: str, written_of: Callable[[str], Written]) -> None:
    written = written_of(name)
    reasons = [
        reason
        for task in written.database.tasks()
        if f"{task}_masked" in written.scan.rows.columns
        for reason in written.scan.rows[f"{task}_masked"].drop_nulls().unique()
    ]
    patterns = [
        re.escape(row.masked).replace("AU<n>", r"(?:AU\d+(?:, )?)+") for row in written.database.mapping if row.masked
    ]
    for reason in reasons:
        for part in reason.split("; "):
            assert any(re.fullmatch(pattern, part) for pattern in patterns), part
