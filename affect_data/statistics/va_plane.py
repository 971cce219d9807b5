"""The valence-arousal plane in bins."""

from typing import Final

import numpy as np
import numpy.typing as npt

BINS: Final = 20
FULL_RANGE: Final = (-1.0, 1.0)


def bin_edges(low: float, high: float, bins: int = BINS) -> npt.NDArray[np.float64]:
    """Edges of equal bins, float64 [bins + 1]; if low and high are equal, half a unit to either side, as in numpy's histograms."""
    if low == high:
        low, high = low - 0.5, high + 0.5
    return np.linspace(low, high, bins + 1)


def bins_of(values: npt.NDArray[np.floating], edges: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """The bin of each value, int64: a bin holds its lower edge, the last bin also its upper edge.

    Args:
        values: within the edges, without NaN.
        edges: ascending.
    """
    return np.clip(np.searchsorted(edges, values.astype(np.float64), side="right") - 1, 0, len(edges) - 2)


def plane_bins(
    valence: npt.NDArray[np.floating],
    arousal: npt.NDArray[np.floating],
    valence_edges: npt.NDArray[np.float64],
    arousal_edges: npt.NDArray[np.float64],
) -> npt.NDArray[np.int64]:
    """The bin of each point, int64 [N]: valence bin times the number of arousal bins, plus arousal bin."""
    return bins_of(valence, valence_edges) * (len(arousal_edges) - 1) + bins_of(arousal, arousal_edges)


def histogram(
    valence: npt.NDArray[np.floating],
    arousal: npt.NDArray[np.floating],
    weights: npt.NDArray[np.generic] | None = None,
    bins: int = BINS,
) -> npt.NDArray[np.float64]:
    """Rows by bin over [-1, 1] x [-1, 1], float64 [valence bin, arousal bin].

    Args:
        valence: float [N] without NaN.
        arousal: float [N] without NaN.
        weights: [N], how often each row counts; None: once.
        bins: on each axis.
    """
    edges = bin_edges(*FULL_RANGE, bins)
    flat = plane_bins(valence, arousal, edges, edges)
    return np.bincount(flat, weights, bins * bins).astype(np.float64).reshape(bins, bins)
