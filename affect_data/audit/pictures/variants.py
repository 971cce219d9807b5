"""Small pictures as somebody may have turned, moved or brightened them, so that what they made is found among the others.

A turned or moved picture lacks what left its frame and has something else in the corners. So the middle of one picture, turned or moved, is compared
with the middle of the other: neither shows there.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt

from affect_data.audit.pictures.hashing import SIDE, by_parts, hash_resampled, hash_small
from affect_data.audit.pictures.scratch import Rows

MIDDLE: Final = 0.75
"""The share of a side that the middle has; a square of it that is turned by up to 20 degrees stays in the picture."""

TURNS: Final = (-20.0, -15.0, -10.0, -5.0, 5.0, 10.0, 15.0, 20.0)
"""Degrees; what lies between is found with the nearest."""

MOVES: Final = (0.03, 0.06, 0.09)
"""Shares of a side by which pictures are moved, in eight directions; what lies between is found with the nearest."""

GAINS: Final = (1.3, 1.6)
"""Factors of the brightness: a picture that is brightened so far loses what becomes white."""

Small = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Resampled:
    """The middles of small pictures, turned and moved.

    Attributes:
        degrees: by which they are turned.
        down: the share of the side by which they are moved downwards.
        right: likewise to the right.
    """

    degrees: float = 0.0
    down: float = 0.0
    right: float = 0.0

    def __call__(self, small: Small) -> Small:
        """The changed pictures, as small pictures: uint8 [pictures, SIDE, SIDE]."""
        return by_parts(self._changed, small)

    def hashes(self, small: Rows[np.uint8]) -> npt.NDArray[np.uint64]:
        """Perceptual hashes of the changed pictures, uint64 [pictures]."""
        return hash_resampled(small, self.matrix)

    def _changed(self, small: Small) -> Small:
        flat = small.reshape(len(small), SIDE * SIDE).astype(np.float32) @ self.matrix
        return np.asarray(np.rint(flat), np.uint8).reshape(len(small), SIDE, SIDE)

    @cached_property
    def matrix(self) -> npt.NDArray[np.float32]:
        """Linear resampling as a matrix, float32 [SIDE * SIDE, SIDE * SIDE]; the border continues outwards."""
        centre, angle = (SIDE - 1) / 2, np.deg2rad(self.degrees)
        y, x = np.meshgrid(*[(np.arange(SIDE) - centre) * MIDDLE] * 2, indexing="ij")
        rows = centre + np.cos(angle) * y - np.sin(angle) * x + self.down * SIDE
        columns = centre + np.sin(angle) * y + np.cos(angle) * x + self.right * SIDE
        rows, columns = (side.clip(0, SIDE - 1).ravel() for side in (rows, columns))
        row, column = np.floor(rows).astype(int), np.floor(columns).astype(int)
        matrix = np.zeros((SIDE * SIDE, SIDE * SIDE), np.float32)
        for below, beside in itertools.product((0, 1), repeat=2):
            weight = np.abs(1 - below - (rows - row)) * np.abs(1 - beside - (columns - column))
            source = (row + below).clip(0, SIDE - 1) * SIDE + (column + beside).clip(0, SIDE - 1)
            np.add.at(matrix, (source, np.arange(SIDE * SIDE)), weight)
        return matrix


@dataclass(frozen=True)
class Brightened:
    """Small pictures multiplied by a gain; what exceeds white is white."""

    gain: float

    def __call__(self, small: Small) -> Small:
        """The changed pictures, uint8 [pictures, SIDE, SIDE]."""
        return by_parts(lambda part: np.asarray(np.minimum(part * np.float32(self.gain), 255), np.uint8), small)

    def hashes(self, small: Rows[np.uint8]) -> npt.NDArray[np.uint64]:
        """Perceptual hashes of the changed pictures, uint64 [pictures]."""
        return by_parts(lambda part: hash_small(self(part)), small)


def turned_and_moved() -> Iterator[Resampled]:
    """Every turn and every move that is looked for."""
    yield from (Resampled(degrees) for degrees in TURNS)
    for move in MOVES:
        both = itertools.product((-move, 0.0, move), repeat=2)
        yield from (Resampled(down=down, right=right) for down, right in both if down or right)


def brightened() -> Iterator[Brightened]:
    """Every gain that is looked for."""
    yield from map(Brightened, GAINS)
