"""An exponential moving average of the weights, which a run with `training.ema_decay` evaluates and saves."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn


class MovingAverage:
    """The average of a model's trainable parameters over the steps; buffers are the model's own.

    In step ``n`` (from 1) the average keeps ``min(decay, n / (9 + n))`` of itself, so that it soon forgets the fresh weights.

    Args:
        model: whose parameters are averaged; not wrapped for distributed training.
        decay: in (0, 1).
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.steps = 0
        self._parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self._averages = [parameter.detach().clone() for parameter in self._parameters]

    @torch.no_grad()
    def update(self) -> None:
        """Adds the weights after an optimizer step to the average."""
        self.steps += 1
        kept = min(self.decay, self.steps / (9 + self.steps))
        torch._foreach_lerp_(self._averages, [one.detach() for one in self._parameters], 1 - kept)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Puts the averages in the place of the weights inside the context."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    @torch.no_grad()
    def _swap(self) -> None:
        for parameter, average in zip(self._parameters, self._averages, strict=True):
            weights = parameter.detach().clone()
            parameter.copy_(average)
            average.copy_(weights)

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"steps": self.steps, "averages": self._averages}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes up what a checkpoint kept.

        Raises:
            ValueError: it belongs to another model.
        """
        shapes = [tuple(one.shape) for one in state["averages"]]
        if shapes != [tuple(one.shape) for one in self._averages]:
            raise ValueError("the moving average belongs to another model")
        self.steps = state["steps"]
        for own, loaded in zip(self._averages, state["averages"], strict=True):
            own.copy_(loaded)
