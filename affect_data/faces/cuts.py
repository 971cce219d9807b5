"""Cuts of a video: where a frame shows another scene than the frame before."""

from collections import deque
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from affect_data.faces.detection import Pixels

SIZE: Final = (32, 18)
"""Frames are compared at this size, width by height: small enough that the movement of a face changes little."""

LEAST: Final = 0.1
"""The least mean difference of colours, as a share of their range, between the two sides of a cut."""

TIMES_USUAL: Final = 3.0
"""A cut differs this many times as much as the frames before it did from each other: the picture of a camera that is swung differs all the time."""

REMEMBERED: Final = 8


class CutFinder:
    """Tells the first frame of a new scene, one frame after the other.

    A frame is one if its reduced picture differs from the one before by at least `LEAST` and by more than `TIMES_USUAL` the median difference of the
    last `REMEMBERED` frames. A fade, which no single frame shows, is no cut.
    """

    def __init__(self) -> None:
        self._before: NDArray[np.float32] | None = None
        self._usual: deque[float] = deque(maxlen=REMEMBERED)

    def is_cut(self, pixels: Pixels) -> bool:
        """Whether this frame, uint8 [height, width, 3], begins a new scene; the first frame does not."""
        seen = np.asarray(Image.fromarray(pixels).resize(SIZE, Image.Resampling.BOX, reducing_gap=1.0), np.float32)
        before, self._before = self._before, seen
        if before is None:
            return False
        differs = float(np.abs(seen - before).mean()) / np.iinfo(np.uint8).max
        usual = float(np.median(self._usual)) if self._usual else 0.0
        if differs >= LEAST and differs > TIMES_USUAL * usual:
            self._usual.clear()
            return True
        self._usual.append(differs)
        return False
