"""Brings five points of a face onto a template: a similarity by least squares, and the picture that it shows.

Positions follow OpenCV and InsightFace: the middle of the first pixel is (0, 0), in the picture and in the template.
"""

from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from affect_data.faces.detection import Pixels

LEAST_FIT: Final = 0.3
"""Least share of the template's spread that the points explain. Exchanged sides explain 0.05, faces in profile more than 0.5."""

LEAST_SPREAD: Final = 0.01
"""Least mean squared distance of the points from their middle, in pixels."""


def similarity(points: ArrayLike, template: ArrayLike) -> NDArray[np.float64]:
    """The turn, scale and shift that bring points nearest to a template, float64 [2, 3], by least squares (Umeyama 1991), never mirrored.

    In the plane this has a closed form: as complex numbers, scale and turn are one factor, which is that of a linear regression.

    Args:
        points: float [N, 2], x and y.
        template: float [N, 2].

    Raises:
        ValueError: the points are not finite, lie in one place, or are too unlike the template, as with exchanged sides.
    """
    source, target = (np.asarray(values, np.float64) @ np.array([1, 1j]) for values in (points, template))
    if not np.isfinite(source).all():
        raise ValueError("the points of the face are not finite")
    from_middle, to_middle = source - source.mean(), target - target.mean()
    spread, wanted = (float((np.abs(values) ** 2).sum()) for values in (from_middle, to_middle))
    together = complex((from_middle.conj() * to_middle).sum())
    if spread <= LEAST_SPREAD * len(source):
        raise ValueError("the points of the face lie in one place")
    fit = abs(together) ** 2 / (spread * wanted)
    if fit < LEAST_FIT:
        raise ValueError(
            f"the points do not lie like those of a face (the template explains {fit:.2f} of them, at least {LEAST_FIT} is needed)"
        )
    factor = together / spread
    shift = target.mean() - factor * source.mean()
    return np.array([[factor.real, -factor.imag, shift.real], [factor.imag, factor.real, shift.imag]])


def aligned(pixels: Pixels, matrix: NDArray[np.float64], size: int) -> Pixels:
    """The picture as a similarity shows it, uint8 [size, size, 3], by bilinear interpolation; black beyond its border.

    A picture of which the crop would skip pixels is first reduced by area, by the largest whole factor that leaves a pixel for each of the crop.

    Args:
        pixels: uint8 [height, width, 3].
        matrix: float64 [2, 3], from positions in the picture to positions in the crop.
        size: side of the crop.
    """
    turn, shift = matrix[:, :2], matrix[:, 2]
    back = np.linalg.inv(turn)
    # Pillow's positions are half a pixel larger than OpenCV's, on both sides.
    start = 0.5 - back @ (shift + 0.5)
    corners = np.array([[0, 0], [size, 0], [0, size], [size, size]]) @ back.T + start
    height, width = pixels.shape[:2]
    factor = max(1, int(np.sqrt(abs(np.linalg.det(back))) + 1e-6))
    left, top = np.clip(np.floor(corners.min(axis=0)) - factor, 0, (width - 1, height - 1)).astype(int)
    right, bottom = np.clip(np.ceil(corners.max(axis=0)) + factor, (left + 1, top + 1), (width, height)).astype(int)
    seen = Image.fromarray(np.ascontiguousarray(pixels[top:bottom, left:right]))
    seen = seen.reduce(factor) if factor > 1 else seen
    scaled, begin = back / factor, (start - (left, top)) / factor
    places = (*scaled[0], begin[0], *scaled[1], begin[1])
    return np.asarray(
        seen.transform((size, size), Image.Transform.AFFINE, places, Image.Resampling.BILINEAR, fillcolor=(0, 0, 0))
    )
