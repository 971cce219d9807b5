"""Vision backbones of the library transformers: loaded from a configuration, a local folder or the Hub; and the shape of their outputs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from torch.nn import Module
from transformers import AutoConfig, AutoModel, PretrainedConfig, PreTrainedModel, ViTConfig
from transformers.image_processing_base import ImageProcessingMixin

from affect_train.errors import BackboneError
from affect_train.network.contract import check_contract
from affect_train.network.reading import prefix_tokens
from affect_train.recipe.model import ModelOptions

IMAGENET_MEAN: Final = (0.485, 0.456, 0.406)
IMAGENET_STD: Final = (0.229, 0.224, 0.225)

CONVOLUTIONAL_STEMS: Final = frozenset({"levit"})
"""Backbones whose ``patch_size`` is not the stride of their stem, so that any image size fits."""

SIZED_BY_PAIRS: Final = frozenset({"hiera"})
"""Backbones whose ``image_size`` is height and width."""


@dataclass(frozen=True)
class Backbone:
    """A backbone and how to feed it.

    Attributes:
        name: for messages.
        model: with pretrained or fresh weights.
        image_mean: of each RGB channel, on a scale of [0, 1].
        image_std: of each RGB channel, on a scale of [0, 1].
    """

    name: str
    model: PreTrainedModel
    image_mean: Sequence[float] = IMAGENET_MEAN
    image_std: Sequence[float] = IMAGENET_STD

    @property
    def config(self) -> PretrainedConfig:
        """The backbone's own configuration."""
        return self.model.config


def load_backbone(options: ModelOptions) -> Backbone:
    """The backbone that the section ``model`` of a recipe names, in evaluation mode: of a model of pictures and text, the part that sees.

    Raises:
        BackboneError: it cannot be loaded, the image size, pooling or drop path do not fit it, or `check_contract` refuses it.
    """
    loaded = _loaded(options)
    check_contract(loaded.name, loaded.model, options.image_size)
    return loaded


def vision_part(config: PretrainedConfig) -> PretrainedConfig:
    """The configuration of the encoder of pictures within a model: the vision tower of one with a text tower, or the model's own.

    A ``vit_mae`` is read as the ``vit`` that it is without its masking, which would hide three quarters of the patches at random.
    """
    found = getattr(config, "vision_config", None)
    found = found if isinstance(found, PretrainedConfig) else config
    if found.model_type == "vit_mae":
        shared = ViTConfig().to_dict().keys() - {"model_type", "architectures", "transformers_version"}
        found = ViTConfig(**{key: value for key, value in found.to_dict().items() if key in shared})
    # Weights in half precision are read as single precision, like the heads; mixed precision is the recipe's business.
    found.dtype = torch.float32
    return found


def pooling_of(options: ModelOptions, config: PretrainedConfig) -> str:
    """The recipe's pooling; by default ``cls_mean`` where the backbone has a class token, otherwise ``mean``."""
    return options.pooling or ("cls_mean" if prefix_tokens(config) else "mean")


def in_own_memory(model: Module) -> None:
    """Copies every weight and buffer to memory of its own.

    Weights that were just read are views of the mapped file, at any address. The last bit of a product depends on whether its operands are aligned:
    without the copy, the process that reads the file would answer differently from those that receive its weights.
    """
    with torch.no_grad():
        for tensor in (*model.parameters(), *model.buffers()):
            tensor.data = tensor.data.clone()


def _loaded(options: ModelOptions) -> Backbone:
    if not isinstance(options.backbone, str):
        name, config = _configured(options.backbone, options.image_size)
        _fit(name, config, options)
        return Backbone(name, _fresh(name, config))
    name, config = options.backbone, _named_config(options.backbone)
    # Of a model that affect_train saved, only the backbone is used.
    is_ours = config.model_type == "affect"
    inner = config.backbone_config if is_ours else vision_part(config)
    _fit(name, inner, options)
    if options.pretrained is False:
        return Backbone(name, _fresh(name, inner), *_normalisation(name, config))
    model = _pretrained(name, config).backbone if is_ours else _pretrained(name, inner)
    return Backbone(name, model, *_normalisation(name, config))


