"""Turns a reader's side columns into unified ones; refuses undeclared columns, wrong types and wrong values."""

from collections.abc import Iterator, Sequence
from typing import Final

import polars as pl

from affect_data.databases.base import WORDS_OF_PEOPLE, Database
from affect_data.databases.refusal import row_defects
from affect_data.databases.root import FIX_LINE
from affect_data.dataset.side.base import WrongTypeError
from affect_data.dataset.side.groups import SideColumn, declared_columns
from affect_data.errors import DataError, Defect
from affect_data.vocabulary import ACTION_UNITS

SIDE_COLUMNS: Final = {
    **dict.fromkeys(("age", *WORDS_OF_PEOPLE), "people"),
    **{f"side_{unit}": "action_unit_sides" for unit in ACTION_UNITS},
    "native_expression": "native_expressions",
    "raters": "rater_labels",
    "timestamp": "has_timestamps",
}
"""Side columns that a reader may give, with the attribute by which its class must declare each."""

TIMESTAMP: Final = "timestamp"


def given_columns(database: Database) -> tuple[str, ...]:
    """The side columns that a reader may give, because its class declares them."""
    return tuple(name for column in declared_columns([type(database)]) for name in column.given)


def why_unknown(name: str) -> str:
    """The part of a message on a column that a reader must not give: its name and, for a side column, the missing declaration."""
    attribute = "scores" if name.startswith("score_") else SIDE_COLUMNS.get(name)
    return f"{name} (a side column, which its class must declare by `{attribute}`)" if attribute else name


def side_defects(rows: pl.DataFrame, database: Database) -> list[Defect]:
    """The values in a reader's side columns that contradict the documentation.

    Args:
        rows: of the reader.
        database: their database.

    Raises:
        DataError: a column does not have the type of its kind.
    """
    defects: list[Defect] = []
    for column in declared_columns([type(database)]):
        if not _is_given(column, rows):
            continue
        try:
            defects += _defects(column, rows)
        except WrongTypeError as error:
            raise DataError(f"{database.name}: the reader gives {error}. Please report it.") from None
    return defects or (_running_backwards(rows) if TIMESTAMP in rows.columns else [])


def unified_side_columns(rows: pl.DataFrame, database: Database) -> list[pl.Series]:
    """The unified side columns of a reader's rows, which must be free of `side_defects`."""
    return [
        column.unified(rows) if _is_given(column, rows) else column.absent(len(rows)).alias(column.name)
        for column in declared_columns([type(database)])
    ]


def _is_given(column: SideColumn, rows: pl.DataFrame) -> bool:
    return any(name in rows.columns for name in column.given)


def _defects(column: SideColumn, rows: pl.DataFrame) -> Iterator[Defect]:
    for problem in column.problems(rows):
        wrong = rows.with_columns(problem.value.alias("value")).filter(pl.col("value").is_not_null())
        yield from row_defects(wrong, problem.found, problem.expected, FIX_LINE)


def _running_backwards(rows: pl.DataFrame) -> list[Defect]:
    """A defect for each row whose time is before that of the previous row of its track, by frame, or by line if there are no frames."""
    track: Sequence[str] = [name for name in ("track", "face") if name in rows.columns]
    if "track" not in track:
        return []
    timed = rows.filter(pl.col("track").fill_null("") != "", pl.col(TIMESTAMP).is_not_null())
    if "frame" in rows.columns:
        timed = timed.sort("frame", nulls_last=True, maintain_order=True)
    before = {name: pl.col(name).shift().over(track) for name in ("source_file", "source_line", TIMESTAMP)}
    timed = timed.with_columns(value.alias(f"{name}_before") for name, value in before.items())
    wrong = timed.filter(pl.col(TIMESTAMP) < pl.col(f"{TIMESTAMP}_before"))
    found = "timestamp = {timestamp} after {timestamp_before} in {source_file_before}:{source_line_before}"
    return row_defects(wrong, found, "a time that does not run backwards within a track", FIX_LINE)
