"""Weights against unequal frequencies: one over how often a row's class, bin or database occurs."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from affect_data.statistics.va_plane import BINS, FULL_RANGE, bin_edges, plane_bins

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]


def inverse_frequency(classes: npt.NDArray[np.integer], among: Bools | None = None) -> Floats:
    """One over the number of rows in the row's class, float64 [N]: every class that occurs is drawn equally often.

    Args:
        classes: int [N], not negative in the rows that count.
        among: bool [N], the rows that count, at least one; the others have weight 0. None: all rows count.
    """
    counts = np.bincount(classes if among is None else classes[among], minlength=int(classes.max()) + 1)
    inverse = np.zeros(len(counts))
    np.divide(1.0, counts, out=inverse, where=counts > 0)
    weights = np.asarray(inverse[classes])
    return weights if among is None else weights * among


def tempered_frequency(classes: npt.NDArray[np.integer], temperature: float) -> Floats:
    """Weights, float64 [N], with which a class of n rows is drawn in proportion to ``n ** temperature``.

    Args:
        classes: int [N], not negative.
        temperature: 1 leaves shares as they are, 0 makes them equal.
    """
    counts = np.bincount(classes).astype(np.float64)
    weights = np.zeros(len(counts))
    np.power(counts, temperature - 1.0, out=weights, where=counts > 0)
    return np.asarray(weights[classes])


def thinned(classes: npt.NDArray[np.integer], keep_every: Mapping[int, int]) -> Bools:
    """Which rows remain after classes are thinned one after the other, bool [N].

    A row of a class remains if its position is a multiple of `keep_every`. Positions count from 0 over all rows that earlier classes have left.

    Args:
        classes: int [N].
        keep_every: by class, in the order in which classes are thinned.

    Source:
        Deng, Chen & Shi, FG 2020, in their public code.
    """
    kept = np.ones(len(classes), np.bool_)
    for code, every in keep_every.items():
        at_multiple = np.zeros(len(classes), np.bool_)
        at_multiple[np.flatnonzero(kept)[::every]] = True
        kept &= at_multiple | (classes != code)
    return kept


def plane_bin(
    valence: npt.NDArray[np.floating], arousal: npt.NDArray[np.floating], *, over: str
) -> npt.NDArray[np.int64]:
    """The bin of each point in a 20 x 20 histogram, int64 [N].

    Args:
        valence: float [N] without NaN, N at least 1.
        arousal: float [N] without NaN.
        over: ``data``: from the smallest to the largest value of each axis, as in `numpy.histogram2d` and Deng et al.; ``full``: over [-1, 1].
    """
    ranges = [(float(axis.min()), float(axis.max())) if over == "data" else FULL_RANGE for axis in (valence, arousal)]
    return plane_bins(valence, arousal, *(bin_edges(low, high, BINS) for low, high in ranges))
