"""Metrics of a model on the splits of a dataset: over all rows, and for each database."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from affect_data.errors import UsageError
from affect_data.files import write_json, write_text
from affect_train.addresses import hub_address
from affect_train.clips import pooling_of
from affect_train.evaluation.curves import curves
from affect_train.evaluation.intervals import Clusters, confidence_intervals
from affect_train.evaluation.metrics import Absent, best_thresholds, evaluate_predictions
from affect_train.evaluation.reliability import reliability
from affect_train.evaluation.selection import SELECTED_ON, refuse_selected
from affect_train.evaluation.subgroups import Attribute, SplitRows, attributes_of, minimum, subgroups
from affect_train.inference.inference import infer, open_model, predictions
from affect_train.inference.inputs import split_of
from affect_train.inference.target_prior import TargetPrior
from affect_train.inputs.labels import LabelArrays, check_labels, clips_in, column_array, load_folds, text_codes
from affect_train.inputs.preprocess import Preprocessing
from affect_train.inputs.source import Source, folder_of, open_source
from affect_train.inputs.split import Split
from affect_train.network.model import AffectModel
from affect_train.recipe.section import HeldOutOptions
from affect_train.run_folder import MODEL_CONFIG, RunFolder, model_folder, weights_digest
from affect_train.runtime import Runtime
from affect_train.tasks import TaskSet

if TYPE_CHECKING:
    from datasets import Dataset

Evaluation = dict[str, Any]
"""Values that JSON can hold: rows, overall (from `evaluate_predictions`), reliability (from `reliability`), curves (from `curves`), databases (by
name, the metrics of overall and their own reliability and curves).

Where databases say who is shown: subgroups (from `subgroups.subgroups`) and subgroup_minimum (from `subgroups.minimum`)."""


def evaluate_split(
    model: AffectModel,
    split: Split,
    runtime: Runtime,
    *,
    bootstrap: int = 0,
    chosen: NDArray[np.int64] | None = None,
    attributes: Sequence[Attribute] = (),
    absent: Absent = "skip",
) -> Evaluation | None:
    """The metrics of one split, on the main process; None on the others.

    Args:
        model: not wrapped for distributed training.
        split: with labels for the model's heads, and inputs without augmentation.
        runtime: of this process.
        bootstrap: resamples behind the confidence intervals; 0 leaves them out.
        chosen: int64, numbers of the rows that count; None: all.
        attributes: of the people on the rows, whose groups are judged too.
        absent: what a class that is neither predicted nor present does to a mean F1.

    Raises:
        ModelMismatchError: rows that were streamed have no label of any task of the model.
    """
    with runtime.reporter.bar("evaluate", split.inputs.rows) as advance:
        logits = infer(model, split.inputs, runtime, advance=advance)
    dataset, labels = split.passed()
    if logits is None:
        return None
    predicted = predictions(model, logits)
    # Wider than what is predicted from them, and needed no more.
    del logits
    return score(
        model, predicted, labels, dataset, bootstrap=bootstrap, chosen=chosen, attributes=attributes, absent=absent
    )


def score(
    model: AffectModel,
    predicted: Mapping[str, NDArray[Any]],
    labels: LabelArrays,
    dataset: "Dataset",
    *,
    bootstrap: int = 0,
    chosen: NDArray[np.int64] | None = None,
    attributes: Sequence[Attribute] = (),
    absent: Absent = "skip",
) -> Evaluation:
    """The metrics of a model's predictions, over all rows that count and for each database; with ``intervals`` if `bootstrap` is over 0."""
    tasks = model.config.task_set()
    databases, tracks = column_array(dataset, "database"), text_codes(dataset, "track")
    judged = _Judged(
        predicted=predicted,
        truth=labels.numpy(),
        tasks=tasks,
        thresholds=model.config.thresholds,
        videos=np.where(tracks >= 0, tracks * (int(databases.max()) + 1) + databases, -1),
        clusters=Clusters.of(databases, text_codes(dataset, "subject"), tracks) if bootstrap or attributes else None,
        bootstrap=bootstrap,
        absent=absent,
    )
    names = dataset.features["database"].names
    counted = np.arange(len(labels)) if chosen is None else chosen
    groups: dict[str, Any] = {}
    if attributes and judged.clusters is not None:
        rows = SplitRows(databases, names, judged.labelled(), judged.clusters, judged.metrics)
        groups = {"subgroup_minimum": minimum(), "subgroups": subgroups(attributes, rows, counted)}
    present = np.unique(databases[counted]).tolist()
    clips = int(clips_in(dataset)[counted].sum())
    return {
        "rows": len(counted),
        **pooling_of(clips, model.config.clip_frames),
        "overall": judged.metrics(counted),
        "databases": {names[code]: judged.all_of(counted[databases[counted] == code]) for code in present},
        **judged.drawn(counted),
        **groups,
    }


