"""How well scores rank what is present before what is not: average precision and the area under the ROC curve, which no threshold decides."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Ranking:
    """Labelled rows by falling score.

    Attributes:
        order: int64 [N], the rows' numbers.
        present: bool [N], of the rows in that order.
        ends: int64 [T], for each different score the place of its last row: rows of equal score cannot be told apart.
    """

    order: NDArray[np.int64]
    present: NDArray[np.bool_]
    ends: NDArray[np.int64]

    @classmethod
    def of(cls, scores: NDArray[np.floating[Any]], present: NDArray[np.bool_]) -> Self:
        """The rows with these scores, float [N] and finite, and truths, bool [N]."""
        order = np.argsort(-np.asarray(scores), kind="stable")
        ends = np.flatnonzero(np.append(np.diff(np.asarray(scores)[order]) != 0, True)) if len(order) else order
        return cls(order, present[order], ends)

    def scores(self, times: Floats) -> tuple[Floats, Floats]:
        """Average precision and area under the ROC curve, each [B]; NaN where only one of present and absent occurs.

        Average precision is the mean over the present rows of the precision at their score. The area is the probability that a present row has a
        higher score than an absent one, ties counting half (Mann and Whitney).

        Args:
            times: [B, N], how often each row counts, in the order of the scores that were given.
        """
        if not len(self.order):
            nothing = np.full(len(times), np.nan)
            return nothing, nothing
        ordered = times[:, self.order]
        hits = np.cumsum(ordered * self.present, axis=1)[:, self.ends]
        found = np.cumsum(ordered, axis=1)[:, self.ends]
        alarms = found - hits
        new_hits, new_alarms = np.diff(hits, axis=1, prepend=0), np.diff(alarms, axis=1, prepend=0)
        positives, negatives = hits[:, -1], alarms[:, -1]
        with np.errstate(invalid="ignore", divide="ignore"):
            precision = np.where(found > 0, hits / found, 0)
            average = (new_hits * precision).sum(axis=1) / positives
            area = (new_alarms * (hits - new_hits / 2)).sum(axis=1) / (positives * negatives)
        defined = (positives > 0) & (negatives > 0)
        return np.where(defined, average, np.nan), np.where(defined, area, np.nan)

    def curve(self) -> tuple[Floats, Floats]:
        """Precision and recall at each different score, from the highest on, each [T]; some row must be present."""
        hits = np.cumsum(self.present)[self.ends]
        return hits / (self.ends + 1), hits / hits[-1]


def auroc(scores: NDArray[np.floating[Any]], present: NDArray[np.bool_]) -> float | None:
    """The area under the ROC curve of scores, float [N], for truths, bool [N]; None where only one of present and absent occurs."""
    area = float(Ranking.of(scores, present).scores(np.ones((1, len(scores))))[1][0])
    return None if np.isnan(area) else area
