"""Low-rank adapters (LoRA) in a frozen backbone: added for training, and merged into the weights that are saved."""

import warnings
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any, Final, cast

from torch import Tensor, nn

from affect_train.errors import BackboneError
from affect_train.recipe.model import AdapterOptions

_ADAPTER: Final = "default"
_BASE: Final = ".base_layer."
_DOWN: Final = f".lora_A.{_ADAPTER}.weight"
_UP: Final = f".lora_B.{_ADAPTER}.weight"


def add_adapter(backbone: nn.Module, options: AdapterOptions) -> None:
    """Freezes a backbone and adds to its linear layers, or to those that are named, a product of two matrices of low rank, which learns.

    The product is zero at first, so that the backbone answers as before.

    Source: Hu et al., *LoRA*, ICLR 2022 (arXiv 2106.09685), equation 3; the layers are those of the package peft.

    Raises:
        BackboneError: peft is not installed, no layer has such a name, or one is not linear.
    """
    name = str(getattr(getattr(backbone, "config", None), "model_type", "backbone"))
    if find_spec("peft") is None:
        raise BackboneError(
            name,
            "peft, which adds adapters, is not installed",
            "Install it: `pip install 'affectkit[adapters]'`, or set `model.adapter: null`",
        )
    linear = [path for path, module in backbone.named_modules() if isinstance(module, nn.Linear)]
    wanted = [path for path in linear if not options.layers or _ends_with(path, options.layers)]
    known = sorted({path.rpartition(".")[2] for path in linear})
    for end in options.layers:
        if not any(_ends_with(path, (end,)) for path in linear):
            raise BackboneError(
                name,
                f"it has no linear layer {end!r}",
                f"`model.adapter.layers` takes ends of names: {', '.join(known)}",
            )
    if not wanted:
        raise BackboneError(name, "it has no linear layer that could have an adapter", "Set `model.adapter: null`")
    with warnings.catch_warnings():
        # peft's imports warn of packages that have nothing to do with adapters.
        warnings.simplefilter("ignore")
        from peft import LoraConfig, inject_adapter_in_model
    inject_adapter_in_model(
        LoraConfig(r=options.rank, lora_alpha=options.alpha, lora_dropout=options.dropout, target_modules=wanted),
        backbone,
        adapter_name=_ADAPTER,
    )
    for path, parameter in backbone.named_parameters():
        parameter.requires_grad = ".lora_" in path


def merged(model: nn.Module, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of a model with its adapters added to the layers that they belong to, by the names that these have without adapters.

    Args:
        model: with the adapters, if any.
        weights: of it, by name.
    """
    if not any(name.endswith(_DOWN) for name in weights):
        return dict(weights)
    found: dict[str, Tensor] = {}
    for name, values in weights.items():
        if ".lora_" in name:
            continue
        path, is_adapted, last = name.partition(_BASE)
        if is_adapted and last == "weight":
            scaling = cast(Any, model.get_submodule(path)).scaling[_ADAPTER]
            change = weights[path + _UP].double() @ weights[path + _DOWN].double() * scaling
            found[f"{path}.weight"] = (values.double() + change).to(values.dtype)
        else:
            found[f"{path}.{last}" if is_adapted else name] = values
    return found


def _ends_with(path: str, ends: tuple[str, ...]) -> bool:
    return any(path == end or path.endswith(f".{end}") for end in ends)
