"""The per-task files of Aff-Wild2, read at once: each line has its place by its track and its number, so that the tasks need not be joined.

It gives the rows of `affect_data.databases.affwild2.labels`, cell by cell, as long as the files hold plain numbers in range. Anything else raises
`UnusualError`, and the strict reader says what is wrong.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from affect_data.databases.affwild2.facts import NO_CODE, NO_VALUE
from affect_data.databases.affwild2.layout import JOIN_ORDER, Release
from affect_data.databases.affwild2.reasons import HALF_ANNOTATED, NOT_ANNOTATED, PARTLY_ANNOTATED
from affect_data.databases.base import Task
from affect_data.databases.root import DatabaseRoot
from affect_data.databases.typed import UnusualError, gathered, line_counts, plain_lines, typed_columns

HEADER_LINES: Final = 1
NOWHERE: Final = -1

_Values = npt.NDArray[Any]


@dataclass(frozen=True)
class DenseTask:
    """The lines of one task.

    Attributes:
        columns: labels and the reason `<task>_masked`, for every place; null where the task has no line.
        files: for every place the number of the file that has a line for it; `NOWHERE` if there is none.
        counts: number of lines of each file.
    """

    columns: list[pl.Series]
    files: npt.NDArray[np.int32]
    counts: npt.NDArray[np.int64]


def dense_rows(
    root: DatabaseRoot, files: Mapping[Task, pl.DataFrame], release: Release
) -> tuple[pl.DataFrame, dict[Task, pl.Series]]:
    """A row for each track and frame, in that order, without splits; and how many lines each file has, by task.

    Args:
        root: of the database.
        files: `source_file, track` of each task, one file for each track.
        release: the columns and classes.

    Raises:
        UnusualError: a file is not as plain as expected, or it is to be read line by line.
    """
    if root.line_by_line:
        raise UnusualError("read line by line")
    texts = {
        task: [plain_lines(root, path, HEADER_LINES) for path in files[task]["source_file"]] for task in JOIN_ORDER
    }
    counts = {task: line_counts(texts[task]) for task in JOIN_ORDER}
    tracks = pl.concat([files[task]["track"] for task in JOIN_ORDER]).unique().sort()
    codes = {task: tracks.search_sorted(files[task]["track"]).to_numpy() for task in JOIN_ORDER}
    lengths = np.zeros(len(tracks), np.int64)
    for task in JOIN_ORDER:
        np.maximum.at(lengths, codes[task], counts[task])
    starts = np.cumsum(lengths) - lengths
    parsed = {}
    for task in JOIN_ORDER:
        places = _ranges(starts[codes[task]], counts[task])
        parsed[task] = _dense_task(texts.pop(task), task, release, places, int(lengths.sum()), counts[task])
    frames = _ranges(np.ones(len(tracks), np.int64), lengths).astype(np.int32)
    rows = pl.DataFrame(
        [
            gathered(tracks.to_list(), np.repeat(np.arange(len(tracks)), lengths)).alias("track"),
            pl.Series("frame", frames),
            *(column for task in JOIN_ORDER for column in parsed[task].columns),
            _source_files(files, parsed).alias("source_file"),
            pl.Series("source_line", frames + np.int32(HEADER_LINES)),
        ]
    )
    return rows, {task: pl.Series("lines", parsed[task].counts, dtype=pl.Int32) for task in JOIN_ORDER}


def _ranges(starts: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The whole numbers from each start, as many as its length says."""
    shifts = np.repeat(starts - np.cumsum(lengths) + lengths, lengths)
    return np.add(np.arange(len(shifts)), shifts)


def _source_files(files: Mapping[Task, pl.DataFrame], parsed: Mapping[Task, DenseTask]) -> pl.Series:
    """For every place the file of the first task that has a line for it."""
    names: list[str] = []
    source = np.full(len(parsed[JOIN_ORDER[0]].files), NOWHERE, np.int32)
    for task in JOIN_ORDER:
        own = parsed[task].files
        source = np.where((source == NOWHERE) & (own != NOWHERE), own + len(names), source)
        names += files[task]["source_file"].to_list()
    return gathered(names, source)


def _dense_task(
    texts: Sequence[bytes],
    task: Task,
    release: Release,
    places: npt.NDArray[np.int64],
    length: int,
    counts: npt.NDArray[np.int64],
) -> DenseTask:
    files = np.full(length, NOWHERE, np.int32)
    files[places] = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
    if task == "va":
        columns = _valence_arousal(texts, places, length)
    elif task == "expression":
        columns = _expression(texts, release, places, length)
    else:
        columns = _action_units(texts, release, places, length)
    return DenseTask(columns, files, counts)


def _valence_arousal(texts: Sequence[bytes], places: npt.NDArray[np.int64], length: int) -> list[pl.Series]:
    lines = typed_columns(texts, dict.fromkeys(("valence", "arousal"), pa.float64()))
    missing = {name: values == NO_VALUE for name, values in lines.items()}
    if not all((missing[name] | (np.abs(values) <= 1)).all() for name, values in lines.items()):
        raise UnusualError("valence or arousal out of range")
    gone = missing["valence"].astype(np.int8) + missing["arousal"]
    reasons = np.array([NOWHERE, 1, 0], np.int8)[gone]
    return [
        *(_placed(name, values, gone == 0, places, length) for name, values in lines.items()),
        _reasons("va_masked", (NOT_ANNOTATED, HALF_ANNOTATED), reasons, places, length),
    ]


def _expression(
    texts: Sequence[bytes], release: Release, places: npt.NDArray[np.int64], length: int
) -> list[pl.Series]:
    codes = typed_columns(texts, {"expression": pa.int8()})["expression"]
    if not ((codes >= NO_CODE) & (codes < len(release.expressions))).all():
        raise UnusualError("an unknown expression")
    reasons = np.where(codes == NO_CODE, 0, NOWHERE).astype(np.int8)
    return [
        _reasons("expression", release.expressions, codes, places, length),
        _reasons("expression_masked", (NOT_ANNOTATED,), reasons, places, length),
    ]


def _action_units(
    texts: Sequence[bytes], release: Release, places: npt.NDArray[np.int64], length: int
) -> list[pl.Series]:
    units = typed_columns(texts, {f"au_{number}": pa.int8() for number in release.action_units})
    if not all(((values >= NO_CODE) & (values <= 1)).all() for values in units.values()):
        raise UnusualError("an unknown code of an action unit")
    gone = np.zeros(len(places), np.int8)
    for values in units.values():
        gone += values == NO_CODE
    reasons = np.where(gone == len(units), 0, np.where(gone > 0, 1, NOWHERE)).astype(np.int8)
    return [
        *(_placed(name, values, values != NO_CODE, places, length) for name, values in units.items()),
        _reasons("au_masked", (NOT_ANNOTATED, PARTLY_ANNOTATED), reasons, places, length),
    ]


def _placed(
    name: str, values: _Values, known: npt.NDArray[np.bool_], places: npt.NDArray[np.int64], length: int
) -> pl.Series:
    """The values at their places; null elsewhere, and where they are not known."""
    everywhere, absent = np.zeros(length, values.dtype), np.ones(length, bool)
    everywhere[places], absent[places] = values, ~known
    return pl.Series(name, pa.array(everywhere, mask=absent))


def _reasons(name: str, texts: Sequence[str], codes: _Values, places: npt.NDArray[np.int64], length: int) -> pl.Series:
    """The text of each code at its place; null elsewhere, and for codes below 0."""
    everywhere = np.full(length, NOWHERE, np.int32)
    everywhere[places] = codes
    return gathered(texts, everywhere).alias(name)
