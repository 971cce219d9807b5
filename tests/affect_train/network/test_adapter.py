from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from training_runs import fresh_accelerator, same_bits, train_until

from affect_data.errors import RecipeError
from affect_train.errors import BackboneError
from affect_train.network.adapter import merged
from affect_train.network.model import AffectModel, load_model
from affect_train.recipe.model import AdapterOptions, ModelOptions
from affect_train.recipe.recipe import recipe_from
from affect_train.tasks import TaskSet
from affect_train.training.loop import train

Values = Callable[..., dict[str, Any]]
VIT = {"model_type": "vit", "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
VIT |= {"intermediate_size": 32, "patch_size": 8}


def vit(**adapter: Any) -> AffectModel:
    torch.manual_seed(0)
    options = AdapterOptions(**adapter) if adapter else None
    return AffectModel.build(TaskSet((1, 2), (), 0), ModelOptions(backbone=VIT, image_size=32, adapter=options))


def faces() -> torch.Tensor:
    return torch.randint(0, 256, (3, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def test_an_adapter_changes_nothing_at_first_and_learns_alone_beside_the_heads() -> None:
    plain, adapted = vit().eval(), vit(rank=2).eval()
    assert torch.equal(plain.features(faces()), adapted.features(faces()))
    learning = {name for name, parameter in adapted.named_parameters() if parameter.requires_grad}
    assert all(".lora_" in name or not name.startswith("backbone.") for name in learning)
    # Six linear layers in each of the two: query, key, value, output, and two of the block after them.
    assert sum(".lora_A" in name for name in learning) == 12
    assert {tuple(adapted.get_parameter(name).shape) for name in learning if ".lora_A" in name} == {(2, 16), (2, 32)}


def test_merged_weights_are_those_of_the_formula_and_answer_as_the_adapted_model() -> None:
    adapted = vit(rank=2, alpha=6.0, layers=("q_proj",)).eval()
    for name, parameter in adapted.named_parameters():
        if ".lora_B" in name:
            torch.nn.init.normal_(parameter, generator=torch.Generator().manual_seed(2))
    weights = merged(adapted, adapted.state_dict())
    plain = vit().eval()
    before = plain.state_dict()
    name = next(name for name in before if name.endswith("q_proj.weight"))
    path = name.removesuffix(".weight")
    down, up = (adapted.get_parameter(f"{path}.lora_{part}.default.weight") for part in "AB")
    assert torch.allclose(weights[name], before[name] + 6.0 / 2 * up @ down, atol=1e-6)
    assert torch.linalg.matrix_rank(weights[name] - before[name], atol=1e-4) == 2
    assert weights.keys() == before.keys()
    plain.load_state_dict(weights)
    assert torch.allclose(plain.features(faces()), adapted.features(faces()), atol=1e-5)


def test_weights_without_adapters_stay_as_they_are() -> None:
    model = vit()
    assert merged(model, model.state_dict()).keys() == model.state_dict().keys()


def test_a_layer_that_the_backbone_lacks_is_named_with_those_that_it_has() -> None:
    with pytest.raises(BackboneError, match=r"'vit': it has no linear layer 'query'\. .* ends of names: .*q_proj"):
        vit(layers=("query",))


def test_adapters_without_their_package_are_refused_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("affect_train.network.adapter.find_spec", lambda _: None)
    with pytest.raises(BackboneError, match=r"peft, which adds adapters, is not installed\. .*affectkit\[adapters\]"):
        vit(rank=2)


def test_a_frozen_backbone_takes_no_adapter(recipe_values: Values) -> None:
    with pytest.raises(RecipeError, match="a frozen backbone has nothing that learns"):
        recipe_from(recipe_values(), ["model.adapter={}", "model.freeze_backbone=true"])


def test_a_run_with_adapters_goes_on_to_the_same_bits_and_saves_a_plain_model(
    recipe_values: Values, tmp_path: Path
) -> None:
    settings = ["model.adapter={rank: 2, dropout: 0.1}", "training.max_steps=3", "training.save_every_steps=1"]
    settings += ["training.validation_split=null", "training.record_rows=true", "optimizer.learning_rate=0.01"]
    train(recipe_from(recipe_values(), [*settings, f"output={tmp_path / 'whole'}"]))
    fresh_accelerator()
    cut = recipe_from(recipe_values(), [*settings, f"output={tmp_path / 'cut'}"])
    train_until(cut, 2)
    fresh_accelerator()
    train(cut)
    assert same_bits(tmp_path / "whole", tmp_path / "cut")
    saved = load_model(tmp_path / "cut/model")
    assert not any("lora" in name or "base_layer" in name for name in saved.state_dict())
