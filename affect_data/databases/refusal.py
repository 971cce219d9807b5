"""Defects of rows: one for each row that contradicts the documentation, or one for all if many rows have the same defect."""

from collections.abc import Iterable, Iterator
from string import Formatter
from typing import Final

import polars as pl

from affect_data.errors import Defect

REPEATED: Final = 20
"""More rows than this with the same defect become a single defect."""

PLACES_SHOWN: Final = 5
"""How many lines such a defect names."""

PLACE: Final = ("source_file", "source_line")


def row_defects(rows: pl.DataFrame, found: str, expected: str, remedy: str) -> list[Defect]:
    """A defect for each row; if there are more than `REPEATED`, a single one with their number and the first lines.

    Args:
        rows: the refused rows, with ``source_file`` and ``source_line``.
        found: what the row says, a format string over its columns; ``{name!r}`` quotes a text and shortens a long one.
        expected: what the documentation says, a format string too.
        remedy: what to do.
    """
    columns = dict.fromkeys([*PLACE, *_columns_of(found), *_columns_of(expected)])
    shown = rows.select(list(columns)).head(1 if len(rows) > REPEATED else REPEATED)
    defects = []
    for row in shown.iter_rows(named=True):
        values = {name: _Text(value or "") if isinstance(value, str | None) else value for name, value in row.items()}
        what, instead = found.format(**values), expected.format(**values)
        defects.append(Defect(row["source_file"], row["source_line"], what, instead, remedy))
    if len(rows) <= REPEATED:
        return defects
    first, others = defects[0], rows.select(PLACE).slice(1, PLACES_SHOWN - 1)
    also = tuple(f"{file}:{line}" for file, line in others.iter_rows())
    return [Defect(first.path, first.line, first.found, first.expected, first.remedy, len(rows), also)]


def literal(text: str) -> str:
    """A text as a part of `found` or `expected` that stands for itself, whatever braces it has."""
    return text.replace("{", "{{").replace("}", "}}")


def combined(defects: Iterable[Defect]) -> list[Defect]:
    """The defects, sorted; more than `REPEATED` places where the same was found are one."""
    alike: dict[tuple[str, str, str], list[Defect]] = {}
    for defect in sorted(defects):
        alike.setdefault((defect.found, defect.expected, defect.remedy), []).append(defect)
    found = []
    for group in alike.values():
        if len(group) <= REPEATED:
            found += group
            continue
        first = group[0]
        also = [f"{defect.path}:{defect.line}" if defect.line else defect.path for defect in group[1:PLACES_SHOWN]]
        count = sum(defect.count for defect in group)
        found.append(Defect(first.path, first.line, first.found, first.expected, first.remedy, count, tuple(also)))
    return sorted(found)


class _Text(str):
    """A text that messages quote and cut off after 60 characters."""

    __slots__ = ()

    def __format__(self, specification: str) -> str:
        # A missing number is a text, for which `:g` means nothing.
        return str(self)

    def __repr__(self) -> str:
        return repr(str(self) if len(self) <= 60 else self[:60] + "...")


def _columns_of(text: str) -> Iterator[str]:
    return (name for _, name, _, _ in Formatter().parse(text) if name)
