import balance_references as by_row
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from affect_data.balance.ml_ros import charte_clones, clones_to_target, published_clones
from affect_data.statistics.imbalance import irlbl

# Shares of twelve action units with imbalance ratios from 1 to 23.
PREVALENCE = np.array([0.10, 0.044, 0.136, 0.22, 0.33, 0.29, 0.20, 0.0255, 0.0251, 0.0232, 0.53, 0.064])


def drawn_labels(rows, seed=0):
    return np.random.default_rng(seed).random((rows, len(PREVALENCE))) < PREVALENCE


def largest_ratio(labels, times):
    return np.nanmax(irlbl(times @ labels))


@pytest.mark.parametrize(
    ("rows", "seed", "percentage"), [(20_000, 0, 50), (3_000, 1, 50), (3_000, 2, 10), (700, 3, 2000)]
)
def test_the_picks_are_those_of_the_published_loop(rows, seed, percentage):
    labels = drawn_labels(rows, seed)
    expected = by_row.published_picks(labels.astype(int), 2.0, percentage, 32, seed)
    assert np.array_equal(published_clones(labels, 2.0, percentage, 32, seed), expected)


def test_the_published_loop_spends_its_budget_on_the_first_labels():
    labels = drawn_labels(20_000)
    times = np.maximum(np.bincount(published_clones(labels, 2.0, 50, 32, 0), minlength=len(labels)), 1)
    before, after = irlbl(labels.sum(axis=0)), irlbl(times @ labels)
    assert after[0] < before[0] / 1.5
    assert after[9] > 20


def test_the_corrected_mode_brings_the_largest_ratio_to_the_target():
    labels = drawn_labels(20_000)
    found = clones_to_target(labels, 2.0, 0)
    assert largest_ratio(labels, np.ones(len(labels))) > 20
    assert found.reached
    assert largest_ratio(labels, 1 + found.times) == pytest.approx(found.largest_ratio)
    assert 1.9 < found.largest_ratio <= 2.0


def test_clones_are_spread_evenly_over_the_rows_of_a_label():
    # One rare label, alone on 10 of 1000 rows, beside one on 400: it needs 190 clones, 19 of each row.
    labels = np.zeros((1000, 2), bool)
    labels[:400, 0] = labels[990:, 1] = True
    found = clones_to_target(labels, 2.0, 0)
    assert found.times[990:].tolist() == [19] * 10
    assert found.times[:990].sum() == 0


def test_a_label_that_no_row_has_takes_no_part():
    labels = np.column_stack([drawn_labels(500), np.zeros(500, bool)])
    assert clones_to_target(labels, 2.0, 0).reached
    assert len(charte_clones(labels, 25, 0)) > 0


def test_a_budget_or_a_cap_that_is_too_small_is_reported():
    labels = drawn_labels(2000)
    small = clones_to_target(labels, 2.0, 0, percentage=5)
    assert not small.reached
    assert small.times.sum() == 100
    capped = clones_to_target(labels, 2.0, 0, repeat_cap=3)
    assert not capped.reached
    assert capped.times.max() == 2
    assert capped.largest_ratio < largest_ratio(labels, np.ones(len(labels)))


def test_labels_that_always_occur_together_can_still_be_balanced():
    # The rare label never occurs without the frequent one: (40 + n) / (4 + n) <= 2 from n = 32 on.
    labels = np.zeros((100, 2), bool)
    labels[:40, 0] = labels[:4, 1] = True
    found = clones_to_target(labels, 2.0, 0)
    assert found.reached
    assert found.times.sum() == 32


@given(st.integers(5, 400), st.integers(0, 10), st.sampled_from([5, 25, 100]))
def test_the_clones_of_charte_are_those_of_the_algorithm_clone_by_clone(rows, seed, percentage):
    labels = drawn_labels(rows, seed)
    labels[0, 10] = True
    assert charte_clones(labels, percentage, seed).tolist() == by_row.charte_picks(labels.astype(int), percentage, seed)


def test_the_clones_of_charte_do_not_depend_on_how_many_are_computed_at_once(monkeypatch):
    labels = drawn_labels(3000)
    expected = charte_clones(labels, 200, 0)
    assert expected.tolist() == by_row.charte_picks(labels.astype(int), 200, 0)
    monkeypatch.setattr("affect_data.balance.ml_ros._ROUNDS", 7)
    assert np.array_equal(charte_clones(labels, 200, 0), expected)


def test_the_first_round_of_charte_clones_one_row_of_each_minority_label():
    # Counts 4, 1, 1; MeanIR = (1 + 4 + 4) / 3 = 3. After one round counts are 4, 2, 2 and both ratios 2: done, though the budget allows more.
    labels = np.zeros((6, 3), bool)
    labels[:4, 0] = labels[4, 1] = labels[5, 2] = True
    assert charte_clones(labels, 100, 0).tolist() == [4, 5]


def test_balanced_labels_need_no_clones():
    labels = np.eye(4, dtype=bool)
    assert len(charte_clones(labels, 100, 0)) == len(published_clones(labels, 2.0, 50, 32, 0)) == 0
    assert clones_to_target(labels, 2.0, 0).times.sum() == 0
