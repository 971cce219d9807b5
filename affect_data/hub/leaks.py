"""Looks through everything that is about to be published for what must stay here, and names the file and the field where it stands.

What must stay: absolute paths, the names of this user and this machine, tokens and keys, pickles, and, below tier full, pictures. A kind of file
that is not known is refused: what cannot be looked through is not published.
"""

import json
import re
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, AnyStr, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from affect_data.databases.base import Tier
from affect_data.errors import DataError
from affect_data.hub.leak_patterns import Pattern, Scope, patterns
from affect_data.hub.signatures import is_pickle, is_picture, words_of
from affect_data.hub.wire import leaves, records

SHOWN: Final = 20
CHUNK: Final = 1 << 20
OVERLAP: Final = 4096
UNKNOWN: Final = "a kind of file that is not looked through"


@dataclass(frozen=True, order=True)
class Leak:
    """Something that must not be published.

    Attributes:
        file: relative path.
        field: where in the file: a column, a key, a line.
        kind: what it is.
        found: an excerpt; of secrets only the beginning.
    """

    file: str
    field: str
    kind: str
    found: str

    def __str__(self) -> str:
        return f"{self.file}: {self.field}: {self.kind}: {self.found}"


class LeaksFoundError(DataError):
    """What is about to be published holds what must stay here."""

    def __init__(self, leaks: Sequence[Leak]) -> None:
        self.leaks = tuple(leaks)
        shown = "".join(f"\n  {leak}" for leak in self.leaks[:SHOWN])
        more = f"\n  ... and {len(leaks) - SHOWN:,} more" if len(leaks) > SHOWN else ""
        super().__init__(
            f"{len(leaks):,} place(s) hold what must not be published; nothing was uploaded:{shown}{more}\n"
            "Take it out where it comes from (a name of a teacher, a text of a card, a column), then run the same command again. "
            "Where a word of the data happens to be the name of this user, set LOGNAME to another."
        )


def find_leaks(
    folder: Path, tier: Tier, repository: str = "", *, user: str | None = None, host: str | None = None
) -> list[Leak]:
    """Everything in a folder that must not be published, by file.

    Args:
        folder: what is about to be published.
        tier: of it.
        repository: that it is published to; words of its name are no leak.
        user: name of the user; by default of who runs this.
        host: name of the machine; by default of this one.
    """
    scan = _Scan(tier, patterns(tier, repository, user, host))
    found: list[Leak] = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder).as_posix()
        found += [Leak(name, "its name", kind, excerpt) for kind, excerpt in scan.in_text(name)]
        found += [Leak(name, *leak) for leak in dict.fromkeys(scan.in_file(path))]
    return found


_Found = Iterator[tuple[str, str, str]]
"""Field, kind, excerpt."""


