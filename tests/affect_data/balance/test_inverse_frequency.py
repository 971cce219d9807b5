import balance_references as by_row
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from affect_data.balance.inverse_frequency import inverse_frequency, plane_bin, tempered_frequency, thinned

codes = st.lists(st.integers(0, 6), min_size=1, max_size=60)
points = st.lists(st.tuples(st.floats(-1, 1, width=32), st.floats(-1, 1, width=32)), min_size=1, max_size=30)


def test_a_row_weighs_one_over_the_rows_of_its_group():
    assert inverse_frequency(np.array([0, 2, 2, 2, 2])).tolist() == [1, 0.25, 0.25, 0.25, 0.25]


def test_rows_that_do_not_count_weigh_nothing():
    groups, among = np.array([2, 2, 2, 0, -1]), np.array([True, False, True, True, False])
    assert inverse_frequency(groups, among).tolist() == [0.5, 0, 0.5, 1, 0]


@pytest.mark.parametrize(("temperature", "shares"), [(1.0, [0.9, 0.1]), (0.0, [0.5, 0.5]), (0.5, [0.75, 0.25])])
def test_shares_are_in_proportion_to_a_power_of_the_size(temperature, shares):
    # Nine rows and one row: 9 ** 0.5 : 1 ** 0.5 = 3 : 1.
    weights = tempered_frequency(np.array([1] * 9 + [4]), temperature)
    assert [weights[:9].sum() / weights.sum(), weights[9] / weights.sum()] == pytest.approx(shares)


def test_thinning_counts_positions_in_what_the_class_before_left():
    # Class 0 keeps position 0 of 0..5 and loses 1 and 2. What is left stands at 0, 1, 2, 3; class 1 keeps position 2.
    classes = np.array([0, 0, 0, 1, 1, 2])
    assert thinned(classes, {0: 3, 1: 2}).tolist() == [True, False, False, False, True, True]


@given(codes, st.dictionaries(st.integers(0, 6), st.integers(1, 10), max_size=4))
def test_thinning_is_that_of_the_rule_row_by_row(classes, keep_every):
    assert np.flatnonzero(thinned(np.array(classes), keep_every)).tolist() == by_row.thinned_rows(classes, keep_every)


@given(points)
def test_bins_over_the_data_are_those_found_edge_by_edge(values):
    valence, arousal = np.array(values, np.float32).T
    cells = [20 * v + a for v, a in by_row.plane_cells(valence.astype(float).tolist(), arousal.astype(float).tolist())]
    if min(np.ptp(valence), np.ptp(arousal)) > 0:
        assert plane_bin(valence, arousal, over="data").tolist() == cells
    full = by_row.plane_cells(valence.astype(float).tolist(), arousal.astype(float).tolist(), (-1, -1), (1, 1))
    assert plane_bin(valence, arousal, over="full").tolist() == [20 * v + a for v, a in full]
