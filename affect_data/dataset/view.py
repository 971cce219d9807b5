"""Stored labels as the columns of the schema: texts instead of origins, a slot for every action unit, fills for what a layout does not store."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from affect_data.dataset.layout import MISSING_STEP, ORIGIN_COLUMNS, Layout
from affect_data.dataset.schema import COLUMNS_BY_NAME, MISSING_CLASS
from affect_data.vocabulary import ACTION_UNIT_SLOTS, ACTION_UNITS, EXPRESSIONS, FRAME_SCOPE, LABEL_SCOPES, unit_name

Origins = Mapping[str, pa.Table]
"""The tables of origins by database: row i has the texts of the rows with origin i."""


@dataclass(frozen=True)
class LabelView:
    """Columns of the schema, read from stored labels.

    Attributes:
        layout: of the dataset.
        origins: of the dataset.
    """

    layout: Layout
    origins: Origins

    def table(self, stored: pa.Table, columns: Sequence[str]) -> pa.Table:
        """Columns of the schema, with its Arrow types; ``database`` is a code.

        Args:
            stored: has the columns of `layout.stored_columns`, and those of the side groups that hold any of the columns.
            columns: of the schema.
        """
        stored = stored.combine_chunks()
        return pa.table({name: self._column(stored, name) for name in columns})

    def frame(self, stored: pa.Table, columns: Sequence[str]) -> pl.DataFrame:
        """Columns of the schema as a polars frame, ``database`` by name; the arguments are those of `table`."""
        frame = pl.from_arrow(self.table(stored, columns))
        assert isinstance(frame, pl.DataFrame)
        if "database" not in columns:
            return frame
        names = dict(enumerate(self.layout.databases))
        return frame.with_columns(pl.col("database").replace_strict(names, return_dtype=pl.String))

    def side(self, stored: pa.Table, group: str) -> pl.DataFrame:
        """The columns of a side group that databases declare: words for classes, ``""`` for none, and the masks.

        Args:
            stored: has the columns of the group.
            group: one of `Layout.side_groups`.
        """
        return pl.concat([column.shown(stored) for column in self.layout.columns_of(group)], how="horizontal")

    def codes(self, stored: pa.Table, column: str) -> npt.NDArray[np.int64]:
        """A number for every different text of a column and database, int64 [rows], in order of appearance; -1 for an empty text.

        Args:
            stored: with ``database`` and ``origin``.
            column: one of `ORIGIN_COLUMNS`.
        """
        found = np.full(len(stored), -1, dtype=np.int64)
        for rows, origin, texts in self._by_database(stored, column):
            names = pl.Series(texts)
            ranks = names.rank("dense").cast(pl.Int64).to_numpy() + (found.max(initial=-1) + 1)
            found[rows] = np.where(names.to_numpy() == "", -1, ranks)[origin]
        # The numbers follow the order of the rows, not of the texts.
        known = found >= 0
        _, first, place = np.unique(found[known], return_index=True, return_inverse=True)
        found[known] = np.argsort(np.argsort(first))[place]
        return found

    def _column(self, stored: pa.Table, name: str) -> pa.Array:
        kind = COLUMNS_BY_NAME[name].type
        reader = _READERS.get(name)
        if name in ORIGIN_COLUMNS:
            return self._text(stored, name)
        if reader is not None:
            column = stored.column(name).chunk(0) if name in stored.column_names and len(stored) else None
            return reader(self.layout, column, len(stored), kind)
        if name not in stored.column_names:
            return pa.repeat(pa.scalar(_ABSENT.get(name, False), kind), len(stored))
        column = stored.column(name)
        return (column.chunk(0) if column.num_chunks else pa.array([], column.type)).cast(kind)

    def _text(self, stored: pa.Table, name: str) -> pa.Array:
        parts, order = [], []
        for rows, origin, texts in self._by_database(stored, name):
            parts.append(texts.take(pa.array(origin)))
            order.append(rows)
        if not parts:
            return pa.array([], pa.string())
        place = np.empty(len(stored), dtype=np.int64)
        place[np.concatenate(order)] = np.arange(len(stored))
        joined = pa.concat_arrays(parts).cast(pa.string())
        return joined if (place[:-1] < place[1:]).all() else joined.take(pa.array(place))

    def _by_database(
        self, stored: pa.Table, name: str
    ) -> "list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int32], pa.Array]]":
        """For each database with rows: their numbers, their origins, and the texts by origin."""
        database = stored.column("database").to_numpy()
        origin = stored.column("origin").to_numpy()
        found = []
        for code in np.unique(database):
            rows = np.flatnonzero(database == code)
            texts = self.origins[self.layout.databases[code]].column(name).combine_chunks()
            found.append((rows, origin[rows], texts.chunk(0) if isinstance(texts, pa.ChunkedArray) else texts))
        return found


def side_by_side(tables: Sequence[pa.Table]) -> pa.Table:
    """The columns of several tables of the same rows as one table."""
    first, *others = tables
    for other in others:
        for name in other.column_names:
            first = first.append_column(other.schema.field(name), other.column(name))
    return first


_ABSENT: Final = {"compound_expression": MISSING_CLASS, "label_scope": LABEL_SCOPES.index(FRAME_SCOPE)}
"""The fill of each column that may be absent and is not a mask."""

Reader = Callable[[Layout, pa.Array | None, int, pa.DataType], pa.Array]


def _fixed(values: npt.NDArray[Any], kind: pa.DataType) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(np.ascontiguousarray(values).reshape(-1)), type=kind)


def _units(fill: float, dtype: type[np.generic]) -> Reader:
    """A reader from structs with one child for each action unit to arrays over the slots of the vocabulary."""

    def read(layout: Layout, column: pa.Array | None, rows: int, kind: pa.DataType) -> pa.Array:
        values = np.full((rows, len(ACTION_UNITS)), fill, dtype=dtype)
        if column is None:
            return _fixed(values, kind)
        for field in column.type:
            child = column.field(field.name).to_numpy(zero_copy_only=False)
            if dtype is np.float32 and layout.whole_intensities:
                child = np.where(child == MISSING_STEP, np.float32(np.nan), child.astype(np.float32))
            values[:, ACTION_UNIT_SLOTS[int(field.name.removeprefix(unit_name(0)[:-1]))]] = child
        return _fixed(values, kind)

    return read


def _votes(_: Layout, column: pa.Array | None, rows: int, kind: pa.DataType) -> pa.Array:
    values = np.full((rows, len(EXPRESSIONS)), np.nan, dtype=np.float32)
    if column is not None:
        for slot, name in enumerate(EXPRESSIONS):
            values[:, slot] = column.field(name).to_numpy(zero_copy_only=False)
    return _fixed(values, kind)


def _boxes(layout: Layout, column: pa.Array | None, rows: int, kind: pa.DataType) -> pa.Array:
    values = np.full((rows, 4), np.nan, dtype=np.float32)
    if column is not None:
        stored = column.flatten().to_numpy(zero_copy_only=False).reshape(rows, 4)
        none = (stored == 0).all(axis=1, keepdims=True) if layout.boxes == "whole" else np.isnan(stored)
        values = np.where(none, np.float32(np.nan), stored.astype(np.float32))
    return _fixed(values, kind)


def _digests(_: Layout, column: pa.Array | None, rows: int, __: pa.DataType) -> pa.Array:
    if column is None:
        return pa.repeat(pa.scalar("", pa.string()), rows)
    values = np.ascontiguousarray(column.flatten().to_numpy(zero_copy_only=False))
    whole = pa.FixedSizeBinaryArray.from_buffers(pa.binary(values.size // rows), rows, [None, pa.py_buffer(values)])
    return pl.Series(whole.cast(pa.binary())).bin.encode("hex").to_arrow().cast(pa.string())


_READERS: Final[Mapping[str, Reader]] = {
    "au": _units(MISSING_CLASS, np.int8),
    "au_mask": _units(0, np.bool_),
    "au_intensity": _units(np.nan, np.float32),
    "au_intensity_mask": _units(0, np.bool_),
    "expression_votes": _votes,
    "face_box": _boxes,
    "image_digest": _digests,
}
