"""Looks through everything that is about to be published for what must stay here, and names the file and the field where it stands.

What must stay: absolute paths, the names of this user and this machine, tokens and keys, pickles, and, below tier full, pictures. A kind of file
that is not known is refused: what cannot be looked through is not published.
"""

import getpass
import json
import re
import socket
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from affect_data.databases.base import Tier
from affect_data.errors import DataError

SHOWN: Final = 20
CHUNK: Final = 1 << 20
OVERLAP: Final = 4096

_ROOTS: Final = "home|Users|root|tmp|var|mnt|data|media|opt|srv|scratch|work|workspace|private|Volumes"
_SHORT: Final = 4
COMMON: Final = frozenset(
    {"root", "user", "admin", "data", "test", "train", "ubuntu", "runner", "docker", "localhost", "build", "default"}
)
"""Names of users and machines that say nothing, and that stand in any text."""


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


@dataclass(frozen=True)
class Pattern:
    """What a leak looks like in text.

    Attributes:
        kind: as reports call it.
        expression: regular expression that Python and RE2 read alike; the leak is its group ``leak``.
        in_bytes: whether it is safe to look for between arbitrary bytes.
        secret: whether what was found is not to be shown.
    """

    kind: str
    expression: str
    in_bytes: bool = True
    secret: bool = False


def patterns(tier: Tier, repository: str = "", user: str | None = None, host: str | None = None) -> list[Pattern]:
    """What is looked for in text.

    Args:
        tier: that is to be published.
        repository: its name, whose words are no secret: many people are called the same here and on the Hub.
        user: name of the user; by default of who runs this.
        host: name of the machine; by default of this one.
    """
    found = [
        Pattern("absolute path", rf"(?:^|[^\w/.:<~-])(?P<leak>/(?:{_ROOTS})/[\w.~-]+(?:/[\w.~-]+)*)"),
        Pattern("absolute path", r"(?:^|[^\w/.:<~-])(?P<leak>/(?:[\w.~-]+/)+[\w.~-]+)", in_bytes=False),
        Pattern("absolute path", r"(?:^|\W)(?P<leak>(?:[A-Za-z]:\\|\\\\)[\w.$ -]+\\[\w.$ \\-]+)", in_bytes=False),
        Pattern("absolute path", r"(?P<leak>file://[^\s\"']+)"),
        Pattern("home folder", r"(?:^|\s|[\"'(=])(?P<leak>~\w*/[\w.-]+)", in_bytes=False),
        Pattern("token", r"(?:^|\W)(?P<leak>hf_[A-Za-z0-9]{16,})", secret=True),
        Pattern(
            "token", r"(?:^|\W)(?P<leak>(?:sk|ghp|gho|github_pat|glpat|xox[bp])[-_][A-Za-z0-9_-]{16,})", secret=True
        ),
        Pattern("token", r"(?:^|\W)(?P<leak>AKIA[0-9A-Z]{16})", secret=True),
        Pattern("private key", r"(?P<leak>-----BEGIN [A-Z ]*PRIVATE KEY-----)", secret=True),
    ]
    known = {*COMMON, *re.split(r"\W+", repository.lower()), *repository.lower().split("/")}
    for kind, name in (("name of this user", user or _user()), ("name of this machine", host or socket.gethostname())):
        words = dict.fromkeys((name, name.partition(".")[0]))
        telling = [word for word in words if len(word) >= _SHORT and word.lower() not in known]
        found += [Pattern(kind, rf"(?:^|\W)(?P<leak>{re.escape(word)})(?:$|\W)", in_bytes=False) for word in telling]
    if tier is not Tier.FULL:
        found.append(Pattern("picture", r"(?P<leak>data:image/|/9j/4AAQSkZJRg|iVBORw0KGgo)", in_bytes=False))
    return found


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
        self._patterns = looked_for
        self._compiled = [(pattern, re.compile(pattern.expression, re.MULTILINE)) for pattern in looked_for]
        self._raw = [
            (pattern, re.compile(pattern.expression.encode(), re.MULTILINE))
            for pattern in looked_for
            if pattern.in_bytes
        ]

    def in_text(self, text: str) -> Iterator[tuple[str, str]]:
        """Kind and excerpt of everything in a text."""
        for pattern, expression in self._compiled:
            for found in expression.finditer(text):
                yield pattern.kind, _excerpt(pattern, found["leak"])

    def in_file(self, path: Path) -> _Found:
        """Everything in a file, by what its name says that it is."""
        with path.open("rb") as file:
            head = file.read(CHUNK)
        if _is_pickle(head):
            yield "its bytes", "pickle", path.name
            return
        reader = _READERS.get(path.suffix.lower()) or (_Scan._raw_bytes if ".tfevents." in path.name else None)
        if reader is None and path.name == ".gitattributes":
            reader = _Scan._lines
        if reader is None:
            yield "its kind", "a kind of file that is not looked through", path.suffix or path.name
            return
        yield from reader(self, path)

    def _lines(self, path: Path) -> _Found:
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
            for kind, excerpt in self.in_text(line):
                yield f"line {number}", kind, excerpt

    def _json(self, path: Path) -> _Found:
        yield from self._values(json.loads(path.read_text(encoding="utf-8")), "")

    def _json_lines(self, path: Path) -> _Found:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            yield from self._values(json.loads(line), f"line {number}: ")

    def _values(self, value: Any, field: str) -> _Found:  # noqa: ANN401 - what JSON can hold
        if isinstance(value, str):
            for kind, excerpt in self.in_text(value):
                yield field.removesuffix(".") or "its text", kind, excerpt
        elif isinstance(value, dict):
            for key, inner in value.items():
                yield from ((f"a key of {field or 'it'}", *leak) for leak in self.in_text(str(key)))
                yield from self._values(inner, f"{field}{key}.")
        elif isinstance(value, list):
            for place, inner in enumerate(value):
                yield from self._values(inner, f"{field.removesuffix('.')}[{place}].")

    def _safetensors(self, path: Path) -> _Found:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            yield from self._values(json.loads(file.read(length)), "header ")

    def _raw_bytes(self, path: Path) -> _Found:
        size, place, before = path.stat().st_size, 0, b""
        with path.open("rb") as file:
            while part := file.read(CHUNK):
                window, start = before + part, place - len(before)
                place += len(part)
                # What begins in the last bytes is looked at together with the part after them, and with the byte before it.
                stop = len(window) - (OVERLAP if place < size else 0)
                for pattern, expression in self._raw:
                    for found in expression.finditer(window):
                        at = found.start("leak")
                        if (at > 0 or not start) and at < stop:
                            yield (
                                f"byte {start + at:,}",
                                pattern.kind,
                                _excerpt(pattern, found["leak"].decode("latin-1")),
                            )
                before = window[-OVERLAP - 1 :]

    def _parquet(self, path: Path) -> _Found:
        with pq.ParquetFile(path) as file:
            for key, value in (file.schema_arrow.metadata or {}).items():
                yield from (
                    (f"metadata {key.decode()}", *leak) for leak in self.in_text(value.decode(errors="replace"))
                )
            for field in file.schema_arrow:
                yield from ((f"column {field.name}", *leak) for leak in self.in_text(field.name))
            for group in range(file.num_row_groups):
                table = file.read_row_group(group)
                for name in table.column_names:
                    yield from self._column(table.column(name), f"column {name}")

    def _column(self, column: pa.ChunkedArray, field: str) -> _Found:
        kind = column.type
        if pa.types.is_struct(kind):
            for place, inner in enumerate(kind):
                parts = [chunk.field(place) for chunk in column.chunks]
                yield from self._column(pa.chunked_array(parts, inner.type), f"{field}.{inner.name}")
        elif pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
            if not pa.types.is_primitive(kind.value_type):
                yield from self._column(
                    pa.chunked_array([chunk.flatten() for chunk in column.chunks], kind.value_type), field
                )
        elif pa.types.is_string(kind) or pa.types.is_large_string(kind):
            yield from self._texts(column, field)
        elif pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
            yield from self._binaries(column, field)

    def _texts(self, column: pa.ChunkedArray, field: str) -> _Found:
        different = pc.unique(column)
        for pattern, expression in self._compiled:
            hits = pc.filter(different, pc.match_substring_regex(different, _for_re2(pattern.expression)))
            for text in hits.slice(0, SHOWN).to_pylist():
                found = expression.search(text)
                yield field, pattern.kind, _excerpt(pattern, found["leak"] if found else text)

    def _binaries(self, column: pa.ChunkedArray, field: str) -> _Found:
        for value in column.to_pylist():
            if value is not None and _is_pickle(value):
                yield field, "pickle", f"{len(value):,} bytes"
                return
            if value is not None and self._tier is not Tier.FULL and _is_picture(value):
                yield field, "picture", f"{len(value):,} bytes"
                return


