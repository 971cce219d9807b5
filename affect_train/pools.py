"""Which rows take turns in the batches of a recipe: by task, by database, or by the weights of a balance."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from affect_data.balance import load_weights, read_provenance
from affect_data.errors import UsageError
from affect_train.errors import NoLabelsError
from affect_train.labels import LabelArrays, column_array
from affect_train.recipe import Recipe
from affect_train.sampler import Pool, Rows

if TYPE_CHECKING:
    from datasets import Dataset

WHOLE = "weight"
"""The column of a balance whose rows are one pool, whatever their labels."""

BALANCED_SPLIT = "train"


def pools_of(recipe: Recipe, dataset: "Dataset", labels: LabelArrays) -> dict[str, Pool]:
    """The pools of the training split, by name.

    Args:
        recipe: of the run.
        dataset: the training split.
        labels: of the split.

    Raises:
        NoLabelsError: no row has a label of a task.
        UnknownNameError: the dataset has no balance of the recipe's name.
        UsageError: the recipe trains on another split than the one that is balanced.
        DataError: the balance was made for other rows.
    """
    labelled = labelled_pools(recipe, labels)
    if recipe.batches.balance is not None:
        return balanced_pools(recipe, labelled, len(labels))
    if recipe.batches.sampler == "database_proportional":
        return database_pools(dataset)
    return {task: Pool(rows) for task, rows in labelled.items()}


def labelled_pools(recipe: Recipe, labels: LabelArrays) -> dict[str, Rows]:
    """For each task of the recipe the rows with a label of it.

    Raises:
        NoLabelsError: there are none of a task.
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


def balanced_pools(recipe: Recipe, labelled: Mapping[str, Rows], rows: int) -> dict[str, Pool]:
    """The rows that a balance draws, each with its weight.

    The sampler ``task_balanced`` draws a pool a task; rows of a task that the balance says nothing of come equally often. ``uniform``, and a balance
    that has nothing else, draw one pool of all rows.
    A row that has no label for the recipe's heads is not drawn for them.

    Args:
        recipe: of the run.
        labelled: the rows with a label, by task.
        rows: of the split.

    Raises:
        UnknownNameError: as for `pools_of`; likewise the others.
    """
    name = recipe.batches.balance
    assert name is not None
    if recipe.training.split != BALANCED_SPLIT:
        raise UsageError(
            f"batches.balance weighs the rows of the split {BALANCED_SPLIT!r}, but `training.split` is {recipe.training.split!r}"
        )
    weights, provenance = load_weights(recipe.dataset, name), read_provenance(recipe.dataset, name)
    together = recipe.batches.sampler == "uniform" or set(weights) == {WHOLE}
    candidates = {WHOLE: np.arange(rows)} if together else labelled
    if not set(weights) & set(candidates):
        raise UsageError(
            f"batches.balance '{name}' weighs {', '.join(sorted(weights))}; the sampler {recipe.batches.sampler!r} looks for one of "
            f"{', '.join(candidates)}; choose another balance or sampler"
        )
    pools = {}
    for task, candidate in candidates.items():
        if task not in weights:
            pools[task] = Pool(candidate)
            continue
        drawn = candidate[weights[task][candidate] > 0]
        if not len(drawn):
            raise NoLabelsError(recipe.dataset, f"{recipe.training.split} (balance '{name}')", [task])
        cap = recipe.batches.repeat_cap or provenance.pools[task]["repeat_cap"]
        pools[task] = Pool(drawn, weights[task][drawn], cap)
    return pools
