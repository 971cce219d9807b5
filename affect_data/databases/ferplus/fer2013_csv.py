"""The pictures of FER2013 in its one big CSV file: a line of 2,304 numbers for each picture."""

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from affect_data.bounds import lines_of

SIDE: Final = 48
FIELDS: Final = frozenset({"emotion", "pixels", "Usage"})
EMOTIONS: Final = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
"""What the codes of FER2013's own label mean."""
GREY_VALUES: Final = {str(value).encode(): value for value in range(256)}


class PixelError(ValueError):
    """A field that is not the pixels of one picture."""


@dataclass(frozen=True)
class FerLine:
    """One line of the file: its 1-based number, how many fields it has, whether the header has as many, and the fields as written."""

    number: int
    count: int
    fits: bool
    emotion: str = ""
    usage: str = ""
    pixels: bytes = b""


def header_of(path: Path) -> list[str]:
    """The column names in the first line, without the blanks that one edition has."""
    with path.open("rb") as file:
        first = next(lines_of(file, path.name), b"")
    return [name.strip() for name in first.decode("utf-8-sig", errors="replace").split(",")]


def read_lines(path: Path) -> Iterator[FerLine]:
    """The lines after the header, one at a time, without blank ones; a line with another number of fields has no fields, only their `count`."""
    header = header_of(path)
    places = _places(header)
    with path.open("rb") as file:
        for number, line in enumerate(lines_of(file, path.name), start=1):
            if number > 1 and line.strip():
                fields = line.split(b",")
                if len(fields) != len(header):
                    yield FerLine(number, len(fields), fits=False)
                    continue
                emotion, usage, pixels = (
                    fields[places[name]].strip(b' "\r\n') for name in ("emotion", "Usage", "pixels")
                )
                yield FerLine(
                    number,
                    len(fields),
                    fits=True,
                    emotion=emotion.decode("latin-1"),
                    usage=usage.decode("latin-1"),
                    pixels=pixels,
                )


@lru_cache(maxsize=64)
def emotion_named(code: str) -> str | None:
    """What a code of FER2013's own label means; None where it is none."""
    try:
        number = float(code)
    except ValueError:
        return None
    return EMOTIONS[int(number)] if number in range(len(EMOTIONS)) else None


def decode_pixels(field: bytes) -> bytes:
    """The 2,304 grey values of a picture, row by row.

    Raises:
        PixelError: the field has another number of values, or a value that is no integer from 0 to 255.
    """
    values = field.split()
    if len(values) != SIDE * SIDE:
        raise PixelError(f"{len(values):,} pixels")
    try:
        return bytes(map(GREY_VALUES.__getitem__, values))
    except KeyError as error:
        raise PixelError(f"the pixel {error.args[0].decode('latin-1')!r}") from None


def encode_png(pixels: bytes) -> bytes:
    """An uncompressed grey PNG of 48 by 48 pixels, with the same bytes as from the authors' own extraction."""
    buffer = io.BytesIO()
    Image.frombytes("L", (SIDE, SIDE), pixels).save(buffer, format="PNG", compress_level=0)
    return buffer.getvalue()


def picture_opener(path: Path) -> Callable[[int], bytes]:
    """A function from a 0-based row to the PNG of its picture; it reads one line of the file at a time."""
    status = path.stat()
    starts = _line_starts(path, status.st_size, status.st_mtime_ns)
    place = _places(header_of(path))["pixels"]

    def open_picture(row: int) -> bytes:
        with path.open("rb") as file:
            file.seek(int(starts[row + 1]))
            line = next(lines_of(file, path.name), b"")
        return encode_png(decode_pixels(line.split(b",")[place].strip(b' "\r\n')))

    return open_picture


def _places(header: list[str]) -> dict[str, int]:
    return {name: place for place, name in enumerate(header) if name in FIELDS}


@lru_cache(maxsize=4)
def _line_starts(path: Path, size: int, modified: int) -> npt.NDArray[np.int64]:  # noqa: ARG001 - the keys of the cache
    with path.open("rb") as file:
        lengths = np.fromiter(map(len, lines_of(file, path.name)), dtype=np.int64)
    return np.concatenate([[0], np.cumsum(lengths)[:-1]])
