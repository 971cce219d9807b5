"""Reads the three forms of EmotioNet's lists into one frame of strings: workbook, csv export, text lists of the challenge."""

import re
from collections.abc import Sequence
from typing import Final

import polars as pl

from affect_data.databases.delimited import quoted_fields
from affect_data.databases.root import FIX_FILE, DatabaseRoot
from affect_data.databases.spelling import INDEX_COLUMN, has_index
from affect_data.databases.workbook import filled_sheets

URL: Final = "URL"
ORIGINAL_URL: Final = "URL orig"
UNITS: Final = tuple(f"AU {number}" for number in range(1, 61))
COLUMNS: Final = (URL, ORIGINAL_URL, *UNITS)
LINE_COLUMNS: Final = (URL, *UNITS, "source_file", "source_line")

_BY_SPELLING: Final = {
    "url": URL,
    "urlorig": ORIGINAL_URL,
    "origurl": ORIGINAL_URL,
    **{unit.replace(" ", "").lower(): unit for unit in UNITS},
}
_EXPECTED_HEADER: Final = "one column each of URL, URL orig, 'AU 1' to 'AU 60'"


def sheet_lines(root: DatabaseRoot, path: str) -> pl.DataFrame:
    """The lines of a workbook or of its csv export, with `LINE_COLUMNS`; lines without any value are left out.

    If a workbook has several sheets, ``source_file`` names the sheet too, as in ``list.xlsx[Sheet1]``. A file that is no workbook, or has another
    header, is a defect.
    """
    parts = _workbook(root, path) if path.lower().endswith(".xlsx") else [_csv(root, path)]
    lines = pl.concat([_no_lines(), *parts])
    return lines.filter(~pl.all_horizontal(pl.col(URL, *UNITS) == ""))


def text_lines(root: DatabaseRoot, paths: Sequence[str]) -> pl.DataFrame:
    """The lines of the challenge's text lists, with `LINE_COLUMNS`: fields separated by tabs, no header."""
    return root.table(paths, COLUMNS, separator="\t").select(LINE_COLUMNS)


def _workbook(root: DatabaseRoot, path: str) -> list[pl.DataFrame]:
    filled = filled_sheets(root, path, _EXPECTED_HEADER)
    several = len(filled) > 1
    return [_sheet(root, f"{path}[{name}]" if several else path, cells) for name, cells in filled.items()]


def _sheet(root: DatabaseRoot, source: str, cells: pl.DataFrame) -> pl.DataFrame:
    names = _columns_of(root, source, [str(cell) for cell in cells.row(0)])
    if names is None:
        return _no_lines()
    lines = cells.rename(dict(zip(cells.columns, names, strict=True)))
    lines = lines.with_columns(
        source_file=pl.lit(source), source_line=pl.int_range(1, pl.len() + 1, dtype=pl.Int32)
    ).slice(1)
    return root.drop_excluded(lines).select(LINE_COLUMNS)


def _csv(root: DatabaseRoot, path: str) -> pl.DataFrame:
    header = quoted_fields(root.first_line(path))
    names = _columns_of(root, path, header)
    if names is None:
        return _no_lines()
    return root.table(path, names, skip_lines=1, quoted=True).select(LINE_COLUMNS)


def _columns_of(root: DatabaseRoot, source: str, header: Sequence[str]) -> list[str] | None:
    """The names of `COLUMNS` in the order of a header, after an index column; None, and a defect, if the header does not name each once."""
    if has_index(header):
        names = _columns_of(root, source, header[1:])
        return None if names is None else [INDEX_COLUMN, *names]
    spellings = [re.sub(r"[\s'\"_]", "", cell).lower() for cell in header]
    names = [_BY_SPELLING.get(spelling, "") for spelling in spellings]
    unknown = [cell for cell, name in zip(header, names, strict=True) if not name]
    absent = [name for name in COLUMNS if name not in names]
    if not unknown and not absent and len(names) == len(COLUMNS):
        return names
    found = [
        *([f"without {_listed(absent)}"] if absent else []),
        *([f"with {_listed([repr(cell) for cell in unknown])}"] if unknown else []),
    ]
    what = f"a header {' and '.join(found)}" if found else f"a header of {len(names)} columns, some twice"
    root.defect(source, 1, what, _EXPECTED_HEADER, FIX_FILE)
    return None


def _listed(names: Sequence[str], limit: int = 4) -> str:
    rest = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + rest


def _no_lines() -> pl.DataFrame:
    return pl.DataFrame(schema={**dict.fromkeys(LINE_COLUMNS, pl.String), "source_line": pl.Int32})
