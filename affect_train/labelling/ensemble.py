"""Several models or soft labels as one: their mean probability and expectation, matched by the names of classes and action units."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from affect_data.dataset.folder import DatasetFolder
from affect_data.dataset.kinds.soft_labels import SOFT_LABELS, SoftLabelProvenance
from affect_data.dataset.ranges import RowRange
from affect_data.dataset.soft_labels import SoftLabelWriter
from affect_data.errors import UsageError
from affect_train.clips import pooling_of
from affect_train.evaluation.metrics import best_thresholds, evaluate_predictions
from affect_train.evaluation.reliability import reliability
from affect_train.evaluation.selection import refuse_selected
from affect_train.inference import inference
from affect_train.inference.inference import Logits
from affect_train.inputs.labels import LabelArrays, check_labels, clips_in, column_array, load_labels
from affect_train.inputs.source import OwnFolder, open_own_folder
from affect_train.labelling.averaging import Weights, equal_weights, fit_weights, merge, merged_tasks, predictions_of
from affect_train.labelling.label import provenance_of, rows_per_range, split_logits
from affect_train.labelling.teachers import Teacher, open_teacher
from affect_train.labelling.teachers.own import AffectTeacher
from affect_train.runtime import Runtime
from affect_train.tasks import TaskSet


@dataclass(frozen=True)
class Member:
    """One of the models or soft labels of an ensemble.

    Attributes:
        name: of the soft labels or the model.
        provenance: what the columns of its logits mean, and where they come from.
        teacher: gives the logits; None if they are stored.
    """

    name: str
    provenance: SoftLabelProvenance
    teacher: Teacher | None = None

    @property
    def tasks(self) -> TaskSet:
        """The member's heads."""
        own = self.provenance
        return TaskSet(own.action_units, own.expressions, own.valence_arousal_bins)


class Ensemble:
    """Models and soft labels of one dataset, and their logits split by split.

    Args:
        folder: the dataset.
        models: whatever `open_teacher` takes.
        soft_labels: names of groups of the dataset.
        runtime: of this process.

    Raises:
        UsageError: there is no member.
        UnknownNameError: the dataset has no such soft labels.
        StaleGroupError: they were made for other rows or labels.
        ModelMismatchError: fewer than two classes are shared, or bins differ.
    """

    def __init__(
        self,
        folder: DatasetFolder,
        models: Sequence[str | Path],
        soft_labels: Sequence[str],
        runtime: Runtime,
    ) -> None:
        if not models and not soft_labels:
            raise UsageError("an ensemble needs members: name models, or soft labels by --soft")
        self.folder, self.runtime = folder, runtime
        stored = [open_member(folder, name, stored=True) for name in soft_labels]
        self.members = [*(open_member(folder, source, stored=False) for source in models), *stored]
        self.tasks = merged_tasks([(member.name, member.tasks) for member in self.members])
        self._known: dict[tuple[int, str], Logits] = {}

    def logits(self, split: str) -> list[tuple[TaskSet, Logits]]:
        """Tasks and float16 logits of every member for a split, on the main process; without rows on the others. All processes call it."""
        return [(member.tasks, self._of(index, split)) for index, member in enumerate(self.members)]

    def _of(self, index: int, split: str) -> Logits:
        if (index, split) not in self._known:
            self._known[index, split] = member_logits(self.members[index], self.folder, split, self.runtime)
        return self._known[index, split]


def open_member(folder: DatasetFolder, source: str | Path, *, stored: bool) -> Member:
    """A model, or with `stored` the group of soft labels of that name.

    Raises:
        AffectError: there is no such model or group, or the group was made for other rows.
    """
    if stored:
        return Member(str(source), SOFT_LABELS.read(folder, str(source)))
    teacher = open_teacher(source)
    return Member(teacher.name, provenance_of(teacher, "member", folder), teacher)


def member_logits(member: Member, folder: DatasetFolder, split: str, runtime: Runtime) -> Logits:
    """The float16 logits of a member for a split by head, on the main process; empty on the others. All processes call it."""
    if member.teacher is not None:
        member.teacher.to(runtime.accelerator.device)
        return split_logits(member.teacher, folder, split, runtime) or {}
    dataset = folder.load(split, [SOFT_LABELS.group(member.name)])
    heads = member.provenance.widths()
    return {head: column_array(dataset, SOFT_LABELS.column(member.name, head)) for head in heads}


