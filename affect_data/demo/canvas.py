"""A picture that is drawn on in face coordinates, and the curves and colours that the parts of a face share.

Face coordinates: the origin is the middle of the head, x points to the viewer's right, y points down, and a standard head reaches from y = -1 (crown)
to y = 1 (chin). `side` is -1 for the left of the picture, 1 for the right.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw

Colour: TypeAlias = tuple[int, int, int]
Points: TypeAlias = NDArray[np.float64]
Point: TypeAlias = tuple[float, float]

SIDES = (-1, 1)

# AU 12 or 14 on one side only is the sign of contempt; all other muscles here work in pairs.
ONE_SIDED_ACTION_UNITS = frozenset({12, 14})

_TURN = np.linspace(0.0, 2.0 * math.pi, 28, endpoint=False)
_CIRCLE = np.stack([np.cos(_TURN), np.sin(_TURN)], axis=1)
_T = np.linspace(0.0, 1.0, 9)[:, None]
# Lagrange weights of the parabola through three points at t = 0, 1/2, 1.
_PARABOLA = np.hstack([(1 - _T) * (1 - 2 * _T), 4 * _T * (1 - _T), _T * (2 * _T - 1)])


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """The colour between two colours: `first` at share 0, `second` at share 1."""
    share = min(max(share, 0.0), 1.0)
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(first, second, strict=True))
    return red, green, blue


def curve(start: Point, middle: Point, end: Point) -> Points:
    """Nine points of the parabola that runs through the three given ones."""
    return np.asarray(_PARABOLA @ np.array((start, middle, end)))


def ellipse(centre: Point, width: float, height: float) -> Points:
    """The outline of an ellipse with the given half axes, as 28 points."""
    return np.asarray(_CIRCLE * (width, height) + centre)


class Muscles:
    """How strongly each action unit acts on each side of a face, from 0 to 1."""

    def __init__(self, strengths: Mapping[int, float], only_side: int = 0) -> None:
        """Takes strengths by action unit number; if `only_side` is -1 or 1, AU 12 and 14 act only on that side."""
        self._strengths = strengths
        self._only_side = only_side

    def __call__(self, number: int, side: int = 0) -> float:
        """The strength of an action unit, 0 if it is not given; `side` 0 gives the mean of both sides."""
        strength = self._strengths.get(number, 0.0)
        if self._only_side == 0 or number not in ONE_SIDED_ACTION_UNITS:
            return strength
        if side == 0:
            return strength / 2
        return strength if side == self._only_side else 0.0


class Canvas:
    """A picture with a pen that takes face coordinates."""

    def __init__(
        self, image: Image.Image, centre: Point, unit: float, rotation: float = 0.0, parallax: Point = (0.0, 0.0)
    ) -> None:
        """Places the face.

        Args:
            image: An RGB picture, drawn on in place.
            centre: Where the middle of the head lies, in pixels.
            unit: The length of one unit of face coordinates, in pixels.
            rotation: Clockwise, in degrees.
            parallax: What a turn of the head adds to a point of depth 1, in face coordinates.
        """
        self._pen = ImageDraw.Draw(image)
        angle = math.radians(rotation)
        cosine, sine = unit * math.cos(angle), unit * math.sin(angle)
        self._axes = np.array([[cosine, sine], [-sine, cosine]])
        self._centre = np.array(centre)
        self._unit = unit
        self._parallax = np.array(parallax)
        self._origin = self._centre

    def move_to_depth(self, depth: float) -> None:
        """Draws from now on at a distance in front of the head's centre: nearer parts move more as the head turns."""
        self._origin = self._centre + (self._parallax * depth) @ self._axes

    def polygon(self, points: ArrayLike, fill: Colour) -> None:
        """Fills an outline."""
        self._pen.polygon(self._pixels(points), fill=fill)

    def line(self, points: ArrayLike, fill: Colour, width: float) -> None:
        """Draws a line; `width` in face coordinates."""
        self._pen.line(self._pixels(points), fill=fill, width=max(1, round(width * self._unit)), joint="curve")

    def lines(self, strokes: Iterable[Sequence[Point]], fill: Colour, width: float) -> None:
        """Draws several lines of one colour and width."""
        for stroke in strokes:
            self.line(stroke, fill, width)

    def ellipse(self, centre: Point, width: float, height: float, fill: Colour) -> None:
        """Fills an ellipse with the given half axes."""
        self.polygon(ellipse(centre, width, height), fill)

    def _pixels(self, points: ArrayLike) -> list[float]:
        pixels: list[float] = (np.asarray(points) @ self._axes + self._origin).ravel().tolist()
        return pixels
