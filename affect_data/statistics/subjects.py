"""How many people a dataset shows, and how many of them carry which labels."""

from typing import Final

import polars as pl

from affect_data.dataset.label_chunks import LabelChunk

_KEY: Final = ("database", "split", "subject")
_LABELS: Final = ("au", "expression", "va")


class SubjectCounter:
    """Counts the rows and labels of each subject in chunks of rows."""

    def __init__(self) -> None:
        self._parts: list[pl.DataFrame] = []

    def add(self, chunk: LabelChunk) -> None:
        """Counts the rows of a chunk that has `database`, `subject`, `au`, `expression` and `va_mask`."""
        subject = pl.from_arrow(chunk.table.column("subject").combine_chunks())
        rows = pl.DataFrame(
            {
                "database": chunk["database"].astype("int32"),
                "subject": subject,
                "au": (chunk["au"] >= 0).any(axis=1),
                "expression": chunk["expression"] >= 0,
                "va": chunk["va_mask"],
            }
        )
        counted = rows.group_by("database", "subject").agg(pl.len().alias("rows"), pl.col(_LABELS).sum())
        names = dict(enumerate(chunk.databases))
        self._parts.append(
            counted.select(
                pl.col("database").replace_strict(names, return_dtype=pl.String),
                pl.lit(chunk.split).alias("split"),
                "subject",
                pl.col("rows", *_LABELS).cast(pl.Int64),
            )
        )

    def table(self) -> pl.DataFrame:
        """A line for each database and split.

        `subjects`; how many of them have a row with `au`, `expression`, `va`; the fewest, median and most rows of a subject; `rows_without_subject`.
        """
        empty = pl.DataFrame(
            schema={**dict.fromkeys(_KEY, pl.String()), **dict.fromkeys(("rows", *_LABELS), pl.Int64())}
        )
        people = pl.concat([empty, *self._parts]).group_by(_KEY).agg(pl.col("rows", *_LABELS).sum())
        named = pl.col("subject") != ""
        rows = pl.col("rows").filter(named)
        counted = people.group_by("database", "split").agg(
            named.sum().cast(pl.Int64).alias("subjects"),
            *((named & (pl.col(task) > 0)).sum().cast(pl.Int64).alias(task) for task in _LABELS),
            rows.min().alias("rows_min"),
            rows.median().alias("rows_median"),
            rows.max().alias("rows_max"),
            pl.col("rows").filter(~named).sum().alias("rows_without_subject"),
        )
        return counted.sort("database", "split")
