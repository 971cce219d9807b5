from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from affect_data.balance import balance, load_weights, make_plan
from affect_data.dataset.folder import open_dataset
from affect_data.errors import RecipeError, UnknownNameError, UsageError
from affect_train.errors import NoLabelsError
from affect_train.inputs.labels import load_labels
from affect_train.inputs.pools import pools_of
from affect_train.inputs.sampler import Pool
from affect_train.recipe.recipe import Recipe, recipe_from
from affect_train.runtime import build_accelerator
from affect_train.training.data import TrainingData
from affect_train.training.source import open_training_source

Values = Callable[..., dict[str, Any]]


@pytest.fixture
def pools(recipe_values: Values, own_dataset: Path) -> Callable[..., dict[str, Pool]]:
    """The pools of a recipe on a dataset of 16 rows: AU in rows 0 and 3 of every four, expressions in 1, VA in 2 and 3."""

    def build(*overrides: str, dataset: Path = own_dataset) -> dict[str, Pool]:
        recipe: Recipe = recipe_from(recipe_values(), [f"dataset={dataset}", *overrides])
        folder = open_dataset(dataset)
        return pools_of(recipe, *load_labels(folder, recipe.training.split, recipe.tasks.task_set()), folder)

    return build


def test_pools_are_the_labelled_rows_of_each_task(pools: Callable[..., dict[str, Pool]]) -> None:
    found = pools()
    assert {task: pool.rows.tolist() for task, pool in found.items()} == {
        "au": [0, 3, 4, 7, 8, 11, 12, 15],
        "expression": [1, 5, 9, 13],
        "va": [2, 3, 6, 7, 10, 11, 14, 15],
    }
    assert all(pool.weights is None for pool in found.values())


def test_databases_in_proportion_are_pools_of_all_their_rows(pools: Callable[..., dict[str, Pool]]) -> None:
    found = pools("batches.sampler=database_proportional")
    assert {name: pool.rows.tolist() for name, pool in found.items()} == {
        "affwild2": list(range(0, 16, 2)),
        "expw": list(range(1, 16, 2)),
    }


def test_a_balance_gives_the_rows_of_its_tasks_their_weights(
    pools: Callable[..., dict[str, Pool]], own_dataset: Path
) -> None:
    balance(own_dataset, make_plan("deng2020_va", {"repeat_cap": 3}), "rare")
    weights = load_weights(own_dataset, "rare")["va"]
    found = pools("batches.balance=rare")
    assert found["va"].rows.tolist() == np.flatnonzero(weights).tolist()
    assert set(found["va"].rows.tolist()) < {2, 3, 6, 7, 10, 11, 14, 15}  # Aff-Wild2 is thinned out
    assert np.array_equal(found["va"].weights, weights[weights > 0])
    assert found["va"].repeat_cap == 3
    assert found["au"].weights is None
    assert len(found["au"]) == 8
    assert pools("batches.balance=rare", "batches.repeat_cap=5")["va"].repeat_cap == 5


def test_a_balance_with_both_kinds_of_pools_follows_the_sampler(
    pools: Callable[..., dict[str, Pool]], own_dataset: Path
) -> None:
    balance(own_dataset, make_plan("database_temperature", {"temperature": 0.0}), "even")
    assert set(pools("batches.balance=even")) == {"au", "expression", "va"}
    (whole,) = pools("batches.balance=even", "batches.sampler=uniform").items()
    assert whole[0] == "weight"
    assert len(whole[1]) == 16
    weights = load_weights(own_dataset, "even")["weight"]
    assert weights[::2].sum() == pytest.approx(weights[1::2].sum())


def test_a_balance_of_no_trained_task_or_another_split_is_refused(
    pools: Callable[..., dict[str, Pool]], own_dataset: Path
) -> None:
    balance(own_dataset, make_plan("deng2020_va"), "rare")
    with pytest.raises(
        UsageError, match=r"batches.balance 'rare' weighs va; the sampler 'task_balanced' looks for one of au;"
    ):
        pools("batches.balance=rare", "tasks={action_units: [1]}")
    with pytest.raises(UsageError, match=r"'rare' weighs va; the sampler 'uniform' looks for one of weight"):
        pools("batches.balance=rare", "batches.sampler=uniform")
    with pytest.raises(UsageError, match=r"weighs the rows of the split 'train', but `training.split` is 'validation'"):
        pools("batches.balance=rare", "training.split=validation")
    with pytest.raises(UnknownNameError, match=r"unknown balancing weights in .* 'none'; known: rare"):
        pools("batches.balance=none")


