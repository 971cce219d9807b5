import math

import balance_references as by_row
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from affect_data.statistics.imbalance import co_occurrence, imbalance, irlbl, lift_by_class, scumble_of_rows

# Five rows, three labels. Counts 4, 2, 1, so IRLbl = 4/4, 4/2, 4/1 = 1, 2, 4.
ROWS = np.array([[1, 0, 0], [1, 1, 0], [1, 0, 1], [1, 1, 0], [0, 0, 0]], bool)
# SCUMBLE: one label or none: 0. {A, B}: 1 - sqrt(1 * 2) / ((1 + 2) / 2). {A, C}: 1 - sqrt(1 * 4) / ((1 + 4) / 2) = 0.2.
AB = 1 - math.sqrt(2) / 1.5


def test_the_measures_of_a_small_matrix_are_those_worked_out_by_hand():
    found = imbalance(ROWS)
    assert found.counts.tolist() == [4, 2, 1]
    assert found.irlbl.tolist() == [1, 2, 4]
    assert found.mean_ir == pytest.approx(7 / 3)
    # Deviations -4/3, -1/3, 5/3; squares sum to 42/9; over (3 - 1): 7/3.
    assert found.cvir == pytest.approx(math.sqrt(7 / 3) / (7 / 3))
    assert found.max_ir == 4
    assert found.scumble == pytest.approx((2 * AB + 0.2) / 5)
    assert found.label_scumble.tolist() == pytest.approx([(2 * AB + 0.2) / 4, AB, 0.2])
    assert found.cardinality == pytest.approx(7 / 5)
    assert found.density == pytest.approx(7 / 15)
    assert (found.label_sets, found.single_label_sets, found.largest_label_set) == (4, 3, 2)


def test_the_variation_of_scumble_is_over_rows_with_n_minus_one_and_over_the_rows_of_a_label_with_n():
    found = imbalance(ROWS)
    values = np.array([0, AB, 0.2, AB, 0])
    assert found.scumble_cv == pytest.approx(values.std(ddof=1) / values.mean())
    assert found.label_scumble_cv[0] == pytest.approx(values[:4].std() / values[:4].mean())
    assert found.label_scumble_cv[2] == pytest.approx(0)


def test_a_label_that_no_row_has_is_left_out_of_the_mean():
    found = imbalance(np.column_stack([ROWS, np.zeros(5, bool)]))
    assert math.isnan(found.irlbl[3])
    assert found.mean_ir == pytest.approx(7 / 3)
    assert found.scumble == pytest.approx((2 * AB + 0.2) / 5)
    assert found.density == pytest.approx(7 / 20)


def test_without_any_label_the_ratios_are_undefined_and_scumble_is_zero():
    found = imbalance(np.zeros((3, 2), bool))
    assert math.isnan(found.mean_ir)
    assert math.isnan(found.max_ir)
    assert found.scumble == 0
    assert found.largest_label_set == 3


def test_irlbl_takes_weighted_counts():
    assert irlbl(np.array([3.0, 1.5, 0.0])).tolist()[:2] == [1, 2]


matrices = hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=8))


@given(matrices)
def test_scumble_is_that_of_the_formula_row_by_row(rows):
    ratios = irlbl(rows.sum(axis=0))
    assert scumble_of_rows(rows, ratios) == pytest.approx(np.array(by_row.row_scumble(rows.astype(int))), abs=1e-12)


@given(matrices, st.data())
def test_rows_with_multiplicity_count_as_if_repeated(rows, data):
    times = np.array(data.draw(st.lists(st.integers(1, 4), min_size=len(rows), max_size=len(rows))))
    weighted, repeated = imbalance(rows, times), imbalance(np.repeat(rows, times, axis=0))
    for name in (
        "rows",
        "counts",
        "irlbl",
        "mean_ir",
        "cvir",
        "scumble",
        "scumble_cv",
        "label_scumble",
        "cardinality",
        "label_sets",
    ):
        assert getattr(weighted, name) == pytest.approx(getattr(repeated, name), nan_ok=True), name
    assert weighted.single_label_sets == repeated.single_label_sets
    assert weighted.largest_label_set == repeated.largest_label_set


def test_lift_of_a_pair_is_over_the_rows_in_which_both_are_annotated():
    # B is not annotated in the last row, which therefore says nothing of the pair: P(A) = 2/4, P(B) = 2/4, P(both) = 2/4.
    annotated = np.array([[1, 1]] * 4 + [[1, 0]], bool)
    present = np.array([[1, 1], [1, 1], [0, 0], [0, 0], [1, 0]], bool)
    found = co_occurrence(annotated, present)
    assert found.annotated.tolist() == [[5, 4], [4, 4]]
    assert found.together.tolist() == [[3, 2], [2, 2]]
    assert found.lift[0, 1] == found.lift[1, 0] == pytest.approx(0.5 / 0.25)


def test_lift_of_a_pair_is_one_where_the_labels_are_independent_and_undefined_where_one_never_occurs():
    present = np.array([[1, 1, 0], [1, 0, 0], [0, 1, 0], [0, 0, 0]], bool)
    found = co_occurrence(np.ones_like(present), present, np.array([2, 2, 2, 2]))
    assert found.lift[0, 1] == pytest.approx(1)
    assert math.isnan(found.lift[0, 2])


def test_lift_by_class_compares_a_class_with_all_rows_that_have_one():
    annotated = np.array([[1], [1], [1], [1], [0], [1]], bool)
    present = np.array([[1], [0], [0], [0], [0], [1]], bool)
    classes = np.array([0, 0, 1, 1, 1, -1])
    found = lift_by_class(annotated, present, classes, 3)
    assert found.annotated[:, 0].tolist() == [2, 2, 0]
    assert found.rate[:2, 0].tolist() == [0.5, 0.0]
    # One of the four rows with a class shows it; the row without a class does not count.
    assert found.lift[:2, 0].tolist() == [2.0, 0.0]
    assert math.isnan(found.lift[2, 0])
