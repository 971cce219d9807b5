"""Writes a table as an Excel workbook."""

from collections.abc import Sequence
from pathlib import Path

from affect_data.exporting.workbook import workbook


def write_workbook(path: Path, rows: Sequence[Sequence[str | int | None]], sheet: str = "Sheet1") -> None:
    """Writes one sheet of texts, whole numbers and empty cells as an xlsx file.

    Args:
        path: of the new file.
        rows: the cells, the header first.
        sheet: name of the sheet.
    """
    path.write_bytes(workbook(rows, sheet))
