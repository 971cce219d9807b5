"""The files beside an ONNX model that hold its tensors. The model names them and the runtime reads them, so the names are checked."""

import mmap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from affect_data.confinement import ConfinedFolder
from affect_train.labelling.teachers.base import TeacherError

_INSIDE: Final[Mapping[str, Mapping[int, str]]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: "entry"},
}
"""By message of onnx.proto, the fields that may hold a tensor, and the message in each; other fields hold none."""

_KEY: Final = 1
_VALUE: Final = 2
_DEPTH: Final = 200
_FIXED: Final = {1: 8, 5: 4}
"""Length in bytes of the wire types that have a fixed one."""


def external_files(file: Path) -> list[Path]:
    """The files that hold tensors of an ONNX model, sorted, each once; empty if the model holds all of them itself.

    Raises:
        TeacherError: the file is no ONNX model, or a named file is not there.
        OutsideError: a named file lies outside of the model's folder.
    """
    folder = ConfinedFolder(file.parent)
    names = _names(file)
    for name in names:
        because = folder.leaves(name)
        if because:
            raise TeacherError(file.name, f"its tensors are in '{name}', which {because}", "Export it again")
        if not (file.parent / name).is_file():
            raise TeacherError(
                file.name, f"its tensors are in '{name}', which does not exist", "Put the file beside it"
            )
    return [file.parent / name for name in names]


def _names(file: Path) -> list[str]:
    if not file.stat().st_size:
        raise TeacherError(file.name, "it is empty", "Export it again")
    with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as data:
        try:
            return sorted(set(_locations(data, 0, len(data), "model", 0)))
        except (IndexError, UnicodeDecodeError, ValueError) as error:
            raise TeacherError(file.name, f"it is no ONNX model ({error})", "Export it again") from error


def _locations(data: mmap.mmap, start: int, end: int, message: str, depth: int) -> Iterator[str]:
    """The entry ``location`` of every tensor in a message; everything else is skipped."""
    if depth > _DEPTH:
        raise ValueError("its parts stand too deep in one another")
    for field, place, stop in _fields(data, start, end):
        kind = _INSIDE[message].get(field)
        if kind == "entry":
            entry = {number: data[first:last] for number, first, last in _fields(data, place, stop)}
            if entry.get(_KEY) == b"location":
                yield entry.get(_VALUE, b"").decode("utf-8")
        elif kind is not None:
            yield from _locations(data, place, stop, kind, depth + 1)


def _fields(data: mmap.mmap, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """The fields of a message that have a length: number, first byte, and the byte after the last."""
    place = start
    while place < end:
        tag, place = _number(data, place, end)
        wire = tag & 7
        if wire == 0:
            _, place = _number(data, place, end)
        elif wire in _FIXED:
            place += _FIXED[wire]
        elif wire == 2:
            length, place = _number(data, place, end)
            if length > end - place:
                raise ValueError("a part is cut short")
            yield tag >> 3, place, place + length
            place += length
        else:
            raise ValueError(f"a part of the unknown kind {wire}")
    if place > end:
        raise ValueError("a part is cut short")


def _number(data: mmap.mmap, place: int, end: int) -> tuple[int, int]:
    """A number of variable length, and the place after it."""
    value = 0
    for shift in range(0, 70, 7):
        if place >= end:
            raise ValueError("a part is cut short")
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
    raise ValueError("a number without end")
