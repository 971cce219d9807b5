"""What a person looks at: filters and an order, as they stand in the address of the page.

Every key may stand several times. Values of a choice are joined by "or", conditions and different keys by "and"::

    database=disfa&au=12&au=-4&task=expression&va=-1,0,0,1&finding=label_errors&sort=-score
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import and_, or_
from typing import Final
from urllib.parse import parse_qsl

import numpy as np
import polars as pl

from affect_data.audit.registry import AUDITS
from affect_data.dataset.kinds.soft_labels import SOFT_LABELS
from affect_data.errors import UnknownNameError, UsageError
from affect_data.viewing.evidence import SEVERITIES
from affect_data.viewing.table import LISTED, LabelTable, tasks
from affect_data.vocabulary import COMPOUND_EXPRESSIONS, EXPRESSIONS

NONE: Final = "none"
ANY: Final = "any"

STATES: Final = ("open", "keep", "correct", "mask", "skip")
"""What may be decided about a row, by the code in the column ``decided``."""

JOINED_BY_AND: Final = ("task", "au")
"""Keys whose values each take rows away, where those of others add some."""

Reader = Callable[[LabelTable, Sequence[str]], pl.Expr]


@dataclass(frozen=True)
class View:
    """Filters and an order.

    Attributes:
        filters: the values of each key, in the order of `KEYS`, sorted; without keys that filter nothing.
        sort: an order, a minus before it for the highest first; empty for the order of the dataset.
    """

    filters: tuple[tuple[str, tuple[str, ...]], ...] = ()
    sort: str = ""


def view_of(query: Sequence[tuple[str, str]]) -> View:
    """The view that an address names.

    Raises:
        UnknownNameError: a key is none of `KEYS`.
    """
    values: dict[str, set[str]] = {}
    for key, value in query:
        if key not in (*KEYS, "sort"):
            raise UnknownNameError("filter", key, (*KEYS, "sort"))
        if value:
            values.setdefault(key, set()).add(value)
    sort = max(values.pop("sort", {""}))
    return View(tuple((key, tuple(sorted(values[key]))) for key in KEYS if key in values), sort)


def check_view(table: LabelTable, address: str) -> None:
    """Refuses an address that names something that the table does not have.

    Raises:
        UnknownNameError, UsageError: it does.
    """
    view = view_of(parse_qsl(address))
    for key, values in view.filters:
        condition(table, key, values)
    if view.sort and view.sort.removeprefix("-") not in orders(table):
        raise UnknownNameError("order", view.sort.removeprefix("-"), orders(table))


def condition(table: LabelTable, key: str, values: Sequence[str]) -> pl.Expr:
    """The rows that the values of a key let through.

    Raises:
        UnknownNameError, UsageError: a value is not one of the key's.
    """
    return KEYS[key](table, values)


def orders(table: LabelTable) -> dict[str, list[str]]:
    """The one or two columns that rows can be ordered by, under the name of the order; a minus: the highest first."""
    ranked = ("finding.", SOFT_LABELS.prefix, "confidence.", "intensity")
    names = [name for name in table.frame.columns if name.startswith(ranked) or name in ("valence", "arousal", LISTED)]
    together = {
        "track": ["track", "frame"],
        "subject": ["subject", "track"],
        "copies": ["copies"],
        "severity": ["severity", "-score"],
        "score": ["score"],
    }
    return together | {name: [name] for name in names}


def _choice(key: str, names_of: Callable[[LabelTable], Sequence[str]], *, none: bool = False) -> Reader:
    """Rows whose code is one of the named; ``none`` names the code -1."""

    def read(table: LabelTable, values: Sequence[str]) -> pl.Expr:
        codes = {name: code for code, name in enumerate(names_of(table))} | ({NONE: -1} if none else {})
        for value in values:
            if value not in codes:
                raise UnknownNameError(key, value, codes)
        return pl.col(key).is_in([codes[value] for value in values]).fill_null(value=False)

    return read


def _text(key: str) -> Reader:
    """Rows whose text is one of the given; ``none`` is no text."""

    def read(_: LabelTable, values: Sequence[str]) -> pl.Expr:
        parts = [pl.col(key).is_null() if value == NONE else pl.col(key) == value for value in values]
        return reduce(or_, parts).fill_null(value=False)

    return read


def _tasks(table: LabelTable, values: Sequence[str]) -> pl.Expr:
    """Rows with a label of every named task; a minus before it: without one."""
    labelled = tasks(table.units)
    parts = []
    for value in values:
        name = value.removeprefix("-")
        if name not in labelled:
            raise UnknownNameError("task", name, labelled)
        parts.append(~labelled[name] if value.startswith("-") else labelled[name])
    return reduce(and_, parts)


def labelled_tasks(table: LabelTable) -> dict[str, list[str]]:
    """The tasks of which each database has a label, by its name."""
    found = table.frame.group_by("database").agg(**{name: has.any() for name, has in tasks(table.units).items()})
    return {
        table.databases[row.pop("database")]: [name for name, has in row.items() if has]
        for row in found.iter_rows(named=True)
    }


def causes(table: LabelTable) -> dict[str, pl.Expr]:
    """For every ``task:cause``, the rows that may lack a label because of it."""
    return table.absence.conditions({name: ~has for name, has in tasks(table.units).items()})


def _whys(table: LabelTable, values: Sequence[str]) -> pl.Expr:
    """Rows that may lack a label because of any of the causes."""
    known = causes(table)
    for value in values:
        if value not in known:
            raise UnknownNameError("cause", value, known)
    return reduce(or_, [known[value] for value in values])


UNIT_STATES: Final = {"": 1, "-": 0, "~": -1}
"""How a value of ``au`` begins: ``12`` present, ``-12`` absent, ``~12`` no label."""


def _units(table: LabelTable, values: Sequence[str]) -> pl.Expr:
    states: dict[int, list[int]] = {}
    for value in values:
        found = re.fullmatch(r"([-~]?)(\d{1,3})", value)
        if not found or int(found[2]) not in table.units:
            raise UnknownNameError("action unit", value, map(str, table.units))
        states.setdefault(int(found[2]), []).append(UNIT_STATES[found[1]])
    return reduce(and_, [pl.col(f"au{number}").is_in(wanted) for number, wanted in states.items()])


def _ranges(key: str, columns_of: Callable[[LabelTable], Mapping[str, str]]) -> Reader:
    """Rows whose values lie in all ranges ``name:low..high``; either end may be left out."""

    def read(table: LabelTable, values: Sequence[str]) -> pl.Expr:
        columns = columns_of(table)
        parts = []
        for value in values:
            name, _, limits = value.rpartition(":")
            if name not in columns:
                raise UnknownNameError(key, name, columns)
            low, dots, high = limits.partition("..")
            if not dots:
                raise UsageError(f"{key}={value}: give a range, for example {name}:0.5..1")
            column = pl.col(columns[name])
            parts += [column >= _number(key, low)] if low else []
            parts += [column <= _number(key, high)] if high else []
            parts += [] if low or high else [column.is_not_null()]
        return reduce(and_, parts).fill_null(value=False)

    return read


def _plane(_: LabelTable, values: Sequence[str]) -> pl.Expr:
    """Rows within any of the rectangles ``valence,arousal,valence,arousal`` of two corners."""
    parts = []
    for value in values:
        corners = [_number("va", part) for part in value.split(",")]
        if len(corners) != 4:
            raise UsageError(f"va={value}: give two corners, for example -1,0,0,1")
        v, a = sorted(corners[::2]), sorted(corners[1::2])
        parts.append(pl.col("valence").is_between(v[0], v[1]) & pl.col("arousal").is_between(a[0], a[1]))
    return reduce(or_, parts).fill_null(value=False)


def _on_map(table: LabelTable, values: Sequence[str]) -> pl.Expr:
    """Rows within any of the rectangles ``map:x,y,x,y`` of two corners, each from 0 to 1."""
    parts = []
    for value in values:
        name, _, numbers = value.rpartition(":")
        points = table.maps.positions(name)
        corners = np.array([_number("map", part) for part in numbers.split(",")])
        if len(corners) != 4:
            raise UsageError(f"map={value}: give two corners, for example {name}:0,0,0.5,0.5")
        low, high = np.sort(corners.reshape(2, 2), axis=0).astype(np.float32)
        parts.append(((points >= low) & (points <= high)).all(axis=1))
    return pl.lit(pl.Series(reduce(or_, parts)))


def _findings(table: LabelTable, values: Sequence[str]) -> pl.Expr:
    """Rows that any of the named checks found; ``any`` is every check, ``none`` no check."""
    parts = []
    for value in values:
        if value not in (ANY, NONE, *AUDITS, *table.checks):
            raise UnknownNameError("check", value, (ANY, NONE, *table.checks))
        if value not in (ANY, NONE, *table.checks):
            parts.append(pl.repeat(value=False, n=pl.len(), dtype=pl.Boolean))
            continue
        known = pl.col("severity" if value in (ANY, NONE) else f"finding.{value}").is_not_null()
        parts.append(~known if value == NONE else known)
    return reduce(or_, parts)


def _copies(_: LabelTable, values: Sequence[str]) -> pl.Expr:
    """Rows of the numbered groups of copies, or of ``any`` group."""
    numbers = [int(_number("copies", value)) for value in values if value != ANY]
    return pl.col("copies").is_not_null() if ANY in values else pl.col("copies").is_in(numbers).fill_null(value=False)


def _words(table: LabelTable, values: Sequence[str]) -> pl.Expr:
    """Rows whose uid or annotation file holds every text, in any case."""
    dtype = table.frame["file"].dtype
    assert isinstance(dtype, pl.Enum)
    parts = []
    for value in values:
        # There are few files, and many rows of each.
        holding = dtype.categories.str.contains_any([value], ascii_case_insensitive=True).arg_true()
        in_file = pl.col("file").to_physical().is_in(holding.cast(pl.UInt32).to_list())
        parts.append(pl.col("uid").str.contains_any([value], ascii_case_insensitive=True) | in_file)
    return reduce(and_, parts)


def _decided(_: LabelTable, values: Sequence[str]) -> pl.Expr:
    """Rows about which one of the named decisions is in force; ``open`` is none."""
    for value in values:
        if value not in STATES:
            raise UnknownNameError("decision", value, STATES)
    return pl.col("decided").is_in([STATES.index(value) for value in values])


def _rows(_: LabelTable, values: Sequence[str]) -> pl.Expr:
    """Rows that were named by hand, or the rows with these numbers."""
    numbers = [int(_number("rows", part)) for value in values if value != LISTED for part in value.split(",")]
    named = pl.col(LISTED).is_not_null() if LISTED in values else pl.lit(value=False)
    return named | pl.int_range(pl.len()).is_in(numbers)


def _number(key: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = np.nan
    if not np.isfinite(number):
        raise UsageError(f"{key}: '{text}' is no number")
    return number


def _soft(table: LabelTable) -> dict[str, str]:
    return {
        f"{teacher}.{task}": SOFT_LABELS.column(teacher, task)
        for teacher, compared in table.teachers.items()
        for task in compared
    }


KEYS: Final[Mapping[str, Reader]] = {
    "database": _choice("database", lambda table: table.databases),
    "split": _choice("split", lambda table: table.splits),
    "release": _text("release"),
    "subject": _text("subject"),
    "track": _text("track"),
    "task": _tasks,
    "why": _whys,
    "expression": _choice("expression", lambda _: EXPRESSIONS, none=True),
    "compound": _choice("compound", lambda _: COMPOUND_EXPRESSIONS, none=True),
    "au": _units,
    "intensity": _ranges("intensity", lambda table: {str(n): f"intensity{n}" for n in table.intensities}),
    "va": _plane,
    "map": _on_map,
    "finding": _findings,
    "severity": _choice("severity", lambda _: SEVERITIES),
    "score": _ranges("score", lambda table: {"any": "score"} | {name: f"finding.{name}" for name in table.checks}),
    "copies": _copies,
    "soft": _ranges("soft", _soft),
    "confidence": _ranges("confidence", lambda table: {name: f"confidence.{name}" for name in table.teachers}),
    "text": _words,
    "rows": _rows,
    "decided": _decided,
}
"""How the values of each key become a condition."""
