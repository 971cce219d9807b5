"""One action unit of one row, in any form of the row."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from affect_data.errors import UnknownNameError, UsageError
from affect_data.vocabulary import ACTION_UNIT_NAMES, ACTION_UNIT_SLOTS, ACTION_UNITS, SIDES, unit_name


class UnknownActionUnitError(UnknownNameError):
    """A number that is no action unit of the vocabulary; the nearest ones and all others are named."""

    def __init__(self, number: int) -> None:
        first, second = sorted(sorted(ACTION_UNITS, key=lambda unit: abs(unit - number))[:2])
        known = ", ".join(map(str, ACTION_UNITS))
        UsageError.__init__(self, f"unknown action unit {number}; did you mean {first} or {second}? known: {known}")


@dataclass(frozen=True)
class ActionUnit:
    """The labels of one action unit in a row.

    Attributes:
        number: of FACS.
        occurrence: 1 present, 0 absent, None for no label.
        intensity: 0 to 5, None for no label.
        side: ``left``, ``right``, ``both``, ``top`` or ``bottom`` of the face, None where the row does not say it.
    """

    number: int
    occurrence: int | None = None
    intensity: float | None = None
    side: str | None = None

    @property
    def name(self) -> str:
        """The name in FACS, such as ``lip corner puller``."""
        return ACTION_UNIT_NAMES[self.number]


def action_unit(row: Mapping[str, Any], number: int) -> ActionUnit:
    """An action unit of a row.

    Args:
        row: of `affect_data.load_dataset`, of `DatasetFolder.labels` (as polars gives a row by name), or of a list of either. A side is found in rows
            that have the side group ``au_side``.
        number: of FACS.

    Raises:
        UnknownActionUnitError: the vocabulary has no such action unit.
    """
    if number not in ACTION_UNIT_SLOTS:
        raise UnknownActionUnitError(number)
    occurrence, intensity, side = (_value(row.get(name), number) for name in ("au", "au_intensity", "au_side"))
    present = None if occurrence is None else int(occurrence)
    where = None if side is None or present != 1 else SIDES[int(side)]
    return ActionUnit(number, present, None if intensity is None else float(intensity), where)


def _value(column: Mapping[str, Any] | Sequence[Any] | None, number: int) -> Any:  # noqa: ANN401 - an int or a float of any library
    """The value of an action unit, by its name or in its slot; None for the fills -1 and NaN, and if the column lacks the action unit."""
    if column is None:
        return None
    found = column.get(unit_name(number)) if isinstance(column, Mapping) else column[ACTION_UNIT_SLOTS[number]]
    return found if found is not None and found >= 0 else None
