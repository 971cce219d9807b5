"""Help with wrong roots: what the folder holds instead, and what to type."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from affect_data.databases.registry import DATABASES, canonical, plain
from affect_data.databases.root import DatabaseRoot

ARCHIVES: Final = (".zip", ".7z", ".rar", ".tar", ".tgz", ".gz", ".xz", ".bz2", ".001")
FOLDERS_TRIED: Final = 200
NAMES_SHOWN: Final = 8


def remedy(name: str, path: Path, others: Mapping[str, Path]) -> str:
    """What to type instead of a root in which a database was not found; empty if nothing better is found nearby.

    Args:
        name: of the database.
        path: the root that was named.
        others: the roots of the other databases.
    """
    swapped = next((other for other, root in others.items() if other != name and looks_like(name, root)), None)
    if path.is_file():
        return f"'{path.name}' is an archive: unpack it, and name the folder." if _is_archive(path.name) else ""
    if not path.is_dir():
        near = _near(name, path)
        return f"There is '{near}': {option(name, near)}" if near else _other_root(name, swapped, others)
    others_here = [other for other in DATABASES if other != name and looks_like(other, path)]
    if others_here and not looks_like(name, path):
        other = others_here[0]
        if swapped is not None:
            also = "; the two roots are swapped" if swapped == other else ""
            pair = f"{option(name, others[swapped])} {option(other, path)}"
            return f"It looks like {_titled(other)}, and '{others[swapped]}' like {_titled(name)}{also}: {pair}"
        return f"It looks like {_titled(other)}, which {option(other, path)} would read."
    if looks_like(name, path):
        return ""
    first = _folders(path)
    second = (inner for folder in first for inner in _folders(folder))
    for where, places in (("below", first), ("below", second), ("above", path.absolute().parents[:2])):
        fitting = [place for place in places if looks_like(name, place)]
        if fitting:
            more = f", and so do {len(fitting) - 1} more" if len(fitting) > 1 else ""
            return f"The folder '{fitting[0]}' {where} it looks like {_titled(name)}{more}: {option(name, fitting[0])}"
    if archives := sorted(entry for entry in DatabaseRoot(path).entries() if _is_archive(entry)):
        return f"It holds archives that are not unpacked ({_shown(archives)}): unpack them there."
    return _other_root(name, swapped, others)


def holdings(path: Path) -> str:
    """A sentence with the first names in a folder, or in the nearest existing folder above it."""
    place = next((folder for folder in (path, *path.absolute().parents) if folder.is_dir()), None)
    names = sorted(DatabaseRoot(place).entries()) if place is not None else []
    return f"'{place}' holds {_shown(names)}." if names else ""


def option(name: str, path: Path) -> str:
    """The command-line option that names a root."""
    return f"--root {name}={path}"


def recognised(path: Path) -> list[str]:
    """The databases that a folder looks like, judged by their readers. Of several, the one that the folder is named after counts alone."""
    alike = [name for name in DATABASES if looks_like(name, path)]
    named = canonical(path.resolve().name)
    return [named] if named in alike else alike


def recognised_below(path: Path) -> tuple[dict[Path, list[str]], list[Path]]:
    """Folders inside another, at most two levels down, with the databases that each looks like; and those of the first level that hold none."""
    found: dict[Path, list[str]] = {}
    others = []
    for first in _folders(path):
        here = {first: recognised(first)}
        if not here[first]:
            here = {second: recognised(second) for second in _folders(first)}
        fitting = {folder: names for folder, names in here.items() if names}
        found |= fitting
        if not fitting:
            others.append(first)
    return found, others


def looks_like(name: str, path: Path) -> bool:
    """Whether a folder looks like that of a database, judged by its reader."""
    return name in DATABASES and path.is_dir() and DATABASES[name]().recognises(DatabaseRoot(path))


def _titled(name: str) -> str:
    return f"{DATABASES[name].title} ({name})" if name in DATABASES else f"'{name}'"


def _other_root(name: str, swapped: str | None, others: Mapping[str, Path]) -> str:
    if swapped is None:
        return ""
    return f"The root of {swapped}, '{others[swapped]}', looks like {_titled(name)}: {option(name, others[swapped])}"


def _near(name: str, path: Path) -> Path | None:
    """A folder beside a path with another spelling, or with another name of the database."""
    beside = path.parent if path.parent.is_dir() else None
    names = sorted(DatabaseRoot(beside).entries()) if beside is not None else []
    alike = [entry for entry in names if plain(entry) == plain(path.name)] or [n for n in names if canonical(n) == name]
    folders = [path.parent / entry for entry in alike if (path.parent / entry).is_dir()]
    return folders[0] if folders else None


def _folders(path: Path) -> list[Path]:
    """The folders directly inside another: at most `FOLDERS_TRIED`, without hidden ones."""
    folders = (path / name for name in sorted(DatabaseRoot(path).entries()) if not name.startswith("."))
    return [folder for folder in folders if folder.is_dir()][:FOLDERS_TRIED]


def _is_archive(name: str) -> bool:
    return name.lower().endswith(ARCHIVES)


def _shown(names: list[str]) -> str:
    more = f" and {len(names) - NAMES_SHOWN:,} more" if len(names) > NAMES_SHOWN else ""
    return ", ".join(names[:NAMES_SHOWN]) + more
