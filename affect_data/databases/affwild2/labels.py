"""The annotation lines of Aff-Wild2 as rows: per-task files joined on (track, frame), or the multi-task file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from pathlib import PurePosixPath
from typing import Final

import polars as pl

from affect_data.databases.affwild2.dense import dense_rows
from affect_data.databases.affwild2.facts import MAPPING, NO_CODE, NO_VALUE
from affect_data.databases.affwild2.layout import (
    JOIN_ORDER,
    MULTI_TASK_HEADER,
    Annotations,
    Release,
    files_with_header,
)
from affect_data.databases.affwild2.reasons import (
    HALF_ANNOTATED,
    NOT_ANNOTATED,
    PARTLY_ANNOTATED,
    REPEATED,
    ROW_REFUSED,
)
from affect_data.databases.base import Task
from affect_data.databases.facts import labels_of
from affect_data.databases.root import DatabaseRoot
from affect_data.databases.typed import UnusualError

_KEY: Final = ("track", "frame")
_FILES_SCHEMA: Final = pl.Schema(
    {"task": pl.String(), "track": pl.String(), "split": pl.String(), "source_file": pl.String(), "lines": pl.Int32()}
)
_FRAME_IMAGE: Final = r"^([^/]+)/(\d{5,})\.jpg$"


@dataclass(frozen=True)
class Labelled:
    """The labels of Aff-Wild2.

    Attributes:
        rows: a row for each (track, frame), in that order: `track, frame, source_file, source_line`, the labels (null if missing), the reasons
            `<task>_masked`, and `split_<task>`.
        files: a row for each track and task of the per-task form: `task, track, split, source_file, lines` (label lines; 0 in an empty file).
    """

    rows: pl.DataFrame
    files: pl.DataFrame


def read_labels(
    root: DatabaseRoot, annotations: Annotations, release: Release, *, partial_action_units: bool
) -> Labelled:
    """The labels of one release.

    Args:
        root: records the defects and the repeated lines.
        annotations: the files.
        release: their columns and classes.
        partial_action_units: whether the annotated action units of a row count if others of the row are not annotated; otherwise all are refused,
            which is the rule of the competition.
    """
    if annotations.multi_task:
        rows = _multi_task_rows(root, annotations, release).sort(_KEY)
        labelled = Labelled(rows, pl.DataFrame(schema=_FILES_SCHEMA))
    else:
        labelled = _rows_of_tasks(root, annotations, release)
    if partial_action_units:
        return labelled
    return replace(labelled, rows=_refuse_partial_action_units(labelled.rows, release))


def label_columns(release: Release) -> list[str]:
    """The columns that hold a release's labels."""
    return ["valence", "arousal", "expression", *_action_unit_columns(release)]


def _action_unit_columns(release: Release) -> list[str]:
    return [f"au_{number}" for number in release.action_units]


# ------------------------------------------------------------------ values


def _parsed(root: DatabaseRoot, lines: pl.DataFrame, task: Task, release: Release) -> pl.DataFrame:
    """The lines with the columns of one task as labels, and `<task>_masked` where they have its sentinel."""
    if task == "va":
        lines = root.numbers(lines, ("valence", "arousal"), -1, 1, missing=(NO_VALUE,))
        missing = pl.sum_horizontal(pl.col("valence", "arousal").is_null())
        reason = pl.when(missing == 2).then(pl.lit(NOT_ANNOTATED)).when(missing == 1).then(pl.lit(HALF_ANNOTATED))
        complete = [pl.when(missing == 0).then(pl.col(name)).alias(name) for name in ("valence", "arousal")]
        return lines.with_columns(reason.alias("va_masked"), *complete)
    if task == "expression":
        known = labels_of(MAPPING, "expression")
        codes = {code: name for code, name in known.items() if name is None or name in release.expressions}
        lines = root.classes(lines, "expression", codes)
        return lines.with_columns(
            pl.when(pl.col("expression").is_null()).then(pl.lit(NOT_ANNOTATED)).alias("expression_masked")
        )
    columns = _action_unit_columns(release)
    lines = root.integers(lines, columns, (0, 1), missing=(NO_CODE,))
    missing = pl.sum_horizontal(pl.col(columns).is_null())
    reason = (
        pl.when(missing == len(columns)).then(pl.lit(NOT_ANNOTATED)).when(missing > 0).then(pl.lit(PARTLY_ANNOTATED))
    )
    return lines.with_columns(reason.alias("au_masked"))


def _refuse_partial_action_units(rows: pl.DataFrame, release: Release) -> pl.DataFrame:
    refused = (pl.col("au_masked") == PARTLY_ANNOTATED).fill_null(value=False)
    return rows.with_columns(
        *(pl.when(~refused).then(pl.col(name)).alias(name) for name in _action_unit_columns(release)),
        pl.when(refused).then(pl.lit(ROW_REFUSED)).otherwise("au_masked").alias("au_masked"),
    )


def task_columns(task: Task, release: Release) -> list[str]:
    """The columns that hold the labels of one task."""
    return {"va": ["valence", "arousal"], "expression": ["expression"], "au": _action_unit_columns(release)}[task]


# ------------------------------------------------------------------ one file a track and task


def _rows_of_tasks(root: DatabaseRoot, annotations: Annotations, release: Release) -> Labelled:
    """The rows of all tasks, each with the split of its track, which holds also for frames that the file of the task does not reach."""
    files = {task: _files_of_task(root, annotations, task, release) for task in JOIN_ORDER}
    try:
        rows, lines = dense_rows(root, files, release)
    except UnusualError:
        rows, lines = _joined_rows(root, files, release)
    for task in JOIN_ORDER:
        splits = dict(files[task].select("track", "split").iter_rows())
        split = pl.col("track").replace_strict(splits, default=None, return_dtype=pl.String)
        rows = rows.with_columns(split.alias(f"split_{task}"))
        counted = files[task].with_columns(lines[task].alias("lines"), pl.lit(task).alias("task"))
        files[task] = counted.select("task", "track", "split", "source_file", "lines")
    return Labelled(rows, pl.concat(files.values()))


