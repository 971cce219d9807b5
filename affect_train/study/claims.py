"""Whether the figures of several seeds support a claim: the mean of paired differences and its confidence interval."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from affect_train.evaluation.significance import RATE, benjamini_hochberg, p_value, student_t_quantile
from affect_train.study.description import Study

Verdict = Literal["holds", "points that way", "not shown", "opposite", "one seed"]

POINTS_FROM = 0.9
"""The share of the interval that must be above zero for a claim to be pointed at: half of an interval around nothing is above zero."""

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
        verdict: ``holds`` or ``opposite`` if `q` is at most `significance.RATE`, by the sign of the difference; otherwise ``points that way`` if
            `POINTS_FROM` of the interval is above 0, and else ``not shown``; ``one seed`` where nothing can be said.
        p: of a mean at least as far from 0 where there is no difference, by the paired t-test; None for a single seed.
        q: the rate of false discoveries among all findings of the study at which this one is a discovery; None for a single seed.
    """

    claim: str
    metric: str
    better: float
    other: float
    difference: float
    half_width: float | None
    seeds: int
    verdict: Verdict
    p: float | None = None
    q: float | None = None

    def to_json(self) -> dict[str, Any]:
        """The finding as plain values."""
        return asdict(self)


def findings(study: Study, figures: Figures) -> list[Finding]:
    """A finding for every claim and each of its metrics; left out if no seed has figures for it.

    The false discovery rate is controlled over all of them together.
    """
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
    tested = [finding for finding in found if finding.p is not None]
    rates = iter(benjamini_hochberg([finding.p for finding in tested if finding.p is not None]))
    return [finding if finding.p is None else _judged(finding, next(rates)) for finding in found]


def mean_and_half_width(values: Sequence[float]) -> tuple[float, float | None]:
    """The mean, and half the width of its 95 % confidence interval by Student's t; None for a single value."""
    mean = statistics.fmean(values)
    if len(values) < 2:
        return mean, None
    return mean, student_t_quantile(0.975, len(values) - 1) * _standard_error(values)


def _standard_error(values: Sequence[float]) -> float:
    return statistics.stdev(values) / math.sqrt(len(values))


def _finding(claim: str, metric: str, pairs: Sequence[tuple[float, float]]) -> Finding:
    apart = [one - other for one, other in pairs]
    difference, half_width = mean_and_half_width(apart)
    return Finding(
        claim,
        metric,
        statistics.fmean(one for one, _ in pairs),
        statistics.fmean(other for _, other in pairs),
        difference,
        half_width,
        len(pairs),
        "one seed" if half_width is None else "not shown",
        None if half_width is None else p_value(difference, _standard_error(apart), len(apart) - 1),
    )


def _judged(finding: Finding, q: float) -> Finding:
    """The finding with its rate of false discoveries and its verdict."""
    verdict: Verdict = "not shown"
    if q <= RATE:
        verdict = "holds" if finding.difference > 0 else "opposite"
    elif finding.half_width is not None and finding.difference >= (2 * POINTS_FROM - 1) * finding.half_width > 0:
        verdict = "points that way"
    return replace(finding, q=q, verdict=verdict)
