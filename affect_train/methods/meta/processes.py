"""Sums over processes."""

import torch
from accelerate import Accelerator
from torch import Tensor

from affect_train.methods.meta.virtual_step import Weights


class OverProcesses:
    """Sums over the processes of a run; with one process the input is returned as it is."""

    def __init__(self, accelerator: Accelerator) -> None:
        self._accelerator = accelerator
        self.number = accelerator.num_processes

    def sum(self, values: Tensor) -> Tensor:
        """The sum of a tensor over processes."""
        return self._accelerator.reduce(values, reduction="sum") if self.number > 1 else values

    def sum_all(self, values: Weights) -> Weights:
        """The sums of several tensors over processes, in one collective call."""
        if self.number == 1:
            return values
        flat = self.sum(torch.cat([one.reshape(-1) for one in values]))
        parts = torch.split(flat, [one.numel() for one in values])
        return [part.view_as(one) for part, one in zip(parts, values, strict=True)]

    def mean_all(self, values: Weights) -> Weights:
        """The means of several tensors over processes, in one collective call."""
        return values if self.number == 1 else [one / self.number for one in self.sum_all(values)]
