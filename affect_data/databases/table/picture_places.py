"""Where the pictures lie that a table names."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

ENDINGS: Final = ("", ".jpg", ".jpeg", ".png", ".JPG", ".bmp")
MOST_FOLDERS: Final = 2_000
"""So many folders are looked at; a copy of a large database has more, but its pictures are not only in the last."""
DEEPEST: Final = 3


def picture_place(root: Path, names: Sequence[str]) -> tuple[str, str] | None:
    """The folder, relative to the root, and the ending with which most of some names are files; None if no folder has any.

    Args:
        root: of the table.
        names: a few, as the table writes them.
    """
    best, most = None, 0
    for folder in _folders(root):
        for ending in ENDINGS:
            there = sum((root / folder / f"{name}{ending}").is_file() for name in names)
            if there > most:
                best, most = (folder, ending), there
        if most == len(names):
            break
    return best


def _folders(root: Path) -> Iterator[str]:
    """The root as "", then the folders below it, level by level, hidden ones left out."""
    level, seen = [""], 0
    for _ in range(DEEPEST + 1):
        below = []
        for folder in level:
            yield folder
            seen += 1
            if seen == MOST_FOLDERS:
                return
            with os.scandir(root / folder) as entries:
                found = sorted(one.name for one in entries if one.is_dir() and not one.name.startswith("."))
            below += [f"{folder}/{name}" if folder else name for name in found]
        level = below
