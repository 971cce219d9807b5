"""Lists class folders as a table: the picture, the class that its folder is called after, and the split of the folder above."""

import re
from typing import Final

import polars as pl

from affect_data.databases.root import DatabaseRoot
from affect_data.databases.table.columns import CLASS, SPLIT_ALIASES
from affect_data.databases.table.tables import SPLIT, Table

PICTURES: Final = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
NUMBERED: Final = re.compile(r"\d+[ _.-]+(.+)")
"""A name with its number before it, as in ``1_happy``."""


def list_class_folders(root: DatabaseRoot, folder: str) -> Table:
    """A row for each picture in the class folders; the picture itself is its source.

    Files beside the folders, and pictures in a folder of splits, are noted, because nothing is read of them.

    Args:
        root: of the database.
        folder: that holds the class folders, or folders of splits that do; ``.`` is the root.
    """
    above = "" if folder in (".", "./") else folder.strip("/")
    found: list[tuple[str, str, str | None]] = []
    unread: list[str] = []
    for name, path in _folders(root, above):
        split = SPLIT_ALIASES.get(name.lower())
        if split is None:
            found += _pictures(root, path, name, None, unread)
            continue
        for inner, below in _folders(root, path):
            found += _pictures(root, below, inner, split, unread)
        unread += [f"{path}/{entry}" for entry in sorted(root.entries(path)) if entry.lower().endswith(PICTURES)]
    unread += [_joined(above, entry) for entry in sorted(root.entries(above)) if entry.lower().endswith(PICTURES)]
    if unread:
        root.note(f"{len(unread):,} files in and beside class folders are not read, such as {unread[0]}")
    schema = {"image": pl.String, CLASS: pl.String, SPLIT: pl.String}
    rows = pl.DataFrame(found, schema=schema, orient="row")
    if not rows[SPLIT].null_count() < len(rows):
        rows = rows.drop(SPLIT)
    rows = rows.with_columns(source_file=pl.col("image"), source_line=pl.lit(1, dtype=pl.Int32))
    return Table(root.drop_excluded(rows), ())


def class_of(folder: str) -> str:
    """The class that a folder is called after, without a number before it."""
    numbered = NUMBERED.fullmatch(folder)
    return numbered[1] if numbered else folder


def _pictures(
    root: DatabaseRoot, path: str, name: str, split: str | None, unread: list[str]
) -> list[tuple[str, str, str | None]]:
    entries = sorted(root.entries(path))
    unread += [f"{path}/{entry}" for entry in entries if not entry.lower().endswith(PICTURES)]
    return [(f"{path}/{entry}", class_of(name), split) for entry in entries if entry.lower().endswith(PICTURES)]


def _folders(root: DatabaseRoot, above: str) -> list[tuple[str, str]]:
    """The folders inside another, without hidden ones: name and path."""
    names = (name for name in sorted(root.entries(above)) if not name.startswith((".", "__MACOSX")))
    return [(name, path) for name in names if (root.path / (path := _joined(above, name))).is_dir()]


def _joined(above: str, name: str) -> str:
    return f"{above}/{name}" if above else name