_READERS: Final[dict[str, Callable[[_Scan, Path], _Found]]] = {
    ".json": _Scan._json,
    ".jsonl": _Scan._json_lines,
    ".md": _Scan._lines,
    ".yaml": _Scan._lines,
    ".txt": _Scan._lines,
    ".parquet": _Scan._parquet,
    ".safetensors": _Scan._safetensors,
    ".onnx": _Scan._raw_bytes,
}

_PICTURES: Final = (b"\xff\xd8\xff", b"\x89PNG\r\n", b"GIF8", b"BM", b"II*\0", b"MM\0*")


def _is_picture(data: bytes) -> bool:
    return data.startswith(_PICTURES) or (data[:4] == b"RIFF" and data[8:12] == b"WEBP")


def _is_pickle(data: bytes) -> bool:
    """Whether bytes begin as a pickle of protocol 2 or later does, or as the archive that torch writes around one."""
    return (len(data) > 2 and data[0] == 0x80 and data[1] in range(2, 6)) or (data[:2] == b"PK" and b"data.pkl" in data)


def _for_re2(expression: str) -> str:
    return "(?m)" + expression.replace("(?P<leak>", "(")


def _excerpt(pattern: Pattern, found: str) -> str:
    return f"{found[:6]}..." if pattern.secret else found[:120]


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        # A process whose user has no name in this system, as in a container.
        return ""
