"""Makes columns of labels from strings of FACS codes: what holds for certain is a label, what is left open is masked with its reason."""

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Final

import polars as pl

from affect_data.databases.action_unit_strings import Coding
from affect_data.databases.facts import NativeValue
from affect_data.databases.root import DatabaseRoot

SIDE_OF: Final = {"L": "left", "R": "right", "LR": "both", "T": "top", "B": "bottom"}
"""The side of the face by letters of place."""

LEFT_OPEN: Final = "alternatives leave open whether an action unit is present"
UNNAMED: Final = "a ? or a remark stands for what was not named"
MARKED: Final = "an action unit has a question mark"
NOT_CODED: Final = "an action descriptor, or an action unit that is not coded"
OPEN_LEVEL: Final = "alternatives leave an intensity open"
OPEN_PLACE: Final = "alternatives leave a side open"


def string_mapping(column: str, *, intensities: bool) -> tuple[NativeValue, ...]:
    """What becomes of the codes in strings, as a table; `intensities` says whether they have letters of intensity."""
    levels = NativeValue(column, "12A .. 12E", "present, intensity 1 .. 5")
    return (
        NativeValue(column, "12", "present; coded action units that are not named are absent"),
        NativeValue(column, "L12, R12, T24, B22", "present; the side is kept in group au_side"),
        NativeValue(column, "BL18, A12", "present; letters of two kinds and of unevenness (A) are no side"),
        *((levels,) if intensities else ()),
        NativeValue(column, "AD19, 56", masked=NOT_CODED),
    )


ALTERNATIVES: Final = (
    NativeValue("alternatives", "L12 or L14, 4/5, ref(7B)", masked=LEFT_OPEN),
    NativeValue("alternatives", "10A/B", masked=OPEN_LEVEL),
    NativeValue("alternatives", "A/L12, L12 or R12", masked=OPEN_PLACE),
    NativeValue("alternatives", "?, soft focus", masked=UNNAMED),
)
"""What becomes of strings that leave something open."""


def action_unit_columns(
    root: DatabaseRoot,
    codings: Sequence[Coding],
    action_units: Collection[int],
    *,
    intensities: bool = False,
    doubt_marked: bool = False,
) -> list[pl.Series]:
    """The columns au_<number>, side_<number>, perhaps au_intensity_<number>, and au_masked; sides that fit none are noted.

    An intensity is given only where the string says one: action units without a letter, and absent ones, have none.

    Args:
        root: for notes.
        codings: one for each row.
        action_units: the coded ones.
        intensities: whether strings have letters of intensity.
        doubt_marked: whether an action unit with a question mark is masked; otherwise it counts like any other.
    """
    _note_places(root, codings, action_units)
    columns = []
    for unit in action_units:
        doubtful = [doubt_marked and unit in coding.marked for coding in codings]
        present = [_present(coding, unit, doubt) for coding, doubt in zip(codings, doubtful, strict=True)]
        columns.append(pl.Series(f"au_{unit}", present, dtype=pl.Int8))
        sides = [
            SIDE_OF.get(coding.present[unit]) if here else None for coding, here in zip(codings, present, strict=True)
        ]
        columns.append(pl.Series(f"side_{unit}", sides, dtype=pl.String))
        if intensities:
            levels = [coding.levels.get(unit) if here else None for coding, here in zip(codings, present, strict=True)]
            columns.append(pl.Series(f"au_intensity_{unit}", levels, dtype=pl.Int8))
    coded = frozenset(action_units)
    reasons = [_reasons(coding, coded, intensities=intensities, doubt_marked=doubt_marked) for coding in codings]
    return [*columns, pl.Series("au_masked", reasons, dtype=pl.String)]


def _present(coding: Coding, unit: int, doubt: bool) -> int | None:  # noqa: FBT001 - one of three facts about a cell
    if doubt or unit in coding.left_open:
        return None
    if unit in coding.present:
        return 1
    return 0 if coding.is_complete else None


def _reasons(coding: Coding, coded: frozenset[int], *, intensities: bool, doubt_marked: bool) -> str | None:
    """Why a row lacks labels; None if it has all that its string says."""
    reasons = {
        LEFT_OPEN: coded & coding.left_open,
        UNNAMED: not coding.is_complete,
        MARKED: doubt_marked and coded & coding.marked,
        OPEN_LEVEL: intensities and coded & coding.open_levels,
        OPEN_PLACE: coded & coding.open_places,
        NOT_CODED: coding.descriptors or coding.units - coded,
    }
    return "; ".join(reason for reason, holds in reasons.items() if holds) or None


def _note_places(root: DatabaseRoot, codings: Sequence[Coding], action_units: Collection[int]) -> None:
    odd = Counter(
        f"{letters}{unit}"
        for coding in codings
        for unit, letters in coding.present.items()
        if unit in action_units and letters and letters not in SIDE_OF
    )
    if odd:
        root.note(
            f"{odd.total():,} side(s) left out that are none of left, right, both, top and bottom, such as {min(odd)}"
        )
