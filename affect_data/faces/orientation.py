"""EXIF orientation: pictures are turned upright, and boxes and points go with them, from stored to upright pixels and back.

Coordinates are continuous: a picture reaches from 0 to its width and height, and the middle of its first pixel is (0.5, 0.5).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

from affect_data.faces.detection import Pixels
from affect_data.pictures import decode_rgb, open_picture

AS_STORED: Final = 1

TURNS: Final[Mapping[int, Callable[[Pixels], Pixels]]] = {
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.swapaxes(0, 1),
    6: lambda pixels: np.rot90(pixels, -1),
    7: lambda pixels: np.rot90(pixels, 2).swapaxes(0, 1),
    8: lambda pixels: np.rot90(pixels),
}
"""The turn that makes a picture upright, by EXIF orientation."""

SWAPS_SIDES: Final = frozenset({5, 6, 7, 8})
"""The orientations whose upright picture is as wide as the stored one is high."""

_MIRRORED_ACROSS: Final = frozenset({2, 3, 7, 8})
_MIRRORED_DOWN: Final = frozenset({3, 4, 6, 7})


def orientation_of(data: bytes | memoryview) -> int:
    """The EXIF orientation by which a decoded picture has yet to be turned, 1 to 8; 1 if none is stated.

    Raises:
        PictureError: the bytes are no picture.
    """
    return orientation_of_picture(open_picture(data))


def orientation_of_picture(picture: Image.Image) -> int:
    """The EXIF orientation by which an opened picture has yet to be turned, 1 to 8; 1 if none is stated."""
    if picture.format == "TIFF":
        # Pillow already turns TIFF files when it decodes them.
        return AS_STORED
    try:
        found = picture.getexif().get(ExifTags.Base.Orientation, AS_STORED)
    except Exception:  # damaged EXIF makes Pillow raise nearly anything
        return AS_STORED
    return found if found in TURNS else AS_STORED


def upright(pixels: Pixels, orientation: int) -> Pixels:
    """Pixels, uint8 [H, W, 3], turned upright by their EXIF orientation, as a view."""
    return TURNS[orientation](pixels) if orientation in TURNS else pixels


def upright_pixels(data: bytes | memoryview) -> Pixels:
    """A whole picture, decoded as training decodes it and turned upright by its EXIF orientation: uint8 [height, width, 3], RGB.

    Of an animated picture the first frame is taken; grey becomes three equal channels, alpha is dropped, 16-bit samples keep their upper bits.

    Raises:
        PictureError: the picture cannot be decoded.
    """
    return np.ascontiguousarray(upright(np.asarray(decode_rgb(data)), orientation_of(data)))


def upright_size(width: int, height: int, orientation: int) -> tuple[int, int]:
    """Width and height of the upright picture, from those of the stored one; the same function leads back."""
    return (height, width) if orientation in SWAPS_SIDES else (width, height)


def upright_points(
    points: NDArray[np.floating], orientation: int, stored_size: tuple[int, int]
) -> NDArray[np.floating]:
    """Points of a stored picture in its upright pixels; NaN stays NaN.

    Args:
        points: float [..., 2], x and y in stored pixels.
        orientation: EXIF, 1 to 8.
        stored_size: width and height of the stored picture.
    """
    mirrored = _mirrored(points, orientation, stored_size)
    return mirrored[..., ::-1] if orientation in SWAPS_SIDES else mirrored


def stored_points(points: NDArray[np.floating], orientation: int, stored_size: tuple[int, int]) -> NDArray[np.floating]:
    """Points of an upright picture in the pixels of the stored one: what `upright_points` takes back."""
    swapped = points[..., ::-1] if orientation in SWAPS_SIDES else points
    return _mirrored(swapped, orientation, stored_size)


def upright_box(
    box: Sequence[float], orientation: int, stored_size: tuple[int, int]
) -> tuple[float, float, float, float]:
    """A box x0 y0 x1 y1 of a stored picture in its upright pixels; the arguments are those of `upright_points`."""
    return _sorted(upright_points(np.asarray(box, np.float64).reshape(2, 2), orientation, stored_size))


def stored_box(
    box: Sequence[float], orientation: int, stored_size: tuple[int, int]
) -> tuple[float, float, float, float]:
    """A box x0 y0 x1 y1 of an upright picture in the pixels of the stored one."""
    return _sorted(stored_points(np.asarray(box, np.float64).reshape(2, 2), orientation, stored_size))


def _mirrored(points: NDArray[np.floating], orientation: int, stored_size: tuple[int, int]) -> NDArray[np.floating]:
    """Stored points mirrored as the orientation asks, before the axes are exchanged; the same function leads back."""
    found = np.array(points, copy=True)
    if orientation in _MIRRORED_ACROSS:
        found[..., 0] = stored_size[0] - found[..., 0]
    if orientation in _MIRRORED_DOWN:
        found[..., 1] = stored_size[1] - found[..., 1]
    return found


def _sorted(corners: NDArray[np.floating]) -> tuple[float, float, float, float]:
    (x0, y0), (x1, y1) = np.sort(corners, axis=0).tolist()
    return x0, y0, x1, y1