@dataclass(frozen=True)
class _Judged:
    """All rows of a split: what the model says of them, what is known of them, and which show one person or video."""

    predicted: Mapping[str, NDArray[Any]]
    truth: Mapping[str, NDArray[Any]]
    tasks: TaskSet
    thresholds: Sequence[float]
    videos: NDArray[np.int64]
    clusters: Clusters | None
    bootstrap: int
    absent: Absent

    def of(self, rows: NDArray[np.int64]) -> tuple[dict[str, NDArray[Any]], dict[str, NDArray[Any]]]:
        """What is predicted and what is known of some rows."""
        if len(rows) == len(self.videos) and (np.diff(rows) == 1).all():
            # All rows, which are not copied.
            return dict(self.predicted), dict(self.truth)
        predicted = {name: values[rows] for name, values in self.predicted.items()}
        return predicted, {name: values[rows] for name, values in self.truth.items()}

    def metrics(self, rows: NDArray[np.int64]) -> dict[str, Any]:
        """Of some rows; with ``intervals`` if there is a bootstrap."""
        predicted, known = self.of(rows)
        found = evaluate_predictions(predicted, known, self.tasks, self.thresholds, self.videos[rows], self.absent)
        if self.bootstrap and self.clusters is not None:
            found["intervals"] = confidence_intervals(
                predicted,
                known,
                self.tasks,
                self.clusters.rows(rows),
                thresholds=np.asarray(self.thresholds),
                resamples=self.bootstrap,
                absent=self.absent,
            )
        return found

    def drawn(self, rows: NDArray[np.int64]) -> dict[str, Any]:
        """What is drawn of some rows: their ``reliability`` and ``curves``."""
        known = self.of(rows)
        return {"reliability": reliability(*known, self.tasks), "curves": curves(*known, self.tasks)}

    def all_of(self, rows: NDArray[np.int64]) -> dict[str, Any]:
        """The metrics of some rows, and what is drawn of them."""
        return {**self.metrics(rows), **self.drawn(rows)}

    def labelled(self) -> dict[str, NDArray[np.bool_]]:
        """Which rows have a label, bool [rows], by task."""
        masks = {task: self.truth[f"{task}_mask"] for task in self.tasks.names}
        return {task: np.asarray(mask.any(axis=1)) if mask.ndim > 1 else mask for task, mask in masks.items()}


def evaluate(
    path: Path | str,
    dataset: Path | str,
    splits: list[str],
    *,
    runtime: Runtime | None = None,
    output: Path | None = None,
    bootstrap: int = 0,
    tune_thresholds: str | None = None,
    fold: HeldOutOptions | None = None,
    absent: Absent = "skip",
    optimistic: bool = False,
    target: TargetPrior | None = None,
) -> dict[str, Any] | None:
    """The metrics of a trained model on splits of a dataset, on the main process; None on the others.

    Written to `output`, or to ``evaluation.json`` of the run where `path` is one.

    Args:
        path: run folder, model folder, or a model on the Hub.
        dataset: dataset folder, or a file that describes another dataset.
        splits: names of splits.
        runtime: loader processes, batch size and precision; None: what machine and run have.
        output: JSON file.
        bootstrap: resamples of people behind the confidence intervals; 0 leaves them out.
        tune_thresholds: split on which the threshold of each action unit is chosen first; the thresholds are stored with the model.
        fold: only the rows of the splits in this fold count; None: all rows.
        absent: what a class that is neither predicted nor present does to a mean F1.
        optimistic: whether a split that chose the model's checkpoint may be reported; the report then says so.
        target: the prior that the model's logits are moved to; None: they stay as they are.

    Raises:
        UnknownNameError: the dataset has no folds of that name.
        UsageError: thresholds would be tuned on a split that is reported, or of a model on the Hub, or of one without action units; a split chose
            the checkpoint; or the fold has no row.
        AffectError: there is no such dataset or no model, or the dataset has no label of any task of the model.
    """
    source = open_source(dataset)
    counted = _counted_rows(source, splits, tune_thresholds, fold)
    saved = _tunable(path, target) if tune_thresholds is not None else model_folder(path)
    runtime = runtime or Runtime.start(workers=None)
    model, preprocessing = open_model(saved, target)
    if not optimistic:
        refuse_selected(model.config, source, splits)
    model.to(runtime.accelerator.device)
    if tune_thresholds is not None:
        tune(model, preprocessing, saved, source, tune_thresholds, runtime)
    evaluations = {}
    for name in splits:
        split = _labelled_split(model, preprocessing, source, name, runtime)
        chosen, attributes = counted[name], attributes_of(source.folder, name)
        evaluations[name] = evaluate_split(
            model, split, runtime, bootstrap=bootstrap, chosen=chosen, attributes=attributes, absent=absent
        )
    if not runtime.accelerator.is_main_process:
        return None
    report = {**source.report(), "weights": weights_digest(saved), "splits": evaluations, **_origins(model, fold)}
    if written := output or (RunFolder(path).evaluation if saved == RunFolder(path).model else None):
        write_json(written, report)
    return report


