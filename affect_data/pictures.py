"""Opening pictures: which formats, how large, and what makes one usable. The only place that decodes a picture file.

Build, training, prediction, audits, review and report share it, so that what is built can be trained on.
"""

import io
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
"""The formats that are opened, by Pillow's names. Others start programs (EPS) or are no photographs."""

JPEG_START: Final = b"\xff\xd8\xff"


class PictureError(ValueError):
    """Bytes that are no picture, a broken or too large picture, or a face box that does not lie in its picture."""


def check_size(width: int, height: int) -> None:
    """Refuses a picture that is too large to be decoded.

    Raises:
        PictureError: it has more pixels than the limit.
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
        PictureError: it is of none of `FORMATS`, or too large.
        FileNotFoundError: there is no such file.
    """
    if not isinstance(source, Path) and not len(source):
        raise PictureError("the file is empty")
    try:
        with warnings.catch_warnings():
            # Pillow's own limit is half of what it refuses; ours comes first.
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


def decode_rgb(data: bytes | memoryview) -> Image.Image:
    """The whole picture, decoded as training sees it: RGB; grey becomes three equal channels, alpha is dropped, 16-bit samples keep their upper bits.

    Raises:
        PictureError: it cannot be decoded, or its samples have no known range.
    """
    picture = _loaded(data)
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
            # The whole picture: a truncated file opens well and fails only at its end.
            picture.load()
    except MemoryError:
        raise
    except Exception as error:  # damaged bytes make Pillow's decoders raise nearly anything
        raise PictureError(str(error) or type(error).__name__) from error
    return picture


@dataclass(frozen=True)
class Examined:
    """What a picture is worth.

    Attributes:
        because: why it cannot be decoded; empty where it can.
        width: in pixels; 0 where it cannot.
        height: in pixels; 0 where it cannot.
    """

    because: str
    width: int = 0
    height: int = 0


def examine(data: bytes) -> Examined:
    """Decodes a picture and says whether that went well.

    The strict JPEG decoder is asked first, at an eighth of the size: it refuses everything that Pillow refuses. What it complains about, and every
    other format, is decoded as training does it.
    """
    if data[:3] == JPEG_START:
        try:
            height, width, _, _ = simplejpeg.decode_jpeg_header(data)
            check_size(width, height)
            simplejpeg.decode_jpeg(data, "GRAY", min_height=1, min_width=1)
        except ValueError:
            pass
        else:
            return Examined("", width, height)
    try:
        picture = decode_rgb(data)
    except PictureError as error:
        return Examined(str(error))
    return Examined("", *picture.size)


def box_misses(box: Sequence[float], width: int, height: int) -> bool:
    """Whether a face box has no part of its picture: x0, y0, x1, y1 in pixels; never where it is NaN, which means that there is none."""
    if any(map(math.isnan, box)):
        return False
    left, top, right, bottom = box
    return right <= left or bottom <= top or right <= 0 or bottom <= 0 or left >= width or top >= height
