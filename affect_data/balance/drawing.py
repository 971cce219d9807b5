"""Draws the rows of an epoch by their weights."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from affect_data.errors import DataError, UsageError

Floats = npt.NDArray[np.float64]


def draw(
    weights: npt.NDArray[np.floating], count: int, seed: int | Sequence[int], repeat_cap: int | None = None
) -> npt.NDArray[np.int64]:
    """Row numbers of an epoch, int64 [count], in random order; a pure function of its arguments.

    Systematic sampling: a row with weight w is drawn ``count * w / sum(weights)`` times, rounded down or up at random. All rows of equal weight
    together are drawn as often as their weights say, to within one. Independent draws with replacement would scatter around the plan.

    Args:
        weights: [N], not negative; rows with weight 0 are never drawn.
        count: how many rows to draw.
        seed: one or more integers, for example seed and epoch.
        repeat_cap: how often a row may be drawn at most; the draws that heavier rows lose go to the others.

    Raises:
        DataError: a weight is negative or not finite, or all are 0.
        UsageError: `count` is negative, or the cap leaves too few draws.
    """
    expected = expected_draws(weights, count, repeat_cap)
    rng = np.random.default_rng(seed)
    times = np.floor(expected).astype(np.int64)
    times[_systematic(expected - times, count - int(times.sum()), rng)] += 1
    return rng.permutation(np.repeat(np.arange(len(times)), times))


def _systematic(shares: Floats, count: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """A sample of `count` different rows, int64. Each row is in it with the probability of its share, below 1; the shares sum to `count`."""
    rows = rng.permutation(np.flatnonzero(shares))
    if not count:
        return rows[:0]
    # With rows of equal share side by side, the sample holds as many of them as their shares say, to within one.
    rows = rows[np.argsort(shares[rows], kind="stable")]
    reached = np.cumsum(shares[rows])
    reached *= count / reached[-1]
    reached[-1] = count
    # Points offset, offset + 1, ... with the offset in (0, 1]: exactly `count` of them lie in (0, count].
    offset = 1.0 - rng.random()
    return rows[np.searchsorted(reached, offset + np.arange(count))]


def expected_draws(weights: npt.NDArray[np.floating], count: int, repeat_cap: int | None = None) -> Floats:
    """How often each row is drawn on average, float64 [N]; sums to `count`.

    Args:
        weights: as for `draw`.
        count: as for `draw`.
        repeat_cap: as for `draw`.

    Raises:
        DataError: as for `draw`.
        UsageError: as for `draw`.
    """
    exact = weights.astype(np.float64)
    bad = ~np.isfinite(exact) | (exact < 0)
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise DataError(f"row {row} has the weight {exact[row]}; weights must be finite and not negative")
    if count < 0:
        raise UsageError(f"{count} rows cannot be drawn; the number of draws must not be negative")
    total = float(exact.sum())
    if total == 0:
        raise DataError(
            "no row has a weight above 0, so that nothing can be drawn; choose another plan or other options"
        )
    if repeat_cap is None:
        return exact * (count / total)
    return _capped(exact, count, repeat_cap)


def _capped(weights: Floats, count: int, cap: int) -> Floats:
    rows = np.flatnonzero(weights)
    if cap < 1 or len(rows) * cap < count:
        raise UsageError(
            f"{count:,} draws from {len(rows):,} rows are more than {cap} a row; raise the repeat cap or draw fewer rows"
        )
    order = rows[np.argsort(-weights[rows], kind="stable")]
    heaviest_first = weights[order]
    remaining = np.cumsum(heaviest_first[::-1])[::-1]
    # With the k heaviest rows at the cap, the others share the remaining draws; k is the smallest number for which none of these exceeds the cap.
    left = count - cap * np.arange(len(order), dtype=np.float64)
    fits = heaviest_first * left <= cap * remaining * (1 + 1e-12)
    at_cap = int(np.argmax(fits)) if fits.any() else len(order)
    expected = np.zeros(len(weights))
    expected[order[:at_cap]] = cap
    if at_cap < len(order):
        expected[order[at_cap:]] = heaviest_first[at_cap:] * (left[at_cap] / remaining[at_cap])
    return np.minimum(expected, cap)
