"""Findings of the audit and groups of copies as columns of the label table."""

from typing import Final

import numpy as np
import polars as pl

from affect_data.audit.run import NotAuditedError, read_audit
from affect_data.dataset.folder import DatasetFolder

SEVERITIES: Final = ("error", "warning", "review")


def finding_columns(folder: DatasetFolder, frame: pl.DataFrame) -> tuple[list[pl.Series], tuple[str, ...], str]:
    """Columns ``copies``, ``severity``, ``score`` and ``finding.<check>``; the checks that found something; why there are none.

    Args:
        folder: the dataset.
        frame: its rows, with `uid`, `split` (a code), `face` and `digest`.
    """
    try:
        found = read_audit(folder.path)
    except NotAuditedError as error:
        nothing = [pl.Series("severity", [None], pl.Int8), pl.Series("score", [None], pl.Float32)]
        return [same_pictures(frame), *(column.new_from_index(0, len(frame)) for column in nothing)], (), str(error)
    codes = {name: code for code, name in enumerate(folder.splits)}
    rows = frame.select("uid", "split").with_row_index("row")
    placed = found.with_columns(
        pl.col("split").replace_strict(codes, default=-1, return_dtype=pl.Int8),
        pl.col("severity").replace_strict(
            {name: rank for rank, name in enumerate(SEVERITIES)}, default=len(SEVERITIES), return_dtype=pl.Int8
        ),
    ).join(rows, on=["uid", "split"], how="inner", maintain_order="left")
    worst = placed.group_by("row").agg(
        pl.col("severity").min(), pl.col("score").filter(pl.col("severity") == pl.col("severity").min()).max()
    )
    columns = [_spread(worst, name, name, len(frame)) for name in ("severity", "score")]
    checks = tuple(placed["check"].unique(maintain_order=True))
    for check in checks:
        own = placed.filter(pl.col("check") == check).group_by("row").agg(pl.col("score").max())
        columns.append(_spread(own, "score", f"finding.{check}", len(frame)))
    return [_copies(placed, frame), *columns], checks, ""


def same_pictures(frame: pl.DataFrame) -> pl.Series:
    """A number for the rows that show the same face of the very same picture; null for a face that stands once."""
    group = pl.struct("digest", "face").rank("dense").cast(pl.Int32)
    return frame.select(copies=pl.when(pl.len().over("digest", "face") > 1).then(group)).to_series()


def _copies(placed: pl.DataFrame, frame: pl.DataFrame) -> pl.Series:
    """Groups of copies as the audit found them; where it did not look for any, the rows of the same picture."""
    groups = placed.filter(pl.col("check") == "duplicates").select(
        "row", pl.col("evidence").str.json_path_match("$.group").rank("dense").cast(pl.Int32).alias("group")
    )
    return same_pictures(frame) if groups.is_empty() else _spread(groups, "group", "copies", len(frame))


def _spread(values: pl.DataFrame, column: str, name: str, rows: int) -> pl.Series:
    """A column for all rows from values of some, null elsewhere."""
    every = pl.DataFrame({"row": np.arange(rows, dtype=np.uint32)})
    spread = every.join(values.unique("row", keep="first"), on="row", how="left", maintain_order="left")
    return spread[column].alias(name)
