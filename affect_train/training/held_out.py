"""Which rows of the training split a run trains on: without held-out folds, and without rows that a method keeps for itself."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from affect_data.dataset.folder import DatasetFolder
from affect_data.dataset.schema import LABELS
from affect_data.errors import UnknownNameError, UsageError
from affect_train.inputs.labels import column_array, load_folds
from affect_train.recipe.recipe import Recipe
from affect_train.recipe.section import HeldOutOptions


def rows_in(recipe: Recipe, folder: DatasetFolder | None) -> NDArray[np.bool_] | None:
    """The rows of the training split that are trained on, bool [rows]; None: all.

    Raises:
        UnknownNameError: the dataset has no folds of the recipe's name.
        UsageError: the folds have no such fold.
    """
    sides = [
        _allowed(recipe, folder, held_out, key)
        for key, held_out in (
            ("training.held_out", recipe.training.held_out),
            (recipe.method.reserved_key, recipe.method.reserved),
        )
        if held_out is not None
    ]
    if recipe.training.without_databases:
        sides.append(_of_other_databases(recipe, folder))
    return np.all(sides, axis=0) if sides else None


def reserved_rows(recipe: Recipe, folder: DatasetFolder | None) -> NDArray[np.int64] | None:
    """The rows of the training split that the method keeps for itself and that `training.held_out` allows; None: none.

    Raises:
        UnknownNameError: the dataset has no folds of the recipe's name.
        UsageError: the folds have no such fold.
    """
    if recipe.method.reserved is None:
        return None
    folds, fold = folds_of(recipe, folder, recipe.method.reserved, recipe.method.reserved_key)
    kept = folds == fold
    if recipe.training.held_out is not None:
        kept &= _allowed(recipe, folder, recipe.training.held_out, "training.held_out")
    if recipe.training.without_databases:
        kept &= _of_other_databases(recipe, folder)
    return np.flatnonzero(kept)


def _of_other_databases(recipe: Recipe, folder: DatasetFolder | None) -> NDArray[np.bool_]:
    """The rows of the training split that are of none of `training.without_databases`.

    Raises:
        UnknownNameError: the dataset has no such database.
        UsageError: no row is left, or the dataset is no dataset folder.
    """
    left_out, split = recipe.training.without_databases, recipe.training.split
    if folder is None:
        raise UsageError("training.without_databases: only a dataset folder says of which database a row is; remove it")
    names = folder.manifest.layout.databases
    for name in left_out:
        if name not in names:
            raise UnknownNameError("database under training.without_databases", name, names)
    codes = column_array(folder.load(split, [LABELS]), "database")
    kept: NDArray[np.bool_] = ~np.isin(codes, [names.index(name) for name in left_out])
    if not kept.any():
        raise UsageError(f"training.without_databases: '{folder.path}', split {split}, has no row of another database")
    return kept


def _allowed(recipe: Recipe, folder: DatasetFolder | None, held_out: HeldOutOptions, key: str) -> NDArray[np.bool_]:
    folds, fold = folds_of(recipe, folder, held_out, key)
    allowed: NDArray[np.bool_] = (folds != fold) & ((folds >= 0) | (held_out.others == "trained"))
    return allowed


def folds_of(
    recipe: Recipe, folder: DatasetFolder | None, held_out: HeldOutOptions, key: str
) -> tuple[NDArray[Any], int]:
    """The fold of each row of the training split (-1: in none), and the number of the fold that is held out.

    Raises:
        UnknownNameError: the dataset has no folds of this name.
        UsageError: the folds have no such fold; names the recipe's `key`.
    """
    assert folder is not None, "a recipe of another dataset holds nothing out"
    folds = load_folds(folder, recipe.training.split, held_out.folds)
    if held_out.fold not in folds:
        raise UsageError(f"{key}: the folds '{held_out.folds}' go from 0 to {folds.max()}; found {held_out.fold}")
    return folds, held_out.fold
