"""Reads valence and arousal that stand in files of their own, a line for each frame of a video."""

from collections.abc import Mapping, Sequence
from typing import Final

import polars as pl

from affect_data.databases.root import DatabaseRoot

RATED: Final = ("valence", "arousal")
ONLY_ONE: Final = "the frame has only one of valence and arousal"


def read_ratings(
    root: DatabaseRoot, files: Mapping[str, Mapping[str, str]], first: int, before: Sequence[str] = ()
) -> pl.DataFrame:
    """A row for each frame that either file rates: track, frame, valence, arousal, va_masked, source_file, source_line.

    A frame that only one of the two rates, because the other ends before, has neither; its reason is `ONLY_ONE`. A row's line is that of the
    valence, or of the arousal where that is all there is. A value that is no number in [-1, 1] is a defect.

    Args:
        root: of the database.
        files: by `RATED`, the track of each file, by path.
        first: the number of the frame that the first line rates.
        before: names of the columns before the rating.
    """
    parts = []
    for label in RATED:
        lines = root.numbers(root.table(list(files[label]), (*before, label)), [label], -1, 1)
        track = pl.col("source_file").replace_strict(dict(files[label]), default=None, return_dtype=pl.String)
        parts.append(lines.with_columns(track=track, frame=pl.col("source_line") - 1 + first).drop(before))
    valence, arousal = parts
    both = valence.join(arousal, on=["track", "frame"], how="full", coalesce=True)
    alone = pl.any_horizontal(pl.col(RATED).is_null())
    if count := len(both.filter(alone)):
        root.note(f"{count:,} frame(s) have only one of valence and arousal, because the other file ends before")
    rows = both.with_columns(
        pl.coalesce("source_file", "source_file_right").alias("source_file"),
        pl.coalesce("source_line", "source_line_right").alias("source_line"),
        *(pl.when(~alone).then(label).alias(label) for label in RATED),
        va_masked=pl.when(alone).then(pl.lit(ONLY_ONE)),
    )
    return rows.drop("source_file_right", "source_line_right").sort(pl.col("track").cast(pl.Int32), "frame")


def with_numbered_frames(
    root: DatabaseRoot, rows: pl.DataFrame, found: pl.DataFrame, folder: str, missed: pl.Expr
) -> pl.DataFrame:
    """The rows with `image`: the file of the frame's number, or the path at which it is missing; frames without a label are noted.

    Args:
        root: of the database.
        rows: with track and frame.
        found: the files that are there: track, frame, file.
        folder: that holds a folder for each track.
        missed: the name of a missing file.
    """
    unlabelled = len(found.join(rows, on=["track", "frame"], how="anti"))
    if unlabelled:
        root.note(f"{unlabelled:,} frame(s) have no label and are not read")
    rows = rows.join(found, on=["track", "frame"], how="left", maintain_order="left")
    image = pl.format(f"{folder}/{{}}/{{}}", "track", pl.coalesce("file", missed))
    return rows.with_columns(image=image).drop("file")
