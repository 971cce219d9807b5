"""What a backbone must keep to, found out by sending two pictures through it twice before anything is trained."""

import math
from typing import Final

import torch
from torch import Tensor
from transformers import PreTrainedModel

from affect_train.errors import BackboneError
from affect_train.network.reading import CLASS_TOKENS, feature_width, interpolates, last_hidden_state, prefix_tokens

TOLERANCE: Final = 1e-4
"""Largest difference between two passes, relative to the largest output: rounding stays far below, masking at random far above."""


def check_contract(name: str, model: PreTrainedModel, image_size: int) -> None:
    """Accepts a backbone that takes pictures, repeats itself, has the width that its configuration states, and whose class token is known.

    Args:
        name: for messages.
        model: the backbone; afterwards it is in evaluation mode.
        image_size: side of the pictures, in pixels.

    Raises:
        BackboneError: it does not; the message says which demand it fails.
    """
    if model.main_input_name != "pixel_values":
        raise BackboneError(
            name,
            f"it takes {model.main_input_name} where pictures are needed (a model of type {model.config.model_type!r})",
            "Name a vision model, for example a vit, dinov2, convnext or clip",
        )
    width = feature_width(model.config)
    first, second = (_pass(name, model, image_size) for _ in range(2))
    _check_shape(name, model, first, width)
    differs = (first - second).abs().max() if first.shape == second.shape else first.new_tensor(math.inf)
    if not differs <= TOLERANCE * first.abs().max():
        raise BackboneError(
            name,
            f"two evaluation passes over the same pictures differ by {differs:.2g}, so that its predictions would be drawn by chance",
            "Name an encoder that looks at the whole picture (of vit_mae: the model, not its masking), with finite weights",
        )


def _pass(name: str, model: PreTrainedModel, size: int) -> Tensor:
    pictures = torch.rand((2, 3, size, size), generator=torch.Generator().manual_seed(0)) - 0.5
    pictures = pictures.to(model.device)
    try:
        with torch.no_grad():
            return last_hidden_state(model.eval(), pictures, interpolate=interpolates(model, size)).float()
    except (RuntimeError, ValueError, TypeError, AttributeError, IndexError) as error:
        raise BackboneError(
            name,
            f"it cannot process an image of {size}x{size} pixels ({error})",
            "Choose an image classifier's backbone, or another `model.image_size`",
        ) from error


def _check_shape(name: str, model: PreTrainedModel, hidden: Tensor, width: int) -> None:
    found = hidden.shape[1] if hidden.ndim == 4 else hidden.shape[-1]
    if hidden.ndim not in (3, 4) or found != width:
        raise BackboneError(
            name,
            f"its last hidden state is {list(hidden.shape)}, but its configuration states a hidden size of {width}",
            "Choose a vision backbone such as vit, dinov2 or levit",
        )
    if hidden.ndim == 4:
        return
    kind = model.config.model_type
    if kind not in CLASS_TOKENS:
        raise BackboneError(
            name,
            f"it is not known whether a class token is among its {hidden.shape[1]} tokens (a model of type {kind!r})",
            "Choose a kind that docs/training.md lists, or add it to CLASS_TOKENS in affect_train/network/reading.py",
        )
    patches = hidden.shape[1] - prefix_tokens(model.config)
    if patches < 1 or math.isqrt(patches) ** 2 != patches:
        raise BackboneError(
            name,
            f"of its {hidden.shape[1]} tokens, {prefix_tokens(model.config)} are class token and registers, "
            f"and the other {patches} are no square of patches",
            "Choose a backbone that shows the whole picture, with the number of registers that its configuration states",
        )
