import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from affect_data.balance import draw
from affect_data.balance.drawing import expected_draws
from affect_data.errors import DataError, UsageError

some_weights = st.lists(st.floats(0, 1e6, allow_subnormal=False), min_size=1, max_size=40).filter(
    lambda w: sum(w) > 1e-3
)


@given(some_weights, st.integers(0, 200), st.integers(0, 2**32))
def test_every_row_is_drawn_as_often_as_planned_rounded_up_or_down(weights, count, seed):
    weights = np.array(weights)
    rows = draw(weights, count, seed)
    assert rows.dtype == np.int64
    assert len(rows) == count
    times = np.bincount(rows, minlength=len(weights))
    assert (np.abs(times - count * weights / weights.sum()) < 1 + 1e-6).all()
    assert not times[weights == 0].any()


@given(some_weights, st.integers(1, 60), st.integers(1, 9), st.integers(0, 99))
def test_no_row_is_drawn_more_often_than_the_cap(weights, count, cap, seed):
    weights = np.array(weights)
    assume(np.count_nonzero(weights) * cap >= count)
    times = np.bincount(draw(weights, count, seed, cap), minlength=len(weights))
    assert times.sum() == count
    assert times.max() <= cap
    assert not times[weights == 0].any()


@given(st.permutations(range(8)), st.integers(1, 20), st.sampled_from([None, 4]))
def test_what_is_expected_moves_with_the_rows(order, count, cap):
    weights = np.array([0, 1, 1, 2, 3, 5, 8, 13.0])
    expected = expected_draws(weights, count, cap)
    assert expected_draws(weights[order], count, cap) == pytest.approx(expected[order])
    assert expected.sum() == pytest.approx(count)


def test_the_cap_gives_to_the_others_what_heavy_rows_would_have_had():
    # Eight draws by 6 : 1 : 1 would be 6, 1, 1; capped at 4, the other four draws are shared evenly.
    assert expected_draws(np.array([6.0, 1, 1]), 8, 4).tolist() == [4, 2, 2]


def test_rows_of_equal_weight_together_are_drawn_as_often_as_planned_to_within_one():
    weights = np.repeat([1 / 900, 1 / 90, 1 / 10], [900, 90, 10])
    for seed in range(5):
        rows = draw(weights, 1000, seed)
        assert np.histogram(rows, [0, 900, 990, 1000])[0] == pytest.approx(np.full(3, 1000 / 3), abs=1)


def test_rows_are_drawn_in_proportion_over_many_epochs():
    weights = np.array([0.2, 0.3, 0.5])
    counts = np.bincount(np.concatenate([draw(weights, 1, [7, epoch]) for epoch in range(4000)]), minlength=3)
    # Three standard errors of a share of 0.5 over 4000 draws are 0.024.
    assert counts / 4000 == pytest.approx(weights, abs=0.024)


def test_equal_weights_and_as_many_draws_as_rows_are_a_permutation():
    rows = draw(np.full(500, 0.1, np.float32), 500, 3)
    assert sorted(rows.tolist()) == list(range(500))
    assert rows.tolist() != list(range(500))


def test_the_epoch_is_a_function_of_the_seed():
    weights = np.arange(1.0, 50)
    assert np.array_equal(draw(weights, 30, [1, 2]), draw(weights, 30, [1, 2]))
    assert not np.array_equal(draw(weights, 30, [1, 2]), draw(weights, 30, [1, 3]))


def test_more_rows_can_be_drawn_than_torch_has_categories():
    weights = np.zeros(2**24 + 10, np.float32)
    weights[-1] = 1
    assert draw(weights, 2, 0).tolist() == [2**24 + 9] * 2


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1.0, -0.5], r"row 1 has the weight -0\.5; weights must be finite and not negative"),
        ([np.nan, 1.0], "row 0 has the weight nan"),
        ([0.0, 0.0], "no row has a weight above 0, so that nothing can be drawn"),
    ],
)
def test_weights_that_cannot_be_drawn_by_are_refused(weights, message):
    with pytest.raises(DataError, match=message):
        draw(np.array(weights), 3, 0)


def test_more_draws_than_the_cap_allows_are_refused():
    with pytest.raises(
        UsageError, match="10 draws from 3 rows are more than 2 a row; raise the repeat cap or draw fewer rows"
    ):
        draw(np.array([1.0, 2, 3, 0]), 10, 0, repeat_cap=2)
    with pytest.raises(UsageError, match="-1 rows cannot be drawn"):
        draw(np.ones(2), -1, 0)
