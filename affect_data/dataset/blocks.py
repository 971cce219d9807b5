"""The labels of all splits of a dataset as frames: some rows at a time, or the named columns of all rows with texts as categories."""

from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from affect_data.dataset.folder import DatasetFolder
from affect_data.dataset.layout import ORIGIN_COLUMNS, stored_columns

ROWS_PER_BLOCK: Final = 1 << 17

_TEXTS: Final = ("database", "split", *ORIGIN_COLUMNS)


class LabelBlocks:
    """The rows of all splits, one split after the other; `row` is a position over all splits. The files of a split are opened once.

    Args:
        folder: the dataset.
    """

    def __init__(self, folder: DatasetFolder) -> None:
        self._folder = folder
        self._stored = {split: folder.stored_labels(split) for split in folder.splits}

    def __len__(self) -> int:
        return sum(len(stored) for stored in self._stored.values())

    def blocks(self, *columns: str) -> Iterator[pl.DataFrame]:
        """All rows in order, `ROWS_PER_BLOCK` at a time: `row`, the columns, `split`.

        Args:
            columns: of the schema, at least one; `database` is a name.
        """
        begin, kept = 0, {*stored_columns(columns), *columns}
        for split, opened in self._stored.items():
            stored = opened.select([name for name in opened.column_names if name in kept])
            for start in range(0, len(stored), ROWS_PER_BLOCK):
                block = self._folder.view.frame(stored.slice(start, ROWS_PER_BLOCK), columns)
                yield block.with_row_index("row", begin + start).with_columns(pl.lit(split).alias("split"))
            begin += len(stored)

    def rows(self, *columns: str) -> pl.DataFrame:
        """As `blocks`, but all rows in one frame, with texts as categories, which take four bytes a row.

        Args:
            columns: of the schema; not `uid` and not `image_digest`, of which no two rows have the same.
        """
        return pl.concat(
            block.with_columns(pl.col(name).cast(pl.Categorical) for name in _TEXTS if name in block.columns)
            for block in self.blocks(*columns)
        )

    def digests(self) -> npt.NDArray[np.uint64]:
        """The first half of the sha256 of every row's picture, uint64 [rows, 2]."""
        found, begin = np.empty((len(self), 2), np.uint64), 0
        for stored in self._stored.values():
            for chunk in stored.column("image_digest").chunks:
                values = chunk.flatten().to_numpy(zero_copy_only=False).reshape(len(chunk), -1)
                found[begin : begin + len(chunk)] = np.ascontiguousarray(values[:, :16]).view(np.uint64)
                begin += len(chunk)
        return found

    def uids(self, rows: npt.NDArray[np.integer]) -> tuple[pl.Series, pl.Series]:
        """The `uid` and the `split` of some rows.

        Args:
            rows: positions over all splits, ascending.
        """
        begin, found, splits = 0, [pa.array([], pa.string())], []
        for split, stored in self._stored.items():
            own = rows[np.searchsorted(rows, begin) : np.searchsorted(rows, begin + len(stored))] - begin
            found += stored.column("uid").take(pa.array(own)).chunks
            splits.append(pl.repeat(split, len(own), dtype=pl.String, eager=True))
            begin += len(stored)
        uid = pl.from_arrow(pa.chunked_array(found))
        assert isinstance(uid, pl.Series)
        return uid.alias("uid"), pl.concat(splits).alias("split")
