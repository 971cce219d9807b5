"""How pictures enter a backbone, and where in its outputs the class token, the registers and the patches stand."""

import inspect
from collections.abc import Mapping
from typing import Any, Final, cast

import torch
from torch import Tensor, nn
from transformers import PretrainedConfig, PreTrainedModel

from affect_train.errors import BackboneError

CLASS_TOKENS: Final[Mapping[str, int]] = {
    "aimv2_vision_model": 0,
    "beit": 1,
    "chinese_clip_vision_model": 1,
    "clip_vision_model": 1,
    "data2vec-vision": 1,
    "deit": 2,
    "dinov2": 1,
    "dinov2_with_registers": 1,
    "dinov3_convnext": 1,
    "dinov3_vit": 1,
    "donut-swin": 0,
    "focalnet": 0,
    "hiera": 0,
    "ijepa": 0,
    "levit": 0,
    "maskformer-swin": 0,
    "mlcd_vision_model": 1,
    "siglip2_vision_model": 0,
    "siglip_vision_model": 0,
    "swin": 0,
    "swinv2": 0,
    "vit": 1,
    "vit_msn": 1,
}
"""How many tokens, the class token first, stand before registers and patches in the last hidden state of backbones that give a sequence."""

NAMED_SINCE_PREFIX_IS_STORED: Final = frozenset(
    {"chinese_clip_vision_model", "clip_vision_model", "dinov3_convnext", "mlcd_vision_model"}
)
"""Backbones whose class token older models averaged as if it were a patch; these models go on doing so, as they were trained."""


def prefix_tokens(config: PretrainedConfig) -> int:
    """How many tokens of the last hidden state stand before the first patch: class tokens and registers."""
    tokens = CLASS_TOKENS.get(config.model_type, 0)
    return tokens + getattr(config, "num_register_tokens", 0) if tokens else 0


def stored_prefix_tokens(stored: int | None, config: PretrainedConfig) -> int:
    """The same for a saved model: what it stores, or, where it is older than that, what it was trained with."""
    if stored is not None:
        return stored
    return 0 if config.model_type in NAMED_SINCE_PREFIX_IS_STORED else prefix_tokens(config)


def feature_width(config: PretrainedConfig) -> int:
    """The number of channels of the last hidden state.

    Raises:
        BackboneError: the configuration does not state it.
    """
    for attribute in ("hidden_size", "hidden_sizes", "embed_dims", "embed_dim"):
        width = getattr(config, attribute, None)
        if isinstance(width, int):
            return width
        if isinstance(width, list | tuple) and width:
            return int(width[-1])
    raise BackboneError(
        config.model_type,
        "its configuration has no hidden size",
        "Choose a vision backbone such as vit, dinov2 or levit",
    )


def accepts(model: PreTrainedModel, argument: str) -> bool:
    """Whether the model's forward pass has an argument of that name."""
    return argument in inspect.signature(model.forward).parameters


def interpolates(model: PreTrainedModel, image_size: int) -> bool:
    """Whether the position embeddings must be stretched, because the backbone was made for pictures of another size."""
    made_for = getattr(model.config, "image_size", None)
    return made_for not in (image_size, [image_size] * 2, (image_size,) * 2) and accepts(
        model, "interpolate_pos_encoding"
    )


def last_hidden_state(backbone: PreTrainedModel, images: Tensor, *, interpolate: bool) -> Tensor:
    """What a backbone gives for normalised pictures: [N, tokens, D], or [N, D, height, width] if it is convolutional.

    Args:
        backbone: its configuration states a patch size if it takes patches in the place of pictures.
        images: float [N, 3, S, S].
        interpolate: from `interpolates`.
    """
    options: dict[str, Any]
    if accepts(backbone, "spatial_shapes"):
        side = images.shape[2] // backbone.config.patch_size
        patches = _patches(images, backbone.config.patch_size)
        # The shapes stay in main memory: the backbone reads them as numbers, and would otherwise wait for the device.
        shapes = torch.full((len(images), 2), side)
        whole = torch.ones(patches.shape[:2], dtype=torch.long, device=images.device)
        options = {"pixel_attention_mask": whole, "spatial_shapes": shapes}
    else:
        patches, options = images, {"interpolate_pos_encoding": True} if interpolate else {}
    return cast(Tensor, backbone(patches, **options).last_hidden_state)


def as_sequence(hidden: Tensor) -> Tensor:
    """[N, tokens, D] from a sequence, or from the map [N, D, height, width] of a convolutional backbone."""
    return hidden.flatten(2).transpose(1, 2) if hidden.ndim == 4 else hidden


def _patches(images: Tensor, patch: int) -> Tensor:
    """Float [N, patches, patch * patch * 3]: row by row, and within a patch row by row with the colours innermost."""
    count, colours, size, _ = images.shape
    side = size // patch
    tiles = images.reshape(count, colours, side, patch, side, patch).permute(0, 2, 4, 3, 5, 1)
    return tiles.reshape(count, side * side, patch * patch * colours)


def normalised(pixels: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """``pixels * scale + shift`` in the dtype of `scale`, in the memory layout of `pixels`.

    Args:
        pixels: uint8 [N, 3, S, S].
        scale: float [1, 3, 1, 1].
        shift: float [1, 3, 1, 1].
    """
    if torch.onnx.is_in_onnx_export():
        # ONNX has no operation that writes into one of its inputs.
        return pixels.to(scale.dtype) * scale + shift
    if pixels.is_contiguous() or not pixels.is_contiguous(memory_format=torch.channels_last):
        images = pixels.to(scale.dtype)
        return torch.addcmul(shift, images, scale, out=images)
    # As whole image rows of interleaved colours: on a CPU three times as fast as with an innermost axis of three colours.
    across = pixels.shape[3]
    rows = pixels.permute(0, 2, 3, 1).reshape(-1, 3 * across).to(scale.dtype)
    torch.addcmul(shift.flatten().repeat(across), rows, scale.flatten().repeat(across), out=rows)
    return rows.view(len(pixels), -1, across, 3).permute(0, 3, 1, 2)


def without_pooler(backbone: PreTrainedModel) -> PreTrainedModel:
    """The backbone without a pooling layer after the last hidden state, which some backbones have and no head uses."""
    if isinstance(getattr(backbone, "pooler", None), nn.Module) and any(True for _ in backbone.pooler.parameters()):
        backbone.pooler = None
    return backbone
