"""Metrics on the test faces, for the faces themselves and for resamples of them at once."""

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray
from worlds import UNITS, Truth

from affect_train.evaluation.metrics import best_thresholds

Floats = NDArray[np.floating]

COMMON: Final = [0, 1, 4, 5, 6]
"""Places of neutral, anger, happiness, sadness and surprise: the classes with enough faces."""

METRICS: Final = ("accuracy", "macro_f1", "macro_f1_5", "nll", "ccc", "ap", "f1_tuned", "f1_half")
LOWER_IS_BETTER: Final = ("nll",)


def resamples(faces: int, count: int, seed: int = 0) -> Floats:
    """How often each face counts, float64 [count + 1, faces]: once, then in each resample with replacement."""
    random = np.random.default_rng(seed)
    drawn = random.multinomial(faces, np.full(faces, 1 / faces), size=count)
    return np.concatenate([np.ones((1, faces)), drawn]).astype(np.float64)


def metrics_of(predicted: Mapping[str, Floats], truth: Truth, thresholds: Floats, times: Floats) -> NDArray[np.float64]:
    """The metrics of one seed in the order of `METRICS`, float64 [K, 8].

    Args:
        predicted: of N faces: ``expression`` [N, 8] and ``au`` [N, A], probabilities; ``va`` [N, 2].
        truth: of these faces.
        thresholds: float [A], above which an action unit is present.
        times: float [K, N], how often each face counts.
    """
    unique = (truth.votes == truth.votes.max(axis=1, keepdims=True)).sum(axis=1) == 1
    accuracy, macro, common = _classes(predicted["expression"][unique], truth.votes[unique], times[:, unique])
    logarithm = np.log(np.clip(predicted["expression"].astype(np.float64), 1e-9, None))
    likelihood = times @ -(truth.votes * logarithm).sum(axis=1) / times.sum(axis=1)
    ccc = np.mean([_concordance(predicted["va"][:, axis], truth.va[:, axis], times) for axis in (0, 1)], axis=0)
    precision = np.mean(
        [average_precision(predicted["au"][:, unit], truth.au[:, unit], times) for unit in range(len(UNITS))], axis=0
    )
    tuned, half = (_f1(predicted["au"] >= limit, truth.au, times).mean(axis=1) for limit in (thresholds, 0.5))
    return np.stack([accuracy, macro, common, likelihood, ccc, precision, tuned, half], axis=1)


def thresholds_of(probabilities: Floats, labels: Floats) -> Floats:
    """The threshold with the highest F1 for each action unit on the development faces' labels, float [A]."""
    return best_thresholds(probabilities, labels, np.ones(labels.shape, dtype=bool))


def average_precision(scores: Floats, present: NDArray[np.bool_], times: Floats) -> NDArray[np.float64]:
    """The average precision, float64 [K], of N faces that count `times` [K, N] each; equal scores are one step, as in scikit-learn."""
    order = np.argsort(-scores, kind="stable")
    counted = times[:, order]
    hits = (counted * present[order]).cumsum(axis=1)
    ends = np.append(scores[order][1:] != scores[order][:-1], [True])
    hits, seen = hits[:, ends], counted.cumsum(axis=1)[:, ends]
    gained = np.diff(hits, axis=1, prepend=0.0)
    return (gained * hits / np.maximum(seen, 1e-12)).sum(axis=1) / np.maximum(hits[:, -1], 1e-12)


def area(weights: Floats, clean: NDArray[np.bool_]) -> float:
    """The probability that a clean row weighs more than another, ties counting half."""
    ranks = np.unique(weights, return_inverse=True, return_counts=True)
    middle = ranks[2].cumsum() - (ranks[2] - 1) / 2
    total = middle[ranks[1]][clean].sum()
    positive, negative = int(clean.sum()), int((~clean).sum())
    return float((total - positive * (positive + 1) / 2) / (positive * negative)) if positive and negative else np.nan


def _classes(probabilities: Floats, votes: Floats, times: Floats) -> tuple[Floats, Floats, Floats]:
    said, true = (np.eye(8)[values.argmax(axis=1)] for values in (probabilities, votes))
    accuracy = times @ (said * true).sum(axis=1) / times.sum(axis=1)
    f1 = _f1(said.astype(bool), true.astype(bool), times)
    return accuracy, f1.mean(axis=1), f1[:, COMMON].mean(axis=1)


def _f1(said: NDArray[np.bool_], true: NDArray[np.bool_], times: Floats) -> NDArray[np.float64]:
    hits = times @ (said & true).astype(np.float64)
    both = times @ (said.astype(np.float64) + true)
    return 2 * hits / np.maximum(both, 1e-12)


def _concordance(x: Floats, y: Floats, times: Floats) -> NDArray[np.float64]:
    x, y, total = x.astype(np.float64), y.astype(np.float64), times.sum(axis=1)
    mx, my, xx, yy, xy = (times @ values / total for values in (x, y, x * x, y * y, x * y))
    return 2 * (xy - mx * my) / (xx - mx**2 + yy - my**2 + (mx - my) ** 2)
