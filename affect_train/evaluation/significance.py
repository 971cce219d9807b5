"""Whether a difference is more than chance: Student's t, and the false discovery rate over a table."""

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import Final

NORMAL_FROM: Final = 1000
"""Degrees of freedom from which Student's t is taken for normal: the 97.5 % quantiles then differ by 0.1 %."""

RATE: Final = 0.05
"""Share of false discoveries among the claims of a table that are said to hold, at most, on average."""


def student_t_share(value: float, degrees: int) -> float:
    """The probability that a variable of Student's t distribution is below a value.

    Source: Abramowitz & Stegun, *Handbook of Mathematical Functions*, 26.7.3 and 26.7.4: finite sums for whole degrees of freedom.
    """
    if degrees >= NORMAL_FROM:
        return NormalDist().cdf(value)
    angle = math.atan(abs(value) / math.sqrt(degrees))
    cosine, first = math.cos(angle), degrees % 2
    term = total = cosine if first else 1.0
    for step in range(2 + first, degrees, 2):
        term *= cosine * cosine * (step - 1) / step
        total += term
    if degrees == 1:
        total = 0.0
    inside = (angle + math.sin(angle) * total) * 2 / math.pi if first else math.sin(angle) * total
    return 0.5 + math.copysign(inside / 2, value)


def student_t_quantile(share: float, degrees: int) -> float:
    """The value below which a variable of Student's t distribution is with a probability strictly between 0 and 1."""
    if degrees >= NORMAL_FROM:
        return NormalDist().inv_cdf(share)
    if share < 0.5:
        return -student_t_quantile(1 - share, degrees)
    low, high = 0.0, 1.0
    while student_t_share(high, degrees) < share:
        high *= 2
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if student_t_share(middle, degrees) < share else (low, middle)
    return (low + high) / 2


def p_value(mean: float, deviation: float, degrees: int) -> float:
    """How often chance alone gives a mean at least as far from 0, on either side, by Student's t.

    Args:
        mean: of the differences.
        deviation: standard error of that mean; 0 gives 0, or 1 if the mean is 0 too.
        degrees: of freedom.
    """
    if deviation == 0:
        return 1.0 if mean == 0 else 0.0
    return 2 * student_t_share(-abs(mean) / deviation, degrees)


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """For each p value the smallest rate of false discoveries at which it is one, so that a table of q <= `RATE` has that rate.

    Source: Benjamini & Hochberg, *Controlling the False Discovery Rate*, Journal of the Royal Statistical Society B 57 (1995).
    """
    count, smallest = len(p_values), 1.0
    found = [1.0] * count
    for rank, place in sorted(enumerate(sorted(range(count), key=p_values.__getitem__), start=1), reverse=True):
        smallest = min(smallest, p_values[place] * count / rank)
        found[place] = smallest
    return found
