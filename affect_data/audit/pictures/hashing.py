"""Perceptual hashes: 64 bits that change little when a picture is recompressed, resized or brightened.

The hash is ImageHash's ``phash``: the picture in grey at 32 by 32 pixels, its two-dimensional cosine transform, and for each of the 64 lowest
frequencies whether it is above their median. Resizing and transform are matrix products here, so that hashing costs little beside decoding.

Source:
    Zauner, *Implementation and Benchmarking of Perceptual Image Hash Functions* (2010); the ``phash`` of
    https://github.com/JohannesBuchner/imagehash.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image

from affect_data.audit.pictures.scratch import Rows
from affect_data.pictures import decode_rgb, open_picture

SIDE: Final = 32
"""Width and height of the small pictures, in pixels."""

FREQUENCIES: Final = 8
"""Frequencies in each direction; the square is the number of bits."""

CROP: Final = 0.05
"""The share of the picture that a hashed crop leaves out on a side."""

Number = TypeVar("Number", bound=np.generic)
Floats = npt.NDArray[np.float32]

_AT_ONCE: Final = 16_384
_JPEG: Final = b"\xff\xd8"
_DECODED_AT_LEAST: Final = SIDE + SIDE // 2
_LUMA: Final = np.array([19595, 38470, 7471], np.uint32)


def decode(data: bytes | memoryview) -> npt.NDArray[np.uint8]:
    """The pixels of an encoded picture as stored: uint8 [height, width] if it is grey, otherwise RGB [height, width, 3].

    Raises:
        PictureError: the picture cannot be decoded.
    """
    picture = open_picture(data)
    if picture.mode in ("L", "1"):
        return np.asarray(picture.convert("L"))
    if picture.mode == "RGB" and data[: len(_JPEG)] == _JPEG:
        import simplejpeg

        try:
            return np.asarray(simplejpeg.decode_jpeg(data, colorspace="RGB"))
        except ValueError:
            pass
    # Alpha is dropped: a transparent pixel has no colour of its own.
    return np.asarray(decode_rgb(data))


def decode_grey(data: bytes) -> npt.NDArray[np.uint8]:
    """The luminance of an encoded picture, uint8 [height, width]; a large JPEG is decoded at a fraction of its size.

    Raises:
        PictureError: the picture cannot be decoded.
    """
    if data.startswith(_JPEG):
        import simplejpeg

        try:
            least = _DECODED_AT_LEAST
            grey = simplejpeg.decode_jpeg(data, "GRAY", fastdct=True, min_height=least, min_width=least)
            return np.asarray(grey[:, :, 0])
        except ValueError:
            pass
    return to_grey(decode(data))


def to_grey(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Luminance (ITU-R 601) of grey or RGB pixels, uint8 [height, width], rounded as Pillow does."""
    if pixels.ndim == 2:
        return pixels
    red, green, blue = (pixels[:, :, channel].astype(np.uint32) for channel in range(3))
    return np.asarray((red * _LUMA[0] + green * _LUMA[1] + blue * _LUMA[2] + 0x8000) >> 16, np.uint8)


