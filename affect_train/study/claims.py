"""Whether the figures of several seeds support a claim: the mean of paired differences and its confidence interval."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from affect_train.study.description import Study

Verdict = Literal["holds", "points that way", "not shown", "opposite"]

STUDENT_T = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
    2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086,
)  # fmt: skip
"""The 97.5 % quantiles of Student's t for 1 to 20 degrees of freedom."""

NORMAL = 1.960

Figures = Mapping[str, Mapping[int, Mapping[str, float | None]]]
"""Figures by score, seed and metric."""


@dataclass(frozen=True)
class Finding:
    """One metric of one claim.

    Attributes:
        claim: in words.
        metric: name of the metric.
        better: mean over the seeds of the score that should be better.
        other: mean of the score that it is compared with, or the bound.
        difference: mean of the differences, seed by seed.
        half_width: of the 95 % confidence interval of that mean, by Student's t; None for a single seed.
        seeds: how many had both figures.
        verdict: ``holds`` if the whole interval is above 0, ``opposite`` if it is below; otherwise ``points that way`` or ``not shown``, by the sign
            of the difference.
    """

    claim: str
    metric: str
    better: float
    other: float
    difference: float
    half_width: float | None
    seeds: int
    verdict: Verdict

    def to_json(self) -> dict[str, Any]:
        """The finding as plain values."""
        return asdict(self)


def findings(study: Study, figures: Figures) -> list[Finding]:
    """A finding for every claim and each of its metrics; left out if no seed has figures for it."""
    found = []
    for claim in study.claims:
        for metric in claim.metrics or study.metrics:
            pairs = [
                (better[metric], claim.above if claim.than is None else figures[claim.than].get(seed, {}).get(metric))
                for seed, better in figures[claim.better].items()
            ]
            known = [(float(one), float(other)) for one, other in pairs if one is not None and other is not None]
            if known:
                found.append(_finding(claim.claim, metric, known))
    return found


def mean_and_half_width(values: Sequence[float]) -> tuple[float, float | None]:
    """The mean, and half the width of its 95 % confidence interval by Student's t; None for a single value."""
    mean = statistics.fmean(values)
    if len(values) < 2:
        return mean, None
    degrees = len(values) - 1
    quantile = STUDENT_T[degrees - 1] if degrees <= len(STUDENT_T) else NORMAL
    return mean, quantile * statistics.stdev(values) / math.sqrt(len(values))


def _finding(claim: str, metric: str, pairs: Sequence[tuple[float, float]]) -> Finding:
    difference, half_width = mean_and_half_width([one - other for one, other in pairs])
    return Finding(
        claim,
        metric,
        statistics.fmean(one for one, _ in pairs),
        statistics.fmean(other for _, other in pairs),
        difference,
        half_width,
        len(pairs),
        _verdict(difference, half_width),
    )


def _verdict(difference: float, half_width: float | None) -> Verdict:
    if half_width is None or abs(difference) <= half_width:
        return "points that way" if difference > 0 else "not shown"
    return "holds" if difference > 0 else "opposite"
