"""Writes predictions of clips as the ABAW challenges take them: for each task and clip a text file with a line for every frame."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from affect_data.databases.affwild2.layout import ACTION_UNITS_8, ACTION_UNITS_12, EXPRESSIONS, TASK_FOLDERS
from affect_data.databases.base import Task
from affect_data.errors import UsageError
from affect_train.predicting.columns import FaceColumns

FOLDER: Final = "abaw"


def submission_columns(columns: FaceColumns) -> dict[Task, tuple[str, ...]]:
    """The columns of the table that each task of the challenges takes, in the order of its header.

    Raises:
        UsageError: the model has no task with the labels of any edition.
    """
    found: dict[Task, tuple[str, ...]] = {}
    for numbers in (ACTION_UNITS_8, ACTION_UNITS_12):
        names = tuple(f"AU{number:02d}" for number in numbers)
        if set(names) <= set(columns.units):
            found["au"] = tuple(f"{name}_present" for name in names)
    for classes in (EXPRESSIONS[:7], EXPRESSIONS):
        if set(classes) <= set(columns.expressions):
            found["expression"] = tuple(f"expression_{name}" for name in classes)
    if columns.has_valence:
        found["va"] = ("valence", "arousal")
    if not found:
        raise UsageError(
            "--format abaw: the model predicts neither the 12 (or 8) action units nor the 8 (or 7) expressions of the challenges, "
            "nor valence and arousal; name a model of one of them"
        )
    return found


def write_submission(
    folder: Path, clips: Mapping[str, tuple[str, int]], table: pl.LazyFrame, columns: FaceColumns
) -> list[str]:
    """Writes the files under `folder`; returns the clips without any face, of which there is none.

    Of several faces in a clip the one is taken that is seen in most frames. A frame without it has what the last frame before with it has, or, before
    its first, what its first has: the challenges score every annotated frame, also those whose face nobody found.

    Args:
        folder: made for the files.
        clips: by name of the source, the file name without ending and the number of frames.
        table: the table of faces.
        columns: of the table.
    """
    tasks, without = submission_columns(columns), []
    for source, (name, frames) in clips.items():
        rows = table.filter(pl.col("file") == source).collect()
        if rows.is_empty():
            without.append(source)
            continue
        track = rows["track"].value_counts().sort("count", "track", descending=[True, False])["track"][0]
        own = rows.filter(pl.col("track") == track).sort("frame")
        places = _shown_by(own["frame"].to_numpy(), frames)
        for task, wanted in tasks.items():
            path = folder / TASK_FOLDERS[task][0] / f"{name}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            values = own.select(wanted).to_numpy()[places]
            path.write_text("\n".join(_lines(task, wanted, values)) + "\n", encoding="utf-8")
    return without


def _shown_by(seen: NDArray[np.int64], frames: int) -> NDArray[np.int64]:
    """For each of so many frames, the place of the row that speaks for it."""
    return np.maximum(np.searchsorted(seen, np.arange(frames), side="right") - 1, 0)


def _lines(task: Task, wanted: tuple[str, ...], values: NDArray[np.floating]) -> Iterator[str]:
    names = [name.removeprefix("expression_").removesuffix("_present") for name in wanted]
    if task == "au":
        yield ",".join(f"AU{int(name[2:])}" for name in names)
        yield from (",".join(str(int(value)) for value in row) for row in values.tolist())
    elif task == "expression":
        yield ",".join(name.capitalize() for name in names)
        yield from (str(code) for code in values.argmax(axis=1).tolist())
    else:
        yield ",".join(names)
        yield from (",".join(f"{value:.3f}" for value in row) for row in values.tolist())
