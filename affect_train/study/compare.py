"""Compares two models, or two groups of soft labels, on the same rows of a dataset."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from affect_data.dataset.folder import DatasetFolder
from affect_data.errors import DataError
from affect_train.errors import ModelMismatchError
from affect_train.evaluation.differences import LEAST_PEOPLE, Group, Pair, differences
from affect_train.evaluation.intervals import LEVEL, Clusters
from affect_train.evaluation.selection import SELECTED_ON, refuse_selected
from affect_train.evaluation.significance import RATE
from affect_train.evaluation.subgroups import Attribute, attributes_of, is_enough, minimum
from affect_train.inference.inference import Logits
from affect_train.inputs.labels import LabelArrays, check_labels, column_array, load_labels, text_codes
from affect_train.inputs.source import OwnFolder, open_own_folder
from affect_train.labelling.averaging import predictions_of
from affect_train.labelling.ensemble import Member, member_logits, open_member
from affect_train.labelling.teachers.own import AffectTeacher
from affect_train.runtime import Runtime
from affect_train.tasks import DEFAULT_THRESHOLD, TaskSet

SOFT: Final = "soft:"
"""What stands before the name of a group of soft labels of the dataset."""


def compare(
    first: str,
    second: str,
    dataset: Path | str,
    split: str,
    *,
    resamples: int = 1000,
    optimistic: bool = False,
    workers: int | None = None,
) -> dict[str, Any] | None:
    """The differences between two models on a split, as values that JSON can hold, on the main process; None on the others.

    Keys: ``first``, ``second``, ``dataset``, ``fingerprint``, ``split``, ``rows``, ``people`` (how many subjects, tracks and rows are drawn),
    ``level``, ``rate``, ``resamples``, ``differences`` (from `differences.Difference`), and ``left_out``.

    Args:
        first: whatever `open_teacher` takes, or ``soft:NAME``.
        second: the same.
        dataset: dataset folder.
        split: of the dataset.
        resamples: of people.
        optimistic: whether a split that chose a model's checkpoint may be compared on.
        workers: loader processes; None: what the machine has, as `loader_processes` says.

    Raises:
        UsageError: the split chose the checkpoint of one of them.
        ModelMismatchError: they have no task in common, or the split has no label of one.
        StaleGroupError: soft labels were made for other rows.
        DataError: the split shows fewer people than `LEAST_PEOPLE`, or no metric can be compared.
    """
    folder = open_own_folder(dataset, "affect-train compare")
    folder.rows(split)
    members = [
        open_member(folder, source.removeprefix(SOFT), stored=source.startswith(SOFT)) for source in (first, second)
    ]
    tasks = common_tasks(members)
    if not optimistic:
        for member in members:
            if isinstance(member.teacher, AffectTeacher):
                refuse_selected(member.teacher.model.config, OwnFolder(folder), [split])
    runtime = Runtime.start(workers=workers)
    logits = [member_logits(member, folder, split, runtime) for member in members]
    if not runtime.accelerator.is_main_process:
        return None
    found = _compared(folder, split, members, logits, tasks, resamples)
    return {"first": first, "second": second, **OwnFolder(folder).report(), "split": split, **found}


def common_tasks(members: Sequence[Member]) -> TaskSet:
    """What both predict: the action units and the classes that they share, and valence and arousal.

    Raises:
        ModelMismatchError: nothing.
    """
    one, other = (member.tasks for member in members)
    units = tuple(number for number in one.action_units if number in other.action_units)
    classes = tuple(name for name in one.expressions if name in other.expressions)
    bins = one.valence_arousal_bins if other.valence_arousal_bins else 0
    if not (units or len(classes) > 1 or bins):
        raise ModelMismatchError(
            f"'{members[0].name}' and '{members[1].name}'",
            "no task in common",
            "an action unit, two expressions, or valence and arousal that both predict",
            "compare models with a common task",
        )
    return TaskSet(units, classes if len(classes) > 1 else (), bins)


def _compared(
    folder: DatasetFolder,
    split: str,
    members: Sequence[Member],
    logits: Sequence[Logits],
    tasks: TaskSet,
    resamples: int,
) -> dict[str, Any]:
    data, labels = load_labels(folder, split, tasks)
    check_labels(labels, tasks, f"'{folder.path}', split {split}")
    databases = column_array(data, "database")
    clusters = Clusters.of(databases, text_codes(data, "subject"), text_codes(data, "track"))
    if clusters.count < LEAST_PEOPLE:
        raise DataError(
            f"'{folder.path}', split {split}: found {clusters.count} people (subjects, else videos, else rows), from whom little follows "
            f"about others; compare on a split of {LEAST_PEOPLE} at least"
        )
    pair = Pair(
        predictions=(_common(members[0], logits[0], tasks), _common(members[1], logits[1], tasks)),
        labels=labels.numpy(),
        tasks=tasks,
        thresholds=(_thresholds(members[0], tasks), _thresholds(members[1], tasks)),
        clusters=clusters,
    )
    groups = groups_of(
        labels, tasks, databases, data.features["database"].names, clusters, attributes_of(folder, split)
    )
    found, left_out = differences(pair, groups, resamples=resamples)
    if not found:
        because = "; ".join(f"{metric}: {reason}" for metric, reason in list(left_out.items())[:3])
        raise DataError(
            f"'{folder.path}', split {split}: no metric can be compared ({because}); compare on a larger split"
        )
    chosen = {
        member.name: getattr(member.teacher.model.config, SELECTED_ON, None)
        for member in members
        if isinstance(member.teacher, AffectTeacher)
    }
    return {
        "rows": len(labels),
        "people": clusters.kinds,
        "level": LEVEL,
        "rate": RATE,
        "resamples": resamples,
        "subgroup_minimum": minimum(),
        "thresholds": {"first": pair.thresholds[0], "second": pair.thresholds[1]},
        "differences": [line.to_json() for line in found],
        "left_out": left_out,
        SELECTED_ON: {name: origin for name, origin in chosen.items() if origin is not None},
    }


def groups_of(
    labels: LabelArrays,
    tasks: TaskSet,
    databases: NDArray[np.int64],
    names: Sequence[str],
    clusters: Clusters,
    attributes: Sequence[Attribute],
) -> list[Group]:
    """All rows; each database if there are several; and the groups of people that are large enough, by database."""
    labelled = labels.pools(tasks)
    everything = np.arange(len(labels))
    present = np.unique(databases).tolist()
    found = [Group("all", everything, tuple(labelled))]
    for code in present:
        own = np.flatnonzero(databases == code)
        if len(present) > 1:
            # Where one database has all labels of a task, its lines would be those of all rows.
            known = tuple(task for task, rows in labelled.items() if 0 < np.isin(rows, own).sum() < len(rows))
            found.append(Group(names[code], own, known))
        for attribute in attributes:
            for value in np.unique(attribute.codes[own][attribute.codes[own] >= 0]).tolist():
                rows = own[attribute.codes[own] == value]
                enough = tuple(
                    task for task, all_of in labelled.items() if is_enough(np.intersect1d(rows, all_of), clusters)
                )
                name = f"{names[code]} {attribute.name}: {attribute.words[value]}"
                found.append(Group(name, rows, enough, detailed=False))
    return [group for group in found if group.tasks]


def _common(member: Member, logits: Logits, tasks: TaskSet) -> dict[str, NDArray[Any]]:
    """What a member says of the common tasks."""
    own, tensors = member.tasks, {head: torch.from_numpy(np.array(values)) for head, values in logits.items()}
    found: Mapping[str, NDArray[Any]] = predictions_of(own, tensors)
    kept: dict[str, NDArray[Any]] = {}
    if tasks.action_units:
        kept["au"] = found["au"][:, [own.action_units.index(number) for number in tasks.action_units]]
    if tasks.expressions:
        # Of the classes that both have, the likeliest: the shares need not add up to 1 for that.
        kept["expression"] = found["expression"][:, [own.expressions.index(name) for name in tasks.expressions]]
    if tasks.valence_arousal_bins:
        kept |= {axis: found[axis] for axis in ("valence", "arousal")}
    return kept


def _thresholds(member: Member, tasks: TaskSet) -> list[float]:
    """The member's own thresholds of the common action units."""
    if not isinstance(member.teacher, AffectTeacher):
        return [DEFAULT_THRESHOLD] * len(tasks.action_units)
    own = dict(zip(member.tasks.action_units, member.teacher.model.config.thresholds, strict=True))
    return [float(own[number]) for number in tasks.action_units]
