import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from affect_data.statistics.label_patterns import PatternCounter, pack, unpack


@given(hnp.arrays(bool, st.tuples(st.integers(0, 20), st.integers(1, 64))))
def test_unpacking_gives_back_what_was_packed(slots):
    packed = pack(slots)
    assert packed.shape == (len(slots),)
    assert np.array_equal(unpack(packed, slots.shape[1]), slots)


def test_slot_zero_is_the_lowest_bit():
    assert pack(np.array([[1, 0, 1]], bool)).tolist() == [5]


def test_without_rows_there_are_no_patterns():
    assert PatternCounter().patterns().is_empty()
