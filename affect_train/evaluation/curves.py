"""What drawings of an evaluation are made of: confusions, precision-recall curves, and predictions of valence and arousal by their labels.

Everything is counted over many rows, so that no label of a single face is in an evaluation's file.
"""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from affect_train.evaluation.ranking import Ranking
from affect_train.tasks import AXES, TaskSet

POINTS: Final = 48
"""Points of a precision-recall curve, at most."""

BINS: Final = 20
"""Bins of valence and of arousal over [-1, 1]."""

Floats = NDArray[np.floating[Any]]


def curves(
    predictions: Mapping[str, NDArray[Any]], labels: Mapping[str, NDArray[Any]], tasks: TaskSet
) -> dict[str, Any]:
    """What drawings of predictions are made of, as values that JSON can hold.

    Keys, for tasks of the model: ``au``, with a precision-recall curve for each action unit; ``expression``, with one for each
    class against all others, and ``confusion``; ``va``, with ``valence`` and ``arousal``, each a table of rows by label and prediction, and
    ``predicted`` and ``labelled``, each a table of rows by valence and arousal, all in `BINS` bins over [-1, 1].

    Args:
        predictions: as for `metrics.evaluate_predictions`.
        labels: as for it.
        tasks: names the columns.
    """
    found: dict[str, Any] = {}
    if "au" in tasks.names:
        mask, present = labels["au_mask"], labels["au"] > 0.5
        found["au"] = {
            str(number): precision_recall(predictions["au"][mask[:, i], i], present[mask[:, i], i])
            for i, number in enumerate(tasks.action_units)
        }
    if "expression" in tasks.names:
        valid = labels["expression_mask"]
        given, truth = predictions["expression"][valid], labels["expression"][valid]
        classes = {name: precision_recall(given[:, c], truth == c) for c, name in enumerate(tasks.expressions)}
        confusion = counted(truth, given.argmax(axis=1), len(tasks.expressions))
        found["expression"] = {"classes": classes, "confusion": confusion}
    if "va" in tasks.names:
        found["va"] = _planes(predictions, labels)
    return found


def precision_recall(scores: Floats, present: NDArray[np.bool_]) -> dict[str, Any]:
    """Precision by recall, with at most `POINTS` of the thresholds that occur, evenly spread over recall; no point where only one of both occurs.

    Args:
        scores: float [N].
        present: bool [N].
    """
    rate = float(present.mean()) if len(present) else None
    if not present.any() or present.all():
        return {"rate": rate, "recall": [], "precision": []}
    precision, recall = Ranking.of(scores, present).curve()
    wanted = np.unique(np.searchsorted(recall, np.linspace(recall[0], 1.0, POINTS)))
    kept = wanted[wanted < len(recall)]
    return {"rate": rate, "recall": recall[kept].round(4).tolist(), "precision": precision[kept].round(4).tolist()}


def counted(rows: NDArray[np.integer[Any]], columns: NDArray[np.integer[Any]], size: int) -> list[list[int]]:
    """How often each pair occurs: lists [size][size] of counts.

    Args:
        rows: integers [N] under `size`.
        columns: the same.
        size: of the table.
    """
    pairs = np.asarray(rows, np.int64) * size + np.asarray(columns, np.int64)
    table: list[list[int]] = np.bincount(pairs, minlength=size * size).reshape(size, size).tolist()
    return table


def _planes(predictions: Mapping[str, NDArray[Any]], labels: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    valid = labels["va_mask"]
    given = {axis: _bin(predictions[axis][valid]) for axis in AXES}
    truth = {axis: _bin(labels[axis][valid]) for axis in AXES}
    return {
        **{axis: counted(truth[axis], given[axis], BINS) for axis in AXES},
        "predicted": counted(given["valence"], given["arousal"], BINS),
        "labelled": counted(truth["valence"], truth["arousal"], BINS),
    }


def _bin(values: Floats) -> NDArray[np.int64]:
    """The bin of each value over [-1, 1], int64; 1 belongs to the last one."""
    found = np.floor((np.asarray(values, np.float64) + 1) / 2 * BINS)
    return np.asarray(np.clip(found, 0, BINS - 1), np.int64)