def _joined_rows(
    root: DatabaseRoot, files: Mapping[Task, pl.DataFrame], release: Release
) -> tuple[pl.DataFrame, dict[Task, pl.Series]]:
    """What `dense_rows` gives, line by line, with a defect for everything that contradicts the documentation."""
    tasks = {task: _task_rows(root, task, files[task], release) for task in JOIN_ORDER}
    rows = reduce(lambda left, right: left.join(right, on=_KEY, how="full", coalesce=True), tasks.values())
    sources = ("source_file", "source_line")
    rows = rows.with_columns(pl.coalesce(f"{task}_{source}" for task in JOIN_ORDER).alias(source) for source in sources)
    rows = rows.drop(f"{task}_{source}" for task in JOIN_ORDER for source in sources).sort(_KEY)
    counts = {}
    for task in JOIN_ORDER:
        last = tasks[task].group_by("track").agg(pl.col("frame").max().alias("lines"))
        counts[task] = files[task].join(last, on="track", how="left", maintain_order="left")["lines"].fill_null(0)
    return rows, counts


def _files_of_task(root: DatabaseRoot, annotations: Annotations, task: Task, release: Release) -> pl.DataFrame:
    """The files of one task whose header fits, one for each track: `source_file, track, split`."""
    by_track: dict[str, tuple[str, str]] = {}
    for split, paths in annotations.tasks.get(task, {}).items():
        for path in files_with_header(root, annotations, paths, release.header(task)):
            track = PurePosixPath(path).stem
            if track in by_track:
                _two_splits(root, path, 0, track, by_track[track][0])
            else:
                by_track[track] = (path, split)
    rows = [(path, track, split) for track, (path, split) in by_track.items()]
    return pl.DataFrame(rows, schema=dict.fromkeys(("source_file", "track", "split"), pl.String), orient="row")


def _task_rows(root: DatabaseRoot, task: Task, files: pl.DataFrame, release: Release) -> pl.DataFrame:
    """The lines of one task: `track, frame`, its labels, `<task>_masked`, `<task>_source_file`, `<task>_source_line`."""
    columns = task_columns(task, release)
    lines = root.table(files["source_file"].to_list(), columns, skip_lines=1) if len(files) else _no_lines(columns)
    rows = _parsed(root, lines, task, release).join(files.select("source_file", "track"), on="source_file", how="left")
    # The header is line 1 and images are numbered from 1, so line n + 1 belongs to image n.
    frame = (pl.col("source_line") - 1).cast(pl.Int32)
    sources = (pl.col(name).alias(f"{task}_{name}") for name in ("source_file", "source_line"))
    return rows.select("track", frame.alias("frame"), *columns, f"{task}_masked", *sources)


def _no_lines(columns: Sequence[str]) -> pl.DataFrame:
    names: dict[str, type[pl.DataType]] = dict.fromkeys((*columns, "source_file"), pl.String)
    return pl.DataFrame(schema={**names, "source_line": pl.Int32})


def _two_splits(root: DatabaseRoot, path: str, line: int, track: str, other: str) -> None:
    root.defect(
        path,
        line,
        f"the track '{track}', which is also in {other}",
        "each track in one split of a task",
        "remove it from the split that the official release does not list it in",
    )


# ------------------------------------------------------------------ one file for all tasks


def _multi_task_rows(root: DatabaseRoot, annotations: Annotations, release: Release) -> pl.DataFrame:
    """The rows of the multi-task files. One name in their header stands for twelve action units, and frames may be repeated."""
    columns = ["image", *label_columns(release)]
    parts = []
    for split, path in annotations.multi_task.items():
        fits = files_with_header(root, annotations, [path], MULTI_TASK_HEADER)
        lines = root.table(path, columns, skip_lines=1) if fits else _no_lines(columns)
        parts.append(lines.with_columns(pl.lit(split).alias("split")))
    rows = _with_frame(root, pl.concat(parts))
    _refuse_tracks_in_two_splits(root, rows)
    for task in JOIN_ORDER:
        rows = _parsed(root, rows, task, release)
    repeated = ~pl.struct(_KEY).is_first_distinct()
    root.fail(rows.filter(repeated).drop("image"), REPEATED)
    splits = [pl.col("split").alias(f"split_{task}") for task in JOIN_ORDER]
    return rows.filter(~repeated).drop("image").with_columns(splits).drop("split")


def _with_frame(root: DatabaseRoot, lines: pl.DataFrame) -> pl.DataFrame:
    """The lines with `track` and `frame` from the name of the image; a name of another form is a defect."""
    rows = lines.with_columns(
        pl.col("image").str.extract(_FRAME_IMAGE, 1).alias("track"),
        pl.col("image").str.extract(_FRAME_IMAGE, 2).cast(pl.Int32, strict=False).alias("frame"),
    )
    return root.refuse(rows, pl.col("frame").is_null(), "image = {image!r}", "<track>/<five digits>.jpg")


def _refuse_tracks_in_two_splits(root: DatabaseRoot, rows: pl.DataFrame) -> None:
    seen: dict[str, str] = {}
    first = rows.group_by("track", "split", maintain_order=True).agg(pl.col("source_file", "source_line").first())
    for track, _, file, line in first.iter_rows():
        if track in seen:
            _two_splits(root, file, line, track, seen[track])
        seen[track] = file
