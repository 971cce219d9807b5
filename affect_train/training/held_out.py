"""Which rows of the training split a run trains on: without held-out folds, and without rows that a method keeps for itself."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from affect_data.dataset.folder import DatasetFolder
from affect_data.errors import UsageError
from affect_train.inputs.labels import load_folds
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
    return np.flatnonzero(kept)


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
