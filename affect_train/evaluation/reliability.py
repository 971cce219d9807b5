"""Whether probabilities mean what they say: reliability curves and the expected calibration error, over the labels that exist."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from affect_train.tasks import TaskSet

BINS: Final = 15

Floats = NDArray[np.floating[Any]]


def reliability(
    predictions: Mapping[str, NDArray[Any]], labels: Mapping[str, NDArray[Any]], tasks: TaskSet, bins: int = BINS
) -> dict[str, Any]:
    """The reliability of probabilities, as values that JSON can hold; ``ece`` is None where there is no label.

    Keys: ``bins``; ``expression``, the curve of the confidence in the predicted class against its accuracy; ``au``, with a curve of probability
    against frequency for each action unit (``by_action_unit``) and the mean of their errors (``mean_ece``). Each curve holds ``labels``, ``ece`` and,
    for every bin, ``count``, ``probability`` (mean) and ``frequency``.

    Args:
        predictions: as for `metrics.evaluate_predictions`.
        labels: as for it.
        tasks: names the columns.
        bins: of equal width over [0, 1].
    """
    found: dict[str, Any] = {"bins": bins}
    if "au" in tasks.names:
        probabilities, present, mask = predictions["au"], labels["au"] > 0.5, labels["au_mask"]
        units = {
            str(number): reliability_curve(probabilities[mask[:, i], i], present[mask[:, i], i], bins)
            for i, number in enumerate(tasks.action_units)
        }
        errors = [curve["ece"] for curve in units.values() if curve["ece"] is not None]
        found["au"] = {"mean_ece": float(np.mean(errors)) if errors else None, "by_action_unit": units}
    if "expression" in tasks.names:
        valid = labels["expression_mask"]
        probabilities, truth = predictions["expression"][valid], labels["expression"][valid]
        found["expression"] = reliability_curve(probabilities.max(axis=1), probabilities.argmax(axis=1) == truth, bins)
    return found


def reliability_curve(probabilities: Floats, happened: NDArray[np.bool_], bins: int = BINS) -> dict[str, Any]:
    """Mean probability of events against how often they happened, by bin; None in empty bins.

    ``ece`` is the distance between mean probability and frequency of a bin, averaged over events.

    Args:
        probabilities: float [N] in [0, 1]; a bin holds its lower edge, the last one also 1.
        happened: bool [N].
        bins: of equal width.

    Source: Naeini et al., *Obtaining Well Calibrated Probabilities Using Bayesian Binning*, AAAI 2015; Guo et al., *On Calibration of Modern Neural
    Networks*, ICML 2017.
    """
    given = np.asarray(probabilities, np.float64)
    index = np.clip(np.searchsorted(np.linspace(0, 1, bins + 1), given, side="right") - 1, 0, bins - 1)
    counts = np.bincount(index, minlength=bins)
    divisors = np.maximum(counts, 1)
    means = np.bincount(index, given, bins) / divisors
    frequencies = np.bincount(index, happened, bins) / divisors
    error = float((counts * np.abs(means - frequencies)).sum() / len(given)) if len(given) else None
    return {
        "labels": len(given),
        "ece": error,
        "count": counts.tolist(),
        "probability": [float(value) if count else None for value, count in zip(means, counts, strict=True)],
        "frequency": [float(value) if count else None for value, count in zip(frequencies, counts, strict=True)],
    }
