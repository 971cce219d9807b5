"""Weights of rows over their mean in a step, so that only their ranking is learned and not how much the task counts."""

from collections.abc import Callable

import torch
from torch import Tensor

SMALLEST_MEAN = 1e-12
"""Lower bound of a mean weight, so that weights that all vanish are not divided by zero."""


class BatchMean:
    """Divides weights by their mean over the rows of a step that have a label, on all processes.

    Whatever moves all weights alike is lost: a weight that is learned through it can only gain what others lose. Weights that are not divided can
    sink or rise together, and what the loss gains from that is larger than what it gains from telling rows apart.

    Args:
        sum_over_processes: from a tensor to its sum over the processes; all processes call it together.
    """

    def __init__(self, sum_over_processes: Callable[[Tensor], Tensor]) -> None:
        self._sum = sum_over_processes

    def divided(self, weights: Tensor, labelled: Tensor) -> Tensor:
        """The weights over their mean, float [N], without gradient; the mean over labelled rows is 1.

        Args:
            weights: float [N], not negative.
            labelled: bool [N].
        """
        return weights.detach() / self._mean(weights, labelled)

    def gradient(self, weights: Tensor, gradient: Tensor, labelled: Tensor) -> Tensor:
        """The gradient by the weights themselves, float [N], of something whose gradient by the divided weights is given.

        With the mean m over n rows and the divided weight u, the derivative by weight i is ``(g_i - (1 / n) sum_j g_j u_j) / m``.

        Args:
            weights: float [N], not divided.
            gradient: float [N], by the divided weights; 0 where a row has no label.
            labelled: bool [N].
        """
        mean = self._mean(weights, labelled)
        shared = self._sum((gradient * weights.detach() / mean).where(labelled, 0.0).sum())
        count = self._sum(labelled.sum()).clamp(min=1)
        return ((gradient - shared / count) / mean).where(labelled, 0.0)

    def _mean(self, weights: Tensor, labelled: Tensor) -> Tensor:
        """The mean over labelled rows, a scalar; 1 where there is none."""
        counted = torch.stack([weights.detach().where(labelled, 0.0).sum(), labelled.sum().to(weights.dtype)])
        total, count = self._sum(counted).unbind()
        return (total / count.clamp(min=1)).clamp(min=SMALLEST_MEAN).where(count > 0, 1.0)
