"""The rows by which a step that was tried is judged."""

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
"""Added to the recipe's seed, which is smaller: else a batch of its own would hold the rows that the batch of the step holds."""


@dataclass(frozen=True)
class MetaRows:
    """Some faces with action units.

    Attributes:
        pixels: uint8 [M, 3, S, S], the inputs of an `AffectBatch`.
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
        """Those of a batch, by a bool [N]."""
        return cls(batch.inputs[rows], batch.au[rows], batch.au_mask[rows])


def divided(batch: AffectBatch, share: float, before: int) -> tuple[AffectBatch, MetaRows]:
    """A batch without the action units of its meta rows, and these rows: evenly spread over the rows that have action units.

    The j-th such row of the batch of all processes, from 1, is a meta row where ``floor(j share)`` is larger than at the row before.

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
    # A hair more, because 10 * 0.1 is not always 1.
    return (places * share + 1e-4).floor()


def labelled_before(accelerator: Accelerator, batch: AffectBatch) -> int:
    """How many rows with action units the processes before this one have."""
    if accelerator.num_processes == 1:
        return 0
    counts = accelerator.gather(batch.au_mask.any(dim=1).sum().reshape(1))
    return int(counts[: accelerator.process_index].sum())


class MetaLoader:
    """Batches of their own, in an order that is a function of (seed, number) alone.

    Args:
        split: the training split.
        rows: int64, those with action units that may come.
        size: of a batch over all processes.
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
        """This process's rows of the meta batch of a number from 0; quick where the numbers come in order."""
        epoch, start = divmod(number, self._order.steps)
        if number != self._next or start == 0:
            self._order.set_position(epoch, start)
            self._faces = (self._labels.batch(faces).to(self._device) for faces in self._loader)
        self._next = number + 1
        batch = next(self._faces)
        return MetaRows.of(batch, batch.au_mask.any(dim=1))
