"""Counts the values in the columns of a dataset's side groups."""

from collections import Counter
from collections.abc import Iterator
from typing import Final

import numpy as np
import polars as pl

from affect_data.dataset.folder import DatasetFolder
from affect_data.dataset.label_chunks import ROWS_PER_CHUNK
from affect_data.dataset.side.columns import ClassColumn, NumberColumn, SidesColumn
from affect_data.dataset.side.groups import SideColumn
from affect_data.vocabulary import ACTION_UNIT_SLOTS, SIDES, unit_name

SCHEMA: Final = pl.Schema(
    {"database": pl.String(), "split": pl.String(), "column": pl.String(), "value": pl.String(), "rows": pl.Int64()}
)


def side_values(dataset: DatasetFolder) -> pl.DataFrame:
    """Rows by value: `database, split, column, value, rows`, in the order of the groups, most rows first.

    A value is a word of a class, ``AU12 left`` for the side of an action unit, and empty for numbers and lists, of which only the presence counts.
    """
    databases, layout = dataset.manifest.databases, dataset.manifest.layout
    found: Counter[tuple[str, str, str, str]] = Counter()
    for split in dataset.splits:
        codes = dataset.stored_labels(split, ["database"]).column("database").to_numpy()
        for group in layout.side_groups:
            table = dataset.load(split, [group]).data.table
            for start in range(0, len(table), ROWS_PER_CHUNK):
                part = table.slice(start, ROWS_PER_CHUNK)
                shown = dataset.view.side(part, group).with_columns(database=codes[start : start + len(part)])
                for column in layout.columns_of(group):
                    for value, database, rows in _counted(column, shown):
                        found[databases[database], split, column.name, value] += rows
    order = {column.name: place for place, column in enumerate(layout.declared)}
    lines = [(*key, rows) for key, rows in found.items()]
    lines.sort(key=lambda line: (line[0], dataset.splits.index(line[1]), order[line[2]], -line[4], line[3]))
    return pl.DataFrame(lines, schema=SCHEMA, orient="row")


def _counted(column: SideColumn, shown: pl.DataFrame) -> Iterator[tuple[str, int, int]]:
    """Value, code of the database, and number of rows."""
    for value, has in _values(column, shown):
        counts = np.bincount(shown["database"].to_numpy()[has])
        yield from ((value, int(code), int(counts[code])) for code in np.flatnonzero(counts))


def _values(
    column: SideColumn, shown: pl.DataFrame
) -> Iterator[tuple[str, "np.ndarray[tuple[int], np.dtype[np.bool_]]"]]:
    """The values of a column, and which rows have each."""
    values = shown[column.name]
    if isinstance(column, ClassColumn):
        yield from ((word, (values == word).to_numpy()) for word in column.classes)
    elif isinstance(column, NumberColumn):
        yield "", values.is_not_nan().to_numpy()
    elif isinstance(column, SidesColumn):
        slots = values.to_numpy()
        for unit in column.units:
            for code, side in enumerate(SIDES):
                yield f"{unit_name(unit)} {side}", slots[:, ACTION_UNIT_SLOTS[unit]] == code
    else:
        yield "", (values.list.len() > 0).to_numpy()
