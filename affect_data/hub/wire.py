"""What a file of protocol buffers holds, without knowing its schema: ONNX graphs and the event files of TensorBoard."""

import struct
from collections.abc import Iterator
from typing import Final

DEEPEST: Final = 32
_VARINT, _EIGHT_BYTES, _LENGTH, _FOUR_BYTES = 0, 1, 2, 5
_LARGEST_FIELD: Final = 1 << 16
_HEADER: Final = struct.Struct("<QI")
_CHECKSUM: Final = 4


class NotReadableError(ValueError):
    """Bytes that are not what their name says."""


def leaves(message: memoryview, place: str = "") -> Iterator[tuple[str, memoryview]]:
    """Every string and every run of bytes in a message, with its place as field numbers.

    A value that could be both a text and a message is given as itself and as what it would hold.

    Args:
        message: its bytes.
        place: of the message in another one.

    Raises:
        NotReadableError: the bytes are no message.
    """
    found = _fields(message)
    if found is None:
        raise NotReadableError("no message of protocol buffers")
    yield from _leaves(found, place)


def _leaves(found: list[tuple[int, memoryview]], place: str) -> Iterator[tuple[str, memoryview]]:
    for number, value in found:
        where = f"{place}.{number}" if place else f"field {number}"
        yield where, value
        inner = _fields(value) if where.count(".") < DEEPEST else None
        if inner:
            yield from _leaves(inner, where)


def records(data: memoryview) -> Iterator[memoryview]:
    """The messages of an event file, in order; checksums are not compared.

    Raises:
        NotReadableError: the bytes are no such file.
    """
    place = 0
    while place < len(data):
        start = place + _HEADER.size
        if start > len(data):
            raise NotReadableError("no file of events")
        length, _ = _HEADER.unpack(data[place:start])
        place = start + length + _CHECKSUM
        if place > len(data):
            raise NotReadableError("no file of events")
        yield data[start : start + length]


def _fields(data: memoryview) -> list[tuple[int, memoryview]] | None:
    """The fields with a length of a message; None if the bytes are none."""
    found, place = [], 0
    while place < len(data):
        key, place = _number(data, place)
        number, kind = key >> 3, key & 7
        if not 0 < number < _LARGEST_FIELD:
            return None
        if kind == _LENGTH:
            length, place = _number(data, place)
            if length < 0 or place + length > len(data):
                return None
            found.append((number, data[place : place + length]))
            place += length
        elif kind in (_EIGHT_BYTES, _FOUR_BYTES):
            place += 8 if kind == _EIGHT_BYTES else 4
        elif kind == _VARINT:
            _, place = _number(data, place)
        else:
            return None
        if place > len(data):
            return None
    return found


def _number(data: memoryview, place: int) -> tuple[int, int]:
    """A number of variable length and the place behind it; -1 where there is none."""
    value = 0
    for shift in range(0, 70, 7):
        if place >= len(data):
            return -1, place
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
    return -1, place
