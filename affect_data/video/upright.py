"""How a video says that its frames are to be turned, and turning them.

A container holds a matrix that maps stored pixels to shown ones. Cameras write quarter turns and mirrors, eight in all.
"""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

MATRIX: Final = "DISPLAYMATRIX"
ONE: Final = 1 << 16
"""1 in the matrix's fixed-point numbers."""


class UnknownTurnError(ValueError):
    """Frames that are turned by something else than quarter turns and mirrors."""


@dataclass(frozen=True)
class Turn:
    """How stored frames become upright ones.

    Attributes:
        degrees: the turn, counterclockwise; of a mirror, the turn that comes before exchanging left and right.
        transposed: whether rows become columns, first of all.
        mirrored: whether left and right are exchanged then.
        flipped: whether top and bottom are exchanged then.
    """

    degrees: int
    transposed: bool = False
    mirrored: bool = False
    flipped: bool = False


Matrix = tuple[int, int, int, int]
"""a b c d: a pixel at (x, y) is shown at (a x + c y, b x + d y), up to a shift."""

UPRIGHT: Final[Matrix] = (1, 0, 0, 1)

TURNS: Final = MappingProxyType(
    {
        UPRIGHT: Turn(0),
        (-1, 0, 0, -1): Turn(180, mirrored=True, flipped=True),
        (0, -1, 1, 0): Turn(90, transposed=True, flipped=True),
        (0, 1, -1, 0): Turn(270, transposed=True, mirrored=True),
        (-1, 0, 0, 1): Turn(0, mirrored=True),
        (1, 0, 0, -1): Turn(180, flipped=True),
        (0, 1, 1, 0): Turn(90, transposed=True),
        (0, -1, -1, 0): Turn(270, transposed=True, mirrored=True, flipped=True),
    }
)


def turn_of(picture: Any) -> Matrix:  # noqa: ANN401 - PyAV's
    """The matrix of a decoded frame, in whole numbers.

    Raises:
        UnknownTurnError: it is none of `TURNS`.
    """
    found = next((data for data in picture.side_data if data.type.name == MATRIX), None)
    if found is None:
        return UPRIGHT
    a, b, _, c, d, *_ = (int(value) for value in np.frombuffer(bytes(found), np.int32))
    scaled = tuple(value / ONE for value in (a, b, c, d))
    matrix: Matrix = (round(scaled[0]), round(scaled[1]), round(scaled[2]), round(scaled[3]))
    if matrix not in TURNS or any(abs(value - whole) > 0.01 for value, whole in zip(scaled, matrix, strict=True)):
        raise UnknownTurnError(f"its frames are turned by a matrix that is no quarter turn {scaled}")
    return matrix


def turned(pixels: NDArray[np.uint8], matrix: Matrix) -> NDArray[np.uint8]:
    """The pixels upright and contiguous, uint8 [height, width, ...]."""
    turn = TURNS[matrix]
    if turn.transposed:
        pixels = pixels.swapaxes(0, 1)
    return np.ascontiguousarray(pixels[:: -1 if turn.flipped else 1, :: -1 if turn.mirrored else 1])
