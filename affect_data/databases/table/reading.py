"""Reads a table of any kind, by the end of its name."""

from affect_data.databases.root import DatabaseRoot
from affect_data.databases.table.arrow import read_arrow
from affect_data.databases.table.tables import (
    ARROW,
    DELIMITED,
    JSON_LINES,
    KINDS,
    WORKBOOKS,
    Table,
    Wanted,
    kind_of,
    read_delimited,
    read_json_lines,
    read_workbook,
)


def read_table(
    root: DatabaseRoot, path: str, wanted: Wanted, *, separator: str | None = None, sheet: str | None = None
) -> Table | None:
    """A table; None, and a defect, if it cannot be read.

    Args:
        root: of the database.
        path: of the table, relative to the root.
        wanted: whether a column is needed; of a file with pictures, others are not read.
        separator: between the fields of a text; by default the one that its header has most of.
        sheet: of a workbook with several.
    """
    kind = kind_of(path)
    if kind in ARROW:
        return read_arrow(root, path, wanted)
    if kind in WORKBOOKS:
        return read_workbook(root, path, sheet)
    if kind in JSON_LINES:
        return read_json_lines(root, path)
    if kind in DELIMITED:
        return read_delimited(root, path, separator)
    root.defect(path, 0, f"a file that ends in '{kind}'", f"one of {', '.join(KINDS)}", "save it as one of them")
    return None