def test_a_balance_without_a_row_for_the_heads_is_an_error(
    pools: Callable[..., dict[str, Pool]], tmp_path: Path, world: SimpleNamespace
) -> None:
    rows = {"train": [(number, world.all) for number in (0, 1, 2, 7, 8, 9)]}
    path = world.write_dataset(tmp_path / "few", rows)
    balance(path, make_plan("deng2020_expression", {"expressions": ["disgust", "anger"]}), "two")
    with pytest.raises(NoLabelsError, match=r"split train \(balance 'two'\): no row has a label of expression"):
        pools(
            "batches.balance=two", "tasks={expression: [neutral, fear]}", "training.validation_split=null", dataset=path
        )


# ---------------------------------------------------------------- pools that the recipe names


def test_named_pools_hold_the_rows_of_their_databases_that_have_all_their_labels(
    pools: Callable[..., dict[str, Pool]],
) -> None:
    found = pools(
        "batches.pools={faces: {labels: [va], databases: [affwild2]}, both: {labels: [au, va]}, all: {labels: [au]}}"
    )
    assert {name: pool.rows.tolist() for name, pool in found.items()} == {
        "faces": [2, 6, 10, 14],
        "both": [3, 7, 11, 15],
        "all": [0, 3, 4, 7, 8, 11, 12, 15],
    }


def test_a_named_pool_that_nothing_fills_or_no_database_has_is_refused(pools: Callable[..., dict[str, Pool]]) -> None:
    with pytest.raises(NoLabelsError, match=r"pool 'p': affwild2"):
        pools("batches.pools={p: {labels: [expression], databases: [affwild2]}}")
    with pytest.raises(UnknownNameError, match=r"batches.pools.p 'disfa'; known: affwild2, expw"):
        pools("batches.pools={p: {labels: [au], databases: [disfa]}}")


def test_each_pool_can_have_a_balance_of_its_own(pools: Callable[..., dict[str, Pool]], own_dataset: Path) -> None:
    balance(own_dataset, make_plan("deng2020_va", {"repeat_cap": 3}), "rare")
    balance(own_dataset, make_plan("database_temperature", {"temperature": 0.5}), "warm")
    weights = load_weights(own_dataset, "rare")["va"]
    found = pools(
        "batches.pools={plane: {labels: [va]}, au: {labels: [au]}}", "batches.balance={plane: rare, au: warm}"
    )
    assert found["plane"].rows.tolist() == np.flatnonzero(weights).tolist()  # the only weights of that balance
    assert found["plane"].repeat_cap == 3
    assert np.array_equal(found["au"].weights, load_weights(own_dataset, "warm")["au"][found["au"].rows])
    with pytest.raises(UsageError, match=r"balance 'warm' weighs .*, none of which is the pool 'plane'"):
        pools("batches.pools={plane: {labels: [va]}}", "batches.balance={plane: warm}")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["batches.sampler=uniform", "batches.shared_labels=false"],
            "only the sampler 'task_balanced' draws from pools",
        ),
        (["batches.pools={p: {labels: [au]}}", "batches.balance={q: x}"], "no pool has this name; the pools are p"),
        (["batches.pools={p: {labels: [au, va]}}", "tasks.valence_arousal=null"], "va is no task of this recipe"),
        (["batches.pools={p: {labels: []}}"], "batches.pools.p.labels"),
    ],
)
def test_pools_that_cannot_be_are_mistakes_of_the_recipe(
    recipe_values: Values, overrides: list[str], message: str
) -> None:
    with pytest.raises(RecipeError, match=message):
        recipe_from(recipe_values(), overrides)


def test_without_shared_labels_a_row_teaches_what_its_pool_is_about(recipe_values: Values, own_dataset: Path) -> None:
    recipe = recipe_from(recipe_values(), [f"dataset={own_dataset}", "batches.shared_labels=false", "batches.size=6"])
    data = TrainingData.load(recipe, open_training_source(recipe), build_accelerator())
    both = 0
    for faces in data.train.inputs.batches(data.order):
        batch, pools = data.train.labels.batch(faces), faces.pools
        assert pools is not None
        taught = torch.stack([batch.au_mask.any(1), batch.expression_mask, batch.va_mask], dim=1)
        assert torch.equal(taught.sum(1), torch.ones(len(batch), dtype=torch.int64))
        assert torch.equal(taught.int().argmax(1), pools)
        assert not batch.au[~batch.au_mask].any()
        assert (batch.expression[~batch.expression_mask] == -1).all()
        both += int((batch.rows % 4 == 3).sum())  # rows with AU and VA
    assert both
    plain = recipe_from(recipe_values(), [f"dataset={own_dataset}"])
    shared = TrainingData.load(plain, open_training_source(plain), build_accelerator())
    assert any(bool((batch.au_mask.any(1) & batch.va_mask).any()) for batch in shared.batches)
