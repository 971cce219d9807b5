"""Clocks of labels: which frame of a video a label belongs to.

Some databases label frames by number, some by time: ten times a second over videos of 20 to 30 frames (SEWA), every 40 ms (RECOLA), or whenever
something changes (AM-FED). A label's time belongs to the frame that is shown then.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import numpy as np
from numpy.typing import NDArray

EARLY: Final = 1e-6
"""Seconds by which a label may be written too early: times are rounded to microseconds at best."""

NO_FRAME: Final = -1


@dataclass(frozen=True)
class FrameClock:
    """Labels that name frames.

    Attributes:
        first: the number of a video's first frame.
    """

    first: int

    def frames_of(self, labels: NDArray[np.int64], seconds: NDArray[np.float64]) -> NDArray[np.int64]:
        """The frame of each label, counted from 0; -1 where the video has no such frame.

        Args:
            labels: numbers, as the database counts.
            seconds: when each frame of the video is shown.
        """
        frames = labels - self.first
        return np.where((frames >= 0) & (frames < len(seconds)), frames, NO_FRAME)


@dataclass(frozen=True)
class RateClock:
    """Labels at a constant rate of their own, whatever the frames' rate is.

    Attributes:
        rate: labels a second.
        first: the number of the first label, which belongs to the video's beginning.
    """

    rate: Fraction
    first: int = 0

    def frames_of(self, labels: NDArray[np.int64], seconds: NDArray[np.float64]) -> NDArray[np.int64]:
        """The frame that is shown at each label, counted from 0; -1 where the video has none. Arguments as for `FrameClock.frames_of`."""
        times = (labels - self.first).astype(np.float64) / float(self.rate)
        return shown_at(times, seconds)


LabelClock = FrameClock | RateClock


def shown_at(times: NDArray[np.float64], seconds: NDArray[np.float64]) -> NDArray[np.int64]:
    """The frame that is shown at each time, counted from 0; -1 before the first one and after the last one's end.

    Args:
        times: since the first frame.
        seconds: when each frame is shown, ascending. The last one is shown as long as the one before it.
    """
    if not len(seconds):
        return np.full(len(times), NO_FRAME)
    frames = np.searchsorted(seconds, times + EARLY, side="right") - 1
    last = float(seconds[-1] - seconds[-2]) if len(seconds) > 1 else 0.0
    return np.where(times < seconds[-1] + max(last, EARLY), frames, NO_FRAME)
