"""The rule of an update, and the learning rate and weight decay of each parameter, by layer and over time."""

import math
import re
from collections.abc import Callable
from typing import Any

import torch

from affect_data.errors import UsageError
from affect_train.network.habits import PREFIX
from affect_train.recipe.optimization import OWN_SCHEDULES, OptimizerOptions
from affect_train.recipe.recipe import Recipe

LAYER = re.compile(r"(?:^|\.)(?:layers?|blocks?|stages?)\.(\d+)(?=\.)")
"""Finds the number of a layer in parameter names of transformers' backbones; the number of a stage comes before that of a layer in it."""


def optimizer_of(
    model: torch.nn.Module, options: OptimizerOptions, *, fused: bool, habits_rate: float = 1.0
) -> torch.optim.Optimizer:
    """The optimizer of a recipe.

    Args:
        model: whose trainable parameters it changes.
        options: the section ``optimizer``.
        fused: whether all weights are to be updated by one kernel, where torch has one for this optimizer.
        habits_rate: the learning rate of habits of databases, as a multiple of `options.learning_rate`.

    Raises:
        UsageError: torch refuses a value of `options.options`.
    """
    rule = options.rule
    arguments: dict[str, Any] = dict(options.options)
    if rule.betas:
        arguments["betas"] = options.betas
    if rule.fused and fused:
        arguments["fused"] = True
    try:
        found: torch.optim.Optimizer = getattr(torch.optim, rule.torch_name)(
            optimizer_parameters(model, options, habits_rate), lr=options.learning_rate, **arguments
        )
    except (TypeError, ValueError) as error:
        raise UsageError(f"optimizer.options: torch's {rule.torch_name} refuses them ({error})") from error
    return found


def schedule_of(optimizer: torch.optim.Optimizer, recipe: Recipe, steps: int) -> torch.optim.lr_scheduler.LambdaLR:
    """The learning rate over a run of so many steps.

    Raises:
        UsageError: transformers refuses a value of `schedule.options`.
    """
    options = recipe.schedule
    if options.name in OWN_SCHEDULES:
        return torch.optim.lr_scheduler.LambdaLR(optimizer, learning_rate_factor(recipe, steps))
    from transformers import get_scheduler

    try:
        found: torch.optim.lr_scheduler.LambdaLR = get_scheduler(
            options.name,
            optimizer,
            num_warmup_steps=options.warmup_steps,
            num_training_steps=steps,
            scheduler_specific_kwargs=dict(options.options),
        )
    except (TypeError, ValueError, ZeroDivisionError) as error:
        raise UsageError(f"schedule.options: transformers' {options.name} refuses them ({error})") from error
    return found


def optimizer_parameters(
    model: torch.nn.Module, options: OptimizerOptions, habits_rate: float = 1.0
) -> list[dict[str, Any]]:
    """Groups of trainable parameters: matrices and kernels have weight decay; biases, scales and other vectors have none.

    With layer decay, each layer of the backbone has two groups of its own. Their rate is ``layer_decay`` times that of the layer above. The heads are
    above the topmost layer, the embeddings below the first. Habits of databases have a rate of their own and no weight decay.

    Sources: Clark et al., *ELECTRA* (arXiv 2003.10555); Bao et al., *BEiT* (arXiv 2106.08254).
    """
    every = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    learning = {name: parameter for name, parameter in every.items() if not name.startswith(PREFIX)}
    depths = layer_depths([name for name, _ in model.named_parameters()]) if options.layer_decay < 1 else {}
    top = max(depths.values(), default=0)
    found: list[dict[str, Any]] = []
    for depth in sorted({depths.get(name, top) for name in learning}):
        members = [parameter for name, parameter in learning.items() if depths.get(name, top) == depth]
        rate = {"lr": options.learning_rate * options.layer_decay ** (top - depth)}
        found += [
            {**rate, "params": [one for one in members if one.ndim >= 2], "weight_decay": options.weight_decay},
            {**rate, "params": [one for one in members if one.ndim < 2], "weight_decay": 0.0},
        ]
    if len(learning) < len(every):
        own = [parameter for name, parameter in every.items() if name not in learning]
        found.append({"lr": options.learning_rate * habits_rate, "params": own, "weight_decay": 0.0})
    return found


def layer_depths(names: list[str]) -> dict[str, int]:
    """For every parameter of a model, in the order of definition, how many layers lie below it.

    0 before the backbone's first layer, 1 for the first layer, and so on. Parameters that follow a layer inside the backbone belong to it; everything
    outside of the backbone is one above the topmost layer.
    """
    numbers = {name: tuple(map(int, LAYER.findall(name))) for name in names if name.startswith("backbone.")}
    order = {
        layer: depth for depth, layer in enumerate(sorted({found for found in numbers.values() if found}), start=1)
    }
    depths, depth = {}, 0
    for name in names:
        if name in numbers:
            depth = order.get(numbers[name], depth)
            depths[name] = depth
    return {name: depths.get(name, len(order) + 1) for name in names}


def learning_rate_factor(recipe: Recipe, steps: int) -> Callable[[int], float]:
    """From the number of steps done to the factor of the learning rate: a linear warm-up, then constant or half a cosine down to 0."""
    warmup, cosine = recipe.schedule.warmup_steps, recipe.schedule.name == "cosine"

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / (warmup + 1)
        done = (step - warmup) / max(1, steps - warmup)
        return (1 + math.cos(math.pi * min(1.0, done))) / 2 if cosine else 1.0

    return factor
