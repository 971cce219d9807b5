"""One global, deterministic order of batches: a pure function of (seed, epoch), which Accelerate divides over the processes."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from accelerate.data_loader import BatchSamplerShard
from numpy.typing import NDArray
from torch.utils.data import Sampler

from affect_data.balance import draw
from affect_data.errors import UsageError
from affect_train.inputs.batch import Pick

UNIFORM = "rows"

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Pool:
    """Rows that batches are drawn from.

    Attributes:
        rows: int64 [n], numbers of the rows in the split.
        weights: float [n], above 0: how often each row is drawn in relation to the others; None: equally often.
        repeat_cap: how often a row may come in one pass (n draws); only for weighted pools.
    """

    rows: Rows
    weights: NDArray[np.floating] | None = None
    repeat_cap: int | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def among(self, kept: NDArray[np.bool_]) -> "Pool":
        """The pool with the kept rows only; `kept` is bool [rows of the split]."""
        stays = kept[self.rows]
        return Pool(self.rows[stays], None if self.weights is None else self.weights[stays], self.repeat_cap)

    def draws(self, count: int, seed: Sequence[int]) -> "Draws":
        """Rows for `count` places: passes over the pool one after the other, the last cut short.

        A pass is a permutation of the rows; in a weighted pool it is n draws by weight.
        """
        return Draws(self, count, tuple(seed))


class Draws:
    """The rows of a pool in one epoch. Of an unweighted pool one pass is held at a time; of a weighted one all are.

    Args:
        pool: that the rows are drawn from.
        count: how many are drawn.
        seed: of the draws.
    """

    def __init__(self, pool: Pool, count: int, seed: tuple[int, ...]) -> None:
        self._pool = pool
        self._count = count
        self._seed = seed
        self._permuted: tuple[int, Rows] = (-1, pool.rows[:0])

    def between(self, first: int, last: int) -> tuple[Rows, Rows]:
        """The rows of the places from `first` to before `last`, and how often each row has come before; both int64 [places].

        Raises:
            UsageError: the repeat cap leaves too few draws.
        """
        if self._pool.weights is not None:
            rows, occurrences = self._weighted
            return rows[first:last], occurrences[first:last]
        size, found = len(self._pool), []
        for number in range(first // size, -(-last // size)):
            begin, end = max(first - number * size, 0), min(last - number * size, size)
            # Every pass shows every row once, so that a row has come before in every earlier pass.
            found.append((self._pass(number)[begin:end], np.full(end - begin, number, dtype=np.int64)))
        empty = self._pool.rows[:0]
        return np.concatenate([empty, *(rows for rows, _ in found)]), np.concatenate([empty, *(n for _, n in found)])

    def _pass(self, number: int) -> Rows:
        if self._permuted[0] != number:
            self._permuted = (number, np.random.default_rng([*self._seed, number]).permutation(self._pool.rows))
        return self._permuted[1]

    @cached_property
    def _weighted(self) -> tuple[Rows, Rows]:
        pool, size = self._pool, len(self._pool)
        assert pool.weights is not None
        drawn = [
            draw(pool.weights, min(self._count - number * size, size), [*self._seed, number], pool.repeat_cap)
            for number in range(math.ceil(self._count / size))
        ]
        rows = pool.rows[np.concatenate([np.empty(0, np.int64), *drawn])]
        return rows, earlier(rows)


class BatchOrder(Sampler[list[Pick]]):
    """Batches of equal size in which every pool has its share.

    The places of an epoch go to the pools in turn, across the borders of batches too. So every contiguous part of a batch, such as that of one
    process, is as mixed as the batch. With equal shares the turns are 0, 1, 2, 0, 1, ..., and the pools differ by at most one row in a batch.

    Args:
        pools: by name, each with at least one row; an array is a pool without weights. A single pool of all rows samples uniformly.
        batch_size: rows of a global batch.
        seed: of the order.
        steps: batches of an epoch. None: enough to show each row of every pool; the last batch is filled up from a further pass.
        proportional: whether shares are in proportion to the pools' sizes; otherwise they are equal.

    Raises:
        UsageError: shares are equal, and a batch has fewer rows than there are pools.
    """

    def __init__(
        self,
        pools: Mapping[str, Pool | Rows],
        batch_size: int,
        *,
        seed: int,
        steps: int | None = None,
        proportional: bool = False,
    ) -> None:
        if batch_size < len(pools) and not proportional:
            raise UsageError(
                f"batches.size is {batch_size}, but {len(pools)} tasks share a batch; give each at least one row"
            )
        self.pools = {name: pool if isinstance(pool, Pool) else Pool(pool) for name, pool in pools.items()}
        self.batch_size = batch_size
        self.drop_last = False
        self.seed = seed
        sizes = np.array([len(pool) for pool in self.pools.values()])
        places = int(sizes.sum() if proportional else sizes.max() * len(sizes))
        self.steps = steps or math.ceil(places / batch_size)
        shares = sizes if proportional else np.ones_like(sizes)
        self._turns = turns(shares, self.steps * batch_size).astype(np.int16).reshape(self.steps, batch_size)
        self.epoch = 0
        self.start = 0

    def set_position(self, epoch: int, start: int = 0) -> None:
        """Makes the next iteration start in an epoch at the batch `start`."""
        self.epoch = epoch
        self.start = start

    def of_epoch(self, epoch: int) -> tuple[Rows, Rows]:
        """Row numbers and occurrences of an epoch, both int64 [steps, batch_size]."""
        batches = list(self._batches(epoch, 0))
        return np.stack([rows for rows, _ in batches]), np.stack([occurrences for _, occurrences in batches])

    def _batches(self, epoch: int, start: int) -> Iterator[tuple[Rows, Rows]]:
        """Row numbers and occurrences of the batches from `start` on, both int64 [batch_size]."""
        before = np.bincount(self._turns[:start].reshape(-1), minlength=len(self.pools))
        counts = before + np.bincount(self._turns[start:].reshape(-1), minlength=len(self.pools))
        draws = [
            pool.draws(int(count), [self.seed, epoch, index])
            for index, (pool, count) in enumerate(zip(self.pools.values(), counts, strict=True))
        ]
        for turn in self._turns[start:]:
            rows, occurrences = np.empty((2, self.batch_size), dtype=np.int64)
            for index, drawn in enumerate(draws):
                places = np.flatnonzero(turn == index)
                last = before[index] + len(places)
                rows[places], earlier_times = drawn.between(before[index], last)
                occurrences[places] = earlier_times * len(self.pools) + index
                before[index] = last
            yield rows, occurrences

    def spares(self, pick: Pick) -> Iterator[int]:
        """Rows to replace a pick that cannot be decoded, without end: drawn from its pool, by the seed and the pick alone."""
        pool = tuple(self.pools.values())[pick.pool]
        rng = np.random.default_rng([self.seed, pick.epoch, pick.pool, pick.occurrence, pick.row])
        weights = None if pool.weights is None else np.asarray(pool.weights, dtype=np.float64)
        while True:
            yield int(rng.choice(pool.rows, p=None if weights is None else weights / weights.sum()))

    def __len__(self) -> int:
        return self.steps - self.start

    def __iter__(self) -> Iterator[list[Pick]]:
        epoch = self.epoch
        for rows, occurrences in self._batches(epoch, self.start):
            pairs = zip(rows.tolist(), occurrences.tolist(), strict=True)
            yield [Pick(row, epoch, occurrence, occurrence % len(self.pools)) for row, occurrence in pairs]

    def shard(self, processes: int, rank: int) -> "BatchSamplerShard":
        """The part of every batch that one process sees.

        Raises:
            UsageError: a batch cannot be divided evenly.
        """
        if self.batch_size % processes:
            raise UsageError(
                f"batches.size is {self.batch_size}, which {processes} processes cannot share evenly; make it a multiple of {processes}"
            )
        return BatchSamplerShard(self, num_processes=processes, process_index=rank, split_batches=True)


def turns(shares: NDArray[np.integer], places: int) -> Rows:
    """The pool of each place of an epoch, int64 [places].

    Args:
        shares: [pools], in any unit.
        places: how many places there are.
    """
    if (shares == shares[0]).all():
        return np.arange(places, dtype=np.int64) % len(shares)
    exact = shares / shares.sum() * places
    counts = np.floor(exact).astype(np.int64)
    # Places that rounding leaves over go to the largest remainders.
    counts[np.argsort(counts - exact, kind="stable")[: places - counts.sum()]] += 1
    pools = np.repeat(np.arange(len(shares)), counts)
    # The j-th of a pool's n rows is placed at (j + 1/2) / n of the epoch, so that every pool is spread evenly.
    positions = np.concatenate([(np.arange(count) + 0.5) / count for count in counts if count])
    return pools[np.argsort(positions, kind="stable")]


def earlier(rows: Rows) -> Rows:
    """How often the row of each place has come before, int64 [places]."""
    # torch sorts integers by their digits, seven times as fast as numpy.
    ascending, order = (part.numpy() for part in torch.sort(torch.from_numpy(rows), stable=True))
    firsts = np.flatnonzero(np.diff(ascending, prepend=-1))
    counts = np.empty(len(rows), dtype=np.int64)
    counts[order] = np.arange(len(rows)) - np.repeat(firsts, np.diff(firsts, append=len(rows)))
    return counts


def batch_order(
    sampler: str,
    pools: Mapping[str, Pool | Rows],
    rows: int,
    batch_size: int,
    *,
    seed: int,
    steps: int | None = None,
    kept: NDArray[np.bool_] | None = None,
) -> BatchOrder:
    """The order of batches that a recipe names.

    Args:
        sampler: ``uniform``, ``task_balanced`` or ``database_proportional``.
        pools: rows with a label by task for ``task_balanced``, rows by database for ``database_proportional``.
        rows: number of rows of the split.
        batch_size: rows of a global batch.
        seed: of the order.
        steps: batches of an epoch; None lets the pools decide.
        kept: bool [rows], the rows that may be drawn; None: all.

    Raises:
        UsageError: no row of a pool is kept.
    """
    if sampler == "uniform":
        pools = {UNIFORM: np.arange(rows, dtype=np.int64)}
    if kept is not None:
        pools = {name: (pool if isinstance(pool, Pool) else Pool(pool)).among(kept) for name, pool in pools.items()}
        empty = [name for name, pool in pools.items() if not len(pool)]
        if empty:
            raise UsageError(f"training.held_out leaves no row with a label of {', '.join(empty)}; choose fewer folds")
    return BatchOrder(pools, batch_size, seed=seed, steps=steps, proportional=sampler == "database_proportional")
