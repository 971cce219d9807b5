"""The contract of backbones, on tiny random models saved in the layout that the Hub has them in."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModel, PreTrainedModel, Siglip2Model, ViTMAEForPreTraining, ViTMAEModel
from transformers.models.siglip2.image_processing_pil_siglip2 import convert_image_to_patches

from affect_train.errors import BackboneError
from affect_train.network.contract import check_contract
from affect_train.network.model import AffectConfig, AffectModel, load_model
from affect_train.network.reading import last_hidden_state
from affect_train.recipe.model import ModelOptions
from affect_train.tasks import TaskSet

SIZE = 32
LAYERS = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
VISION = {**LAYERS, "image_size": SIZE, "patch_size": 8}
TEXT = {**LAYERS, "vocab_size": 50, "max_position_embeddings": 8}
DECODER = {f"decoder_{key}": value for key, value in LAYERS.items()}
STAGES = {"hidden_sizes": [8, 8, 16, 16], "depths": [1, 1, 1, 1], "image_size": SIZE}
SHIFTED = {"embed_dim": 8, "depths": [1, 1], "num_heads": [2, 2], "window_size": 4, "image_size": SIZE}
HIERA = {"embed_dim": 8, "depths": [1, 1], "num_heads": [1, 2], "image_size": [SIZE, SIZE], "masked_unit_size": [4, 4]}
HIERA |= {"query_stride": [2, 2], "patch_stride": [4, 4], "num_query_pool": 1}
KINDS: dict[str, tuple[dict[str, Any], str, int, int]] = {
    "vit_mae": ({**VISION, **DECODER}, "vit", 1, 16),
    "clip_vision_model": (VISION, "clip_vision_model", 1, 16),
    "clip": ({"text_config": TEXT, "vision_config": VISION, "projection_dim": 16}, "clip_vision_model", 1, 16),
    "siglip": ({"text_config": TEXT, "vision_config": VISION}, "siglip_vision_model", 0, 16),
    "siglip2": (
        {"text_config": TEXT, "vision_config": {**LAYERS, "patch_size": 8, "num_patches": 16}},
        "siglip2_vision_model",
        0,
        16,
    ),
    "dinov3_vit": ({**VISION, "num_register_tokens": 4}, "dinov3_vit", 5, 16),
    "dinov3_convnext": (STAGES, "dinov3_convnext", 1, 1),
    "convnext": (STAGES, "convnext", 0, 1),
    "swin": (SHIFTED, "swin", 0, 16),
    "hiera": (HIERA, "hiera", 0, 16),
}
"""By kind: the configuration; the encoder it is read as; its class tokens and registers; its patches or places."""


def saved(kind: str, folder: Path) -> PreTrainedModel:
    """A tiny random model of that kind, saved to a folder as its makers put it on the Hub."""
    torch.manual_seed(3)
    config = AutoConfig.for_model(kind, **KINDS[kind][0])
    model = ViTMAEForPreTraining(config) if kind == "vit_mae" else AutoModel.from_config(config)
    model.save_pretrained(folder)
    return model.eval()


def built(folder: Path, **options: Any) -> AffectModel:
    return AffectModel.build(TaskSet((1, 2)), ModelOptions(backbone=str(folder), image_size=SIZE, **options)).eval()


@pytest.mark.parametrize("kind", KINDS)
def test_a_backbone_as_the_hub_ships_it_is_read_and_comes_back_from_a_save(kind: str, tmp_path: Path) -> None:
    saved(kind, tmp_path / "hub")
    _, encoder, prefix, places = KINDS[kind]
    pixels = torch.randint(0, 256, (2, 3, SIZE, SIZE), dtype=torch.uint8)

    model = built(tmp_path / "hub")

    with torch.no_grad():
        first, second = model.features(pixels), model.features(pixels)
        hidden = last_hidden_state(model.backbone, torch.rand(1, 3, SIZE, SIZE), interpolate=False)
    assert torch.equal(first, second)
    assert model.backbone.config.model_type == encoder
    assert (model.prefix_tokens, model.config.pooling) == (prefix, "cls_mean" if prefix else "mean")
    assert first.shape == (2, 32 if prefix else 16)
    assert hidden[0].numel() == 16 * (prefix + places)
    model.save_pretrained(tmp_path / "run")
    with torch.no_grad():
        assert torch.equal(load_model(tmp_path / "run").features(pixels), first)


def test_vit_mae_gives_what_its_encoder_gives_with_nothing_masked(tmp_path: Path) -> None:
    images = torch.rand(2, 3, SIZE, SIZE)
    whole = saved("vit_mae", tmp_path).vit
    whole.embeddings.config.mask_ratio = 0.0
    model = built(tmp_path).eval()

    with torch.no_grad():
        expected = whole(images, noise=torch.arange(16.0).expand(2, 16)).last_hidden_state
        found = last_hidden_state(model.backbone, images, interpolate=False)

    assert torch.allclose(found, expected, atol=1e-6)


def test_siglip2_sees_the_patches_that_its_own_processor_cuts(tmp_path: Path) -> None:
    images = torch.rand(2, 3, SIZE, SIZE)
    whole = saved("siglip2", tmp_path)
    assert isinstance(whole, Siglip2Model)
    patches = torch.tensor(np.stack([convert_image_to_patches(image.numpy(), 8) for image in images]))
    model = built(tmp_path).eval()

    with torch.no_grad():
        shapes, seen = torch.full((2, 2), 4), torch.ones(2, 16, dtype=torch.long)
        expected = whole.vision_model(patches, pixel_attention_mask=seen, spatial_shapes=shapes).last_hidden_state
        found = last_hidden_state(model.backbone, images, interpolate=False)

    assert torch.equal(found, expected)


def test_weights_in_half_precision_are_read_as_single(tmp_path: Path) -> None:
    saved("clip", tmp_path).half().save_pretrained(tmp_path / "half")

    model = built(tmp_path / "half")

    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


@pytest.mark.parametrize("pretrained", [True, False])
def test_a_text_model_is_refused(pretrained: bool, tmp_path: Path) -> None:
    AutoModel.from_config(AutoConfig.for_model("bert", **TEXT)).save_pretrained(tmp_path)

    with pytest.raises(BackboneError, match=r"takes input_ids where pictures are needed.*Name a vision model"):
        built(tmp_path, pretrained=pretrained)


def network(kind: str, **settings: Any) -> PreTrainedModel:
    return AutoModel.from_config(AutoConfig.for_model(kind, **{**KINDS.get(kind, (VISION,))[0], **settings}))


def test_a_backbone_that_answers_by_chance_is_refused() -> None:
    masking = network("vit_mae")
    assert isinstance(masking, ViTMAEModel)
    masking.config.model_type = "vit"

    with pytest.raises(BackboneError, match=r"two evaluation passes over the same pictures differ by \d"):
        check_contract("masking", masking, SIZE)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden_size": 24}, r"last hidden state is \[2, 21, 16\], but .* hidden size of 24"),
        ({"model_type": "unheard"}, r"not known whether a class token is among its 21 tokens"),
        ({"num_register_tokens": 3}, r"of its 21 tokens, 4 are class token and registers, and the other 17 are no sq"),
    ],
)
def test_a_configuration_that_says_something_else_than_the_outputs_is_refused(
    changes: dict[str, Any], message: str
) -> None:
    model = network("dinov3_vit")
    for name, value in changes.items():
        setattr(model.config, name, value)

    with pytest.raises(BackboneError, match=message):
        check_contract("wrong", model, SIZE)


def test_a_saved_model_pools_as_it_was_trained() -> None:
    clip = AutoConfig.for_model("clip_vision_model", **VISION)

    assert AffectModel(AffectConfig(clip, action_units=[1], image_size=SIZE)).prefix_tokens == 0
    assert AffectModel(AffectConfig(clip, action_units=[1], image_size=SIZE, prefix_tokens=1)).prefix_tokens == 1