def small_picture(grey: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """A grey picture, uint8 [height, width], resampled to uint8 [SIDE, SIDE] as by Pillow's Lanczos filter."""
    height, width = grey.shape
    small = _resampling(height) @ grey.astype(np.float32) @ _resampling(width).T
    return np.asarray(np.clip(np.rint(small), 0, 255), np.uint8)


def hash_small(small: Rows[np.uint8]) -> npt.NDArray[np.uint64]:
    """Perceptual hashes of small pictures.

    Args:
        small: uint8 [pictures, SIDE, SIDE], from `small_picture`.

    Returns:
        uint64 [pictures]; the most significant bit is the lowest frequency, as in ImageHash.
    """
    transform = _cosines()
    return by_parts(lambda part: _bits(transform @ part.astype(np.float32) @ transform.T), small)


def hash_crops(small: Rows[np.uint8], *, mirrored: bool = False) -> Iterator[npt.NDArray[np.uint64]]:
    """Hashes of crops of small pictures, where each side is whole or lacks `CROP` of the picture: all 15 combinations except the whole picture.

    Args:
        small: uint8 [pictures, SIDE, SIDE].
        mirrored: whether the pictures are mirrored before.

    Yields:
        uint64 [pictures], for one crop of every picture.
    """
    sides = [_cosines() @ _cropping(before, after) for before, after in itertools.product((0.0, CROP), repeat=2)]
    for number, rows in enumerate(sides):
        # A quarter of the crops at a time: all would take as much memory as the hashes fifteen times.
        columns = sides[1:] if number == 0 else sides

        def hashes(
            part: npt.NDArray[np.uint8], rows: npt.NDArray[np.float32] = rows, columns: list[Floats] = columns
        ) -> npt.NDArray[np.uint64]:
            down = rows @ (part[:, :, ::-1] if mirrored else part).astype(np.float32)
            return np.stack([_bits(down @ of_columns.T) for of_columns in columns], axis=1)

        yield from by_parts(hashes, small).T


def hash_resampled(small: Rows[np.uint8], matrix: npt.NDArray[np.float32]) -> npt.NDArray[np.uint64]:
    """Hashes of resampled small pictures, uint64 [pictures]; the pictures themselves are not made.

    Args:
        small: uint8 [pictures, SIDE, SIDE].
        matrix: of the resampling, float32 [SIDE * SIDE, SIDE * SIDE], from pixels to pixels.
    """
    both = np.einsum("ky,lx->yxkl", _cosines(), _cosines()).reshape(SIDE * SIDE, FREQUENCIES**2)
    transform = matrix @ both
    return by_parts(lambda part: _bits(part.reshape(-1, SIDE * SIDE).astype(np.float32) @ transform), small)


def by_parts(
    compute: Callable[[npt.NDArray[np.uint8]], npt.NDArray[Number]], small: Rows[np.uint8]
) -> npt.NDArray[Number]:
    """What is computed from small pictures, a bounded number of them at a time: floating-point copies are four times as large."""
    return np.concatenate(
        [compute(small[start : start + _AT_ONCE]) for start in range(0, max(1, len(small)), _AT_ONCE)]
    )


def perceptual_hashes(pictures: Sequence[bytes]) -> npt.NDArray[np.uint64]:
    """Perceptual hashes of encoded pictures, uint64 [pictures].

    Raises:
        OSError: a picture cannot be decoded.
    """
    if not pictures:
        return np.empty(0, np.uint64)
    return hash_small(np.stack([small_picture(decode_grey(data)) for data in pictures]))


def _bits(low: npt.NDArray[np.float32]) -> npt.NDArray[np.uint64]:
    flat = low.reshape(len(low), FREQUENCIES**2)
    above = flat > np.median(flat, axis=1, keepdims=True)
    return np.packbits(above, axis=1).view(">u8")[:, 0].astype(np.uint64)


@lru_cache(1)
def _cosines() -> npt.NDArray[np.float32]:
    """The cosine transform (type II) of `SIDE` samples to the lowest frequencies, float32 [FREQUENCIES, SIDE]."""
    samples = 2 * np.arange(SIDE) + 1
    return np.stack([np.cos(np.pi * samples * k / (2 * SIDE)) for k in range(FREQUENCIES)]).astype(np.float32)


@lru_cache(4096)
def _resampling(length: int) -> npt.NDArray[np.float32]:
    """Pillow's Lanczos resampling of `length` samples to `SIDE` as a matrix, float32 [SIDE, length], from its responses to unit impulses."""
    impulses = Image.fromarray(np.eye(length, dtype=np.float32))
    return np.asarray(impulses.resize((SIDE, length), Image.Resampling.LANCZOS)).T.copy()


def _cropping(before: float, after: float) -> npt.NDArray[np.float32]:
    """Linear resampling of a cropped axis back to `SIDE` samples as a matrix, float32 [SIDE, SIDE]."""
    positions = SIDE * before + (np.arange(SIDE) + 0.5) * (1 - before - after) - 0.5
    first = np.floor(positions).astype(int)
    matrix = np.zeros((SIDE, SIDE), np.float32)
    for offset in (0, 1):
        weight = np.where(offset, positions - first, 1 - positions + first)
        np.add.at(matrix, (np.arange(SIDE), np.clip(first + offset, 0, SIDE - 1)), weight)
    return matrix
