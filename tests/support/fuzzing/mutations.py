"""What may happen to a copy of a database: each mutation changes one file or folder, and says which lines of labels may change by it.

A mutation is a function of the folder, a path in it and a source of randomness, so that a finding is a short list of names and numbers.
"""

import io
import pickle
import random
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

SECRET: Final = "9,9,secret\n"
"""What stands in the files outside of the root, which no reader may open."""

WHOLE: Final = -1
"""Any line of the file may be another."""


@dataclass(frozen=True)
class Change:
    """What a mutation did.

    Attributes:
        path: of the file or folder, relative to the root.
        line: the only line whose labels may be others, from 1; `WHOLE` for any.
    """

    path: str
    line: int = WHOLE


Mutation = Callable[[Path, str, random.Random], Change]

FIELDS: Final = (
    "", " ", "-1", "9", "0", "1", "7", "nan", "inf", "-inf", "1e400", "2147483648", "9" * 400, "1e-400", "0x10", "1_0", "+1", "-0.0", "٣", "½",
    "NULL", "None", "true", "../../secret.csv", "../secret.csv", "/etc/hostname", "C:\\x.jpg", "a\u0000b", "é", "\ufeff", "\u2028", "'", '"', '""""',
    "a" * 5000, "%s", "{0}", "{name}", "$(true)", "=1+1", "<b>", "\t", ",", ";", "|", "0001.jpg",
)  # fmt: skip
"""What a field may become."""


def own(path: Path) -> Path:
    """The file, no longer shared with the original."""
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(data)
    return path


def _lines(root: Path, path: str) -> list[bytes]:
    return (root / path).read_bytes().split(b"\n")


def _rewrite(root: Path, path: str, data: bytes) -> Change:
    (root / path).unlink()
    (root / path).write_bytes(data)
    return Change(path)


def flipped_bit(root: Path, path: str, rng: random.Random) -> Change:
    """One bit of the file is another."""
    data = bytearray((root / path).read_bytes())
    if not data:
        return Change(path)
    place = rng.randrange(min(len(data), 4096) if rng.random() < 0.7 else len(data))
    line = data[:place].count(b"\n") + 1
    before = data[place]
    data[place] ^= 1 << rng.randrange(8)
    _rewrite(root, path, bytes(data))
    return Change(path, WHOLE if 10 in (before, data[place]) or line == 1 else line)


def cut(root: Path, path: str, rng: random.Random) -> Change:
    """The file ends early, as a download that was broken off."""
    data = (root / path).read_bytes()
    return _rewrite(root, path, data[: rng.randrange(len(data) + 1)])


def emptied(root: Path, path: str, rng: random.Random) -> Change:
    """The file has no byte, or only line ends."""
    return _rewrite(root, path, rng.choice([b"", b"\n", b"\n\n\n", b" \n"]))


def another_field(root: Path, path: str, rng: random.Random) -> Change:
    """One field of one line is something else."""
    lines = _lines(root, path)
    number = rng.randrange(len(lines))
    separator = max((b",", b" ", b"\t", b"+", b":"), key=lines[number].count)
    fields = lines[number].split(separator)
    fields[rng.randrange(len(fields))] = rng.choice(FIELDS).encode()
    lines[number] = separator.join(fields)
    _rewrite(root, path, b"\n".join(lines))
    return Change(path, number + 1 if number else WHOLE)


def without_a_line(root: Path, path: str, rng: random.Random) -> Change:
    """One line is gone."""
    lines = _lines(root, path)
    del lines[rng.randrange(len(lines))]
    return _rewrite(root, path, b"\n".join(lines))


def a_line_twice(root: Path, path: str, rng: random.Random) -> Change:
    """One line stands twice, next to each other or far apart."""
    lines = _lines(root, path)
    number = rng.randrange(len(lines))
    lines.insert(rng.choice([number, len(lines)]), lines[number])
    return _rewrite(root, path, b"\n".join(lines))


def swapped_lines(root: Path, path: str, rng: random.Random) -> Change:
    """Two lines have changed places."""
    lines = _lines(root, path)
    one, other = (rng.randrange(len(lines)) for _ in range(2))
    lines[one], lines[other] = lines[other], lines[one]
    return _rewrite(root, path, b"\n".join(lines))


def _by_column(root: Path, path: str, change: Callable[[list[bytes]], list[bytes]]) -> Change:
    lines = _lines(root, path)
    separator = max((b",", b" ", b"\t"), key=lambda sign: sum(line.count(sign) for line in lines[:20]))
    return _rewrite(root, path, b"\n".join(separator.join(change(line.split(separator))) for line in lines))


def swapped_columns(root: Path, path: str, rng: random.Random) -> Change:
    """Two columns have changed places in every line, headers with them."""
    one, other = rng.randrange(6), rng.randrange(6)

    def change(fields: list[bytes]) -> list[bytes]:
        if max(one, other) < len(fields):
            fields[one], fields[other] = fields[other], fields[one]
        return fields

    return _by_column(root, path, change)


def without_a_column(root: Path, path: str, rng: random.Random) -> Change:
    """One column is gone."""
    gone = rng.randrange(6)
    return _by_column(root, path, lambda fields: fields[:gone] + fields[gone + 1 :])


