"""How good predictions are, over the labels that exist.

F1, average precision and area under the ROC curve of action units, F1 and accuracy of expressions, concordance of valence and arousal, and the scores
of the ABAW challenges.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from affect_train.evaluation.abaw import abaw_scores
from affect_train.evaluation.ranking import Ranking
from affect_train.tasks import AXES, DEFAULT_THRESHOLD, TaskSet

Absent = Literal["skip", "zero"]
"""What a class that is neither predicted nor present does to a mean F1: it is left out, or counts 0."""

Floats = NDArray[np.floating[Any]]
Bools = NDArray[np.bool_]
Integers = NDArray[np.integer[Any]]


def concordance_correlation(predictions: Floats, labels: Floats) -> float:
    """The concordance correlation coefficient with population variances; NaN for fewer than two values, or if all values are equal.

    Source: Lin, *A concordance correlation coefficient to evaluate reproducibility*, Biometrics 45 (1989).
    """
    if len(labels) < 2:
        return float("nan")
    x, y = np.asarray(predictions, np.float64), np.asarray(labels, np.float64)
    denominator = x.var() + y.var() + (x.mean() - y.mean()) ** 2
    covariance = np.mean((x - x.mean()) * (y - y.mean()))
    return float(2 * covariance / denominator) if denominator > 0 else float("nan")


def f1(predicted: Bools, present: Bools) -> float:
    """``2 TP / (2 TP + FP + FN)`` of one class; NaN where it is neither predicted nor present."""
    wrong = np.count_nonzero(predicted != present)
    right = np.count_nonzero(predicted & present)
    return 2 * right / (2 * right + wrong) if right or wrong else float("nan")


def best_thresholds(
    probabilities: Floats, labels: NDArray[np.number[Any]], mask: Bools, default: float = 0.5
) -> Floats:
    """The threshold with the highest F1 for every action unit, float64 [A]: halfway between two probabilities that occur.

    Among equal scores the threshold nearest to the default wins. An action unit that is never present or never labelled keeps the default.

    Args:
        probabilities: [N, A].
        labels: [N, A] of 0 and 1.
        mask: [N, A], whether there is a label.
        default: a probability.
    """
    found = np.full(probabilities.shape[1], default)
    for column in range(probabilities.shape[1]):
        valid = mask[:, column]
        found[column] = _best_threshold(probabilities[valid, column], labels[valid, column] > 0.5, default)
    return found


def _best_threshold(probabilities: Floats, present: Bools, default: float) -> float:
    positives = np.count_nonzero(present)
    if not positives:
        return default
    order = np.argsort(-probabilities, kind="stable")
    descending, hits = probabilities[order].astype(np.float64), np.cumsum(present[order])
    # A threshold lies between two different probabilities, or below all of them.
    ends = np.flatnonzero(np.append(np.diff(descending) != 0, True))
    # F1 = 2 TP / (predicted + present), and a threshold below the k-th highest probability predicts k rows.
    scores = 2 * hits[ends] / (ends + 1 + positives)
    below = np.append(descending[1:], 0.0)[ends]
    lowest_included = descending[ends]
    candidates = np.where((below < default) & (default <= lowest_included), default, (below + lowest_included) / 2)
    best = candidates[scores == scores.max()]
    return float(best[np.argmin(np.abs(best - default))])


def evaluate_predictions(
    predictions: Mapping[str, NDArray[Any]],
    labels: Mapping[str, NDArray[Any]],
    tasks: TaskSet,
    thresholds: Sequence[float] | None = None,
    tracks: NDArray[np.int64] | None = None,
    absent: Absent = "skip",
) -> dict[str, Any]:
    """Every metric of the tasks, as values that JSON can hold; None where a metric is not defined.

    Keys: ``score`` (the mean of the tasks' main metrics), ``au``, ``expression``, ``va``, ``abaw`` and ``absent``. Each task states how many labels
    it counts.

    Args:
        predictions: probabilities ``au`` [N, A] and ``expression`` [N, C], ``valence`` and ``arousal`` [N].
        labels: ``au`` [N, A], ``au_mask`` [N, A], ``expression`` [N], ``expression_mask`` [N], ``valence``, ``arousal``, ``va_mask`` [N].
        tasks: names the columns.
        thresholds: for every action unit, the probability from which on it counts as present; 0.5 by default. If others are given, ``au`` has the
            metrics at 0.5 under ``at_half``.
        tracks: int64 [N], the video of every row, -1 where there is none; adds ``per_track`` to ``va``.
        absent: what an action unit or expression that is neither predicted nor present does to the mean F1. An action unit without a label is
            always left out; the ABAW scores always count 0.
    """
    report: dict[str, Any] = {}
    if "au" in tasks.names:
        limits = np.asarray(thresholds if thresholds is not None else [0.5] * len(tasks.action_units))
        present, mask = labels["au"] > 0.5, labels["au_mask"]
        ranks = _ranks(predictions["au"], present, mask)
        report["au"] = _au_report(predictions["au"] >= limits, present, mask, tasks, limits, ranks, absent)
        if (limits != DEFAULT_THRESHOLD).any():
            half = np.full(len(limits), DEFAULT_THRESHOLD)
            report["au"]["at_half"] = _au_report(predictions["au"] >= half, present, mask, tasks, half, ranks, absent)
    if "expression" in tasks.names:
        valid = labels["expression_mask"]
        predicted = predictions["expression"].argmax(axis=1)[valid]
        report["expression"] = _expression_report(predicted, labels["expression"][valid], tasks, absent)
    if "va" in tasks.names:
        report["va"] = _va_report(predictions, labels)
        if tracks is not None:
            report["va"]["per_track"] = _track_report(predictions, labels, tracks)
    main = {"au": "mean_f1", "expression": "macro_f1", "va": "mean_ccc"}
    report["score"] = _mean([report[task][main[task]] for task in tasks.names])
    report["abaw"] = abaw_scores(report)
    report["absent"] = absent
    return report


def _ranks(probabilities: Floats, present: Bools, mask: Bools) -> list[dict[str, float | None]]:
    """Average precision and area under the ROC curve of each action unit; None where its labels are all the same."""
    found = []
    for scores, truth, valid in zip(probabilities.T, present.T, mask.T, strict=True):
        (precision,), (area,) = Ranking.of(scores[valid], truth[valid]).scores(np.ones((1, int(valid.sum()))))
        found.append({"average_precision": _or_none(precision), "auroc": _or_none(area)})
    return found


def _au_report(
    predicted: Bools,
    present: Bools,
    mask: Bools,
    tasks: TaskSet,
    thresholds: Floats,
    ranks: Sequence[Mapping[str, float | None]],
    absent: Absent,
) -> dict[str, Any]:
    units: dict[str, dict[str, Any]] = {}
    for column, number in enumerate(tasks.action_units):
        valid = mask[:, column]
        hits, truth = predicted[valid, column], present[valid, column]
        units[str(number)] = {
            "f1": _or_none(f1(hits, truth)),
            **ranks[column],
            "threshold": float(thresholds[column]),
            "labels": int(valid.sum()),
            "present": int(truth.sum()),
        }
    right = predicted == present
    labelled = [unit["f1"] for unit in units.values() if unit["labels"]]
    return {
        "mean_f1": _mean_f1(labelled, absent),
        "mean_average_precision": _mean([rank["average_precision"] for rank in ranks]),
        "mean_auroc": _mean([rank["auroc"] for rank in ranks]),
        "accuracy": float(right[mask].mean()) if mask.any() else None,
        "labels": int(mask.sum()),
        "by_action_unit": units,
    }


def _expression_report(predicted: Integers, truth: Integers, tasks: TaskSet, absent: Absent) -> dict[str, Any]:
    scores = {name: _or_none(f1(predicted == c, truth == c)) for c, name in enumerate(tasks.expressions)}
    return {
        "macro_f1": _mean_f1(list(scores.values()), absent) if len(truth) else None,
        "accuracy": float((predicted == truth).mean()) if len(truth) else None,
        "labels": len(truth),
        "by_class": {
            name: {"f1": scores[name], "labels": int((truth == c).sum())} for c, name in enumerate(tasks.expressions)
        },
    }


def _va_report(predictions: Mapping[str, NDArray[Any]], labels: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    valid = labels["va_mask"]
    scores = {
        f"{axis}_ccc": _or_none(concordance_correlation(predictions[axis][valid], labels[axis][valid])) for axis in AXES
    }
    both = list(scores.values())
    return {**scores, "mean_ccc": None if None in both else _mean(both), "labels": int(valid.sum())}


def _track_report(
    predictions: Mapping[str, NDArray[Any]], labels: Mapping[str, NDArray[Any]], tracks: NDArray[np.int64]
) -> dict[str, Any]:
    """The mean concordance over videos. A video counts if it has at least two labels, and they vary."""
    valid = labels["va_mask"] & (tracks >= 0)
    index = np.unique(tracks[valid], return_inverse=True)[1]
    scores = {axis: track_concordances(predictions[axis][valid], labels[axis][valid], index) for axis in AXES}
    found = {f"{axis}_ccc": _mean([_or_none(float(score)) for score in values]) for axis, values in scores.items()}
    both = list(found.values())
    counted = {f"{axis}_tracks": int(np.isfinite(values).sum()) for axis, values in scores.items()}
    return {**found, "mean_ccc": None if None in both else _mean(both), **counted}


def track_concordances(predictions: Floats, labels: Floats, index: NDArray[np.int64]) -> NDArray[np.float64]:
    """The concordance within each track, float64 [tracks]; NaN for fewer than two values, or labels that do not vary.

    Args:
        predictions: float [N].
        labels: float [N].
        index: int64 [N], the track of each value, from 0 without gaps.
    """
    counts = np.bincount(index)

    def mean(values: Floats) -> NDArray[np.float64]:
        return np.bincount(index, values, len(counts)) / np.maximum(counts, 1)

    x, y = np.asarray(predictions, np.float64), np.asarray(labels, np.float64)
    mean_x, mean_y = mean(x), mean(y)
    # The mean is subtracted before squaring: a difference of sums would lose the variance of a track that hardly varies.
    away_x, away_y = x - mean_x[index], y - mean_y[index]
    variance = mean(away_y**2)
    denominator = mean(away_x**2) + variance + (mean_x - mean_y) ** 2
    defined = (counts >= 2) & (variance > 1e-12)
    return np.where(defined, 2 * mean(away_x * away_y) / np.where(defined, denominator, 1), np.nan)


def _mean_f1(scores: Sequence[float | None], absent: Absent) -> float | None:
    return _mean([0.0 if score is None and absent == "zero" else score for score in scores])


def _mean(values: Sequence[float | None]) -> float | None:
    defined = [value for value in values if value is not None]
    return float(np.mean(defined)) if defined else None


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
