"""Limits on what is read: every limit, its default, and the environment variable that raises it.

A small file can stand for gigabytes: a workbook that expands a thousandfold, an array whose header promises more than the file holds, JSON that is
all brackets. So files are measured before they are parsed, and a file that exceeds a limit is an error that names the file and the variable.
"""

import json
import math
import os
import re
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from affect_data.errors import DataError


@dataclass(frozen=True)
class Limit:
    """One limit.

    Attributes:
        variable: the environment variable that sets the limit; empty if no ordinary file comes near it.
        default: the limit if the variable is not set.
        unit: what is counted.
        holds_for: what is limited, for the documentation.
        remedy: what to do instead of raising the limit; empty if there is nothing.
    """

    variable: str
    default: int
    unit: str
    holds_for: str
    remedy: str = ""

    def value(self) -> int:
        """The value of the variable if it is a whole number above 0, otherwise the default."""
        found = os.environ.get(self.variable, "") if self.variable else ""
        return int(found) if found.isdecimal() and len(found) < 20 and int(found) else self.default

    def check(self, name: object, found: int) -> None:
        """Refuses a file that exceeds the limit.

        Args:
            name: of the file, for the message.
            found: how much of the unit the file has.

        Raises:
            BoundError: that is more than the limit.
        """
        if found > self.value():
            raise BoundError(name, self, found)


