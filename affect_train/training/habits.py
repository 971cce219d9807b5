"""Which databases of a run have habits of their own, and which one the network follows."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from affect_data.errors import UnknownNameError
from affect_data.files import write_json
from affect_train.inputs.labels import LabelArrays, column_array
from affect_train.inputs.split import LoadedSplit
from affect_train.network.habits import DatabaseHabits
from affect_train.network.model import AffectModel
from affect_train.recipe.model import HabitOptions
from affect_train.tasks import TaskSet

HABITS: Final = "habits.json"
"""Name of the file of habits in the folder of a run."""


@dataclass(frozen=True)
class KnownHabits:
    """The databases that a run learns from.

    Attributes:
        described: what `DatabaseHabits` is built from.
        notes: for the log, a line for each head.
    """

    described: dict[str, Any]
    notes: tuple[str, ...]


def with_databases(
    train: LoadedSplit, rows: NDArray[np.int64], tasks: TaskSet, options: HabitOptions
) -> tuple[LoadedSplit, KnownHabits]:
    """The split with the number of each row's database, and what is learned of these databases.

    For each head (for each action unit), the network follows one database: `options.reference` where that labels it, otherwise the one with the most
    labels among the rows. Every other database with labels has habits of its own.

    Args:
        train: the training split of a dataset folder.
        rows: int64, the rows that are trained on.
        tasks: the heads.
        options: the recipe's section.

    Raises:
        UnknownNameError: the reference is no database of these rows.
    """
    names, codes = train.dataset.features["database"].names, column_array(train.dataset, "database")
    present = np.unique(codes[rows])
    databases = [str(names[code]) for code in present]
    if options.reference is not None and options.reference not in databases:
        raise UnknownNameError("database under model.habits.reference", options.reference, databases)
    # No row of another database is drawn; a number beyond the last one would end the run.
    numbers = np.full(len(names), len(databases), dtype=np.int64)
    numbers[present] = np.arange(len(databases))
    own = numbers[codes]
    labels = replace(train.labels, databases=own)
    free, notes = dict[str, Any](), []
    for task, counts in _counted(labels, rows, own[rows], len(databases), tasks).items():
        if task in options.heads:
            free[task], note = _free(counts, databases, options.reference)
            notes.append(f"habits of {task}: {note}")
    return replace(train, labels=labels), KnownHabits({"databases": databases, "free": free}, tuple(notes))


def _counted(
    labels: LabelArrays, rows: NDArray[np.int64], own: NDArray[np.int64], count: int, tasks: TaskSet
) -> dict[str, NDArray[np.int64]]:
    """The labels of each database, by task of the heads: int64 [D], of action units [D, A]."""
    masks = {"au": labels.au_mask[rows], "expression": labels.expression_mask[rows], "va": labels.va_mask[rows]}
    return {task: np.stack([masks[task][own == number].sum(axis=0) for number in range(count)]) for task in tasks.names}


def _free(counts: NDArray[np.int64], databases: list[str], reference: str | None) -> tuple[list[Any], str]:
    """0 or 1 for each count, whether the database has habits of its own there; and the same in words."""
    by_label = counts.reshape(len(databases), -1)
    followed = by_label.argmax(axis=0)
    if reference is not None:
        number = databases.index(reference)
        followed = np.where(by_label[number] > 0, number, followed)
    free = (by_label > 0) & (np.arange(len(databases))[:, None] != followed)
    leads = ", ".join(sorted({databases[number] for number in followed[by_label.any(axis=0)]}))
    others = ", ".join(name for name, some in zip(databases, free.any(axis=1), strict=True) if some)
    note = f"the network follows {leads}; learned: {others or 'none, no other database has such labels'}"
    return free.reshape(counts.shape).astype(np.int64).tolist(), note


def write_habits(model: AffectModel, folder: Path) -> None:
    """Writes the habits of a model, where it has learned any, as ``habits.json`` into the folder of its run."""
    if isinstance(model.habits, DatabaseHabits):
        write_json(folder / HABITS, model.habits.to_dict())
