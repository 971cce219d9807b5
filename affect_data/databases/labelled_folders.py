"""Files whose class is the name of their folder, for databases that have no list of labels."""

from collections.abc import Collection
from typing import Final

import polars as pl

from affect_data.databases.class_folders import named_class
from affect_data.databases.facts import NativeValue
from affect_data.databases.root import DatabaseRoot

SEVEN: Final = (
    NativeValue("folder", "Angry", "anger"),
    NativeValue("folder", "Disgust", "disgust"),
    NativeValue("folder", "Fear", "fear"),
    NativeValue("folder", "Happy", "happiness"),
    NativeValue("folder", "Neutral", "neutral"),
    NativeValue("folder", "Sad", "sadness"),
    NativeValue("folder", "Surprise", "surprise"),
)
"""The class folders of AFEW and SFEW."""


def files_by_class(
    root: DatabaseRoot, folder: str, expressions: Collection[str], endings: tuple[str, ...], known: Collection[str] = ()
) -> pl.DataFrame:
    """A row for each file in the class folders inside a folder: file (its path), expression, source_file (the file itself), source_line.

    A class without a folder is a loss, a folder that is called after no class is noted, and so are files with another ending.

    Args:
        root: of the database.
        folder: that holds the class folders, relative to the root.
        expressions: of the database; folders have their names or aliases, such as ``Happy``.
        endings: of the files, in lower case.
        known: other names that the folder officially holds, in lower case.
    """
    folders = {name: named_class(name) for name in sorted(root.entries(folder)) if not name.startswith(".")}
    there = {name: expression for name, expression in folders.items() if expression in expressions}
    if absent := sorted(set(expressions) - set(there.values())):
        root.lose(f"no folder of {', '.join(absent)} in {folder}")
    other = [name for name in folders if name not in there and name.lower() not in known]
    found, left = [], []
    for name, expression in there.items():
        files = [file for file in sorted(root.entries(f"{folder}/{name}")) if not file.startswith(".")]
        found += [(f"{folder}/{name}/{file}", expression) for file in files if file.lower().endswith(endings)]
        left += [f"{name}/{file}" for file in files if not file.lower().endswith(endings)]
    if unread := other + left:
        root.note(f"{len(unread):,} file(s) or folder(s) in {folder} are not read, such as {unread[0]}")
    rows = pl.DataFrame(found, schema={"file": pl.String, "expression": pl.String}, orient="row")
    return root.drop_excluded(rows.with_columns(source_file="file", source_line=pl.lit(1, dtype=pl.Int32)))
