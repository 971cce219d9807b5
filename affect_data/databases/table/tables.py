"""Tables as texts: one row for each of theirs, which knows its line; an empty cell is null. Reads texts and workbooks."""

import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final

import polars as pl

from affect_data.databases.delimited import quoted_fields
from affect_data.databases.refusal import PLACE
from affect_data.databases.root import FIX_LINE, DatabaseRoot
from affect_data.databases.workbook import filled_sheets

DELIMITED: Final = (".csv", ".tsv", ".tab", ".txt")
JSON_LINES: Final = (".jsonl", ".ndjson", ".json")
ARROW: Final = (".parquet", ".arrow")
WORKBOOKS: Final = (".xlsx",)
KINDS: Final = (*DELIMITED, *JSON_LINES, *ARROW, *WORKBOOKS)
"""The ends of the names of tables that are read."""

SEPARATORS: Final = (",", ";", "\t")
MOST_ENTRIES: Final = 100
"""Longer lists in a cell are features rather than labels, and are not read."""

RENAMED: Final = " (column)"
"""Stands after the names of columns that are called like the places of rows."""

IMAGE: Final = "(image)"
SPLIT: Final = "(split)"
"""What the place of a row says, besides its columns: the picture that it holds, and its split."""

Wanted = Callable[[str], bool]


@dataclass(frozen=True)
class Table:
    """A table that was read.

    Attributes:
        rows: texts by column, null for an empty cell, with ``source_file`` and ``source_line``; perhaps `IMAGE` and `SPLIT`.
        names: of all columns of the file, those that were not asked for included.
    """

    rows: pl.DataFrame
    names: tuple[str, ...]


def kind_of(path: str) -> str:
    """The end of a table's name, in lower case."""
    return PurePosixPath(path).suffix.lower()


def without_empty(rows: pl.DataFrame) -> pl.DataFrame:
    """Texts without the blanks at their ends, and null where nothing is left."""
    texts = [name for name in rows.columns if name not in PLACE]
    return rows.with_columns(pl.col(texts).str.strip_chars().replace("", None))


def column_names(root: DatabaseRoot, path: str, header: Iterable[str]) -> list[str] | None:
    """The names of a header's columns; one without a name is called after its position. None, and a defect, if two are the same."""
    names = [name.strip(" \t\"'\ufeff") or f"column {place}" for place, name in enumerate(header, start=1)]
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    if twice:
        root.defect(
            path, 1, f"two columns called {', '.join(map(repr, twice))}", "a name for each column", "rename one"
        )
        return None
    return [name + RENAMED if name in PLACE else name for name in names]


def read_delimited(root: DatabaseRoot, path: str, separator: str | None) -> Table | None:
    """A text whose first line names its columns; None, and a defect, if it cannot be read."""
    text = root.read_text(path)
    header = text.partition("\n")[0]
    if not header.strip():
        if not root.defects:
            root.defect(path, 1, "no header", "the names of the columns in the first line", "write a header")
        return None
    if separator is None:
        separator = max(SEPARATORS, key=header.count)
    names = column_names(root, path, quoted_fields(header, separator) if '"' in header else header.split(separator))
    if names is None:
        return None
    rows = root.table(path, names, separator=separator, skip_lines=1, quoted='"' in text)
    return Table(without_empty(rows), tuple(names))


def read_workbook(root: DatabaseRoot, path: str, sheet: str | None) -> Table | None:
    """A sheet whose first row names its columns; None, and a defect, if it cannot be read."""
    sheets = filled_sheets(root, path, "a header and rows")
    if not sheets:
        return None
    if sheet is None and len(sheets) == 1:
        sheet = next(iter(sheets))
    if sheet not in sheets:
        found = "several sheets" if sheet is None else f"no sheet '{sheet}'"
        root.defect(path, 0, found, f"one of {', '.join(sheets)}", "name one of them by `sheet` in the recipe")
        return None
    cells = sheets[sheet]
    names = column_names(root, path, cells.row(0))
    if names is None:
        return None
    rows = cells.rename(dict(zip(cells.columns, names, strict=True))).with_columns(
        pl.lit(path).alias("source_file"), pl.int_range(1, len(cells) + 1, dtype=pl.Int32).alias("source_line")
    )
    filled = without_empty(root.drop_excluded(rows[1:]))
    return Table(filled.filter(pl.any_horizontal(pl.col(names).is_not_null())), tuple(names))


def read_json_lines(root: DatabaseRoot, path: str) -> Table | None:
    """An object in each line; None, and a defect, if there is none."""
    cells: list[dict[str, str | None]] = []
    lines: list[int] = []
    broken: list[tuple[int, str]] = []
    for number, line in enumerate(root.read_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            found = None
        if isinstance(found, dict):
            cells.append(_flat(found))
            lines.append(number)
        else:
            broken.append((number, line))
    place = {"source_file": pl.lit(path)}
    wrong = pl.DataFrame(broken, schema={"source_line": pl.Int32, "line": pl.String}, orient="row").with_columns(
        **place
    )
    root.refuse(wrong, pl.lit(value=True), "{line!r}", "an object in each line, such as {{...}}", FIX_LINE)
    names = list(dict.fromkeys(name for row in cells for name in row))
    schema = dict.fromkeys(names, pl.String())
    rows = pl.DataFrame(cells, schema=schema).with_columns(**place, source_line=pl.Series(lines, dtype=pl.Int32))
    root.refuse_empty(path, rows, "no row", "an object in each line")
    return None if rows.is_empty() else Table(without_empty(root.drop_excluded(rows)), tuple(names))


def _flat(found: Mapping[str, Any]) -> dict[str, str | None]:
    """The values of an object as texts; the entries of a list are columns ``name[i]``."""
    flat: dict[str, str | None] = {}
    for key, value in found.items():
        name = key + RENAMED if key in PLACE else key
        if isinstance(value, list) and len(value) <= MOST_ENTRIES:
            flat |= {f"{name}[{place}]": _text(entry) for place, entry in enumerate(value)}
        else:
            flat[name] = _text(value)
    return flat


def _text(value: object) -> str | None:
    """A value as a text; null for none, for NaN and for what is no single value."""
    if isinstance(value, bool):
        return str(int(value))
    if value is None or isinstance(value, dict | list) or (isinstance(value, float) and math.isnan(value)):
        return None
    return str(value)
