"""The valence-arousal plane in bins."""

from typing import Final

import numpy as np
import numpy.typing as npt

BINS: Final = 20
FULL_RANGE: Final = (-1.0, 1.0)


def bin_edges(low: float, high: float, bins: int = BINS) -> npt.NDArray[np.float64]:
    """Edges of equal bins, float64 [bins + 1]; half a unit either way where low and high are equal, as numpy's histograms have it."""
    if low == high:
        low, high = low - 0.5, high + 0.5
    return np.linspace(low, high, bins + 1)


def bins_of(values: npt.NDArray[np.floating], edges: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """The bin of each value: a bin holds its lower edge, the last one both of its edges.

    Args:
        values: within the edges, no NaN.
        edges: ascending.
    """
    return np.clip(np.searchsorted(edges, values.astype(np.float64), side="right") - 1, 0, len(edges) - 2)


def plane_bins(
    valence: npt.NDArray[np.floating],
    arousal: npt.NDArray[np.floating],
    valence_edges: npt.NDArray[np.float64],
    arousal_edges: npt.NDArray[np.float64],
) -> npt.NDArray[np.int64]:
    """The bin of each point, valence bin times the number of arousal bins plus arousal bin."""
    return bins_of(valence, valence_edges) * (len(arousal_edges) - 1) + bins_of(arousal, arousal_edges)


def histogram(
    valence: npt.NDArray[np.floating],
    arousal: npt.NDArray[np.floating],
    weights: npt.NDArray[np.generic] | None = None,
    bins: int = BINS,
) -> npt.NDArray[np.float64]:
    """Rows by bin over [-1, 1] x [-1, 1]: float64 [valence bin, arousal bin].

    Args:
        valence: float [N], no NaN.
        arousal: float [N], no NaN.
        weights: [N], how often each row counts; once without it.
        bins: by axis.
    """
    edges = bin_edges(*FULL_RANGE, bins)
    flat = plane_bins(valence, arousal, edges, edges)
    return np.bincount(flat, weights, bins * bins).astype(np.float64).reshape(bins, bins)
