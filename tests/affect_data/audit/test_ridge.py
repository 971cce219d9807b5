"""Out-of-fold ridge regression: with few rows and with many it is the same model."""

import numpy as np
import pytest

from affect_data.audit.ridge import FOLDS, RIDGES, out_of_fold


class Features:
    """Inputs that lie in memory."""

    def __init__(self, values: np.ndarray) -> None:
        self._values = values
        self.width = values.shape[1]

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        return self._values[rows]


def solved(features: np.ndarray, wanted: np.ndarray, folds: np.ndarray, ridge: float) -> np.ndarray:
    """The textbook's solution for one penalty: of the features, with a constant that costs nearly nothing."""
    with_constant = np.column_stack([features, np.ones(len(features))])
    said = np.zeros(wanted.shape)
    for fold in range(FOLDS):
        known = with_constant[folds != fold]
        penalty = np.full(known.shape[1], ridge * (known**2).sum() / known.shape[1])
        penalty[-1] = 1e-6
        weights = np.linalg.solve(known.T @ known + np.diag(penalty), known.T @ wanted[folds != fold])
        said[folds == fold] = with_constant[folds == fold] @ weights
    return said


@pytest.mark.parametrize(("rows", "width"), [(60, 90), (400, 12)], ids=["few rows", "many rows"])
def test_predictions_are_those_of_the_penalty_with_the_least_error_out_of_fold(rows: int, width: int) -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(rows + 10, width)).astype(np.float32)
    wanted = (features @ rng.normal(size=(width, 4)) + rng.normal(size=(rows + 10, 4)) + 3).astype(np.float32)
    used = np.sort(rng.permutation(rows + 10)[:rows])
    folds = rng.integers(0, FOLDS, rows).astype(np.int8)
    found = out_of_fold(Features(features), lambda asked: wanted[asked], used, folds, 2)
    each = [solved(features[used].astype(float), wanted[used].astype(float), folds, ridge) for ridge in RIDGES]
    for pair in (slice(0, 2), slice(2, 4)):
        best = min(each, key=lambda said, pair=pair: ((said - wanted[used])[:, pair] ** 2).sum())  # type: ignore[misc]
        assert found[:, pair] == pytest.approx(best[:, pair], abs=1e-3)
