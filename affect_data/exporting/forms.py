"""What the native files of a database are made from: rows of a dataset, the reader's table of values, and a line for each row."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from affect_data.databases.facts import NativeValue

NO_ROW: Final = "lines that gave no row: the dataset does not hold what they say"
NO_CODE: Final = "lines whose label a decision took away, or made one for which the database has no code"
SPELLING: Final = "the spelling of numbers: 0.5 for 0.500"


@dataclass(frozen=True)
class NativeFile:
    """A file in the form of a database.

    Attributes:
        path: relative to the database's root.
        content: all of it; text is written as UTF-8.
    """

    path: str
    content: str | bytes


@dataclass(frozen=True)
class NativeForm:
    """How the labels of a database are written as its own files.

    Attributes:
        files: the files of rows, which are as `affect_data.to_polars` gives them with ``wide=True``.
        losses: what the files cannot give back, because the dataset does not hold it. Everything else is as in the official files.
        side: side groups whose columns the rows need.
        releases: the releases that are written; empty if all are.
        counts_lines: whether lines of the files belong to their pictures by their number alone. Then `files` also has a row for each line that gave
            none, with its place and nulls.
        as_read: the rows with values as the files have them, from the rows and the recipe's options, where options change values.
    """

    files: Callable[[pl.DataFrame], Iterator[NativeFile]]
    losses: tuple[str, ...]
    side: tuple[str, ...] = ()
    releases: tuple[str, ...] = ()
    counts_lines: bool = False
    as_read: Callable[[pl.DataFrame, Mapping[str, Any]], pl.DataFrame] | None = None


def codes_of(mapping: Iterable[NativeValue], field: str) -> dict[str, str]:
    """From each label of a field to its native value: the reader's table, read backwards."""
    return {row.unified: row.native for row in mapping if row.field == field and not row.masked}


def code_of(column: str, mapping: Iterable[NativeValue], field: str = "") -> pl.Expr:
    """The native value of a column's label; null where there is no label, or none that the database has.

    Args:
        column: of labels, in words.
        mapping: the reader's table.
        field: of the table; by default that of the column's name.
    """
    return pl.col(column).replace_strict(codes_of(mapping, field or column), default=None, return_dtype=pl.String)


def image_of() -> pl.Expr:
    """The path of a row's picture relative to the database's root, from the uid of a row that is in no track."""
    return pl.col("uid").str.replace(r"^[^:]*:", "").str.replace(r"#\d+$", "")


def file_name_of() -> pl.Expr:
    """The name of a row's picture, without its folder."""
    return image_of().str.extract(r"([^/]+)$")


def number(column: pl.Expr | str) -> pl.Expr:
    """A number as text, as short as it can be told from its neighbours in 32 bits; whole ones without decimals."""
    value = pl.col(column) if isinstance(column, str) else column
    return value.cast(pl.Float32).cast(pl.String).str.strip_suffix(".0")


def lists(rows: pl.DataFrame, line: pl.Expr, header: str = "") -> Iterator[NativeFile]:
    """The file of every source of the rows: a line for each row that has one, in the order of the official file.

    Args:
        rows: with `source_file` and `source_line`.
        line: the text of a row's line; null: none, so that no label is made up.
        header: the first line, with its line end.
    """
    written = (
        rows.select("source_file", "source_line", line.alias("line"))
        .drop_nulls("line")
        .sort("source_file", "source_line")
    )
    for (path,), own in written.group_by("source_file", maintain_order=True):
        yield NativeFile(str(path), header + "".join(f"{text}\n" for text in own["line"]))