class _Scan:
    def __init__(self, tier: Tier, looked_for: list[Pattern]) -> None:
        self._tier = tier
        of_text = [pattern for pattern in looked_for if not pattern.binary]
        self._prose = [(pattern, re.compile(pattern.expression, re.MULTILINE)) for pattern in of_text]
        self._names = [(pattern, found) for pattern, found in self._prose if pattern.scope <= Scope.NAMES]
        as_bytes = [(pattern, re.compile(pattern.expression.encode(), re.MULTILINE)) for pattern in looked_for]
        self._raw = [(pattern, found) for pattern, found in as_bytes if pattern.scope is Scope.BYTES]
        self._in_pictures = [(pattern, found) for pattern, found in as_bytes if pattern.in_pictures]

    def in_text(self, text: str) -> Iterator[tuple[str, str]]:
        """Kind and excerpt of everything in a text that people read."""
        return _matches(self._prose, text)

    def in_file(self, path: Path) -> _Found:
        """Everything in a file, by what its name says that it is."""
        with path.open("rb") as file:
            head = file.read(CHUNK)
        if is_pickle(head):
            yield "its bytes", "pickle", path.name
            return
        reader = _READERS.get(path.suffix.lower()) or (_Scan._events if ".tfevents." in path.name else None)
        if reader is None and path.name == ".gitattributes":
            reader = _Scan._lines
        if reader is None or head.startswith(_PACKED):
            yield "its kind", UNKNOWN, path.suffix or path.name
            return
        try:
            yield from reader(self, path)
        except (ValueError, struct.error, pa.ArrowException) as error:
            yield "its content", UNKNOWN, f"{path.name}: {str(error).splitlines()[0][:80]}"

    def _lines(self, path: Path) -> _Found:
        text = path.read_text(encoding="utf-8")
        if "\0" in text:
            raise ValueError("it is no text")
        for number, line in enumerate(text.splitlines(), start=1):
            for kind, excerpt in self.in_text(line):
                yield f"line {number}", kind, excerpt

    def _json(self, path: Path) -> _Found:
        yield from self._values(_parsed(path.read_bytes()), "")

    def _json_lines(self, path: Path) -> _Found:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            yield from self._values(_parsed(line), f"line {number}: ")

    def _values(self, value: Any, field: str) -> _Found:  # noqa: ANN401 - what JSON can hold
        if isinstance(value, str):
            for kind, excerpt in self.in_text(value):
                yield field.removesuffix(".") or "its text", kind, excerpt
        elif isinstance(value, _Object):
            for key, inner in value:
                yield from ((f"a key of {field or 'it'}", *leak) for leak in self.in_text(key))
                yield from self._values(inner, f"{field}{key}.")
        elif isinstance(value, list):
            for place, inner in enumerate(value):
                yield from self._values(inner, f"{field.removesuffix('.')}[{place}].")

    def _safetensors(self, path: Path) -> _Found:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > path.stat().st_size:
                raise ValueError("it is no file of safetensors")
            yield from self._values(_parsed(file.read(length)), "header ")
        yield from self._raw_bytes(path, 8 + length)

    def _raw_bytes(self, path: Path, start: int = 0) -> _Found:
        size, place, before = path.stat().st_size, start, b""
        with path.open("rb") as file:
            file.seek(start)
            while part := file.read(CHUNK):
                window, first = before + part, place - len(before)
                place += len(part)
                # What begins in the last bytes is looked at together with the part after them, and with the byte before it.
                stop = len(window) - (OVERLAP if place < size else 0)
                for pattern, expression in self._raw:
                    for found in expression.finditer(window) if pattern.may_be_in(window) else ():
                        at = found.start("leak")
                        if (at > 0 or first == start) and at < stop:
                            yield f"byte {first + at:,}", pattern.kind, _excerpt(pattern, found["leak"])
                before = window[-OVERLAP - 1 :]

    def _graph(self, path: Path) -> _Found:
        yield from self._raw_bytes(path)
        yield from self._message(memoryview(path.read_bytes()), "")

    def _events(self, path: Path) -> _Found:
        yield from self._raw_bytes(path)
        for number, record in enumerate(records(memoryview(path.read_bytes()))):
            yield from self._message(record, f"event {number}, ")

    def _message(self, message: memoryview, before: str) -> _Found:
        """What only the strings of a message tell, as opposed to what is told from its bytes already."""
        for place, value in leaves(message):
            if is_pickle(bytes(value[:CHUNK])):
                yield f"{before}{place}", "pickle", f"{len(value):,} bytes"
            elif len(value) <= CHUNK and (text := _printable(bytes(value))):
                told = [leak for leak in self._names if leak[0].scope is not Scope.BYTES]
                yield from ((f"{before}{place}", *leak) for leak in _matches(told, text))

    def _parquet(self, path: Path) -> _Found:
        with pq.ParquetFile(path) as file:
            known = {**(file.metadata.metadata or {}), **(file.schema_arrow.metadata or {})}
            # Its content is the schema, which is looked through below.
            known.pop(b"ARROW:schema", None)
            for key, value in known.items():
                yield from self._metadata(f"metadata {key.decode(errors='replace')}", key, value)
            for field in file.schema_arrow:
                yield from self._field(field, f"column {field.name}")
            for group in range(file.num_row_groups):
                table = file.read_row_group(group)
                for name in table.column_names:
                    yield from self._column(table.column(name), f"column {name}")

    def _metadata(self, field: str, key: bytes, value: bytes) -> _Found:
        for text in (key, value):
            yield from ((field, *leak) for leak in self.in_text(text.decode(errors="replace")))

    def _field(self, field: pa.Field, name: str) -> _Found:
        """What the name of a column says, its metadata, and those of the columns in it."""
        yield from ((name, *leak) for leak in self.in_text(field.name))
        for key, value in (field.metadata or {}).items():
            yield from self._metadata(f"metadata of {name}", key, value)
        for place in range(field.type.num_fields):
            inner = field.type.field(place)
            yield from self._field(inner, f"{name}.{inner.name}")

    def _column(self, column: pa.ChunkedArray, field: str) -> _Found:
        kind = column.type
        if isinstance(kind, pa.BaseExtensionType):
            parts = [chunk.storage for chunk in column.chunks]
            yield from self._column(pa.chunked_array(parts, kind.storage_type), field)
        elif pa.types.is_dictionary(kind):
            yield from self._column(column.cast(kind.value_type), field)
        elif pa.types.is_struct(kind):
            for place, inner in enumerate(kind):
                parts = [chunk.field(place) for chunk in column.chunks]
                yield from self._column(pa.chunked_array(parts, inner.type), f"{field}.{inner.name}")
        elif pa.types.is_map(kind):
            for name, type_ in (("keys", kind.key_type), ("items", kind.item_type)):
                parts = [getattr(chunk, name) for chunk in column.chunks]
                yield from self._column(pa.chunked_array(parts, type_), field)
        elif _is_list(kind):
            if kind.value_type in (pa.uint8(), pa.int8()):
                yield from self._lists_of_bytes(column, field)
            elif not pa.types.is_primitive(kind.value_type):
                parts = [chunk.flatten() for chunk in column.chunks]
                yield from self._column(pa.chunked_array(parts, kind.value_type), field)
        elif kind in (pa.string(), pa.large_string(), pa.string_view()):
            yield from self._texts(column, field)
        elif kind in (pa.binary(), pa.large_binary(), pa.binary_view()) or pa.types.is_fixed_size_binary(kind):
            yield from self._binaries(column, field)
        elif not (pa.types.is_primitive(kind) or pa.types.is_decimal(kind) or pa.types.is_null(kind)):
            yield field, "a kind of column that is not looked through", str(kind)

    def _texts(self, column: pa.ChunkedArray, field: str) -> _Found:
        different = pc.unique(column.cast(pa.large_string()))
        for pattern, expression in self._prose:
            hits = pc.filter(different, pc.match_substring_regex(different, _for_re2(pattern.expression)))
            for text in hits.slice(0, SHOWN).to_pylist():
                found = expression.search(text)
                yield field, pattern.kind, _excerpt(pattern, found["leak"] if found else text)

    def _lists_of_bytes(self, column: pa.ChunkedArray, field: str) -> _Found:
        values = (None if row is None else bytes(number & 0xFF for number in row) for row in column.to_pylist())
        yield from self._values_of_bytes(values, field)

    def _binaries(self, column: pa.ChunkedArray, field: str) -> _Found:
        yield from self._values_of_bytes(column.to_pylist(), field)

    def _values_of_bytes(self, values: Iterable[bytes | None], field: str) -> _Found:
        for value in values:
            if value is None:
                continue
            if is_pickle(value):
                yield field, "pickle", f"{len(value):,} bytes"
                return
            picture = is_picture(value)
            if picture and self._tier is not Tier.FULL:
                yield field, "picture", f"{len(value):,} bytes"
                return
            # The words in a picture are its database's: only what is surely ours is looked for.
            looked_for, text = (self._in_pictures, words_of(value)) if picture else (self._raw, value)
            found = list(_matches(looked_for, text))
            yield from ((field, *leak) for leak in found)
            if found:
                return


