"""Reads the lists of action units that RAF-AU and RAF-CE have: a picture in a line, and its action units joined by plus signs."""

from collections.abc import Collection
from typing import Final

import polars as pl

from affect_data.databases.action_unit_columns import NOT_CODED, SIDE_OF, action_unit_columns
from affect_data.databases.action_unit_strings import Coding, read_codes
from affect_data.databases.facts import ABSENT, PRESENT, NativeValue
from affect_data.databases.root import DatabaseRoot

NOTHING: Final = "null"
TOKEN: Final = r"(?:[LRTBlrtb]{0,2}\d{1,2}[LR]?|AD\d{1,2})"
LINE: Final = rf"^\d{{4}}\.jpg (?:{NOTHING}|{TOKEN}(?:\+{TOKEN})*)$"


def list_mapping(action_units: Collection[int]) -> tuple[NativeValue, ...]:
    """What becomes of the codes of such a list, as a table.

    Args:
        action_units: the coded ones.
    """
    return (
        NativeValue("action units", NOTHING, "every coded action unit absent"),
        NativeValue("action units", ", ".join(map(str, action_units)), PRESENT),
        NativeValue("action units", "a coded action unit that is not listed", ABSENT),
        NativeValue("action units", "AD19, a number that is not coded", masked=NOT_CODED),
        *(NativeValue("side", letters, side) for letters, side in SIDE_OF.items()),
        NativeValue("side", "letters of another kind, such as BL", masked="two kinds of sides"),
    )


def listed_action_units(root: DatabaseRoot, listed: str, action_units: Collection[int]) -> pl.DataFrame:
    """A row for each line: source_file, source_line, picture, tokens (the action units as text), au_*, side_* and au_masked.

    Lines of another form, and a second line of a picture, are defects.

    Args:
        root: of the database.
        listed: path of the list.
        action_units: the coded ones; others are counted as masked.
    """
    # Not by a separator: some lines end in one.
    faces = root.table(listed, ("line",), separator="\n")
    line = pl.col("line").str.strip_chars().str.replace_all(r"\s+", " ").str.replace_all(r"(\d)\.0+\b", "$1")
    faces = faces.with_columns(line)
    root.refuse_empty(listed, faces, "no face", "one line for each face")
    expected = f"a picture and its action units, such as 0003.jpg L12+24, or {NOTHING}"
    faces = root.refuse(faces, ~pl.col("line").str.contains(LINE), "{line!r}", expected)
    faces = faces.with_columns(picture=pl.col("line").str.slice(0, 8), tokens=pl.col("line").str.slice(9)).drop("line")
    again = "{picture} again (first in line {first_line})"
    faces = root.refuse_repeated(faces, "picture", again, "one line for each picture")
    root.note(f"{listed}: {len(faces):,} faces, {(faces['tokens'] == NOTHING).sum():,} of them without an action unit")
    return faces.with_columns(action_unit_columns(root, [_said(tokens) for tokens in faces["tokens"]], action_units))


def _said(tokens: str) -> Coding:
    """What the list says of a face, of which `LINE` was found."""
    coding = Coding() if tokens == NOTHING else read_codes(tokens)
    assert coding is not None, tokens
    return coding