def _fresh(name: str, config: PretrainedConfig) -> PreTrainedModel:
    try:
        return AutoModel.from_config(config)
    except (ValueError, ImportError) as error:
        raise BackboneError(
            name,
            f"transformers makes no network of a {config.model_type!r} ({_first_line(error)[:200]})",
            "Choose a vision backbone such as vit, dinov2 or levit",
        ) from error


def _configured(values: Mapping[str, Any], image_size: int) -> tuple[str, PretrainedConfig]:
    settings = {"image_size": image_size, **values}
    kind = settings.pop("model_type")
    if kind in SIZED_BY_PAIRS:
        settings["image_size"] = [image_size, image_size]
    try:
        return kind, vision_part(AutoConfig.for_model(kind, **settings))
    except Exception as error:  # transformers raises many types here, some of them its own
        raise BackboneError(
            kind,
            f"the configuration is refused ({_first_line(error)})",
            f"See the arguments of transformers' configuration of {kind!r}",
        ) from error


def _named_config(name: str) -> PretrainedConfig:
    is_folder = Path(name).is_dir()
    if is_folder and not (Path(name) / "config.json").is_file():
        raise BackboneError(
            name, "the folder has no config.json", "Name a folder that transformers' save_pretrained wrote"
        )
    try:
        return AutoConfig.from_pretrained(name)
    except (OSError, ValueError, KeyError) as error:
        because = (
            "its config.json cannot be used" if is_folder else "it is no local folder, and the Hub did not give it"
        )
        remedy = "Name a local folder, a model id of the Hub (with a network, or downloaded before), or a configuration with `model_type`"
        raise BackboneError(name, f"{because} ({_first_line(error)})", remedy) from error


def _pretrained(name: str, config: PretrainedConfig) -> PreTrainedModel:
    try:
        model, report = AutoModel.from_pretrained(name, config=config, dtype=torch.float32, output_loading_info=True)
    except (OSError, ValueError, RuntimeError, ImportError) as error:
        raise BackboneError(
            name,
            f"its weights cannot be loaded ({_first_line(error)})",
            "Name a complete model, or set `model.pretrained: false`",
        ) from error
    missing = sorted(key for key in report["missing_keys"] if not key.startswith("pooler."))
    if missing:
        raise BackboneError(
            name,
            f"its weights lack {len(missing)} tensor(s): {', '.join(missing[:5])}",
            "Name a complete model, or set `model.pretrained: false`",
        )
    in_own_memory(model)
    return model


def _normalisation(name: str, config: PretrainedConfig) -> tuple[Sequence[float], Sequence[float]]:
    if config.model_type == "affect":
        return config.image_mean, config.image_std
    try:
        values, _ = ImageProcessingMixin.get_image_processor_dict(name)
    except OSError:
        return IMAGENET_MEAN, IMAGENET_STD
    return values.get("image_mean", IMAGENET_MEAN), values.get("image_std", IMAGENET_STD)


def _fit(name: str, config: PretrainedConfig, options: ModelOptions) -> None:
    size, patch = options.image_size, getattr(config, "patch_size", None)
    if isinstance(patch, int) and config.model_type not in CONVOLUTIONAL_STEMS and size % patch:
        fitting = max(size // patch, 1) * patch
        raise BackboneError(
            name, f"its patch size {patch} does not divide the image size {size}", f"Set `model.image_size: {fitting}`"
        )
    if options.pooling in ("cls", "cls_mean") and not prefix_tokens(config):
        raise BackboneError(
            name, f"it has no class token for `pooling: {options.pooling}`", "Set `model.pooling: mean`"
        )
    if options.drop_path:
        try:
            if not hasattr(config, "drop_path_rate"):
                raise TypeError("the configuration has no drop_path_rate")
            config.drop_path_rate = options.drop_path
        except Exception as error:  # a strict configuration raises a type of its own
            raise BackboneError(
                name, f"it has no drop path ({_first_line(error)})", "Set `model.drop_path: 0`"
            ) from error


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
