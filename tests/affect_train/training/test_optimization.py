import inspect
import re
from collections.abc import Callable
from typing import Any

import pytest
import torch

from affect_data.errors import RecipeError, UsageError
from affect_train.network.model import AffectModel
from affect_train.recipe.model import ModelOptions
from affect_train.recipe.optimization import OPTIMIZERS, SCHEDULES, OptimizerOptions, ScheduleOptions
from affect_train.recipe.recipe import recipe_from
from affect_train.recipe.training import TrainingOptions
from affect_train.tasks import TaskSet
from affect_train.training.optimization import (
    layer_depths,
    learning_rate_factor,
    optimizer_of,
    optimizer_parameters,
    schedule_of,
)

Values = Callable[..., dict[str, Any]]


def test_biases_and_scales_have_no_weight_decay() -> None:
    network = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.LayerNorm(4))
    network[0].bias.requires_grad_(requires_grad=False)
    decayed, others = optimizer_parameters(network, OptimizerOptions())
    assert [tuple(parameter.shape) for parameter in decayed["params"]] == [(4, 3)]
    assert [tuple(parameter.shape) for parameter in others["params"]] == [(4,), (4,)]
    assert (decayed["weight_decay"], others["weight_decay"]) == (0.05, 0.0)
    assert (decayed["lr"], others["lr"]) == (1e-3, 1e-3)


def test_the_learning_rate_warms_up_and_falls_along_half_a_cosine(recipe_values: Values) -> None:
    factor = learning_rate_factor(recipe_from(recipe_values(schedule={"warmup_steps": 4})), steps=104)
    assert [factor(step) for step in range(5)] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert [factor(4 + done) for done in (25, 50, 100)] == pytest.approx([(1 + 0.5**0.5) / 2, 0.5, 0.0])
    assert learning_rate_factor(recipe_from(recipe_values(schedule={"name": "constant"})), steps=104)(90) == 1.0


def vit_with_layers(layers: int) -> AffectModel:
    backbone = {"model_type": "vit", "hidden_size": 16, "num_hidden_layers": layers, "num_attention_heads": 2}
    backbone |= {"intermediate_size": 32, "patch_size": 8}
    return AffectModel.build(TaskSet((1, 2), (), 0), ModelOptions(backbone=backbone, image_size=32))


def test_each_layer_learns_slower_than_the_one_above_it() -> None:
    model = vit_with_layers(3)
    rates = {}
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    for group in optimizer_parameters(model, OptimizerOptions(learning_rate=1.0, layer_decay=0.5)):
        rates |= {names[id(parameter)]: group["lr"] for parameter in group["params"]}
    assert rates.keys() == {name for name, one in model.named_parameters() if one.requires_grad}
    found: dict[str, set[float]] = {}
    for name, rate in rates.items():
        part = next((f"layer {n}" for n in range(3) if f".{n}." in name and "layer" in name), None)
        part = part or (
            "embeddings" if "embeddings" in name else "heads" if not name.startswith("backbone") else "norm"
        )
        found.setdefault(part, set()).add(rate)
    assert found == {
        "embeddings": {0.0625},
        "layer 0": {0.125},
        "layer 1": {0.25},
        "layer 2": {0.5},
        "norm": {0.5},
        "heads": {1.0},
    }


def test_every_parameter_is_in_one_group() -> None:
    model = vit_with_layers(2)
    for decay in (1.0, 0.7):
        grouped = [
            id(one)
            for group in optimizer_parameters(model, OptimizerOptions(layer_decay=decay))
            for one in group["params"]
        ]
        assert sorted(grouped) == sorted(id(one) for one in model.parameters() if one.requires_grad)


def test_layers_inside_stages_are_counted_through() -> None:
    names = [
        "backbone.embeddings.weight",
        "backbone.encoder.stages.0.layers.0.w",
        "backbone.encoder.stages.0.layers.1.w",
    ]
    names += [
        "backbone.encoder.stages.1.downsample.w",
        "backbone.encoder.stages.1.layers.0.w",
        "backbone.norm.w",
        "norm.w",
    ]
    # A stage's own parameters stand before its layers.
    assert list(layer_depths(names).values()) == [0, 1, 2, 3, 4, 4, 5]


def test_frozen_parameters_are_in_no_group() -> None:
    backbone = {"model_type": "vit", "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    options = ModelOptions(
        backbone={**backbone, "intermediate_size": 32, "patch_size": 8}, image_size=32, freeze_backbone=True
    )
    model = AffectModel.build(TaskSet((1, 2), (), 0), options)
    groups = optimizer_parameters(model, OptimizerOptions(learning_rate=1.0, layer_decay=0.5))
    assert {group["lr"] for group in groups} == {1.0}
    assert sum(len(group["params"]) for group in groups) == 4  # the norm's and the head's weight and bias


def test_defaults_of_the_recipe_change_no_rate() -> None:
    assert (OptimizerOptions().layer_decay, ScheduleOptions().warmup_steps, TrainingOptions().ema_decay) == (
        1.0,
        0,
        None,
    )


