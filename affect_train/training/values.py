"""The values of loss terms, kept on the device until somebody reads them, and what keeps broken ones from the weights meanwhile."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from affect_train.errors import NonFiniteLossError
from affect_train.inputs.batch import AffectBatch
from affect_train.methods import TotalLoss


@dataclass
class _Part:
    """One micro-batch: the total loss and its terms, float32 [1 + terms], the rows behind them, and once read, the same as numbers."""

    values: Tensor
    uids: list[str]
    numbers: list[float] | None = None


class StepValues(Mapping[str, float]):
    """The value of every loss term in one optimizer step, summed over its micro-batches. Reading one waits for the device.

    Args:
        number: of the step, from 1; for messages.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self._names: tuple[str, ...] = ()
        self._parts: list[_Part] = []

    def add(self, total: TotalLoss, batch: AffectBatch) -> Tensor:
        """Adds the terms of a micro-batch; gives the loss and its terms as one tensor, float32 [1 + terms]."""
        self._names = tuple(total.values)
        values = torch.stack([total.loss.detach(), *total.values.values()])
        self._parts.append(_Part(values, batch.uids))
        return values

    def __getitem__(self, name: str) -> float:
        read([self])
        place = 1 + self._names.index(name)
        return sum(part.numbers[place] for part in self._parts if part.numbers is not None)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def read(steps: Sequence[StepValues]) -> None:
    """Makes the values of steps readable without waiting: what is on the device comes in one transfer.

    The values are sums over all processes, so all of them stop together.

    Raises:
        NonFiniteLossError: a value is NaN or infinite; names the first such step, the terms and the rows of this process's micro-batch.
    """
    waiting = [(step, part) for step in steps for part in step._parts if part.numbers is None]
    if not waiting:
        return
    found = torch.stack([part.values for _, part in waiting]).tolist()
    for (step, part), numbers in zip(waiting, found, strict=True):
        broken = [name for name, value in zip(step._names, numbers[1:], strict=True) if not math.isfinite(value)]
        if broken or not math.isfinite(numbers[0]):
            raise NonFiniteLossError(step.number, broken or ["all tasks together"], part.uids)
        part.numbers = numbers


class Guard:
    """Keeps an optimizer from changing weights from the first loss on that is NaN or infinite, without a look at the device.

    Args:
        optimizer: of torch, whose steps a flag on the device can undo, as `obeys_flag` says.
    """

    def __init__(self, optimizer: Any) -> None:  # noqa: ANN401 - torch does not declare the flag
        self._optimizer = optimizer
        self._broken: Tensor | None = None

    def watch(self, values: Tensor) -> None:
        """Raises the flag, for good, if one of some values is not finite."""
        broken = 1 - values.isfinite().all().float()
        self._broken = broken if self._broken is None else torch.maximum(self._broken, broken)
        self._optimizer.found_inf = self._broken


def obeys_flag(optimizer: object) -> bool:
    """Whether an optimizer takes no step where a flag on the device is raised: torch's fused ones do, as loss scaling needs it."""
    return bool(getattr(optimizer, "_step_supports_amp_scaling", False))
