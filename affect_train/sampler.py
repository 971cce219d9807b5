"""One global, deterministic plan of batches: its order is a pure function of (seed, epoch), and Accelerate shards it once over the processes."""

import math
from collections.abc import Iterator, Mapping

import numpy as np
from accelerate.data_loader import BatchSamplerShard
from numpy.typing import NDArray
from torch.utils.data import Sampler

from affect_data.errors import UsageError
from affect_train.batches import Pick

UNIFORM = "rows"


class BatchPlan(Sampler[list[Pick]]):
    """Batches of equal size in which every pool has an equal share.

    The places of an epoch go to the pools in turn (0, 1, 2, 0, 1, ...), across batch borders too: so shares differ by one row at most, and every
    contiguous part of a batch, which is what one process gets, is as balanced as the batch. A pool fills its places with permutations of itself,
    one after the other.

    Args:
        pools: row numbers by name; each at least one. One pool holding every row samples uniformly.
        batch_size: rows of a global batch.
        seed: of the order.
        steps: batches of an epoch. None: as many as show each row of the longest pool; the last batch is filled up from a further permutation.

    Raises:
        UsageError: a batch has fewer rows than there are pools.
    """

    def __init__(
        self, pools: Mapping[str, NDArray[np.int64]], batch_size: int, *, seed: int, steps: int | None = None
    ) -> None:
        if batch_size < len(pools):
            raise UsageError(
                f"batches.size is {batch_size}, but {len(pools)} tasks share a batch; give each at least one row"
            )
        self.pools = dict(pools)
        self.batch_size = batch_size
        self.drop_last = False
        self.seed = seed
        longest = max(map(len, self.pools.values()))
        self.steps = steps or math.ceil(longest * len(self.pools) / batch_size)
        self.epoch = 0
        self.start = 0

    def set_position(self, epoch: int, start: int = 0) -> None:
        """Makes the next pass that of an epoch, from a batch onwards."""
        self.epoch = epoch
        self.start = start

    def plan(self, epoch: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Row numbers and occurrences of an epoch, both int64 [steps, batch_size]."""
        places = self.steps * self.batch_size
        rows = np.empty(places, dtype=np.int64)
        occurrences = np.empty(places, dtype=np.int64)
        for index, pool in enumerate(self.pools.values()):
            count = len(range(index, places, len(self.pools)))
            passes = math.ceil(count / len(pool))
            shuffled = [_permutation(pool, self.seed, epoch, index, number) for number in range(passes)]
            rows[index :: len(self.pools)] = np.concatenate([*shuffled, pool[:0]])[:count]
            occurrences[index :: len(self.pools)] = np.arange(count) // len(pool) * len(self.pools) + index
        return rows.reshape(self.steps, -1), occurrences.reshape(self.steps, -1)

    def __len__(self) -> int:
        return self.steps - self.start

    def __iter__(self) -> Iterator[list[Pick]]:
        epoch, (rows, occurrences) = self.epoch, self.plan(self.epoch)
        for step in range(self.start, self.steps):
            pairs = zip(rows[step].tolist(), occurrences[step].tolist(), strict=True)
            yield [Pick(row, epoch, occurrence) for row, occurrence in pairs]

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


def _permutation(pool: NDArray[np.int64], seed: int, epoch: int, index: int, number: int) -> NDArray[np.int64]:
    return np.random.default_rng([seed, epoch, index, number]).permutation(pool)


def batch_plan(
    sampler: str,
    pools: Mapping[str, NDArray[np.int64]],
    rows: int,
    batch_size: int,
    *,
    seed: int,
    steps: int | None = None,
) -> BatchPlan:
    """The plan that a recipe names.

    Args:
        sampler: ``uniform`` or ``task_balanced``.
        pools: rows with a label, by task; used by ``task_balanced``.
        rows: number of rows of the split.
        batch_size: rows of a global batch.
        seed: of the order.
        steps: batches of an epoch; None lets the longest pool decide.
    """
    if sampler == "uniform":
        pools = {UNIFORM: np.arange(rows, dtype=np.int64)}
    return BatchPlan(pools, batch_size, seed=seed, steps=steps)


class RowsInOrder(Sampler[list[Pick]]):
    """Every row once, in order, for evaluation: batches are the same whatever the number of processes, which take them in turn.

    Args:
        rows: number of rows.
        batch_size: rows of a batch.
        processes: that share the batches.
        rank: of this process.
    """

    def __init__(self, rows: int, batch_size: int, processes: int = 1, rank: int = 0) -> None:
        self.rows = rows
        self.batch_size = batch_size
        self._starts = range(rank * batch_size, rows, processes * batch_size)

    def __len__(self) -> int:
        return len(self._starts)

    def __iter__(self) -> Iterator[list[Pick]]:
        for start in self._starts:
            yield [Pick(row) for row in range(start, min(start + self.batch_size, self.rows))]
