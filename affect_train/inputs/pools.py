"""The pools of rows that the batches of a recipe are drawn from: by task, by database, or by the weights of a balance."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from affect_data.balance import load_weights
from affect_data.dataset.folder import DatasetFolder
from affect_data.dataset.kinds.balance import BALANCE
from affect_data.errors import UnknownNameError, UsageError
from affect_train.errors import NoLabelsError
from affect_train.inputs.labels import TASKS, LabelArrays, column_array
from affect_train.inputs.sampler import Pool, Rows
from affect_train.recipe.recipe import Recipe

if TYPE_CHECKING:
    from datasets import Dataset

WHOLE = "weight"
"""The column of a balance that weighs all rows as one pool, whatever their labels."""


def pools_of(recipe: Recipe, dataset: "Dataset", labels: LabelArrays, folder: DatasetFolder | None) -> dict[str, Pool]:
    """The pools of the training split, by name.

    Args:
        recipe: of the run.
        dataset: the training split.
        labels: of the split.
        folder: the dataset folder with its balances; None if the dataset is another kind.

    Raises:
        NoLabelsError: no row has a label of a task.
        UnknownNameError: the dataset has no balance of the recipe's name.
        UsageError: the balance has no weights for a pool.
        DataError: the balance was made for other rows.
    """
    labelled = named_pools(recipe, dataset, labels) if recipe.batches.pools else labelled_pools(recipe, labels)
    if recipe.batches.balance is not None:
        assert folder is not None, "a recipe of another dataset names no balance"
        return balanced_pools(recipe, folder, labelled, len(labels))
    if recipe.batches.sampler == "database_proportional":
        return database_pools(dataset)
    return {task: Pool(rows) for task, rows in labelled.items()}


def taught_by_pool(recipe: Recipe) -> NDArray[np.bool_] | None:
    """Whether rows from each pool teach each of `TASKS`, bool [pools, 3]; None: every row teaches all its labels."""
    if recipe.batches.shared_labels:
        return None
    named: list[tuple[str, ...]] = [pool.labels for pool in recipe.batches.pools.values()]
    return np.array(
        [[task in own for task in TASKS] for own in named or [(task,) for task in recipe.tasks.task_set().names]]
    )


def named_pools(recipe: Recipe, dataset: "Dataset", labels: LabelArrays) -> dict[str, Rows]:
    """The rows of each pool that the recipe names: those of its databases that have all its labels.

    Raises:
        UnknownNameError: the dataset has no such database.
        NoLabelsError: a pool has no row.
    """
    codes, names = column_array(dataset, "database"), dataset.features["database"].names
    labelled = {"au": labels.au_mask.any(1), "expression": labels.expression_mask, "va": labels.va_mask}
    pools: dict[str, Rows] = {}
    for name, pool in recipe.batches.pools.items():
        for database in pool.databases:
            if database not in names:
                raise UnknownNameError(f"database of '{recipe.dataset}' in batches.pools.{name}", database, names)
        chosen = np.isin(codes, [names.index(database) for database in pool.databases or names])
        pools[name] = np.flatnonzero(np.logical_and.reduce([chosen, *(labelled[task] for task in pool.labels)]))
        if not len(pools[name]):
            where = ", ".join(pool.databases) or "all databases"
            raise NoLabelsError(f"{recipe.dataset} (pool '{name}': {where})", recipe.training.split, list(pool.labels))
    return pools


def labelled_pools(recipe: Recipe, labels: LabelArrays) -> dict[str, Rows]:
    """The rows with a label of each task of the recipe.

    Raises:
        NoLabelsError: no row has a label of a task.
    """
    pools = labels.pools(recipe.tasks.task_set())
    unlabelled = [task for task, rows in pools.items() if not len(rows)]
    if unlabelled:
        raise NoLabelsError(recipe.dataset, recipe.training.split, unlabelled)
    return pools


def database_pools(dataset: "Dataset") -> dict[str, Pool]:
    """The rows of each database, in the order of the class label."""
    codes, names = column_array(dataset, "database"), dataset.features["database"].names
    return {names[code]: Pool(np.flatnonzero(codes == code)) for code in np.unique(codes).tolist()}


def balanced_pools(recipe: Recipe, folder: DatasetFolder, labelled: Mapping[str, Rows], rows: int) -> dict[str, Pool]:
    """Pools of the rows that a balance draws, each with its weight.

    The sampler ``task_balanced`` draws one pool for each task; rows of a task that the balance does not weigh come equally often. The sampler
    ``uniform`` draws one pool of all rows; so does a balance that weighs nothing else. The pool of a task holds only rows with a label of it.

    Args:
        recipe: of the run.
        folder: the dataset folder with the balance.
        labelled: the rows with a label, by task.
        rows: how many the split has.

    Raises:
        NoLabelsError: no row has a label of a task and a weight.
        UnknownNameError: the dataset has no balance of the recipe's name.
        UsageError: the balance has no weights for a pool.
        DataError: the balance was made for other rows.
    """
    balance = recipe.batches.balance
    if isinstance(balance, dict):
        balances = {pool: _stored(folder, name) for pool, name in balance.items()}
        return {
            pool: _weighted(recipe, pool, rows, balances[pool], _column(balances[pool], pool))
            if pool in balances
            else Pool(rows)
            for pool, rows in labelled.items()
        }
    assert balance is not None
    stored = _stored(folder, balance)
    together = recipe.batches.sampler == "uniform" or set(stored.weights) == {WHOLE}
    candidates = {WHOLE: np.arange(rows)} if together else labelled
    if not set(stored.weights) & set(candidates):
        raise UsageError(
            f"batches.balance '{balance}' weighs {', '.join(sorted(stored.weights))}; the sampler {recipe.batches.sampler!r} looks for one of "
            f"{', '.join(candidates)}; choose another balance or sampler"
        )
    return {
        name: _weighted(recipe, name, rows, stored, name) if name in stored.weights else Pool(rows)
        for name, rows in candidates.items()
    }


@dataclass(frozen=True)
class _StoredBalance:
    name: str
    weights: Mapping[str, NDArray[np.float32]]
    repeat_caps: Mapping[str, int | None]


def _stored(folder: DatasetFolder, name: str) -> _StoredBalance:
    pools = BALANCE.read(folder, name).pools
    caps = {column: pools[column]["repeat_cap"] for column in pools}
    return _StoredBalance(name, load_weights(folder, name), caps)


def _column(stored: _StoredBalance, pool: str) -> str:
    """The column of weights for a pool: the one of its name, or the only one that there is."""
    if pool in stored.weights:
        return pool
    if len(stored.weights) == 1:
        return next(iter(stored.weights))
    raise UsageError(
        f"batches.balance.{pool}: the balance '{stored.name}' weighs {', '.join(sorted(stored.weights))}, none of which is the pool '{pool}'; "
        "name a balance with that pool, or with a single one"
    )


def _weighted(recipe: Recipe, pool: str, rows: Rows, stored: _StoredBalance, column: str) -> Pool:
    weights = stored.weights[column]
    drawn = rows[weights[rows] > 0]
    if not len(drawn):
        raise NoLabelsError(recipe.dataset, f"{recipe.training.split} (balance '{stored.name}')", [pool])
    return Pool(drawn, weights[drawn], recipe.batches.repeat_cap or stored.repeat_caps[column])
