from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from affect_data.balance import balance, load_weights, make_plan
from affect_data.errors import UnknownNameError, UsageError
from affect_train.errors import NoLabelsError
from affect_train.labels import load_labels
from affect_train.pools import pools_of
from affect_train.recipe import Recipe, recipe_from
from affect_train.sampler import Pool

Values = Callable[..., dict[str, Any]]


@pytest.fixture
def pools(recipe_values: Values, own_dataset: Path) -> Callable[..., dict[str, Pool]]:
    """The pools of a recipe on a dataset of 16 rows: AU in rows 0 and 3 of every four, expressions in 1, VA in 2 and 3."""

    def build(*overrides: str, dataset: Path = own_dataset) -> dict[str, Pool]:
        recipe: Recipe = recipe_from(recipe_values(), [f"dataset={dataset}", *overrides])
        return pools_of(recipe, *load_labels(dataset, recipe.training.split, recipe.tasks.task_set()))

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
    with pytest.raises(UnknownNameError, match=r"unknown balance of .* 'none'; known: rare"):
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
