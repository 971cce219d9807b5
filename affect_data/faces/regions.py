"""Cuts rectangles out of pictures, scaled; they may reach beyond the border."""

import math
from typing import NamedTuple

import numpy as np
from PIL import Image

from affect_data.faces.detection import Pixels


class Region(NamedTuple):
    """A rectangle in pixels of a picture; it may reach beyond the border."""

    left: float
    top: float
    width: float
    height: float


def cut_region(picture: Image.Image, region: Region, width: int, height: int) -> Pixels:
    """A region of a picture, resized to uint8 [height, width, 3]; pixels beyond the border repeat those at the border.

    Args:
        picture: mode RGB.
        region: in pixels of `picture`.
        width: of the output.
        height: of the output.
    """
    left, right, source_left, source_right = _visible(region.left, region.width, picture.width, width)
    top, bottom, source_top, source_bottom = _visible(region.top, region.height, picture.height, height)
    visible = picture.resize(
        (right - left, bottom - top),
        Image.Resampling.BILINEAR,
        box=(source_left, source_top, source_right, source_bottom),
        reducing_gap=2.0,
    )
    if (left, top, right, bottom) == (0, 0, width, height):
        return np.asarray(visible)
    return np.pad(np.asarray(visible), ((top, height - bottom), (left, width - right), (0, 0)), mode="edge")


def _visible(start: float, length: float, extent: int, size: int) -> tuple[int, int, float, float]:
    """The range of output pixels that lie wholly in the image, along one axis, and the source interval that they show."""
    step = length / size
    first = min(max(0, math.ceil(-start / step - 1e-6)), size - 1)
    last = max(min(size, math.floor((extent - start) / step + 1e-6)), first + 1)
    source_first = min(max(start + first * step, 0.0), extent - 1e-3)
    return first, last, source_first, max(min(start + last * step, float(extent)), source_first + 1e-3)
