"""Reads the code files of BP4D: which action units occur in each frame, and the intensity of five of them."""

from collections.abc import Mapping, Sequence
from typing import Final

import polars as pl

from affect_data.databases.root import DatabaseRoot
from affect_data.databases.spelling import whole_numbers
from affect_data.vocabulary import ACTION_UNITS

NOT_CODED: Final = 9
HIGHEST: Final = 5
OCCLUDED: Final = 99
"""The column that is 1 if the face is hidden."""

_OCCURRENCE: Final = "occurrence of AU{}"
_INTENSITY: Final = "intensity of AU{}"
_NO_OCCURRENCES: Final = pl.DataFrame(
    schema={
        "track": pl.String,
        "frame": pl.Int32,
        **{f"au_{unit}": pl.Int8 for unit in ACTION_UNITS},
        "occluded": pl.Boolean,
        "source_file": pl.String,
        "source_line": pl.Int32,
    }
)


def read_occurrences(root: DatabaseRoot, files: Mapping[str, str]) -> pl.DataFrame:
    """The lines of the occurrence files, a row for each frame: track, frame, au_<n>, occluded, source_file, source_line.

    `au_<n>` is Int8 for every action unit of the vocabulary: 0, 1, 9 (not coded), or null if the file has no column for it.
    A header that does not name action units, a repeated frame and any other value are defects.
    """
    by_header: dict[tuple[int, ...], list[str]] = {}
    for path in files.values():
        columns = _columns_named(root, path)
        if columns:
            by_header.setdefault(columns, []).append(path)
    parts = [_NO_OCCURRENCES]
    for columns, paths in by_header.items():
        lines = root.table(paths, ["frame", *(_OCCURRENCE.format(column) for column in columns)], skip_lines=1)
        kept = [column for column in columns if column in ACTION_UNITS or column == OCCLUDED]
        lines = root.integers(lines, [_OCCURRENCE.format(column) for column in kept], (0, 1, NOT_CODED))
        lines = _with_track(_unique_frames(root, lines), files)
        codes = {f"au_{unit}": _column(lines, unit) for unit in ACTION_UNITS}
        occluded = (_column(lines, OCCLUDED) == 1).fill_null(value=False)
        parts.append(
            lines.select(
                "track", "frame", **codes, occluded=occluded, source_file="source_file", source_line="source_line"
            )
        )
    return pl.concat(parts)


def read_intensities(
    root: DatabaseRoot, files: Mapping[tuple[str, int], str], action_units: Sequence[int]
) -> pl.DataFrame:
    """The lines of the intensity files, a row for each frame: track, frame, au_intensity_<n>, source_file, source_line.

    `au_intensity_<n>` is Int8: 0 to 5, 9 (not coded), or null if no line of the action unit lists the frame. The source is the first line that
    lists the frame.
    """
    tables = []
    for unit in action_units:
        paths = {track: path for (track, number), path in files.items() if number == unit}
        lines = root.table(list(paths.values()), ["frame", _INTENSITY.format(unit)])
        lines = root.integers(lines, [_INTENSITY.format(unit)], (*range(HIGHEST + 1), NOT_CODED))
        lines = _with_track(_unique_frames(root, lines), paths)
        tables.append(lines.rename({_INTENSITY.format(unit): f"au_intensity_{unit}"}))
    frame = ["track", "frame"]
    sources = [table.select(*frame, "source_file", "source_line") for table in tables]
    frames = pl.concat(sources).unique(frame, keep="first", maintain_order=True)
    for table in tables:
        frames = frames.join(table.drop("source_file", "source_line"), on=frame, how="left", maintain_order="left")
    return frames


def _columns_named(root: DatabaseRoot, path: str) -> tuple[int, ...]:
    """The action unit of every column after the first, which holds the frame; empty, and a defect, if the header does not name them."""
    names = [name.strip().strip('"') for name in root.first_line(path).split(",")[1:]]
    numbers = tuple(int(name) for name in names if name.isdecimal())
    if names and len(set(numbers)) == len(names) and all(1 <= number <= OCCLUDED for number in numbers):
        return numbers
    root.read_text(path)
    root.defect(
        path, 1, f"a header {','.join(['...', *names])[:60]!r}",
        "0,1,2,...,99, or after the first cell the numbers of the action units, each once", "restore the official file",
    )  # fmt: skip
    return ()


def _unique_frames(root: DatabaseRoot, lines: pl.DataFrame) -> pl.DataFrame:
    """The lines with `frame` as Int32; a value that is no frame number, and a frame that is repeated in its file, are defects."""
    lines = lines.with_columns(number=whole_numbers(lines["frame"], 1))
    lines = root.refuse(lines, pl.col("number").is_null(), "frame = {frame!r}", "a frame number from 1")
    lines = root.refuse_repeated(lines, ("source_file", "number"), "frame {number} again", "one line for each frame")
    return lines.drop("frame").rename({"number": "frame"})


def _with_track(lines: pl.DataFrame, files: Mapping[str, str]) -> pl.DataFrame:
    track_of = {path: track for track, path in files.items()}
    track = pl.col("source_file").replace_strict(track_of, default=None, return_dtype=pl.String)
    return lines.with_columns(track.alias("track"))


def _column(lines: pl.DataFrame, number: int) -> pl.Expr:
    name = _OCCURRENCE.format(number)
    return pl.col(name) if name in lines.columns else pl.lit(None, dtype=pl.Int8)