def _tensors(members: Sequence[tuple[TaskSet, Logits]], rows: slice) -> list[tuple[TaskSet, dict[str, Tensor]]]:
    return [
        (tasks, {head: torch.from_numpy(np.array(values[rows])) for head, values in logits.items()})
        for tasks, logits in members
    ]


# ---------------------------------------------------------------- the command


def ensemble(
    dataset: Path | str,
    models: Sequence[str | Path] = (),
    soft_labels: Sequence[str] = (),
    *,
    name: str | None = None,
    splits: Sequence[str] = (),
    fit_on: str | None = None,
    tune_thresholds: str | None = None,
    optimistic: bool = False,
    workers: int | None = None,
) -> dict[str, Any] | None:
    """A report on merged models and soft labels, on the main process; None on the others. The result is evaluated, and written as soft labels.

    Args:
        dataset: dataset folder.
        models: whatever `open_teacher` takes; their logits are kept in memory while the command runs.
        soft_labels: names of groups of the dataset.
        name: of the new soft labels; None writes none.
        splits: on which the result is evaluated.
        fit_on: split to whose labels the weights are fitted; None: equal weights.
        tune_thresholds: split on which the threshold of each action unit is chosen, after the weights; None: 0.5.
        optimistic: whether a split that chose a model's checkpoint may be evaluated.
        workers: loader processes; None: what the machine has, as `loader_processes` says.

    Raises:
        UsageError: there is no member or nothing to do; weights or thresholds would be fitted on a split that is evaluated, or a model's
            checkpoint was chosen on it; or thresholds are asked for without action units.
        ModelMismatchError: fewer than two classes are shared, bins differ, or a split has no label.
    """
    if name is not None:
        SOFT_LABELS.check_name(name)
    folder = open_own_folder(dataset, "affect-train ensemble")
    if name is None and not splits:
        raise UsageError("nothing to do: name the new soft labels by --name, or a split to evaluate by --split")
    for split, what in ((fit_on, "weights are fitted"), (tune_thresholds, "thresholds are tuned")):
        if split in splits:
            raise UsageError(f"the {what} on '{split}', so they cannot be judged on it; evaluate another split")
    if name in soft_labels:
        raise UsageError(f"'{name}' is a member of the ensemble; give the new soft labels another name")
    runtime = Runtime.start(workers=workers)
    merged = Ensemble(folder, models, soft_labels, runtime)
    for member in merged.members:
        if isinstance(member.teacher, AffectTeacher) and not optimistic:
            refuse_selected(member.teacher.model.config, OwnFolder(folder), splits)
    if tune_thresholds and not merged.tasks.action_units:
        raise UsageError("the members have no action units in common, so that there is no threshold to tune")
    fitted = [split for split in (fit_on, tune_thresholds) if split]
    needed = dict.fromkeys([*fitted, *splits, *(folder.splits if name else ())])
    for split in needed:
        folder.rows(split)
        merged.logits(split)
        runtime.reporter.say(f"members on {split}: {', '.join(member.name for member in merged.members)}")
    result = None
    if runtime.accelerator.is_main_process:
        result = _merged_result(merged, name, splits, fit_on, tune_thresholds)
    runtime.accelerator.wait_for_everyone()
    return result


def _merged_result(
    merged: Ensemble, name: str | None, splits: Sequence[str], fit_on: str | None, tune_thresholds: str | None
) -> dict[str, Any]:
    tasks, folder = merged.tasks, merged.folder
    weights = equal_weights(tasks, len(merged.members))
    if fit_on:
        labels = _labels(merged, fit_on)[1]
        weights = fit_weights(tasks, _tensors(merged.logits(fit_on), slice(None)), labels.numpy())
    thresholds = _thresholds(merged, tune_thresholds, weights) if tune_thresholds else None
    result: dict[str, Any] = {
        "members": [member.name for member in merged.members],
        "weights": {task: list(shares) for task, shares in weights.items()},
        "fitted_on": fit_on,
        "thresholds_from": tune_thresholds,
        "splits": {split: _evaluation(merged, split, weights, thresholds) for split in splits},
    }
    if name is not None:
        provenance = _provenance(merged, name, weights)
        write_merged(merged, provenance, weights)
        result |= {"name": name, "rows": {split: folder.rows(split) for split in folder.splits}}
        result["provenance"] = provenance.model_dump(mode="json")
    return result


