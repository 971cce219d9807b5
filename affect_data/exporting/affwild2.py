"""Writes the labels of Aff-Wild2: a file for each track and task, or the table of the multi-task challenge."""

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Final

import polars as pl

from affect_data.databases.affwild2.facts import MAPPING, NO_CODE, NO_VALUE
from affect_data.databases.affwild2.layout import (
    JOIN_ORDER,
    MULTI_TASK_HEADER,
    RELEASES,
    SPLIT_FOLDERS,
    TASK_FOLDERS,
    Release,
)
from affect_data.databases.base import Task
from affect_data.exporting.forms import NO_ROW, SPELLING, NativeFile, NativeForm, codes_of, lists, number
from affect_data.vocabulary import unit_name


def _affwild2(rows: pl.DataFrame) -> Iterator[NativeFile]:
    if rows.is_empty():
        return
    release = RELEASES[rows["release"][0]]
    yield from _multi_task(rows, release) if release.multi_task else _tracks(rows, release)


def _multi_task(rows: pl.DataFrame, release: Release) -> Iterator[NativeFile]:
    """A line for each frame, with all tasks; one name in the header stands for all action units."""
    picture = pl.concat_str("track", pl.lit("/"), pl.col("frame").cast(pl.String).str.zfill(5), pl.lit(".jpg"))
    line = pl.concat_str(picture, *(_cells(task, release) for task in JOIN_ORDER), separator=",")
    return lists(rows, line, ",".join(MULTI_TASK_HEADER) + "\n")


def _tracks(rows: pl.DataFrame, release: Release) -> Iterator[NativeFile]:
    """A file for each track and task: a line for every frame up to the last labelled one, with the codes for "no label" where there is none."""
    cells = {task: _cells(task, release) for task in JOIN_ORDER}
    for (track,), own in rows.sort("track", "frame").group_by("track", maintain_order=True):
        for task in JOIN_ORDER:
            labelled = own.filter(pl.any_horizontal(pl.col(_columns(task, release)).is_not_null()))
            if labelled.is_empty():
                continue
            numbers = pl.DataFrame({"frame": range(1, int(labelled["frame"][-1]) + 1)}, {"frame": pl.Int32})
            lines = numbers.join(labelled, on="frame", how="left", maintain_order="left").select(
                cells[task].alias("line")
            )["line"]
            text = "".join(f"{line}\n" for line in (_header(task, release), *lines))
            yield NativeFile(f"{_folder(labelled, task)}/{track}.txt", text)


def _columns(task: Task, release: Release) -> list[str]:
    units = [unit_name(unit) for unit in release.action_units]
    return {"va": ["valence", "arousal"], "expression": ["expression"], "au": units}[task]


def _cells(task: Task, release: Release) -> pl.Expr:
    columns = _columns(task, release)
    if task == "va":
        return pl.concat_str([number(name).fill_null(str(NO_VALUE)) for name in columns], separator=",")
    if task == "expression":
        known = codes_of(MAPPING, "expression")
        codes = {name: code for name, code in known.items() if name in release.expressions}
        return pl.col("expression").replace_strict(codes, default=str(NO_CODE), return_dtype=pl.String)
    return pl.concat_str([pl.col(name).cast(pl.String).fill_null(str(NO_CODE)) for name in columns], separator=",")


def _header(task: Task, release: Release) -> str:
    names = release.header(task)
    return ",".join(names if task == "va" else [name.upper() if task == "au" else name.title() for name in names])


def _folder(rows: pl.DataFrame, task: Task) -> str:
    """The folder of a track's file: that of its source if this is of the task, otherwise the official one of the split that the rows are in."""
    for source in rows["source_file"].unique(maintain_order=True):
        split, folder = PurePosixPath(source).parents[0], PurePosixPath(source).parents[1]
        if folder.name in TASK_FOLDERS[task]:
            return str(split)
    above = PurePosixPath(rows["source_file"][0]).parents[2]
    return str(above / TASK_FOLDERS[task][0] / SPLIT_FOLDERS[rows["split"][0]][0])


AFFWILD2_FORMS: Final[Mapping[str, NativeForm]] = {
    "affwild2": NativeForm(
        _affwild2,
        (
            NO_ROW,
            SPELLING,
            "valence or arousal alone, for which -5,-5 stands",
            "labels of frames without a picture: -5 and -1 stand for them, and the multi-task table is without their lines",
            "lines after a track's last label",
            "of a track whose tasks are in different splits, labels that the policy `strict` masks",
            "with `partial_action_units: false`, the action units of a line that lacks one",
        ),
    )
}
