"""Metrics of a model on the splits of a dataset: over all rows, and for each database."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from accelerate import Accelerator
from numpy.typing import NDArray

from affect_data.store import open_dataset
from affect_train.batches import FaceImages
from affect_train.errors import ModelMismatchError
from affect_train.inference import Logits, build_accelerator, infer, open_model, predictions
from affect_train.labels import LabelArrays, column_array, load_labels
from affect_train.metrics import evaluate_predictions
from affect_train.model import AffectModel
from affect_train.reporting import Reporter
from affect_train.run_folder import RunFolder, model_folder, write_json
from affect_train.tasks import TaskSet

if TYPE_CHECKING:
    from datasets import Dataset

Evaluation = dict[str, Any]
"""JSON-able: rows, overall (of `evaluate_predictions`), databases (the same by name)."""


def evaluate_split(
    model: AffectModel,
    dataset: "Dataset",
    labels: LabelArrays,
    images: FaceImages,
    accelerator: Accelerator,
    reporter: Reporter,
    *,
    workers: int = 0,
) -> Evaluation | None:
    """The metrics of one split, on the main process; None on the others.

    Args:
        model: not wrapped for distributed training.
        dataset: the split.
        labels: of the split, for the model's heads.
        images: of the split, without augmentation.
        accelerator: of this process.
        reporter: shows the progress.
        workers: loader processes.
    """
    rows = len(images)
    with reporter.bar("evaluate", rows) as advance:
        logits = infer(model, images, accelerator, workers=workers, advance=advance)
    return None if logits is None else score(model, logits, labels, dataset)


def score(model: AffectModel, logits: Logits, labels: LabelArrays, dataset: "Dataset") -> Evaluation:
    """The metrics of gathered logits: over all rows, and for each database by itself."""
    predicted, truth = predictions(model, logits), labels.numpy()
    tasks, thresholds = model.config.task_set(), model.config.thresholds

    def metrics(rows: NDArray[np.int64] | slice) -> dict[str, Any]:
        return evaluate_predictions(
            {name: values[rows] for name, values in predicted.items()},
            {name: values[rows] for name, values in truth.items()},
            tasks,
            thresholds,
        )

    databases = column_array(dataset, "database")
    names = dataset.features["database"].names
    present = np.unique(databases).tolist()
    return {
        "rows": len(labels),
        "overall": metrics(slice(None)),
        "databases": {names[code]: metrics(np.flatnonzero(databases == code)) for code in present},
    }


def evaluate(
    path: Path | str,
    dataset: Path | str,
    splits: list[str],
    *,
    workers: int = 0,
    output: Path | None = None,
) -> dict[str, Any] | None:
    """The metrics of a trained model on splits of a dataset, on the main process; None on the others.

    Written to `output`, or to ``evaluation.json`` of the run where `path` is one.

    Args:
        path: run folder or model folder.
        dataset: dataset folder.
        splits: names of splits.
        workers: loader processes.
        output: JSON file.

    Raises:
        NotADatasetError: the dataset is not built.
        NotAModelError: there is no model.
        ModelMismatchError: the dataset has no label of any task of the model.
    """
    folder = open_dataset(dataset)
    for split in splits:
        folder.rows(split)
    source = model_folder(path)
    accelerator = build_accelerator()
    reporter = Reporter(speaks=accelerator.is_main_process)
    model, preprocessing = open_model(source)
    model, tasks = model.to(accelerator.device), model.config.task_set()
    evaluations: dict[str, Any] = {}
    for split in splits:
        rows, labels = load_labels(folder.path, split, tasks)
        check_labels(labels, tasks, f"'{dataset}', split {split}")
        images = FaceImages(rows, preprocessing)
        evaluations[split] = evaluate_split(model, rows, labels, images, accelerator, reporter, workers=workers)
    if not accelerator.is_main_process:
        return None
    report = {"dataset": folder.path.name, "fingerprint": folder.fingerprint, "splits": evaluations}
    target = output or (RunFolder(path).evaluation if source != Path(path) else None)
    if target is not None:
        write_json(target, report)
    return report


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