def _labelled_split(
    model: AffectModel, preprocessing: Preprocessing, source: Source, name: str, runtime: Runtime
) -> Split:
    """A split with labels for the model."""
    split = split_of(model, preprocessing, source, name, runtime)
    if split.labels is not None:
        check_labels(split.labels, model.config.task_set(), source.place(name))
    return split


def _origins(model: AffectModel, fold: HeldOutOptions | None) -> dict[str, Any]:
    """The fold that counts, where the thresholds come from, the prior, and what chose the checkpoint, each if there is one."""
    found: dict[str, Any] = {}
    if fold is not None:
        found["fold"] = {"folds": fold.folds, "fold": fold.fold}
    for name in ("thresholds_from", "target_prior", SELECTED_ON):
        if getattr(model.config, name, None) is not None:
            found[name] = getattr(model.config, name)
    return found


def _tunable(path: Path | str, target: TargetPrior | None) -> Path:
    """The folder of a model whose thresholds can be stored with it."""
    if target is not None:
        raise UsageError(
            "--prior and --tune-thresholds: a tuned threshold undoes what the prior moves; give one of them"
        )
    if hub_address(path) is not None:
        raise UsageError(
            f"'{path}' is on the Hub, where no threshold can be stored: tune those of the run, then publish it again"
        )
    return model_folder(path)


def _counted_rows(
    source: Source, splits: Sequence[str], tuned_on: str | None, fold: HeldOutOptions | None
) -> dict[str, NDArray[np.int64] | None]:
    """The rows that count, by split; None where all do. Checked before the model is loaded, so that a wrong name is reported at once."""
    for name in (*splits, *([tuned_on] if tuned_on else [])):
        source.check_split(name)
    counted = {name: None if fold is None else rows_of_fold(source, name, fold) for name in splits}
    if tuned_on in splits:
        raise UsageError(
            f"the split '{tuned_on}' is reported: thresholds tuned on it would flatter the model; tune on another split"
        )
    return counted


def rows_of_fold(source: Source, split: str, fold: HeldOutOptions) -> NDArray[np.int64]:
    """The numbers of a split's rows in a fold, int64.

    Raises:
        UnknownNameError: the dataset has no folds of that name.
        UsageError: the split has no row in that fold, or the dataset is no dataset folder.
    """
    folder = folder_of(source, "a fold takes a dataset folder, whose column groups hold it")
    rows = np.flatnonzero(load_folds(folder, split, fold.folds) == fold.fold)
    if not len(rows):
        raise UsageError(f"no row of the split '{split}' is in fold {fold.fold} of '{fold.folds}'")
    return rows


def tune(
    model: AffectModel, preprocessing: Preprocessing, saved: Path, source: Source, name: str, runtime: Runtime
) -> None:
    """Sets the model's thresholds to those with the highest F1 of each action unit on a split, and stores them in its folder.

    Args:
        model: on its device.
        preprocessing: of the model.
        saved: the model's folder.
        source: the dataset.
        name: of the split.
        runtime: of this process.

    Raises:
        UsageError: the model has no action units.
        ModelMismatchError: the split has no label of an action unit.
    """
    tasks = model.config.task_set()
    if not tasks.action_units:
        raise UsageError(f"'{saved}' has no action units, so that there is no threshold to tune")
    split = split_of(model, preprocessing, source, name, runtime)
    wanted = TaskSet(tasks.action_units, (), 0)
    if split.labels is not None:
        check_labels(split.labels, wanted, source.place(name))
    with runtime.reporter.bar(f"thresholds on {name}", split.inputs.rows) as advance:
        logits = infer(model, split.inputs, runtime, advance=advance)
    _, labels = split.passed()
    check_labels(labels, wanted, source.place(name))
    if logits is None:
        return
    assert labels is not None
    found = best_thresholds(predictions(model, logits)["au"], labels.au, labels.au_mask)
    model.config.thresholds = found.tolist()
    model.config.thresholds_from = {
        **source.report(),
        "split": name,
        "labels": labels.au_mask.sum(axis=0).tolist(),
    }
    write_text(saved / MODEL_CONFIG, model.config.to_json_string(use_diff=True))
