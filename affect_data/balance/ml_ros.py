"""Multi-label random oversampling (ML-ROS): how often rows with rare labels are cloned. No row is copied.

Sources:
    Charte, Rivera, del Jesus & Herrera, *Addressing imbalance in multilabel classification: Measures and random resampling algorithms*,
    Neurocomputing 163 (2015), algorithm 3.
    Deng, Chen & Shi, *Multitask emotion recognition with incomplete labels*, FG 2020, and its public code.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from affect_data.statistics.imbalance import irlbl

Bools = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.int64]

_ROUNDS: Final = 1024
"""Rounds that are drawn at once; only then is it seen in which round a label reached MeanIR."""
_APART_SHARE: Final = 0.1
"""A part of a bag is cloned in place of the whole bag only if it has at least this share of the rows: fewer would be cloned too often."""
_STEP_SHARE: Final = 8
"""One in so many of a label's missing clones is made at once: clones raise other labels too, and then another label may be the rarest."""
_SMALLEST_STEP: Final = 32
"""The fewest clones of a step, so that the last ones do not come one by one."""
_ENDLESS: Final = 20
"""After this many clones per row, a target without a budget counts as out of reach."""


def charte_clones(present: Bools, percentage: float, seed: int) -> Indices:
    """The rows that ML-ROS clones, in order, int64 [K].

    A round clones one random row from the bag of each label whose IRLbl is above MeanIR. A label whose IRLbl has come down to MeanIR drops out.
    MeanIR stays that of the beginning, and labels that no row has take no part. The round in which the budget is spent is finished.

    Args:
        present: bool [N, L].
        percentage: budget of clones in per cent of the rows.
        seed: of numpy's default generator, which draws u uniformly; the k-th clone is row ``floor(u[k] * len(bag))`` of its bag.
    """
    matrix = present.view(np.int8)
    counts = _positives(present)
    ratios = irlbl(counts)
    mean_ir = np.nanmean(ratios) if counts.any() else math.inf
    open_labels = np.flatnonzero(np.nan_to_num(ratios) > mean_ir)
    bags = {int(label): np.flatnonzero(present[:, label]) for label in open_labels}
    budget = int(len(present) / 100 * percentage)
    uniform = np.random.default_rng(seed).random(budget + present.shape[1])
    picks: list[Indices] = []
    spent = 0
    while spent < budget and len(open_labels):
        rounds = min(_ROUNDS, math.ceil((budget - spent) / len(open_labels)))
        shares = uniform[spent : spent + rounds * len(open_labels)].reshape(rounds, -1)
        rows = np.column_stack(
            [
                bags[label][(u * len(bags[label])).astype(np.int64)]
                for label, u in zip(open_labels.tolist(), shares.T, strict=True)
            ]
        )
        # Counts after every single clone. The first round in which a label is balanced is the last of this block.
        after = counts + np.cumsum(matrix[rows.ravel()], axis=0, dtype=np.int32)
        own = after[np.arange(len(after)), np.tile(open_labels, rounds)]
        balanced = (after.max(axis=1) / own <= mean_ir).reshape(rounds, -1)
        ended = balanced.any(axis=1)
        taken = int(np.argmax(ended)) + 1 if ended.any() else rounds
        picks.append(rows[:taken].ravel())
        counts = after[taken * len(open_labels) - 1]
        spent += taken * len(open_labels)
        open_labels = open_labels[~balanced[taken - 1]]
    return np.concatenate(picks) if picks else np.empty(0, np.int64)


def published_clones(present: Bools, target: float, percentage: float, sample: int, seed: int) -> Indices:
    """The rows that Deng et al. clone, in order, int64 [K]: the same as their loop clones with the same seed of numpy's global generator.

    Labels above the target are taken one after the other. Each draws `sample` rows of its bag with replacement, which join the bag, until its IRLbl
    is at the target. The loop ends as soon as the budget over all labels is spent, so the first labels may use it up.

    Args:
        present: bool [N, L]; every label occurs.
        target: IRLbl that a label should come down to.
        percentage: budget of clones in per cent of the rows.
        sample: rows in one draw.
        seed: of the legacy generator, whose `choice` draws integers below the size of the bag.
    """
    random = np.random.RandomState(seed)
    # For a few rows, a product of float32 is faster than a sum of integers, and exact.
    matrix, ones = present.astype(np.float32), np.ones(sample, np.float32)
    counts = _positives(present)
    budget = len(present) / 100 * percentage
    minority = np.flatnonzero(counts.max() / counts > target)
    picks: list[Indices] = []
    spent = 0
    for label in minority.tolist():
        own = np.flatnonzero(present[:, label])
        bag = np.empty(len(own) + int(max(budget - spent, 0)) + sample, np.int64)
        bag[: len(own)] = own
        size = len(own)
        while True:
            picked = bag[random.randint(0, size, sample)]
            bag[size : size + sample] = picked
            size += sample
            counts += (ones @ matrix.take(picked, axis=0)).astype(np.int64)
            picks.append(picked)
            spent += sample
            if spent >= budget or counts.max() / counts[label] <= target:
                break
        if spent >= budget:
            break
    return np.concatenate(picks) if picks else np.empty(0, np.int64)


