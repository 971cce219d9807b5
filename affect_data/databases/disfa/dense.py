"""The label files of DISFA, read at once: each line has its place by its subject and frame, so that the action units need not be joined.

It gives what the strict reader gives, cell by cell, as long as the files hold plain whole numbers in range, and each frame once. Anything else raises
`UnusualError`, and the strict reader says what is wrong.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from affect_data.databases.root import DatabaseRoot
from affect_data.databases.typed import UnusualError, gathered, line_counts, plain_lines, typed_columns

STRONGEST: Final = 5
NOT_LISTED: Final = -1
SPREAD: Final = 16
"""How many times as many frame numbers as lines a subject may have; more would fill the memory with places of no line."""


def dense_frames(root: DatabaseRoot, files: pl.DataFrame, units: Sequence[int]) -> pl.DataFrame:
    """A row for each subject and frame: au_intensity_* (null if no file lists the frame), and the first line that lists it.

    Args:
        root: of the database.
        files: source_file, subject, action_unit; sorted by subject, then by action unit.
        units: the action units of the columns.

    Raises:
        UnusualError: a file is not as plain as expected, or it is to be read line by line.
    """
    if root.line_by_line or files.is_empty():
        raise UnusualError("read line by line, or no file")
    return pl.concat([_of_subject(root, own, units) for own in files.partition_by("subject", maintain_order=True)])


def _of_subject(root: DatabaseRoot, files: pl.DataFrame, units: Sequence[int]) -> pl.DataFrame:
    texts = [plain_lines(root, path) for path in files["source_file"]]
    counts = line_counts(texts)
    lines = typed_columns(texts, {"frame": pa.int32(), "intensity": pa.int8()})
    frames, intensities = lines["frame"], lines["intensity"]
    if not ((frames >= 1) & (frames <= SPREAD * len(frames))).all():
        raise UnusualError("a frame out of range")
    if not ((intensities >= 0) & (intensities <= STRONGEST)).all():
        raise UnusualError("an intensity out of range")
    last = int(frames.max(initial=0))
    values = np.full((len(files), last + 1), NOT_LISTED, np.int8)
    values[np.repeat(np.arange(len(files)), counts), frames] = intensities
    listed = values != NOT_LISTED
    if listed.sum() != len(frames):
        raise UnusualError("a frame again")
    kept = np.flatnonzero(listed.any(axis=0))
    first, numbers = listed[:, kept].argmax(axis=0), _line_numbers(frames, counts, values.shape)
    by_unit = dict(zip(files["action_unit"], values, strict=True))
    absent = np.full(last + 1, NOT_LISTED, np.int8)
    return pl.DataFrame(
        [
            pl.repeat(files["subject"][0], len(kept), dtype=pl.String, eager=True).alias("subject"),
            pl.Series("frame", kept.astype(np.int32)),
            gathered(files["source_file"].to_list(), first).alias("source_file"),
            pl.Series("source_line", numbers[first, kept]),
            *(_intensity(unit, by_unit.get(unit, absent)[kept]) for unit in units),
        ]
    )


def _line_numbers(
    frames: npt.NDArray[np.int32], counts: npt.NDArray[np.int64], shape: tuple[int, int]
) -> npt.NDArray[np.int32]:
    """The number of the line of each file that lists each frame."""
    numbers = np.zeros(shape, np.int32)
    before = np.repeat(np.cumsum(counts) - counts, counts)
    numbers[np.repeat(np.arange(len(counts)), counts), frames] = np.arange(len(frames)) - before + 1
    return numbers


def _intensity(unit: int, values: npt.NDArray[np.int8]) -> pl.Series:
    return pl.Series(f"au_intensity_{unit}", pa.array(values, mask=values == NOT_LISTED))
