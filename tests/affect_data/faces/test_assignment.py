"""The cheapest pairing."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from affect_data.faces.assignment import assigned


def cheapest(costs: np.ndarray, most: float) -> float:
    """The smallest sum by trying all pairings."""
    rows, columns = costs.shape
    return min(
        sum(most if column >= columns else costs[row, column] for row, column in enumerate(chosen))
        for chosen in itertools.permutations(range(columns + rows), rows)
        if all(column >= columns or costs[row, column] <= most for row, column in enumerate(chosen))
    )


@given(st.integers(0, 4), st.integers(0, 4), st.integers(0, 2**32 - 1), st.sampled_from([0.2, 0.6, 2.0]))
def test_no_pairing_is_cheaper_and_nobody_is_paired_twice(rows: int, columns: int, seed: int, most: float) -> None:
    costs = np.random.default_rng(seed).choice([0.0, 0.1, 0.25, 0.5, 0.9, np.inf], (rows, columns))
    pairs = assigned(costs, most)
    assert len({row for row, _ in pairs}) == len({column for _, column in pairs}) == len(pairs)
    assert all(costs[pair] <= most for pair in pairs)
    total = sum(costs[pair] for pair in pairs) + most * (rows - len(pairs))
    assert total == pytest.approx(cheapest(costs, most))


def test_forty_rows_and_columns_are_paired_as_scipy_pairs_them() -> None:
    optimize = pytest.importorskip("scipy.optimize", reason="scipy is not installed")
    costs = np.random.default_rng(5).random((40, 43))
    pairs = assigned(costs, 1.0)
    rows, columns = optimize.linear_sum_assignment(costs)
    assert pairs == list(zip(rows.tolist(), columns.tolist(), strict=True))
