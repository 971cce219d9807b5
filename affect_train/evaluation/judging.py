"""Figures by a protocol: one for each task and database, with intervals, and what thresholds of the database's own would add."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from affect_train.evaluation.intervals import Clusters, confidence_intervals
from affect_train.evaluation.metrics import best_thresholds, evaluate_predictions
from affect_train.evaluation.protocol import Protocol, check_protocol
from affect_train.evaluation.selection import refuse_selected
from affect_train.inference.inference import infer, open_model, predictions
from affect_train.inference.inputs import split_of
from affect_train.inputs.labels import check_labels, column_array, text_codes
from affect_train.inputs.source import OwnFolder, open_own_folder
from affect_train.run_folder import model_folder
from affect_train.runtime import Runtime
from affect_train.tasks import TaskSet

Rows = NDArray[np.int64]


def judge(
    path: Path | str, dataset: Path | str, protocol: Protocol, *, resamples: int = 1000, workers: int | None = None
) -> dict[str, Any] | None:
    """The figures of a model by a protocol, as values that JSON can hold, on the main process; None on the others.

    Keys: ``protocol`` (title and hash), ``dataset``, ``fingerprint``, ``figures``: by database and task ``metric``, ``value``, ``interval``,
    ``labels`` and ``people``; for action units also ``f1`` and ``regret``, what thresholds tuned on these very rows would add to it.

    Args:
        path: run folder, model folder, or a model on the Hub.
        dataset: dataset folder.
        protocol: by which the model is judged.
        resamples: of people behind the intervals.
        workers: loader processes; None: what the machine has, as `loader_processes` says.

    Raises:
        AffectError: the model, the dataset and the protocol do not fit one another, or the split chose the checkpoint.
    """
    folder = open_own_folder(dataset, "affect-train judge")
    source = OwnFolder(folder)
    runtime = Runtime.start(workers=workers)
    model, preprocessing = open_model(model_folder(path))
    check_protocol(protocol, model.config, folder)
    refuse_selected(model.config, source, [protocol.split])
    model = model.to(runtime.accelerator.device)
    split = split_of(model, preprocessing, source, protocol.split, runtime)
    with runtime.reporter.bar("judge", split.inputs.rows) as advance:
        logits = infer(model, split.inputs, runtime, advance=advance)
    if logits is None:
        return None
    data, labels = split.passed()
    tasks = model.config.task_set()
    check_labels(labels, tasks, source.place(protocol.split))
    databases = column_array(data, "database")
    judged = _Judged(
        protocol,
        _judged_tasks(tasks, protocol),
        _of_units(predictions(model, logits), tasks, protocol),
        _of_units(labels.numpy(), tasks, protocol),
        Clusters.of(databases, text_codes(data, "subject"), text_codes(data, "track")),
        resamples,
    )
    names = data.features["database"].names
    counted = {names[code]: np.flatnonzero(databases == code) for code in np.unique(databases).tolist()}
    wanted = protocol.databases or tuple(counted)
    figures = {name: judged.figures(rows) for name, rows in counted.items() if name in wanted}
    return {"protocol": protocol.stated(), **source.report(), "figures": figures}


@dataclass(frozen=True)
class _Judged:
    """All rows of a split by a protocol."""

    protocol: Protocol
    tasks: TaskSet
    predicted: Mapping[str, NDArray[Any]]
    truth: Mapping[str, NDArray[Any]]
    clusters: Clusters
    resamples: int

    def figures(self, rows: Rows) -> dict[str, Any]:
        """The figure of each task on some rows; tasks without a label are absent."""
        predicted = {name: values[rows] for name, values in self.predicted.items()}
        truth = {name: values[rows] for name, values in self.truth.items()}
        thresholds = [self.protocol.threshold] * len(self.tasks.action_units)
        report = evaluate_predictions(predicted, truth, self.tasks, thresholds, absent=self.protocol.absent)
        clusters = self.clusters.rows(rows)
        intervals = confidence_intervals(
            predicted,
            truth,
            self.tasks,
            clusters,
            thresholds=np.asarray(thresholds),
            resamples=self.resamples,
            absent=self.protocol.absent,
        )["metrics"]
        found: dict[str, Any] = {}
        for task, metric in self.protocol.metrics.items():
            if not report[task]["labels"]:
                continue
            found[task] = {
                "metric": metric,
                "value": report[task][metric],
                "interval": intervals[f"{task}.{metric}"],
                "labels": report[task]["labels"],
                "people": clusters.count,
            }
        if "au" in found:
            found["au"] |= self._regret(predicted, truth, report["au"]["mean_f1"])
        return found

    def _regret(
        self, predicted: Mapping[str, NDArray[Any]], truth: Mapping[str, NDArray[Any]], at_threshold: float | None
    ) -> dict[str, float | None]:
        """Mean F1 at the protocol's threshold, with thresholds tuned on these very rows, and what the latter would add."""
        own = best_thresholds(predicted["au"], truth["au"], truth["au_mask"]).tolist()
        report = evaluate_predictions(predicted, truth, self.tasks, own, absent="zero")
        half = [self.protocol.threshold] * len(own)
        fixed = evaluate_predictions(predicted, truth, self.tasks, half, absent="zero")
        # Both count absent action units as 0: means over different action units would not be comparable.
        first, best = fixed["au"]["mean_f1"], report["au"]["mean_f1"]
        regret = None if first is None or best is None else best - first
        return {"f1": at_threshold, "regret": regret}


def _judged_tasks(tasks: TaskSet, protocol: Protocol) -> TaskSet:
    units = (protocol.action_units or tasks.action_units) if "au" in protocol.metrics else ()
    classes = tasks.expressions if "expression" in protocol.metrics else ()
    return TaskSet(units, classes, tasks.valence_arousal_bins if "va" in protocol.metrics else 0)


def _of_units(arrays: Mapping[str, NDArray[Any]], tasks: TaskSet, protocol: Protocol) -> dict[str, NDArray[Any]]:
    """Arrays with the columns of the protocol's action units alone."""
    columns = [tasks.action_units.index(number) for number in protocol.action_units or tasks.action_units]
    return {name: values[:, columns] if name in ("au", "au_mask") else values for name, values in arrays.items()}
