"""Helpers for tests of whole runs: runs that are interrupted, and what they leave."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate.state import AcceleratorState
from safetensors.torch import load_file

from affect_train.recipe.recipe import Recipe
from affect_train.training.logs import Logs
from affect_train.training.loop import train

TINY_VIT = {
    "model_type": "vit",
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "patch_size": 8,
}


def fresh_accelerator() -> None:
    """Lets the next command of this process begin as the first one did."""
    AcceleratorState._reset_state(reset_partial_state=True)


def train_until(recipe: Recipe, step: int) -> None:
    """A training that is interrupted from the keyboard after so many steps."""
    take_step = Logs.step

    def interrupted(self: Logs, number: int, *arguments: Any) -> None:
        take_step(self, number, *arguments)
        if number == step:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Logs, "step", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train(recipe)


def json_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def rows_of(run: Path, rank: int = 0) -> list[list[int]]:
    """The rows of each step's first micro-batch, as one process recorded them."""
    return [line["rows"][0] for line in json_lines(run / f"rows.rank{rank}.jsonl")]


def weights_of(run: Path) -> dict[str, torch.Tensor]:
    return load_file(run / "model/model.safetensors")


def same_bits(one: Path, other: Path) -> bool:
    """Whether two runs ended with the same weights and drew the same rows."""
    first, second = weights_of(one), weights_of(other)
    rows = [(run / "rows.rank0.jsonl").read_text() for run in (one, other)]
    return rows[0] == rows[1] and all(torch.equal(value, second[name]) for name, value in first.items())
