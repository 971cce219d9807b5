"""What tests of native files share: the files of a folder, and the lines of official ones that are rows of a dataset."""

import csv
import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import openpyxl
import polars as pl
import pytest
from written_databases import Written

from affect_data.dataset.folder import open_dataset

Files = dict[str, Any]
"""By path; text, or the bytes of a workbook or an array."""

BINARY = (".npy", ".xlsx")


def packed(written: Written, merged: Path) -> Written:
    """The demo files with the rows that the dataset holds: pictures that cannot be decoded gave none."""
    failures = open_dataset(merged).failures().filter(pl.col("database") == written.database.name)
    rows = written.scan.rows.join(failures, on=["source_file", "source_line"], how="anti", maintain_order="left")
    return replace(written, scan=replace(written.scan, rows=rows))


def files_of(folder: Path) -> Files:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.suffix in BINARY else path.read_bytes().decode()
        for path in folder.rglob("*")
        if path.is_file()
    }


def kept(written: Written, *, header: int = 0) -> Iterator[tuple[str, list[list[str]]]]:
    """The cells of the official lists, line by line: those lines that are rows of the reader."""
    rows = set(written.scan.rows.select("source_file", "source_line").iter_rows())
    for path in sorted({file for file, _ in rows}):
        lines = (written.root / path).read_text().splitlines()
        separator = "," if path.endswith(".csv") else " "
        numbered = [(n, line) for n, line in enumerate(lines, start=1) if (path, n) in rows and n > header]
        yield path, list(csv.reader([line for _, line in numbered], delimiter=separator))


def cells(text: str, separator: str = ",") -> list[list[str]]:
    return list(csv.reader(io.StringIO(text), delimiter=separator))


def as_number(cell: str) -> Any:
    try:
        return pytest.approx(float(cell), rel=1e-6)
    except ValueError:
        return cell


def sheet(source: Path | bytes) -> list[tuple[Any, ...]]:
    """The cells of a workbook's only sheet, as another library reads them."""
    (found,) = openpyxl.load_workbook(io.BytesIO(source) if isinstance(source, bytes) else source).worksheets
    return list(found.values)
