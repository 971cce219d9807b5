"""Opening pictures: which formats and sizes are read, and what makes a picture usable.

Build, training, prediction, audits, review and report all decode pictures through this module, so that every picture of a dataset can be trained on.
"""

import io
import json
import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np
import simplejpeg
from PIL import Image, UnidentifiedImageError

from affect_data.bounds import PIXELS

FORMATS: Final = ("JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP", "PPM", "DIB")
"""The formats that are opened, by Pillow's names. Others start programs (EPS) or do not hold photographs."""

JPEG_START: Final = b"\xff\xd8\xff"

_DAMAGED: Final = ("Corrupt JPEG data", "Premature end of JPEG file")
"""How the decoder begins what it says of damaged data."""

REFERENCE_START: Final = b"affectkit video frame\n"
"""The first bytes of what stands for a picture where it is a frame of a video that lies in the dataset's folder; JSON follows."""


class PictureError(ValueError):
    """Bytes that are no picture, a picture that is broken or too large, or a face box outside of its picture."""


def check_size(width: int, height: int) -> None:
    """Refuses a picture that is too large to be decoded.

    Raises:
        PictureError: the picture has more pixels than the limit.
    """
    limit = PIXELS.value()
    if width * height > limit:
        raise PictureError(
            f"{width:,} x {height:,} pixels are more than {limit:,}; set the environment variable {PIXELS.variable} to accept it"
        )


def open_picture(source: bytes | memoryview | Path) -> Image.Image:
    """A picture, opened and not yet decoded.

    Args:
        source: the bytes of a file, or its path.

    Raises:
        PictureError: the file has none of `FORMATS`, or the picture is too large.
        FileNotFoundError: there is no such file.
    """
    if not isinstance(source, Path) and not len(source):
        raise PictureError("the file is empty")
    if not isinstance(source, Path) and is_reference(source):
        raise PictureError("the row names a frame of a video, which is not a picture by itself")
    try:
        with warnings.catch_warnings():
            # Pillow warns at half of the size that it refuses; our own limit decides.
            warnings.simplefilter("ignore")
            file: BinaryIO | Path = source if isinstance(source, Path) else io.BytesIO(source)
            picture = Image.open(file, formats=FORMATS)
    except UnidentifiedImageError as error:
        raise PictureError(f"not an image file of a format that is read ({', '.join(FORMATS)})") from error
    except Image.DecompressionBombError as error:
        raise PictureError(f"{error}; at most {PIXELS.value():,} pixels are decoded ({PIXELS.variable})") from error
    except (MemoryError, FileNotFoundError):
        raise
    except Exception as error:  # damaged headers make Pillow's plugins raise nearly anything
        raise PictureError(str(error) or type(error).__name__) from error
    check_size(*picture.size)
    return picture


def is_reference(data: bytes | memoryview) -> bool:
    """Whether bytes name a frame of a video instead of being a picture."""
    return bytes(data[: len(REFERENCE_START)]) == REFERENCE_START


def decode_rgb(data: bytes | memoryview) -> Image.Image:
    """The whole picture in RGB, as training sees it: grey becomes three equal channels, alpha is dropped, 16-bit samples keep their upper bits.

    Raises:
        PictureError: the picture cannot be decoded, or its samples have no known range.
    """
    return rgb(_loaded(data))


def as_png(data: bytes | memoryview) -> bytes:
    """The picture as a PNG file with the same pixels, lightly compressed.

    Raises:
        PictureError: the picture cannot be decoded.
    """
    out = io.BytesIO()
    _loaded(data).save(out, "PNG", compress_level=1)
    return out.getvalue()


def rgb(picture: Image.Image) -> Image.Image:
    """A decoded picture in RGB, by the same rules.

    Raises:
        PictureError: its samples have no known range.
    """
    if picture.mode == "F":
        raise PictureError("the image has floating-point samples, whose range is unknown")
    if picture.mode.startswith("I"):
        samples = np.asarray(picture).astype(np.int64)
        if samples.min() < 0 or samples.max() > np.iinfo(np.uint16).max:
            raise PictureError("the image has samples beyond 16 bits, whose range is unknown")
        picture = Image.fromarray((samples >> 8).astype(np.uint8))
    return picture if picture.mode == "RGB" else picture.convert("RGB")


def _loaded(data: bytes | memoryview) -> Image.Image:
    picture = open_picture(data)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # Decodes the whole picture: a truncated file opens without an error and fails only at its end.
            picture.load()
    except MemoryError:
        raise
    except Exception as error:  # damaged bytes make Pillow's decoders raise nearly anything
        raise PictureError(str(error) or type(error).__name__) from error
    return picture


@dataclass(frozen=True)
class Examined:
    """Whether a picture can be decoded, and its size.

    Attributes:
        because: why the picture cannot be decoded; empty if it can.
        width: in pixels; 0 if it cannot be decoded.
        height: in pixels; 0 if it cannot be decoded.
        damage: what the strict decoder found broken in a JPEG that Pillow decodes, often with a part that is only grey; empty otherwise.
    """

    because: str
    width: int = 0
    height: int = 0
    damage: str = ""


def examine(data: bytes | memoryview) -> Examined:
    """Whether a picture can be decoded, its size, and whether a part of it is damaged.

    The strict JPEG decoder comes first, at an eighth of the size: it refuses everything that Pillow refuses. Pictures that it refuses, and all other
    formats, are decoded as in training.
    """
    if is_reference(data):
        named = json.loads(bytes(data[len(REFERENCE_START) :]))
        return Examined("", named["width"], named["height"])
    damage = ""
    if data[:3] == JPEG_START:
        try:
            height, width, _, _ = simplejpeg.decode_jpeg_header(data)
            check_size(width, height)
            simplejpeg.decode_jpeg(data, "GRAY", min_height=1, min_width=1)
        except ValueError as error:
            # Other refusals are about what this decoder does not know, such as an odd version in the header.
            damage = str(error) if str(error).startswith(_DAMAGED) else ""
        else:
            return Examined("", width, height)
    try:
        picture = decode_rgb(data)
    except PictureError as error:
        return Examined(str(error))
    return Examined("", *picture.size, damage)


def box_misses(box: Sequence[float], width: int, height: int) -> bool:
    """Whether a face box (x0, y0, x1, y1 in pixels) lies wholly outside of its picture; False if it is NaN, which stands for no box."""
    if any(map(math.isnan, box)):
        return False
    left, top, right, bottom = box
    return right <= left or bottom <= top or right <= 0 or bottom <= 0 or left >= width or top >= height
