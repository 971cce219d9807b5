"""Ridge regression whose rows are predicted by models of other folds, over inputs that are computed as they are needed."""

from collections.abc import Callable, Iterator
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

FOLDS: Final = 5
RIDGES: Final = (0.02, 0.05, 0.1, 0.2, 0.5)
"""Penalties relative to the mean square of a feature; for each label, the one with the least error out of fold is used."""

_ROWS_AT_ONCE: Final = 8192
_CONSTANT: Final = 1e-6
"""Penalty of the constant."""

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Rows = npt.NDArray[np.integer]
Targets = Callable[[Rows], Floats]
"""Targets of some rows, float32 [rows, targets]."""


class Inputs(Protocol):
    """Inputs of a model by row."""

    @property
    def width(self) -> int:
        """Numbers of a row."""

    def __getitem__(self, rows: Rows) -> Floats:
        """The inputs of some rows, float32 [rows, width]."""


def out_of_fold(inputs: Inputs, targets: Targets, rows: Rows, folds: npt.NDArray[np.int8], together: int) -> Floats:
    """Predictions for rows, each by a model of the rows of other folds, float32 [rows, targets].

    Neighbouring targets share a penalty in groups of `together`.

    Args:
        inputs: of all rows.
        targets: of rows.
        rows: int [rows], which rows have targets.
        folds: int8 [rows], the fold of each of these.
        together: how many neighbouring targets share a penalty.
    """
    # With fewer rows than inputs, rows are compared with each other: a system of that many equations is solved in far less time.
    solve = _of_few_rows if len(rows) <= inputs.width else _of_many_rows
    return solve(inputs, targets, rows, folds, together)


def _of_few_rows(inputs: Inputs, targets: Targets, rows: Rows, folds: npt.NDArray[np.int8], together: int) -> Floats:
    features, wanted = inputs[rows].astype(np.float64), targets(rows).astype(np.float64)
    products = features @ features.T
    said = np.zeros((len(RIDGES), *wanted.shape))
    for fold in range(FOLDS):
        known, asked = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        mean_square = (np.trace(products[np.ix_(known, known)]) + len(known)) / (inputs.width + 1)
        for number, ridge in enumerate(RIDGES):
            kernel = products / (ridge * mean_square) + 1 / _CONSTANT
            weights = np.linalg.solve(kernel[np.ix_(known, known)] + np.eye(len(known)), wanted[known])
            said[number, asked] = kernel[np.ix_(asked, known)] @ weights
    best = _least(((said - wanted) ** 2).sum(axis=1), together)
    return np.asarray(np.take_along_axis(said, best[None, None, :], axis=0)[0], np.float32)


def _of_many_rows(inputs: Inputs, targets: Targets, rows: Rows, folds: npt.NDArray[np.int8], together: int) -> Floats:
    width, count = inputs.width + 1, targets(rows[:1]).shape[1]
    grams, products = np.zeros((FOLDS, width, width)), np.zeros((FOLDS, width, count))
    squares = np.zeros((FOLDS, count))
    for fold in range(FOLDS):
        for part in _parts(np.flatnonzero(folds == fold)):
            features, wanted = _with_constant(inputs[rows[part]]), targets(rows[part])
            grams[fold] += features.T @ features
            products[fold] += features.T @ wanted
            squares[fold] += (wanted.astype(np.float64) ** 2).sum(axis=0)
    weights = _models(grams, products)
    # The squared errors follow from the sums, without looking at the rows again.
    errors = np.array(
        [
            sum(
                squares[f] - 2 * (w[f] * products[f]).sum(axis=0) + (w[f] * (grams[f] @ w[f])).sum(axis=0)
                for f in range(FOLDS)
            )
            for w in weights
        ]
    )
    best = _least(errors, together)
    said = np.empty((len(rows), count), np.float32)
    for fold in range(FOLDS):
        chosen = np.take_along_axis(weights[:, fold], best[None, None, :], axis=0)[0].astype(np.float32)
        for part in _parts(np.flatnonzero(folds == fold)):
            said[part] = inputs[rows[part]] @ chosen[:-1] + chosen[-1]
    return said


def _models(grams: Doubles, products: Doubles) -> Doubles:
    """The weights for each penalty and fold, from the rows of the other folds, float64 [penalties, folds, width, targets]."""
    width = grams.shape[1]
    weights = np.zeros((len(RIDGES), *products.shape))
    for fold in range(FOLDS):
        gram, product = grams.sum(axis=0) - grams[fold], products.sum(axis=0) - products[fold]
        for number, ridge in enumerate(RIDGES):
            penalty = np.full(width, ridge * np.trace(gram) / width)
            penalty[-1] = _CONSTANT
            weights[number, fold] = np.linalg.solve(gram + np.diag(penalty), product)
    return weights


def _least(errors: Doubles, together: int) -> npt.NDArray[np.int64]:
    """The penalty with the least error of each target, int64 [targets]; neighbouring targets share one."""
    return np.asarray(errors.reshape(len(RIDGES), -1, together).mean(axis=2).argmin(axis=0).repeat(together))


def _parts(rows: npt.NDArray[np.int64]) -> Iterator[npt.NDArray[np.int64]]:
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        yield rows[start : start + _ROWS_AT_ONCE]


def _with_constant(features: Floats) -> Floats:
    return np.column_stack([features, np.ones(len(features), np.float32)])
