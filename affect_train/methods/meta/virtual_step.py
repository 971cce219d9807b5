"""The model as a function of its weights: forward passes at other weights than its own."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from affect_train.runtime import FLOAT32_SETTINGS

if TYPE_CHECKING:
    from affect_train.network.model import AffectModel
    from affect_train.network.output import AffectOutput

Weights = list[Tensor]
RandomState = tuple[Tensor, Tensor | None]

SMALLEST_NORM = 1e-30
"""Lower bound of a direction's norm, so that a zero direction is not divided by zero."""


class WeightSpace:
    """A model's trainable weights, and the model as a function of them.

    A pass runs in full float32 whatever the training runs in, because losses are subtracted from one another: without bfloat16, and without
    TensorFloat32, torch's default for convolutions on a GPU. It bypasses Accelerate's wrappers. Running statistics stay as they were.

    Args:
        model: not wrapped for distributed training.
    """

    def __init__(self, model: "AffectModel") -> None:
        self._model = _OwnForward(model)
        self.names = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
        self.own: Weights = [model.get_parameter(name) for name in self.names]

    @property
    def couples_rows(self) -> bool:
        """Whether a row's output depends on the other rows of the pass."""
        return any(
            isinstance(part, nn.modules.batchnorm._BatchNorm) and part.training for part in self._model.modules()
        )

    def __call__(self, weights: Sequence[Tensor], pixels: Tensor) -> "AffectOutput":
        """The model's output at other weights, in the order of `names`."""
        values = {f"model.{name}": value.detach() for name, value in self._model.model.named_parameters()}
        # Copies, because batch normalisation writes into its buffers.
        values |= {f"model.{name}": value.clone() for name, value in self._model.model.named_buffers()}
        values |= {f"model.{name}": value for name, value in zip(self.names, weights, strict=True)}
        with torch.autocast(pixels.device.type, enabled=False), exact_float32():
            output: AffectOutput = torch.func.functional_call(self._model, values, (pixels,))
        return output


def computes_float32_exactly(device: torch.device) -> bool:
    """Whether a device computes products of float32 in float32, not in TensorFloat32."""
    return device.type == "cpu" or all(one.fp32_precision != "tf32" for one in FLOAT32_SETTINGS)


@contextmanager
def exact_float32() -> Iterator[None]:
    """Makes GPUs compute products of float32 in float32, where they may otherwise round the factors to ten bits; restored at the end."""
    before = [setting.fp32_precision for setting in FLOAT32_SETTINGS]
    try:
        for setting in FLOAT32_SETTINGS:
            setting.fp32_precision = "ieee"
        yield
    finally:
        for setting, kept in zip(FLOAT32_SETTINGS, before, strict=True):
            setting.fp32_precision = kept


class _OwnForward(nn.Module):
    """The forward method of the model's class, without the wrappers that Accelerate puts on an instance."""

    def __init__(self, model: "AffectModel") -> None:
        super().__init__()
        self.model = model

    def forward(self, pixels: Tensor) -> "AffectOutput":
        output: AffectOutput = type(self.model).forward(self.model, pixels)
        return output


def length(vectors: Sequence[Tensor]) -> Tensor:
    """The norm of several tensors as one vector."""
    norm: Tensor = torch.stack(torch._foreach_norm(list(vectors))).norm()
    return norm


def gradients(value: Tensor, weights: Sequence[Tensor], *, retain: bool = False, create_graph: bool = False) -> Weights:
    """The gradient of a scalar by each of the weights, zeros where it does not depend on them."""
    if not value.requires_grad:
        return [torch.zeros_like(one) for one in weights]
    found = torch.autograd.grad(
        value, list(weights), retain_graph=retain or create_graph, create_graph=create_graph, allow_unused=True
    )
    return [torch.zeros_like(one) if part is None else part for one, part in zip(weights, found, strict=True)]


def random_state(device: torch.device) -> RandomState:
    """The state of the random number generators that a model on a device draws from: of the CPU, and of the device."""
    if device.type == "cpu":
        return torch.random.get_rng_state(), None
    return torch.random.get_rng_state(), torch.get_device_module(device).get_rng_state(device)


def same_state(first: RandomState, second: RandomState) -> bool:
    """Whether no random number was drawn between the two."""
    pairs = zip(first, second, strict=True)
    return all(
        one is other or (one is not None and other is not None and torch.equal(one, other)) for one, other in pairs
    )


@contextmanager
def random_numbers(device: torch.device, state: RandomState) -> Iterator[None]:
    """Draws from a given state inside the context, and restores the generators afterwards."""
    devices = [] if device.type == "cpu" else [device.index or 0]
    kind = {} if device.type == "cpu" else {"device_type": device.type}
    with torch.random.fork_rng(devices, **kind):
        torch.random.set_rng_state(state[0])
        if state[1] is not None:
            torch.get_device_module(device).set_rng_state(state[1], device)
        yield