class _Object(list[tuple[str, Any]]):
    """An object of JSON as its pairs, because the last of two equal keys would hide the first."""


def _parsed(text: str | bytes) -> Any:  # noqa: ANN401 - what JSON can hold
    return json.loads(text, object_pairs_hook=_Object)


_READERS: Final[dict[str, Callable[[_Scan, Path], _Found]]] = {
    ".json": _Scan._json,
    ".jsonl": _Scan._json_lines,
    ".md": _Scan._lines,
    ".yaml": _Scan._lines,
    ".txt": _Scan._lines,
    ".parquet": _Scan._parquet,
    ".safetensors": _Scan._safetensors,
    ".onnx": _Scan._graph,
}

_PACKED: Final = (b"PK\x03\x04", b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd")
"""How archives and compressed files begin."""


def _is_list(kind: pa.DataType) -> bool:
    tests = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    views = (pa.types.is_list_view, pa.types.is_large_list_view)
    return any(test(kind) for test in (*tests, *views))


def _matches(looked_for: Sequence[tuple[Pattern, re.Pattern[AnyStr]]], text: AnyStr) -> Iterator[tuple[str, str]]:
    for pattern, expression in looked_for:
        for found in expression.finditer(text):
            yield pattern.kind, _excerpt(pattern, found["leak"])


def _printable(data: bytes) -> str:
    """The bytes as text; empty if they are none."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return ""
    return text if text.replace("\n", "").replace("\t", "").isprintable() else ""


def _for_re2(expression: str) -> str:
    return "(?m)" + expression.replace("(?P<leak>", "(")


def _excerpt(pattern: Pattern, found: str | bytes) -> str:
    text = found.decode("latin-1") if isinstance(found, bytes) else found
    return f"{text[:6]}..." if pattern.secret else text[:120]
