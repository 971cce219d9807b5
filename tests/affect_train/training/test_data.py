"""How a run's batches come about, and what is refused before anything is loaded, because of how the processes share the work."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from accelerate.utils import DistributedType
from training_runs import fresh_accelerator, same_bits

from affect_data.errors import UsageError
from affect_train.inputs.loading import View
from affect_train.recipe.recipe import Recipe, recipe_from
from affect_train.training import data
from affect_train.training.data import training_view
from affect_train.training.learner import _check_distribution
from affect_train.training.loop import train

Values = Callable[..., dict[str, Any]]


def test_a_run_whose_device_augments_ends_with_the_same_weights(
    recipe_values: Values, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = ["training.max_steps=2", "training.validation_split=null", "training.record_rows=true"]
    train(recipe_from(recipe_values(), [*settings, f"output={tmp_path / 'loader'}"]))

    def on_the_device(recipe: Recipe, device: torch.device) -> View:
        return replace(training_view(recipe, device), changes_later=True)

    monkeypatch.setattr(data, "training_view", on_the_device)
    fresh_accelerator()
    train(recipe_from(recipe_values(), [*settings, f"output={tmp_path / 'device'}"]))
    assert same_bits(tmp_path / "loader", tmp_path / "device")


def accelerator(kind: DistributedType) -> SimpleNamespace:
    """Stands in for the Accelerator of eight GPUs, which this machine lacks."""
    state = SimpleNamespace(deepspeed_plugin=SimpleNamespace(deepspeed_config={}))
    return SimpleNamespace(distributed_type=kind, device=torch.device("cuda"), num_processes=8, state=state)


@pytest.mark.parametrize("kind", [DistributedType.FSDP, DistributedType.DEEPSPEED])
def test_divided_weights_have_no_moving_average(recipe_values: Values, kind: DistributedType) -> None:
    recipe = recipe_from(recipe_values(), ["training.ema_decay=0.99"])
    with pytest.raises(UsageError, match=r"training.ema_decay: no average is kept of weights that .* divides"):
        _check_distribution(recipe, accelerator(kind))
    _check_distribution(recipe, accelerator(DistributedType.MULTI_GPU))


def test_fsdp_of_the_first_kind_is_refused(recipe_values: Values) -> None:
    stands_in, recipe = accelerator(DistributedType.FSDP), recipe_from(recipe_values())
    _check_distribution(recipe, stands_in)
    stands_in.state.fsdp_plugin = SimpleNamespace(fsdp_version=1)
    with pytest.raises(UsageError, match=r"fsdp_version is 1, .*; set it to 2 in Accelerate's configuration"):
        _check_distribution(recipe, stands_in)


@pytest.mark.parametrize("kind", [DistributedType.FSDP, DistributedType.DEEPSPEED])
def test_a_method_that_needs_whole_weights_is_refused_where_they_are_divided(
    recipe_values: Values, kind: DistributedType
) -> None:
    recipe = recipe_from(recipe_values(method={"name": "meta_auxiliary"}))
    with pytest.raises(UsageError, match=r"'meta_auxiliary' needs whole weights on every process, and .* divides them"):
        _check_distribution(recipe, accelerator(kind))
    _check_distribution(recipe, accelerator(DistributedType.MULTI_GPU))


def test_deepspeed_is_told_the_rows_of_a_process_and_does_not_accumulate(recipe_values: Values) -> None:
    recipe = recipe_from(recipe_values(), ["batches.size=64"])
    held = accelerator(DistributedType.DEEPSPEED)
    _check_distribution(recipe, held)
    assert held.state.deepspeed_plugin.deepspeed_config == {"train_micro_batch_size_per_gpu": 8}
    with pytest.raises(UsageError, match=r"training.accumulation: DeepSpeed steps after every backward pass"):
        _check_distribution(recipe_from(recipe_values(), ["training.accumulation=2"]), held)
