"""Distinct combinations of labels with their frequencies, from which every count over classes and action units can be taken."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from affect_data.dataset.label_chunks import LabelChunk
from affect_data.vocabulary import ACTION_UNITS

PATTERN_COLUMNS: Final = ("database", "au", "au_intensity_mask", "expression", "compound_expression", "va_mask")
KEY: Final = ("split", "database", "annotated", "present", "graded", "expression", "compound_expression", "va")

_MERGE_AT: Final = 1 << 21


def pack(slots: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint64]:
    """Rows of up to 64 booleans as one integer each, uint64 [N]; slot 0 is the lowest bit.

    Args:
        slots: bool [N, L].
    """
    packed = np.packbits(slots, axis=1, bitorder="little")
    padded = np.zeros((len(slots), 8), np.uint8)
    padded[:, : packed.shape[1]] = packed
    return padded.view("<u8").ravel().astype(np.uint64, copy=False)


def unpack(packed: npt.NDArray[np.uint64], slots: int = len(ACTION_UNITS)) -> npt.NDArray[np.bool_]:
    """The booleans that `pack` packed, bool [N, slots]."""
    octets = np.ascontiguousarray(packed.astype("<u8", copy=False)).view(np.uint8).reshape(-1, 8)
    return np.unpackbits(octets, axis=1, bitorder="little", count=slots).astype(np.bool_)


class PatternCounter:
    """Counts the combinations of labels in chunks of rows."""

    def __init__(self) -> None:
        self._parts: list[pl.DataFrame] = []
        self._pending = 0

    def add(self, chunk: LabelChunk) -> None:
        """Counts the rows of a chunk that has `PATTERN_COLUMNS`."""
        units = chunk["au"]
        rows = pl.DataFrame(
            {
                "database": chunk["database"].astype(np.int32),
                "annotated": pack(units >= 0),
                "present": pack(units == 1),
                "graded": pack(chunk["au_intensity_mask"]),
                "expression": chunk["expression"].astype(np.int8),
                "compound_expression": chunk["compound_expression"].astype(np.int8),
                "va": chunk["va_mask"],
            }
        )
        counted = rows.group_by(rows.columns).len("rows").cast({"rows": pl.Int64})
        names = dict(enumerate(chunk.databases))
        database = pl.col("database").replace_strict(names, return_dtype=pl.String)
        self._parts.append(counted.select(pl.lit(chunk.split).alias("split"), database, pl.exclude("database")))
        self._pending += len(counted)
        if self._pending > _MERGE_AT:
            self._parts = [_merged(self._parts)]
            self._pending = 0

    def patterns(self) -> pl.DataFrame:
        """A line for each combination: `split, database, annotated, present, graded, expression, compound_expression, va, rows`.

        `annotated` (known occurrence), `present` and `graded` (known intensity) are sets of action-unit slots, packed as by `pack`.
        """
        if not self._parts:
            bits, classes = pl.UInt64(), pl.Int8()
            types = (pl.String(), pl.String(), bits, bits, bits, classes, classes, pl.Boolean())
            return pl.DataFrame(schema={**dict(zip(KEY, types, strict=True)), "rows": pl.Int64()})
        return _merged(self._parts).sort(KEY)


def _merged(parts: Sequence[pl.DataFrame]) -> pl.DataFrame:
    return pl.concat(parts).group_by(KEY).agg(pl.col("rows").sum())