def other_line_ends(root: Path, path: str, rng: random.Random) -> Change:
    """The lines end as on Windows or on old Macs."""
    return _rewrite(
        root, path, (root / path).read_bytes().replace(b"\n", rng.choice([b"\r\n", b"\r", b"\n\r", b"\r\r\n"]))
    )


def other_encoding(root: Path, path: str, rng: random.Random) -> Change:
    """The text has a byte-order mark, or another encoding."""
    text = (root / path).read_bytes().decode("utf-8", "replace")
    return _rewrite(root, path, text.encode(rng.choice(["utf-8-sig", "utf-16", "utf-16-le", "utf-32", "utf-7"])))


def renamed(root: Path, path: str, rng: random.Random) -> Change:
    """The file, or a folder above it, has another name."""
    parts = Path(path).parts
    depth = rng.randrange(len(parts)) + 1
    found = root.joinpath(*parts[:depth])
    new = rng.choice(
        [
            found.name.upper(),
            f"{found.name} (1)",
            f"{found.name}.bak",
            f".{found.name}",
            found.name[:-1] or "x",
            f"{found.name}\n",
        ]
    )
    if not found.with_name(new).exists():
        found.rename(found.with_name(new))
    return Change(Path(*parts[:depth]).as_posix())


def removed(root: Path, path: str, rng: random.Random) -> Change:
    """The file is gone."""
    (root / path).unlink()
    return Change(path)


def one_folder_deeper(root: Path, path: str, rng: random.Random) -> Change:
    """The folder of the file holds itself, as archives do that were unpacked twice."""
    parts = Path(path).parts
    if len(parts) < 2:
        return Change(path)
    top = root / parts[0]
    inner = root / "unpacking"
    top.rename(inner)
    top.mkdir()
    inner.rename(top / parts[0])
    return Change(parts[0])


def folder_in_its_place(root: Path, path: str, rng: random.Random) -> Change:
    """A folder has the file's name."""
    (root / path).unlink()
    (root / path).mkdir()
    return Change(path)


def link_out(root: Path, path: str, rng: random.Random) -> Change:
    """The file is a symbolic link to one outside of the root, to itself, or to nothing."""
    (root / path).unlink()
    target = rng.choice([root.parent / "secret.csv", root / path, Path("/nowhere/at/all")])
    (root / path).symlink_to(target)
    return Change(path)


def linked_folder(root: Path, path: str, rng: random.Random) -> Change:
    """The folder of the file is a symbolic link that leads out, or up in a circle."""
    parts = Path(path).parts
    if len(parts) < 2:
        return Change(path)
    folder = root.joinpath(*parts[: rng.randrange(1, len(parts))])
    shutil.rmtree(folder)
    folder.symlink_to(rng.choice([root.parent / "elsewhere", root]))
    return Change(folder.relative_to(root).as_posix())


def strange_array(root: Path, path: str, rng: random.Random) -> Change:
    """The file begins like a numpy array: pickled, of a size that no machine has, or of texts."""
    header = "{'descr': '%s', 'fortran_order': False, 'shape': (%s), }"
    kind, shape = rng.choice([("|O", "1,"), ("<f8", "99999999999,"), ("<U9", "3,"), ("<f4", ""), ("<c16", "1,")])
    text = (header % (kind, shape)).ljust(117) + "\n"
    return _rewrite(root, path, b"\x93NUMPY\x01\x00\x76\x00" + text.encode() + pickle.dumps(["text"]))


def bomb(root: Path, path: str, rng: random.Random) -> Change:
    """The file is an archive or a text that grows when it is read: a workbook of a gigabyte, nested brackets, entities."""
    which = rng.randrange(3)
    if which == 0:
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("xl/worksheets/sheet1.xml", b"<row/>" * 2_000_000)
            archive.writestr("[Content_Types].xml", b"<Types/>")
        return _rewrite(root, path, packed.getvalue())
    nested = b'{"frames":' * 100_000 if which == 1 else b'<!DOCTYPE a [<!ENTITY b "c"><!ENTITY d "&b;&b;">]><a>&d;</a>'
    return _rewrite(root, path, nested)


def damaged_archive(root: Path, path: str, rng: random.Random) -> Change:
    """One byte of a part of a workbook is another, and the archive is whole again; other files lose a bit."""
    try:
        with zipfile.ZipFile(root / path) as archive:
            parts = {name: bytearray(archive.read(name)) for name in archive.namelist()}
    except Exception:  # an archive that is damaged already fails in many ways
        return flipped_bit(root, path, rng)
    data = parts[rng.choice(sorted(parts))]
    data[rng.randrange(len(data))] = rng.randrange(256)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, bytes(content))
    return _rewrite(root, path, packed.getvalue())


MUTATIONS: Final[dict[str, Mutation]] = {
    mutation.__name__: mutation
    for mutation in (
        flipped_bit, cut, emptied, another_field, without_a_line, a_line_twice, swapped_lines, swapped_columns, without_a_column, other_line_ends,
        other_encoding, renamed, removed, one_folder_deeper, folder_in_its_place, link_out, linked_folder, strange_array, bomb, damaged_archive,
    )
}  # fmt: skip
"""All mutations by their names, which seeds are made of."""

MOVING: Final = frozenset(
    {
        "without_a_line",
        "a_line_twice",
        "swapped_lines",
        "cut",
        "swapped_columns",
        "without_a_column",
        "renamed",
        "removed",
    }
)
"""Mutations after which the same labels may stand in other lines, or be gone."""
