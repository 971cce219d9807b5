import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from affect_data.statistics.va_plane import bin_edges, bins_of, histogram

EDGES = bin_edges(-1, 1)


@pytest.mark.parametrize(
    ("value", "bin_number"), [(-1.0, 0), (-0.91, 0), (0.0, 10), (0.05, 10), (0.999, 19), (1.0, 19)]
)
def test_a_bin_holds_its_lower_edge_and_the_last_one_both(value, bin_number):
    assert bins_of(np.array([value]), EDGES).tolist() == [bin_number]


@given(st.lists(st.tuples(st.floats(-1, 1, width=32), st.floats(-1, 1, width=32)), min_size=1, max_size=30))
def test_the_histogram_is_that_of_numpy(points):
    valence, arousal = np.array(points, np.float32).T
    expected, _, _ = np.histogram2d(valence.astype(float), arousal.astype(float), bins=[EDGES, EDGES])
    assert np.array_equal(histogram(valence, arousal), expected)


def test_weights_count_rows_several_times():
    counts = histogram(np.array([0.0, 0.95]), np.array([0.0, -1.0]), np.array([2.0, 0.5]))
    assert counts[10, 10] == 2.0
    assert counts[19, 0] == 0.5
    assert counts.sum() == 2.5


def test_constant_values_are_all_in_one_bin():
    assert set(bins_of(np.full(3, 0.3), bin_edges(0.3, 0.3))) == {10}
