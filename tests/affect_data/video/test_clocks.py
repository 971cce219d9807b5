"""Clocks of labels against clocks of frames."""

from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from affect_data.video.clocks import FrameClock, RateClock, shown_at


def test_numbers_from_one_belong_to_frames_from_zero() -> None:
    assert FrameClock(first=1).frames_of(np.array([0, 1, 5, 6]), np.arange(5) / 25).tolist() == [-1, 0, 4, -1]


def test_ten_labels_a_second_over_a_video_of_25_frames() -> None:
    labels = RateClock(Fraction(10)).frames_of(np.arange(8), np.arange(20) / 25)
    # 0.1 s lies in frame 2 (0.08 to 0.12 s), 0.2 s begins frame 5; the video ends at 0.8 s.
    assert labels.tolist() == [0, 2, 5, 7, 10, 12, 15, 17]


def test_a_label_every_40_ms_over_25_frames_is_a_label_a_frame_and_the_last_one_has_none() -> None:
    assert RateClock(Fraction(25)).frames_of(np.arange(7501), np.arange(7500) / 25).tolist() == [*range(7500), -1]


def test_fifty_labels_a_second_over_25_frames_share_frames() -> None:
    assert RateClock(Fraction(50), first=1).frames_of(np.arange(1, 7), np.arange(3) / 25).tolist() == [0, 0, 1, 1, 2, 2]


@given(
    st.lists(st.floats(0.001, 0.5), min_size=2, max_size=40),
    st.lists(st.floats(-1, 20), max_size=40),
)
def test_the_frame_of_a_time_is_the_last_one_that_began(steps: list[float], times: list[float]) -> None:
    seconds = np.concatenate([[0.0], np.cumsum(steps)])
    end = 2 * seconds[-1] - seconds[-2]
    for time, frame in zip(times, shown_at(np.array(times), seconds), strict=True):
        if frame < 0:
            assert time < 0 or time > end - 1e-6
        else:
            assert seconds[frame] <= time + 1e-6
            assert frame == len(seconds) - 1 or time < seconds[frame + 1]