def _labels(merged: Ensemble, split: str) -> tuple[Any, LabelArrays]:
    dataset, labels = load_labels(merged.folder, split, merged.tasks)
    check_labels(labels, merged.tasks, f"'{merged.folder.path}', split {split}")
    return dataset, labels


def _predictions(merged: Ensemble, split: str, weights: Weights) -> dict[str, NDArray[Any]]:
    return predictions_of(merged.tasks, merge(merged.tasks, _tensors(merged.logits(split), slice(None)), weights))


def _thresholds(merged: Ensemble, split: str, weights: Weights) -> list[float]:
    labels = _labels(merged, split)[1]
    found: list[float] = best_thresholds(_predictions(merged, split, weights)["au"], labels.au, labels.au_mask).tolist()
    return found


def _evaluation(
    merged: Ensemble, split: str, weights: Weights, thresholds: Sequence[float] | None = None
) -> dict[str, Any]:
    """The metrics of a split over all rows and for each database, with the keys of `evaluate.evaluate_split`."""
    dataset, labels = _labels(merged, split)
    predicted = _predictions(merged, split, weights)
    truth = labels.numpy()

    def metrics(rows: NDArray[np.int64] | slice) -> dict[str, Any]:
        own = {key: values[rows] for key, values in predicted.items()}
        known = {key: values[rows] for key, values in truth.items()}
        found = evaluate_predictions(own, known, merged.tasks, thresholds)
        return {**found, "reliability": reliability(own, known, merged.tasks)}

    databases, names = column_array(dataset, "database"), dataset.features["database"].names
    overall = metrics(slice(None))
    return {
        "rows": len(labels),
        **pooling_of(int(clips_in(dataset).sum()), None),
        "overall": {key: value for key, value in overall.items() if key != "reliability"},
        "databases": {
            names[code]: metrics(np.flatnonzero(databases == code)) for code in np.unique(databases).tolist()
        },
        "reliability": overall["reliability"],
    }


def write_merged(merged: Ensemble, provenance: SoftLabelProvenance, weights: Weights) -> None:
    """Writes the merged logits as soft labels, range of rows by range."""
    folder = merged.folder
    rows = max(folder.rows(split) for split in folder.splits)
    writer = SoftLabelWriter(folder.path, provenance, rows_per_range(rows, inference.INFERENCE_BATCH))
    with writer.owned():
        for part in writer.ranges():
            writer.write(part, _merged_range(merged, part, weights))
        writer.commit()


def _merged_range(merged: Ensemble, part: RowRange, weights: Weights) -> Logits:
    members = _tensors(merged.logits(part.split), slice(part.start, part.stop))
    return {head: values.half().numpy() for head, values in merge(merged.tasks, members, weights).items()}


def _provenance(merged: Ensemble, name: str, weights: Weights) -> SoftLabelProvenance:
    origins = [member.provenance for member in merged.members]
    revisions = [
        f"{origin.teacher_id} {origin.teacher_revision} {origin.view} {origin.out_of_fold}" for origin in origins
    ]
    described = "; ".join(f"{task} {' '.join(f'{share:g}' for share in shares)}" for task, shares in weights.items())
    return SoftLabelProvenance(
        name=name,
        teacher_id=f"mean of {', '.join(origin.teacher_id for origin in origins)} ({described})",
        teacher_revision=hashlib.sha256("\n".join([*revisions, described]).encode()).hexdigest(),
        made_from=SOFT_LABELS.made_from(merged.folder),
        view="; ".join(dict.fromkeys(origin.view for origin in origins)),
        out_of_fold=all(origin.out_of_fold for origin in origins),
        action_units=merged.tasks.action_units,
        expressions=merged.tasks.expressions,
        valence_arousal_bins=merged.tasks.valence_arousal_bins,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )
