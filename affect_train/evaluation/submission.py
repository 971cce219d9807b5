"""The scores that the ABAW challenges give to files of predictions: over every annotated frame, also those without a face or a crop."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from affect_data.bounds import ANNOTATION_BYTES, read_file
from affect_data.databases.affwild2.layout import TASK_FOLDERS, Annotations, find_annotations
from affect_data.databases.base import TASKS, Task
from affect_data.databases.root import DatabaseRoot
from affect_data.errors import DEFECTS_SHOWN, DataError, Defect, UnknownNameError, UsageError
from affect_train.evaluation.metrics import concordance_correlation, f1

Floats = NDArray[np.float64]

INVALID: Final[Mapping[Task, float]] = {"au": -1.0, "expression": -1.0, "va": -5.0}
"""The code of an annotation that does not count."""

_AGAIN: Final = "write it again: `affect-train predict MODEL CLIPS --out FOLDER --format abaw`"
_RESTORE: Final = "restore the official file"


@dataclass(frozen=True)
class _Lines:
    """The lines of one file.

    Attributes:
        names: of the columns that its header names, in lower case.
        values: float64 [lines, columns].
    """

    names: tuple[str, ...]
    values: Floats


def score_submission(submission: Path, annotations: Path, split: str = "validation") -> dict[str, Any]:
    """The challenges' score of each task: the figure, what it is made of, and how many frames counted.

    Line n of a file speaks for frame n. A frame counts if it is annotated, whether there is a crop of it or not. Action units: mean F1. Expressions:
    mean F1 over all classes of the header. Valence and arousal: mean concordance. F1 of what is neither predicted nor annotated is 0.

    Args:
        submission: a folder of files as `predict --format abaw` writes them.
        annotations: the root of Aff-Wild2, or a folder of its annotations.
        split: whose annotations.

    Raises:
        UsageError: the folders have no task in common.
        UnknownNameError: there is no such split.
        DataError: files that are missing, too short, of other columns, or with values that are no predictions; all of them at once.

    Sources: Kollias et al., ABAW3 (arXiv 2202.10659), section 4, and later editions: equations of the criteria.
    """
    root = DatabaseRoot(annotations)
    official = _annotations(root, annotations)
    defects: list[Defect] = []
    found: dict[str, Any] = {}
    for task in TASKS:
        folder = _folder_of(submission, task)
        if folder is None or task not in official.tasks:
            continue
        if split not in official.tasks[task]:
            raise UnknownNameError("split of Aff-Wild2", split, official.tasks[task])
        pairs = list(_pairs(root, official.tasks[task][split], folder, task, defects))
        if not defects:
            found[task] = _score(task, pairs)
    if defects:
        listed = "".join(f"\n  {defect}" for defect in defects[:DEFECTS_SHOWN])
        more = f"\n  ... and {len(defects) - DEFECTS_SHOWN:,} more" if len(defects) > DEFECTS_SHOWN else ""
        raise DataError(f"'{submission}' cannot be scored, {len(defects):,} file(s) at fault:{listed}{more}")
    if not found:
        names = ", ".join(names[0] for names in TASK_FOLDERS.values())
        raise UsageError(
            f"'{submission}' and '{annotations}' have no task in common; name the folder that holds {names}, "
            "which is `abaw` in the output of `predict --format abaw`"
        )
    return {"split": split, "release": list(official.possible), "tasks": found}


def _annotations(root: DatabaseRoot, path: Path) -> Annotations:
    found = [one for one in find_annotations(root) if one.tasks]
    if len(found) != 1:
        listed = "; ".join(map(str, found)) or "no annotations with a file for each video"
        raise UsageError(f"'{path}' holds {listed}: name the folder of one release of Aff-Wild2")
    return found[0]


def _folder_of(submission: Path, task: Task) -> Path | None:
    folders = (submission / name for name in TASK_FOLDERS[task])
    return next((folder for folder in folders if folder.is_dir()), None)


def _pairs(
    root: DatabaseRoot, paths: tuple[str, ...], folder: Path, task: Task, defects: list[Defect]
) -> Iterator[tuple[_Lines, _Lines]]:
    for path in paths:
        expected = _read(root.path / path, task, _RESTORE, defects)
        file = folder / PurePosixPath(path).name
        if not file.is_file():
            defects.append(Defect(str(file), 0, "no such file", f"predictions for each line of {path}", _AGAIN))
            continue
        predicted = _read(file, task, _AGAIN, defects)
        if expected is None or predicted is None:
            continue
        if predicted.names != expected.names:
            defects.append(
                Defect(str(file), 1, ",".join(predicted.names)[:80], f"the header {','.join(expected.names)}", _AGAIN)
            )
        elif len(predicted.values) < len(expected.values):
            found = f"{len(predicted.values):,} lines after the header"
            defects.append(Defect(str(file), 0, found, f"{len(expected.values):,}, as {path} has", _AGAIN))
        else:
            yield predicted, expected


def _read(path: Path, task: Task, remedy: str, defects: list[Defect]) -> _Lines | None:
    header, *lines = read_file(path, ANNOTATION_BYTES).decode("utf-8-sig", errors="replace").splitlines() or [""]
    names = tuple(name.strip().lower() for name in header.split(","))
    columns = 1 if task == "expression" else len(names)
    values = np.empty((len(lines), columns))
    for number, line in enumerate(lines):
        cells = line.split(",")
        try:
            if len(cells) != columns:
                raise ValueError
            values[number] = [float(cell) for cell in cells]
        except ValueError:
            defects.append(Defect(str(path), number + 2, repr(line[:60]), f"{columns} number(s)", remedy))
            return None
    return _Lines(names, values)


def _score(task: Task, pairs: list[tuple[_Lines, _Lines]]) -> dict[str, Any]:
    expected = np.concatenate([one.values for _, one in pairs])
    predicted = np.concatenate([given.values[: len(one.values)] for given, one in pairs])
    valid = expected != INVALID[task] if task == "au" else (expected != INVALID[task]).all(axis=1)
    names = pairs[0][1].names
    parts: dict[str, float]
    if task == "au":
        parts = {
            name: _counted(f1(predicted[valid[:, place], place] == 1, expected[valid[:, place], place] == 1))
            for place, name in enumerate(names)
        }
    elif task == "expression":
        given, true = predicted[valid, 0], expected[valid, 0]
        parts = {name: _counted(f1(given == code, true == code)) for code, name in enumerate(names)}
    else:
        parts = {
            name: concordance_correlation(predicted[valid, place], expected[valid, place])
            for place, name in enumerate(names)
        }
    frames = valid.any(axis=1) if valid.ndim == 2 else valid
    return {
        "score": float(np.mean(list(parts.values()))),
        "parts": parts,
        "frames": int(frames.sum()),
        "frames_without_annotation": int((~frames).sum()),
        "videos": len(pairs),
    }


def _counted(score: float) -> float:
    return 0.0 if np.isnan(score) else score
