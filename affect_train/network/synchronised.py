"""Batch normalisation over the rows of all processes, on any device."""

from typing import Any

import torch
import torch.distributed
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from affect_data.errors import UsageError


class SynchronisedBatchNorm(_BatchNorm):
    """Batch normalisation whose statistics in training are those of the rows of all processes, which call it together.

    Torch's ``SyncBatchNorm`` does the same on GPUs alone. A process may have no rows.
    """

    @classmethod
    def of(cls, norm: _BatchNorm) -> "SynchronisedBatchNorm":
        """The same normalisation, with the parameters and buffers of `norm` themselves."""
        if norm.momentum is None or not norm.track_running_stats:
            raise UsageError(
                f"the backbone has a {type(norm).__name__} without running statistics of a fixed momentum, which several processes cannot share; "
                "train with one process, or another backbone"
            )
        made = cls(norm.num_features, norm.eps, norm.momentum, affine=norm.affine)
        made._parameters, made._buffers = norm._parameters, norm._buffers
        made.train(norm.training)
        return made

    def _check_input_dim(self, input: Tensor) -> None:  # noqa: A002 - the signature of torch
        if input.ndim < 2:
            raise ValueError(f"found {input.ndim} dimension(s); expected rows and channels at least")

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the signature of torch
        """Float [N, C, ...], normalised for each channel over all else."""
        if not self.training:
            return super().forward(input)
        self._check_input_dim(input)
        shape = (1, -1, *(1,) * (input.ndim - 2))
        with torch.autocast(input.device.type, enabled=False):
            values = input.float()
            mean, variance, count = self._statistics(values)
            self._follow(mean.detach(), variance.detach(), count)
            scale = (variance + self.eps).rsqrt()
            if self.affine:
                scale = scale * self.weight
            found = (values - mean.view(shape)) * scale.view(shape)
            if self.affine:
                found = found + self.bias.view(shape)
        return found.to(input.dtype)

    def _statistics(self, values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Mean and variance of each channel, float32 [C], and their number of values, a scalar, over all processes."""
        axes = [axis for axis in range(values.ndim) if axis != 1]
        own = values.new_full((1,), values.numel() // values.shape[1])
        sums = summed(torch.cat([values.sum(axes), own]))
        count = sums[-1].detach().clamp(min=1)
        mean = sums[:-1] / count
        shape = (1, -1, *(1,) * (values.ndim - 2))
        # In a second pass: a difference of sums of squares would lose the digits of a small variance.
        squares = (values - mean.view(shape)).square().sum(axes)
        return mean, summed(squares) / count, count

    @torch.no_grad()
    def _follow(self, mean: Tensor, variance: Tensor, count: Tensor) -> None:
        """Moves the running statistics towards those of a batch."""
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        self.num_batches_tracked.add_(1)
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance * (count / (count - 1).clamp(min=1)), self.momentum)


class _Sum(torch.autograd.Function):
    """The sum over all processes. What one process adds reaches the outputs of all, so its gradient is the sum of theirs; again by this function."""

    @staticmethod
    def forward(_: Any, values: Tensor) -> Tensor:  # noqa: ANN401 - the context of torch
        found = values.clone(memory_format=torch.contiguous_format)
        torch.distributed.all_reduce(found)
        return found

    @staticmethod
    def backward(_: Any, gradient: Tensor) -> Tensor:  # noqa: ANN401
        return summed(gradient)


def summed(values: Tensor) -> Tensor:
    """The sum of a tensor over all processes, differentiable any number of times."""
    found: Tensor = _Sum.apply(values)  # type: ignore[no-untyped-call]
    return found


def synchronise(model: nn.Module) -> int:
    """How many batch normalisations of a model there are; all of them are now over the rows of all processes. Names of weights stay.

    Raises:
        UsageError: one keeps no running statistics, or weighs all batches alike in them.
    """
    found = 0
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, _BatchNorm) and not isinstance(child, SynchronisedBatchNorm):
                setattr(parent, name, SynchronisedBatchNorm.of(child))
                found += 1
    return found
