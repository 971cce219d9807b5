"""Writes FACS codes, such as ``L12C``, as the strings of several databases have them."""

from typing import Final

from affect_data.databases.action_unit_columns import SIDE_OF
from affect_data.databases.action_unit_strings import LEVELS
from affect_data.vocabulary import SIDES

LETTERS: Final = {side: letters for letters, side in SIDE_OF.items()}
UNIT_LOSSES: Final = (
    "action descriptors and action units that are not coded",
    "the order of action units, those that stand twice, and whether a letter is a capital or follows the number",
    "sides of two kinds, such as BL",
)


def facs_code(unit: int, side: int, level: float | None = None) -> str:
    """A present action unit as a code.

    Args:
        unit: its number.
        side: position in `SIDES`; -1 where none is said.
        level: its intensity, 1 to 5; None where none is said.
    """
    return f"{LETTERS[SIDES[side]] if side >= 0 else ''}{unit}{LEVELS[int(level) - 1] if level else ''}"