@dataclass(frozen=True)
class Clones:
    """The result of oversampling to a target.

    Attributes:
        times: int64 [N], clones of each row.
        largest_ratio: the largest IRLbl of a label that occurs, clones included.
        reached: whether `largest_ratio` is at most the target.
    """

    times: Indices
    largest_ratio: float
    reached: bool


def clones_to_target(
    present: Bools, target: float, seed: int, percentage: float | None = None, repeat_cap: int | None = None
) -> Clones:
    """Clones of rows until the largest IRLbl is at the target.

    The label with the largest IRLbl always comes next. It takes rows of its bag in random order, each once before any comes again. If a tenth of the
    bag or more lacks the most frequent label, only those rows are taken: cloning the others would raise the largest count, too. Labels that no row
    has are left out.

    Args:
        present: bool [N, L].
        target: above 1.
        seed: of the order within the bags.
        percentage: budget of clones in per cent of the rows; None for no budget.
        repeat_cap: how often a row may count at most, itself included.
    """
    rng = np.random.default_rng(seed)
    counts = _positives(present)
    times = np.zeros(len(present), np.int64)
    queues: dict[tuple[int, int], _Queue] = {}
    exhausted: set[int] = set()
    left = len(present) * _ENDLESS if percentage is None else int(len(present) / 100 * percentage)
    while left > 0:
        label = _rarest(counts, target, exhausted)
        if label is None:
            break
        key = (label, int(counts.argmax()))
        if key not in queues:
            queues[key] = _Queue(_rows_to_clone(present, *key), rng)
        # How many clones the label lacks: IRLbl = largest count / own count reaches the target at largest count / target.
        missing = math.ceil(counts.max() / target) - int(counts[label])
        picked = queues[key].take(min(max(missing // _STEP_SHARE, _SMALLEST_STEP), left))
        if repeat_cap is not None:
            picked = picked[times[picked] + 1 < repeat_cap]
        if not len(picked) and queues[key].is_spent(times, repeat_cap):
            exhausted.add(label)
        times[picked] += 1
        counts = counts + present[picked].sum(axis=0, dtype=np.int64)
        left -= len(picked)
    largest = float(np.nanmax(irlbl(counts))) if counts.any() else 1.0
    return Clones(times, largest, largest <= target)


def _positives(present: Bools) -> Indices:
    return np.array([np.count_nonzero(column) for column in present.T], np.int64)


def _rarest(counts: Indices, target: float, exhausted: set[int]) -> int | None:
    ratios = np.nan_to_num(irlbl(counts))
    ratios[list(exhausted)] = 0.0
    label = int(ratios.argmax())
    return label if ratios[label] > target else None


def _rows_to_clone(present: Bools, label: int, most_frequent: int) -> Indices:
    bag = np.flatnonzero(present[:, label])
    apart = bag[~present[bag, most_frequent]]
    return apart if len(apart) >= len(bag) * _APART_SHARE else bag


class _Queue:
    """Rows taken in a random order, again and again."""

    def __init__(self, rows: Indices, rng: np.random.Generator) -> None:
        self._rows = rng.permutation(rows)
        self._next = 0

    def take(self, count: int) -> Indices:
        """The next rows, each at most once."""
        places = (self._next + np.arange(min(count, len(self._rows)))) % len(self._rows)
        self._next = (self._next + len(places)) % len(self._rows)
        return self._rows[places]

    def is_spent(self, times: Indices, repeat_cap: int | None) -> bool:
        return repeat_cap is not None and bool((times[self._rows] + 1 >= repeat_cap).all())
