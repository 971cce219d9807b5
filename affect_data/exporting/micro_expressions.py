"""Writes the workbooks of CASME II and of SAMM: a line for each clip, with its frames and a string of FACS codes."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import polars as pl

from affect_data.databases.casme2 import Casme2
from affect_data.databases.facts import labels_of
from affect_data.databases.micro_expressions import EMOTION, SCORES
from affect_data.databases.samm import MICRO, Samm
from affect_data.exporting.facs import UNIT_LOSSES, facs_code
from affect_data.exporting.forms import NO_CODE, NO_ROW, NativeFile, NativeForm, codes_of
from affect_data.exporting.workbook import workbook
from affect_data.vocabulary import ACTION_UNIT_SLOTS, unit_name

SOMETHING: Final = "?"
"""Stands in a string for what was not named: then only what stands beside it counts, and nothing is absent."""
NO_APEX: Final = "/"
ROWS_ABOVE: Final = 13
"""Of the names of SAMM's columns."""

SAMM_HEADER: Final = (
    "Subject", "Filename", "Inducement Code", "Onset Frame", "Apex Frame", "Offset Frame",
    "Duration", "Micro", "Action Units", "Estimated Emotion", "Objective Classes", "Notes",
)  # fmt: skip
CASME2_HEADER: Final = (
    "Subject", "Filename", None, "OnsetFrame", "ApexFrame", "OffsetFrame", None,
    "Action Units", "Estimated Emotion", "Objective Classes",
)  # fmt: skip
WITHOUT_OBJECTIVE_CLASSES: Final = "2014"
"""The release of CASME II whose workbook lacks the last column."""

LOSSES: Final = (
    NO_ROW,
    NO_CODE,
    *UNIT_LOSSES,
    f"what a string leaves open, such as alternatives: {SOMETHING} stands for it, beside which nothing counts as absent",
    "that no action unit was seen: the cell is empty, as where none was coded",
)


def _casme2(rows: pl.DataFrame) -> Iterator[NativeFile]:
    classes, codes = labels_of(Casme2.mapping, EMOTION), codes_of(Casme2.mapping, EMOTION)
    for (path, release), own in rows.group_by("source_file", "release", maintain_order=True):
        width = len(CASME2_HEADER) - (release == WITHOUT_OBJECTIVE_CLASSES)
        lines: list[Sequence[str | int | None]] = [CASME2_HEADER[:width]]
        for row, string in _clips(own, Casme2.action_units):
            word = row["native_expression"]
            # Two of its words are one class; a class that a decision made has a word of its own.
            emotion = word if classes.get(word) == row["expression"] else codes.get(row["expression"])
            if emotion is not None:
                onset, apex, offset, objective = (_whole(row[name]) for name in SCORES)
                name = row["track"].removeprefix(f"{row['subject']}/")
                person = row["subject"].removeprefix("sub")
                cells = (person, name, None, onset, apex or NO_APEX, offset, None, string, emotion, objective)
                lines.append(cells[:width])
        yield NativeFile(str(path), workbook(lines))


def _samm(rows: pl.DataFrame) -> Iterator[NativeFile]:
    codes = codes_of(Samm.mapping, EMOTION)
    for (path,), own in rows.group_by("source_file", maintain_order=True):
        lines: list[Sequence[str | int | None]] = [[None]] * ROWS_ABOVE + [SAMM_HEADER]
        for row, string in _clips(own, Samm.action_units):
            emotion = codes.get(row["expression"])
            if emotion is not None:
                onset, apex, offset, objective = (_whole(row[name]) for name in SCORES)
                name = row["track"].removeprefix(f"{row['subject']}/")
                length = None if onset is None or offset is None else offset - onset + 1
                frames = (onset, apex or NO_APEX, offset, length)
                lines.append((row["subject"], name, None, *frames, MICRO, string, emotion, objective, None))
        yield NativeFile(str(path), workbook(lines, "MICRO_ONLY"))


def _clips(rows: pl.DataFrame, units: Sequence[int]) -> Iterator[tuple[Mapping[str, Any], str | None]]:
    """The clips in the order of the official file, each with its string of FACS codes."""
    # An action unit without any label is not coded, so that it is open in no clip.
    coded = [unit for unit in units if rows[unit_name(unit)].count()]
    for row in rows.sort("source_line").iter_rows(named=True):
        names = [
            facs_code(unit, row["au_side"][ACTION_UNIT_SLOTS[unit]], row.get(f"{unit_name(unit)}_intensity"))
            for unit in coded
            if row[unit_name(unit)]
        ]
        is_open = any(row[unit_name(unit)] is None for unit in coded)
        yield row, "+".join([*names, SOMETHING] if is_open else names) or None


def _whole(number: float | None) -> int | None:
    return None if number is None or number != number else int(number)


MICRO_EXPRESSION_FORMS: Final[Mapping[str, NativeForm]] = {
    "casme2": NativeForm(_casme2, LOSSES, side=("au_side", "native", *SCORES)),
    "samm": NativeForm(
        _samm,
        (
            *LOSSES,
            f"an apex outside of onset and offset, for which {NO_APEX} stands",
            "letters of intensity of which alternatives leave open which, and a ? behind an action unit",
            "the preamble, the inducement code and the notes",
        ),
        side=("au_side", *SCORES),
    ),
}
