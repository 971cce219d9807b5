"""Metrics of a model on the splits of a dataset: over all rows, and for each database."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from accelerate import Accelerator
from numpy.typing import NDArray

from affect_data.dataset.folder import DatasetFolder
from affect_data.errors import UsageError
from affect_data.files import write_json, write_text
from affect_train.errors import ModelMismatchError
from affect_train.evaluation.intervals import Clusters, confidence_intervals
from affect_train.evaluation.metrics import best_thresholds, evaluate_predictions
from affect_train.evaluation.reliability import reliability
from affect_train.inference.inference import Logits, build_accelerator, infer, open_model, predictions
from affect_train.inference.inputs import inputs_of
from affect_train.inputs.foreign import ForeignSource, open_source, report_of
from affect_train.inputs.foreign.streaming import StreamedFaces
from affect_train.inputs.labels import LabelArrays, column_array, load_folds, load_labels, text_codes
from affect_train.inputs.loading import FaceImages
from affect_train.inputs.preprocess import Preprocessing
from affect_train.network.model import AffectModel
from affect_train.recipe.section import HeldOut
from affect_train.reporting import Reporter
from affect_train.run_folder import MODEL_CONFIG, RunFolder, model_folder
from affect_train.tasks import TaskSet

if TYPE_CHECKING:
    from datasets import Dataset

    from affect_train.inference.inference import Inputs

Evaluation = dict[str, Any]
"""JSON-able: rows, overall (of `evaluate_predictions`), databases (the same by name), reliability (of `reliability`)."""


def evaluate_split(
    model: AffectModel,
    dataset: "Dataset | None",
    labels: LabelArrays | None,
    images: "Inputs",
    accelerator: Accelerator,
    reporter: Reporter,
    *,
    workers: int = 0,
    bootstrap: int = 0,
    chosen: NDArray[np.int64] | None = None,
) -> Evaluation | None:
    """The metrics of one split, on the main process; None on the others.

    Args:
        model: not wrapped for distributed training.
        dataset: the split; None where it is streamed.
        labels: of the split, for the model's heads; None where it is streamed.
        images: of the split, without augmentation, or windows of its features.
        accelerator: of this process.
        reporter: shows the progress.
        workers: loader processes.
        bootstrap: resamples behind the confidence intervals; 0 leaves them out.
        chosen: numbers of the rows that count; None: all.
    """
    with reporter.bar("evaluate", None if labels is None else len(labels)) as advance:
        logits = infer(model, images, accelerator, workers=workers, advance=advance)
    if isinstance(images, StreamedFaces):
        dataset, labels = images.labels()
        check_labels(labels, model.config.task_set(), images.stream.place)
    assert labels is not None
    return None if logits is None else score(model, logits, labels, dataset, bootstrap=bootstrap, chosen=chosen)


def score(
    model: AffectModel,
    logits: Logits,
    labels: LabelArrays,
    dataset: "Dataset",
    *,
    bootstrap: int = 0,
    chosen: NDArray[np.int64] | None = None,
) -> Evaluation:
    """The metrics of gathered logits, over all rows that count and for each database by itself; with `intervals` where there is a bootstrap."""
    predicted, truth = predictions(model, logits), labels.numpy()
    tasks, thresholds = model.config.task_set(), model.config.thresholds
    databases, tracks = column_array(dataset, "database"), text_codes(dataset, "track")
    videos = np.where(tracks >= 0, tracks * (int(databases.max()) + 1) + databases, -1)
    clusters = Clusters.of(databases, text_codes(dataset, "subject"), tracks) if bootstrap else None

    def metrics(rows: NDArray[np.int64]) -> dict[str, Any]:
        chosen = {name: values[rows] for name, values in predicted.items()}
        known = {name: values[rows] for name, values in truth.items()}
        found = evaluate_predictions(chosen, known, tasks, thresholds, videos[rows])
        if clusters is not None:
            found["intervals"] = confidence_intervals(
                chosen,
                known,
                tasks,
                clusters.rows(rows),
                thresholds=np.asarray(thresholds),
                resamples=bootstrap,
            )
        return found

    names = dataset.features["database"].names
    counted = np.arange(len(labels)) if chosen is None else chosen
    present = np.unique(databases[counted]).tolist()
    return {
        "rows": len(counted),
        "overall": metrics(counted),
        "databases": {names[code]: metrics(counted[databases[counted] == code]) for code in present},
        "reliability": reliability(
            {name: values[counted] for name, values in predicted.items()},
            {name: values[counted] for name, values in truth.items()},
            tasks,
        ),
    }


def evaluate(
    path: Path | str,
    dataset: Path | str,
    splits: list[str],
    *,
    workers: int = 0,
    output: Path | None = None,
    bootstrap: int = 0,
    tune_thresholds: str | None = None,
    fold: HeldOut | None = None,
) -> dict[str, Any] | None:
    """The metrics of a trained model on splits of a dataset, on the main process; None on the others.

    Written to `output`, or to ``evaluation.json`` of the run where `path` is one.

    Args:
        path: run folder or model folder.
        dataset: dataset folder, or a file that describes another dataset.
        splits: names of splits.
        workers: loader processes.
        output: JSON file.
        bootstrap: resamples of people behind the confidence intervals; 0 leaves them out.
        tune_thresholds: the split on which each action unit's threshold is chosen before; it is stored with the model.
        fold: of the splits, the only rows that count.

    Raises:
        UnknownNameError: the dataset has no folds of that name.
        UsageError: thresholds would be tuned on a split that is reported, or the model has no action units, or there is no such fold.
        NotADatasetError: the dataset is not built.
        SourceError: a dataset that is described cannot be read.
        NotAModelError: there is no model.
        ModelMismatchError: the dataset has no label of any task of the model.
    """
    folder = open_source(dataset)
    for split in [*splits, *([tune_thresholds] if tune_thresholds else [])]:
        folder.check_split(split) if isinstance(folder, ForeignSource) else folder.rows(split)
    counted = {split: None if fold is None else rows_of_fold(folder, split, fold) for split in splits}
    if tune_thresholds in splits:
        raise UsageError(
            f"the split '{tune_thresholds}' is reported: thresholds tuned on it would flatter the model; tune on another split"
        )
    source = model_folder(path)
    accelerator = build_accelerator()
    reporter = Reporter(speaks=accelerator.is_main_process)
    model, preprocessing = open_model(source)
    model, tasks = model.to(accelerator.device), model.config.task_set()
    if tune_thresholds is not None:
        tune(model, source, folder, tune_thresholds, preprocessing, accelerator, reporter, workers=workers)
    evaluations: dict[str, Any] = {}
    for split in splits:
        rows, labels, images = split_of(model, preprocessing, folder, split, accelerator, workers=workers)
        if labels is not None:
            check_labels(labels, tasks, f"'{dataset}', split {split}")
        evaluations[split] = evaluate_split(
            model,
            rows,
            labels,
            images,
            accelerator,
            reporter,
            workers=workers,
            bootstrap=bootstrap,
            chosen=counted[split],
        )
    if not accelerator.is_main_process:
        return None
    report = {**report_of(folder), "splits": evaluations}
    if fold is not None:
        report["fold"] = {"folds": fold.folds, "fold": fold.fold}
    if getattr(model.config, "thresholds_from", None) is not None:
        report["thresholds_from"] = model.config.thresholds_from
    target = output or (RunFolder(path).evaluation if source != Path(path) else None)
    if target is not None:
        write_json(target, report)
    return report


def rows_of_fold(dataset: DatasetFolder | ForeignSource, split: str, fold: HeldOut) -> NDArray[np.int64]:
    """The numbers of a split's rows in a fold.

    Raises:
        UnknownNameError: the dataset has no folds of that name.
        UsageError: the split has no row in that fold, or the dataset is no dataset folder.
    """
    if not isinstance(dataset, DatasetFolder):
        raise UsageError(
            "a fold takes a dataset folder, whose column groups hold it; build one with `affect-data build`"
        )
    rows = np.flatnonzero(load_folds(dataset, split, fold.folds) == fold.fold)
    if not len(rows):
        raise UsageError(f"no row of the split '{split}' is in fold {fold.fold} of '{fold.folds}'")
    return rows


def split_of(
    model: AffectModel,
    preprocessing: Preprocessing,
    dataset: DatasetFolder | ForeignSource,
    split: str,
    accelerator: Accelerator,
    *,
    workers: int = 0,
) -> tuple["Dataset | None", LabelArrays | None, "Inputs"]:
    """A split, its labels for the model's heads, and what the model is shown of it; the first two are None where it is streamed.

    Raises:
        UsageError: the model reads windows of videos, which takes a dataset folder.
    """
    tasks = model.config.task_set()
    if isinstance(dataset, DatasetFolder):
        rows, labels = load_labels(dataset.path, split, tasks)
        return rows, labels, inputs_of(model, preprocessing, dataset, split, accelerator, workers=workers)
    if model.config.temporal is not None:
        raise UsageError(
            "a model with a recurrent stage reads the videos of a dataset folder; build one with `affect-data build`"
        )
    if dataset.streaming:
        return None, None, StreamedFaces(dataset.stream(split), tasks, preprocessing)
    loaded = dataset.load(split, tasks)
    return loaded.dataset, loaded.labels, FaceImages(loaded.dataset, preprocessing, faces=loaded.faces)


def tune(
    model: AffectModel,
    source: Path,
    folder: DatasetFolder | ForeignSource,
    split: str,
    preprocessing: Preprocessing,
    accelerator: Accelerator,
    reporter: Reporter,
    *,
    workers: int = 0,
) -> None:
    """Gives the model, and its folder, the thresholds with the highest F1 of each action unit on a split.

    Raises:
        UsageError: the model has no action units.
        ModelMismatchError: the split has no label of them.
    """
    tasks = model.config.task_set()
    if not tasks.action_units:
        raise UsageError(f"'{source}' has no action units, so that there is no threshold to tune")
    rows, labels, images = split_of(model, preprocessing, folder, split, accelerator, workers=workers)
    wanted, where = TaskSet(tasks.action_units, (), 0), f"'{report_of(folder)['dataset']}', split {split}"
    if labels is not None:
        check_labels(labels, wanted, where)
    with reporter.bar(f"thresholds on {split}", None if rows is None else len(rows)) as advance:
        logits = infer(model, images, accelerator, workers=workers, advance=advance)
    if isinstance(images, StreamedFaces):
        _, labels = images.labels()
        check_labels(labels, wanted, where)
    if logits is None:
        return
    assert labels is not None
    found = best_thresholds(predictions(model, logits)["au"], labels.au, labels.au_mask)
    model.config.thresholds = found.tolist()
    model.config.thresholds_from = {
        **report_of(folder),
        "split": split,
        "labels": labels.au_mask.sum(axis=0).tolist(),
    }
    write_text(source / MODEL_CONFIG, model.config.to_json_string(use_diff=True))


def check_labels(labels: LabelArrays, tasks: TaskSet, where: str) -> None:
    """Makes sure that there is something to evaluate.

    Raises:
        ModelMismatchError: no row has a label of any of the tasks.
    """
    if not any(len(rows) for rows in labels.pools(tasks).values()):
        raise ModelMismatchError(
            where,
            "no label of any task of the model",
            f"labels of {', '.join(tasks.names)}",
            "name another split or dataset (`affect-data stats` shows what there is)",
        )
