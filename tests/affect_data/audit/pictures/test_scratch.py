"""Arrays of pictures that lie in a file."""

import numpy as np

from affect_data.audit.pictures.scratch import ScratchArray


def test_rows_come_back_as_they_were_written_in_any_order() -> None:
    values = np.random.default_rng(0).integers(0, 256, (50, 4, 3), dtype=np.uint8)
    array = ScratchArray(50, (4, 3), np.uint8)
    array[20:50], array[0:20] = values[20:], values[:20]
    assert len(array) == 50
    assert np.array_equal(array[:], values)
    assert np.array_equal(array[10:13], values[10:13])
    assert np.array_equal(array[np.array([49, 0, 7])], values[[49, 0, 7]])


def test_an_array_without_rows_is_an_array() -> None:
    array = ScratchArray(0, (2,), np.uint64)
    array[0:0] = np.empty((0, 2), np.uint64)
    assert array[:].shape == (0, 2)
