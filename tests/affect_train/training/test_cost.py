import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from typer.testing import CliRunner

from affect_train.cli.app import app
from affect_train.recipe.recipe import recipe_from
from affect_train.training.cost import GPU_FLOPS, GPU_SHARE, GPU_STEP, cost_of, kept_bytes, state_bytes

Values = Callable[..., dict[str, Any]]


def flops_of_a_vit(images: int, size: int, patch: int, width: int, inner: int, layers: int) -> int:
    """By hand: products of matrices, twice as many operations as multiplications; backward twice the forward, but for the pixels' gradient."""
    patches = (size // patch) ** 2
    tokens = patches + 1
    layer = 2 * tokens * (4 * width * width + 2 * width * inner) + 2 * 2 * tokens * tokens * width
    embedding = 2 * patches * 3 * patch * patch * width
    return images * (3 * layers * layer + 2 * embedding)


def test_the_arithmetic_of_a_step_is_that_of_the_formula(recipe_values: Values) -> None:
    cost = cost_of(recipe_from(recipe_values(), ["training.epochs=3"]))
    backbone = flops_of_a_vit(12, size=32, patch=8, width=16, inner=32, layers=1)
    # cls_mean pooling gives the heads 32 features: three action units, seven classes, two axes of five bins.
    heads = 3 * 12 * 2 * 32 * (3 + 7 + 10)
    # The backward pass of attention computes the scores again.
    again = 12 * 2 * 17 * 17 * 16
    assert cost.flops_of_a_step == backbone + heads + again
    assert (cost.rows_of_a_step, cost.images) == (12, 12 * cost.steps)
    assert (cost.steps, cost.evaluations) == (15, 3)
    assert cost.hours == pytest.approx(cost.steps * cost.seconds_of_a_step / 3600)
    assert cost.gpu_hours == pytest.approx(cost.steps * GPU_STEP / 3600)
    assert cost.flops_of_a_step / (GPU_FLOPS["bf16"] * GPU_SHARE) < GPU_STEP


def test_weights_are_counted_with_gradients_and_what_adam_remembers() -> None:
    layer = torch.nn.Linear(10, 5)
    layer.bias.requires_grad_(requires_grad=False)
    optimizer = torch.optim.AdamW([layer.weight], lr=0.1)
    layer(torch.ones(1, 10)).sum().backward()
    optimizer.step()
    # 55 weights, 50 gradients, 100 means, and one count of steps, of 4 bytes each.
    assert state_bytes(layer, optimizer) == 4 * (55 + 50 + 100 + 1)


def test_what_the_forward_pass_keeps_is_counted_once() -> None:
    with kept_bytes() as kept:
        values = torch.ones(100, requires_grad=True) * 2
        values.exp() + values.sin()
    # exp keeps its result, sin its argument.
    assert kept() == 2 * 400


def test_the_command_prints_what_a_run_costs_and_writes_nothing(recipe_values: Values, tmp_path: Path) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_text(yaml.safe_dump(recipe_values()))
    before = sorted(tmp_path.iterdir())
    shown = CliRunner().invoke(app, ["validate", str(file), "--cost"])
    assert shown.exit_code == 0, shown.output
    assert "GFLOP an image, forward and backward" in shown.stdout
    assert "if it reaches 35% of its 312 TFLOP/s" in shown.stdout
    found = json.loads(CliRunner().invoke(app, ["validate", str(file), "--cost", "--json"]).stdout)
    assert found["gpu"] == "A100 80 GB"
    assert found["parameters"] == found["learning_parameters"] > 0
    assert sorted(tmp_path.iterdir()) == before