class BoundError(DataError):
    """A file that exceeds a limit.

    Args:
        name: of the file.
        limit: the limit.
        count: how much there is; None if counting stopped at the limit.

    Attributes:
        found: how much there is, in words.
        expected: how much is accepted.
        remedy: what to do.
    """

    def __init__(self, name: object, limit: Limit, count: int | None = None) -> None:
        self._given = (str(name), limit, count)
        self.found = f"{'more' if count is None else f'{count:,}'} {limit.unit}"
        self.expected = f"at most {limit.value():,}"
        raised = f"set the environment variable {limit.variable} to accept it" if limit.variable else ""
        self.remedy = ", or ".join(filter(None, (limit.remedy, raised))) or "replace it by the official file"
        super().__init__(
            f"{name}: {self.expected} {limit.unit} are read, found {'more' if count is None else f'{count:,}'}; {self.remedy}"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        # Pickled when a decoding process sends it to the one that asked.
        return type(self), self._given


MEBIBYTE: Final = 1 << 20

PIXELS: Final = Limit(
    "AFFECT_MAX_PIXELS", 100_000_000, "pixels", "a picture; decoded it takes three bytes for each pixel"
)
PICTURE_BYTES: Final = Limit("AFFECT_MAX_PICTURE_BYTES", 128 * MEBIBYTE, "bytes", "a picture's file")
ANNOTATION_BYTES: Final = Limit("AFFECT_MAX_ANNOTATION_BYTES", 1024 * MEBIBYTE, "bytes", "an annotation file")
LINE_BYTES: Final = Limit("AFFECT_MAX_LINE_BYTES", MEBIBYTE, "bytes in one line", "a line of an annotation file")
LINES: Final = Limit("AFFECT_MAX_LINES", 5_000_000, "lines", "an annotation file")
ARRAY_BYTES: Final = Limit(
    "AFFECT_MAX_ARRAY_BYTES", 64 << 10, "bytes", "an annotation file `.npy`, which holds one value; and what its header promises"
)  # fmt: skip
EXPANDED_BYTES: Final = Limit(
    "AFFECT_MAX_EXPANDED_BYTES", 256 * MEBIBYTE, "bytes when expanded", "all parts of a workbook together", "save it as csv"
)  # fmt: skip
CELLS: Final = Limit(
    "AFFECT_MAX_CELLS", 4_000_000, "cells", "a sheet of a workbook: its last row times its last column", "save it as csv"
)  # fmt: skip
CELL_TEXT: Final = Limit(
    "AFFECT_MAX_CELL_TEXT", 64 * MEBIBYTE, "characters in cells",
    "a workbook; a text that many cells share counts once for each", "save it as csv",
)  # fmt: skip
JSON_BYTES: Final = Limit("AFFECT_MAX_JSON_BYTES", 8 * MEBIBYTE, "bytes", "a JSON file")
JSON_DEPTH: Final = Limit("", 100, "brackets in one another", "a JSON file")
JSON_DIGITS: Final = Limit("", 1000, "digits of a number", "a JSON file")
RECIPE_BYTES: Final = Limit("AFFECT_MAX_RECIPE_BYTES", 256 << 10, "bytes", "a recipe or a description (YAML)")
RECIPE_VALUES: Final = Limit(
    "AFFECT_MAX_RECIPE_VALUES", 100_000, "values", "a recipe or a description (YAML); what an alias stands for counts each time"
)  # fmt: skip

LIMITS: Final = (
    PIXELS, PICTURE_BYTES, ANNOTATION_BYTES, LINE_BYTES, LINES, ARRAY_BYTES, EXPANDED_BYTES, CELLS, CELL_TEXT, JSON_BYTES, JSON_DEPTH, JSON_DIGITS,
    RECIPE_BYTES, RECIPE_VALUES,
)  # fmt: skip
"""All limits, in the order of the documentation."""

SOCKET_TIMEOUT: Final = 30.0
"""Seconds that our server waits for the other side to go on."""

_CHUNK: Final = MEBIBYTE
_JSON_TEXT: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_NOT_BRACKETS: Final = bytes(byte for byte in range(256) if byte not in b"[]{}")


# ---------------------------------------------------------------- files


def read_file(path: Path, limit: Limit, name: object = None) -> bytes:
    """The bytes of a file.

    Args:
        path: the file.
        limit: of its size.
        name: for messages; by default the path.

    Raises:
        BoundError: the file is larger.
        DataError: it is a device or a pipe, which may have no end.
        OSError: the file cannot be read.
    """
    name = f"'{path}'" if name is None else name
    with _opened(path, limit, name) as (file, size):
        # Not a buffer of the limit's size, which would cost more than reading a small file.
        data = file.read(size + 1)
    if len(data) > size:
        raise DataError(f"{name} grows while it is read; wait until it is written")
    return data


def read_stream(file: BinaryIO, limit: Limit, name: object) -> bytes:
    """The rest of an opened file; arguments as for `read_file`.

    Raises:
        BoundError: it is more than the limit.
    """
    parts, length = [], 0
    while part := file.read(_CHUNK):
        parts.append(part)
        length += len(part)
        if length > limit.value():
            raise BoundError(name, limit)
    return b"".join(parts)


def read_lines_file(path: Path, name: object) -> bytes:
    """The bytes of a file of lines, as from `read_file` with `ANNOTATION_BYTES`; number and length of its lines are limited too.

    Raises:
        BoundError: the file is too large, has too many lines, or a line that is too long.
    """
    return b"".join(_chunks_of_lines(path, name))


def line_blocks(path: Path, name: object, size: int) -> Iterator[bytes]:
    """The bytes of a file of lines in blocks of whole lines, so that a large file is never in memory as a whole; limited as in `read_lines_file`.

    Args:
        path: the file.
        name: for messages.
        size: of a block, about.

    Raises:
        BoundError: as for `read_lines_file`.
    """
    parts: list[bytes] = []
    length = 0
    for chunk in _chunks_of_lines(path, name):
        end = chunk.rfind(b"\n") + 1
        if end and length + end >= size:
            yield b"".join((*parts, chunk[:end]))
            parts, length, chunk = [], 0, chunk[end:]
        parts.append(chunk)
        length += len(chunk)
    if length:
        yield b"".join(parts)


def _chunks_of_lines(path: Path, name: object) -> Iterator[bytes]:
    lines, unfinished = 0, 0
    longest = LINE_BYTES.value()
    with _opened(path, ANNOTATION_BYTES, name) as (file, size):
        chunk_size = min(_CHUNK, longest, size + 1)
        # A line that lies within one chunk cannot be too long, so only the first and the last line of each chunk are measured.
        while chunk := file.read(chunk_size):
            first = chunk.find(b"\n")
            unfinished += len(chunk) if first < 0 else first
            if unfinished > longest:
                raise BoundError(name, LINE_BYTES)
            if first >= 0:
                unfinished = len(chunk) - chunk.rfind(b"\n") - 1
            lines += chunk.count(b"\n")
            LINES.check(name, lines)
            yield chunk


def lines_of(file: BinaryIO, name: object) -> Iterator[bytes]:
    """The lines of an opened file, one at a time.

    Raises:
        BoundError: a line is too long.
    """
    longest = LINE_BYTES.value()
    while line := file.readline(longest + 1):
        if len(line) > longest:
            raise BoundError(name, LINE_BYTES)
        yield line


@contextmanager
def _opened(path: Path, limit: Limit, name: object) -> Iterator[tuple[BinaryIO, int]]:
    """An ordinary file within a limit, opened, and its size."""
    # Without O_NONBLOCK, opening a pipe would wait for somebody to write into it.
    with open(path, "rb", opener=lambda where, flags: os.open(where, flags | os.O_NONBLOCK)) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise DataError(f"{name} is no ordinary file; replace it by the file that it stands for")
        limit.check(name, status.st_size)
        yield file, status.st_size


# ---------------------------------------------------------------- JSON


def read_json(path: Path, name: object = None) -> Any:  # noqa: ANN401 - what JSON can hold
    """The content of a JSON file; arguments as for `read_file`.

    Raises:
        BoundError: the file exceeds a limit.
        ValueError: the file is no JSON.
        OSError: the file cannot be read.
    """
    name = f"'{path}'" if name is None else name
    return parse_json(read_file(path, JSON_BYTES, name), name)


def parse_json(text: bytes | str, name: object, object_of: Callable[[list[tuple[str, Any]]], Any] | None = None) -> Any:  # noqa: ANN401 - what JSON can hold
    """The content of a JSON text.

    Args:
        text: bytes are UTF-8.
        name: of the file, for messages.
        object_of: makes an object from its pairs; by default a dictionary.

    Raises:
        BoundError: the text is too long, too deep, or has a number with too many digits.
        ValueError: the text is no JSON.
    """
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    JSON_BYTES.check(name, len(data))
    outside_of_texts = _JSON_TEXT.sub(b"", data)
    if re.search(rb"[0-9]{%d}" % (JSON_DIGITS.value() + 1), outside_of_texts):
        raise BoundError(name, JSON_DIGITS)
    brackets = np.frombuffer(outside_of_texts.translate(None, _NOT_BRACKETS), dtype=np.uint8)
    steps = np.where((brackets == ord("[")) | (brackets == ord("{")), np.int8(1), np.int8(-1))
    depths = np.cumsum(steps, dtype=np.int32)
    JSON_DEPTH.check(name, int(depths.max(initial=0)))
    return json.loads(data.decode("utf-8"), object_pairs_hook=object_of)


# ---------------------------------------------------------------- arrays


def parse_array(data: bytes, name: object) -> NDArray[Any]:
    """The array of a file ``.npy``.

    Raises:
        BoundError: the header promises more than `ARRAY_BYTES`.
        ValueError: the bytes are no such file, hold Python objects, or less than the header promises.
    """
    source = BytesIO(data)
    try:
        version = np.lib.format.read_magic(source)
        read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        if version not in read_header:
            raise ValueError(f"version {version[0]}.{version[1]} of the format")
        shape, by_column, dtype = read_header[version](source)
    except Exception as error:  # a header is a Python literal, and a damaged one raises what its parser does
        raise ValueError(f"no array that can be read ({' '.join(str(error).split())[:200]})") from error
    if dtype.hasobject:
        raise ValueError(
            "no array that can be read (Object arrays cannot be loaded: they hold pickles, which run code)"
        )
    if any(side < 0 for side in shape):
        raise ValueError(f"an array of shape {shape}")
    promised = math.prod(shape) * max(dtype.itemsize, 1)
    ARRAY_BYTES.check(name, promised)
    held = len(data) - source.tell()
    if held < promised:
        raise ValueError(f"no array that can be read (its header promises {promised:,} bytes, {held:,} are there)")
    values = np.ndarray(math.prod(shape), dtype, data, source.tell())
    return values.reshape(shape, order="F" if by_column else "C")