def one_weight(**options: Any) -> torch.optim.Optimizer:
    layer = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.constant_(layer.weight, 1.0)
    return optimizer_of(layer, OptimizerOptions(weight_decay=0.0, **options), fused=False)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_each_optimizer_takes_the_step_that_torch_takes(name: str) -> None:
    found = one_weight(name=name, learning_rate=0.25)
    torch_own = getattr(torch.optim, OPTIMIZERS[name].torch_name)
    weight = torch.nn.Parameter(torch.ones(1, 1))
    expected = torch_own([weight], lr=0.25, weight_decay=0.0)
    for optimizer, parameter in ((found, found.param_groups[0]["params"][0]), (expected, weight)):
        for gradient in (0.5, -2.0):
            parameter.grad = torch.full((1, 1), gradient)
            optimizer.step()
    assert torch.equal(found.param_groups[0]["params"][0], weight)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_options_of_each_optimizer_are_arguments_that_torch_has(name: str) -> None:
    rule = OPTIMIZERS[name]
    taken = inspect.signature(getattr(torch.optim, rule.torch_name)).parameters
    assert rule.options <= taken.keys()
    assert (rule.betas, rule.fused) == ("betas" in taken, "fused" in taken)


def test_momentum_of_plain_descent_is_that_of_the_formula() -> None:
    optimizer = one_weight(name="sgd", learning_rate=0.1, options={"momentum": 0.5})
    weight = optimizer.param_groups[0]["params"][0]
    for _ in range(2):
        weight.grad = torch.ones(1, 1)
        optimizer.step()
    # 1 - .1 * 1 - .1 * (1 + .5 * 1)
    assert weight.item() == pytest.approx(0.75)


def test_a_value_that_torch_refuses_is_a_mistake_of_the_recipe() -> None:
    with pytest.raises(UsageError, match=r"optimizer\.options: torch's SGD refuses them \(Invalid momentum value: -1"):
        one_weight(name="sgd", options={"momentum": -1.0})


SCHEDULE_EXAMPLES: dict[str, tuple[dict[str, Any], list[float]]] = {
    "linear": ({}, [0.0, 0.5, 1.0, 0.75, 0.5, 0.25]),
    "polynomial": ({"power": 2.0, "lr_end": 0.0}, [0.0, 0.5, 1.0, 0.5625, 0.25, 0.0625]),
    "inverse_sqrt": ({"timescale": 2}, [0.0, 0.5, 1.0, (2 / 3) ** 0.5, 0.5**0.5, (2 / 5) ** 0.5]),
    "warmup_stable_decay": (
        {"num_decay_steps": 2, "decay_type": "linear"},
        [0.0, 0.5, 1.0, 1.0, 1.0, 0.5],
    ),
    "cosine_with_min_lr": (
        {"min_lr_rate": 0.1},
        [0.0, 0.5, 1.0, 0.1 + 0.9 * (1 + 0.5**0.5) / 2, 0.55, 0.1 + 0.9 * (1 - 0.5**0.5) / 2],
    ),
    # Its warm-up ends a step earlier, at the last step of the warm-up.
    "cosine_warmup_with_min_lr": (
        {"min_lr_rate": 0.1, "warmup_lr_rate": 0.0},
        [0.0, 1.0, 0.1 + 0.9 * (1 + 0.5**0.5) / 2, 0.55, 0.1 + 0.9 * (1 - 0.5**0.5) / 2, 0.1],
    ),
    "cosine_with_restarts": ({"num_cycles": 2}, [0.0, 0.5, 1.0, 0.5, 1.0, 0.5]),
}


@pytest.mark.parametrize("name", sorted(set(SCHEDULES) - {"cosine", "constant"}))
def test_each_schedule_follows_its_formula(name: str, recipe_values: Values) -> None:
    options, expected = SCHEDULE_EXAMPLES[name]
    recipe = recipe_from(recipe_values(schedule={"name": name, "warmup_steps": 2, "options": options}))
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=1.0)
    schedule = schedule_of(optimizer, recipe, steps=6)
    rates = []
    for _ in expected:
        rates.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
    assert rates == pytest.approx(expected)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("optimizer={name: sgd, options: {momentun: 0.9}}", "sgd has no option 'momentun'; known: dampening, momentum, nesterov; did you mean"),
        ("optimizer={name: sgd, betas: [0.8, 0.9]}", "sgd takes none; remove them"),
        ("schedule={name: linear, options: {power: 2}}", "linear has no option 'power'; it takes none"),
        ("schedule.name=warmup_stable_decay", "warmup_stable_decay needs num_decay_steps"),
        ("schedule.name=cosine_with_min_lr", "cosine_with_min_lr needs min_lr or min_lr_rate"),
    ],
)  # fmt: skip
def test_options_that_nobody_takes_are_mistakes_of_the_recipe(
    setting: str, message: str, recipe_values: Values
) -> None:
    with pytest.raises(RecipeError, match=re.escape(message)):
        recipe_from(recipe_values(), [setting])
