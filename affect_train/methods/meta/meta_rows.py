"""The meta rows: rows with action units, on which a trial step is judged."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from accelerate import Accelerator
from numpy.typing import NDArray
from torch import Tensor

from affect_data.errors import UsageError
from affect_train.inputs.batch import AffectBatch
from affect_train.inputs.sampler import BatchOrder
from affect_train.methods.method import TrainedSplit

SEED_OFFSET = 2**32
"""Added to the recipe's seed, which is smaller. With the same seed, a meta batch would hold the very rows of the step's batch."""


@dataclass(frozen=True)
class MetaRows:
    """M faces with action units.

    Attributes:
        pixels: uint8 [M, 3, S, S], from the inputs of an `AffectBatch`.
        au: float32 [M, A].
        au_mask: bool [M, A].
    """

    pixels: Tensor
    au: Tensor
    au_mask: Tensor

    def __len__(self) -> int:
        return len(self.au)

    @classmethod
    def of(cls, batch: AffectBatch, rows: Tensor) -> "MetaRows":
        """The rows of a batch that a mask, bool [N], selects."""
        return cls(batch.inputs[rows], batch.au[rows], batch.au_mask[rows])


def split_off_meta_rows(batch: AffectBatch, share: float, before: int) -> tuple[AffectBatch, MetaRows]:
    """The batch without the action units of its meta rows, and the meta rows, evenly spread over the rows that have action units.

    Count the rows with action units over all processes, from 1: the j-th is a meta row where ``floor(j share) > floor((j - 1) share)``.

    Args:
        batch: of this process.
        share: in (0, 1).
        before: how many rows with action units the processes before this one have.
    """
    labelled = batch.au_mask.any(dim=1)
    places = before + labelled.cumsum(0, dtype=torch.int64)
    chosen = labelled & (_whole(places, share) > _whole(places - 1, share))
    return replace(batch, au_mask=batch.au_mask & ~chosen[:, None]), MetaRows.of(batch, chosen)


def _whole(places: Tensor, share: float) -> Tensor:
    # A little more, because in floating point a product such as 10 * 0.1 may fall short of 1.
    return (places * share + 1e-4).floor()


def labelled_before(accelerator: Accelerator, batch: AffectBatch) -> int:
    """How many rows with action units the processes before this one have."""
    if accelerator.num_processes == 1:
        return 0
    counts = accelerator.gather(batch.au_mask.any(dim=1).sum().reshape(1))
    return int(counts[: accelerator.process_index].sum())


class MetaLoader:
    """Meta batches drawn apart from the step's batches, in an order that depends on (seed, number) alone.

    Args:
        split: the training split.
        rows: int64, the rows with action units to draw from.
        size: rows of a batch over all processes.
        accelerator: the processes that share a batch.
        seed: of the recipe.
        workers: processes that decode.

    Raises:
        UsageError: the processes cannot share a batch evenly, or there are no rows.
    """

    def __init__(
        self,
        split: TrainedSplit,
        rows: NDArray[np.int64],
        size: int,
        accelerator: Accelerator,
        *,
        seed: int,
        workers: int,
    ) -> None:
        processes = accelerator.num_processes
        if size % processes:
            raise UsageError(
                f"method.meta_batch.size is {size}, which {processes} processes cannot share evenly; make it a multiple of {processes}"
            )
        if not len(rows):
            raise UsageError(
                "method.meta_batch: no row that the meta batches may be drawn from has a label of an action unit of `tasks.action_units`; "
                "choose another fold, or a `share` of each batch"
            )
        assert split.labels is not None
        assert split.inputs is not None
        self._order = BatchOrder({"au": rows}, size, seed=seed + SEED_OFFSET)
        shard = self._order.shard(processes, accelerator.process_index)
        self._loader = split.inputs.batches(shard, workers, self._order.spares)
        self._labels, self._device = split.labels, accelerator.device
        self._next = -1
        self._faces: Iterator[AffectBatch] = iter(())

    def batch(self, number: int) -> MetaRows:
        """This process's rows of the meta batch with a number (from 0); quick where the numbers come in order."""
        epoch, start = divmod(number, self._order.steps)
        if number != self._next or start == 0:
            self._order.set_position(epoch, start)
            self._faces = (self._labels.batch(faces).to(self._device) for faces in self._loader)
        self._next = number + 1
        batch = next(self._faces)
        return MetaRows.of(batch, batch.au_mask.any(dim=1))
