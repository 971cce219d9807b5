"""What databases can declare in addition to their labels, and the columns that follow from it.

A database declares what its files hold by `people`, `action_unit_sides`, `native_expressions`, `rater_labels`, `has_timestamps` and `scores`. The
columns follow from that: their types and fills, how they are stored and shown, the rules that they obey, and their part of ``docs/schema.md``. The
kinds of columns are in `affect_data.dataset.side.columns` and `affect_data.dataset.side.raters`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Final

from pydantic import Field

from affect_data.databases.base import WORDS_OF_PEOPLE, Database
from affect_data.dataset.side.columns import ClassColumn, NumberColumn, SidesColumn
from affect_data.dataset.side.raters import RatersColumn
from affect_data.errors import UnknownNameError
from affect_data.vocabulary import SIDES

SideColumn = Annotated[ClassColumn | NumberColumn | SidesColumn | RatersColumn, Field(discriminator="kind")]
"""A column of a side group; ``dataset.json`` keeps it by its kind."""

Declared = Sequence[type[Database]]
"""The merged databases, alphabetical."""

AGES: Final = (0.0, 150.0)

VALUES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "age": "age in years, as the database says",
        "age_band": "band of ages, in the database's own words",
        "sex": "sex, in the database's own words",
        "ethnicity": "ethnicity, in the database's own words",
        "au_side": ", ".join(f"{code} {side}" for code, side in enumerate(SIDES))
        + "; of action units that are present",
        "native_expression": "the database's own class, where some of its classes are lost among the unified ones",
        "raters": "a list of what each annotator said: `rater` is the annotator's id within the database",
        "timestamp": "seconds from the beginning of the track",
    }
)
"""What the columns contain, for the pages; the columns of scores are described by their databases."""


@dataclass(frozen=True)
class SideGroup:
    """What databases can declare under one name.

    Attributes:
        name: of the column group; empty if each declared name is a group of its own.
        attribute: of `Database` that declares it.
        meaning: for the pages.
        columns: from the merged databases to the columns that they need.
    """

    name: str
    attribute: str
    meaning: str
    columns: Callable[[Declared], tuple[SideColumn, ...]]


def _people(databases: Declared) -> tuple[SideColumn, ...]:
    words = _words(database.people for database in databases)
    found: list[SideColumn] = []
    if "age" in words:
        low, high = AGES
        found.append(NumberColumn(group="people", name="age", low=low, high=high, masked=True))
    for name in words.keys() - {"age", *WORDS_OF_PEOPLE}:
        raise UnknownNameError("column that a database declares in `people`", name, ("age", *WORDS_OF_PEOPLE))
    found += [ClassColumn(group="people", name=name, classes=words[name]) for name in WORDS_OF_PEOPLE if name in words]
    return tuple(found)


def _words(declared: Iterable[Mapping[str, Sequence[str]]]) -> dict[str, tuple[str, ...]]:
    """The different words of all databases by column, in the order of the databases and of their declarations."""
    found: dict[str, dict[str, None]] = {}
    for columns in declared:
        for name, words in columns.items():
            found.setdefault(name, {}).update(dict.fromkeys(words))
    return {name: tuple(words) for name, words in found.items()}


def _sides(databases: Declared) -> tuple[SideColumn, ...]:
    units = _units(database.action_unit_sides for database in databases)
    return (SidesColumn(group="au_side", name="au_side", units=units),) if units else ()


def _units(declared: Iterable[Iterable[int]]) -> tuple[int, ...]:
    return tuple(sorted({unit for units in declared for unit in units}))


def _native(databases: Declared) -> tuple[SideColumn, ...]:
    words = tuple(dict.fromkeys(word for database in databases for word in database.native_expressions))
    return (ClassColumn(group="native", name="native_expression", classes=words),) if words else ()


def _raters(databases: Declared) -> tuple[SideColumn, ...]:
    labels = {label for database in databases for label in database.rater_labels}
    units = _units(database.action_units for database in databases if "au" in database.rater_labels)
    expressions, va = "expression" in labels, "va" in labels
    column = RatersColumn(
        group="raters", name="raters", expressions=expressions, valence_arousal=va, action_units=units
    )
    return (column,) if labels else ()


def _time(databases: Declared) -> tuple[SideColumn, ...]:
    column = NumberColumn(group="time", name="timestamp", low=0.0, double=True)
    return (column,) if any(database.has_timestamps for database in databases) else ()


def _scores(databases: Declared) -> tuple[SideColumn, ...]:
    names = sorted({name for database in databases for name in database.scores})
    return tuple(NumberColumn(group=name, name=name) for name in names)


SIDE_GROUPS: Final[tuple[SideGroup, ...]] = (
    SideGroup("people", "people", "who is shown, as the database says; never predicted", _people),
    SideGroup("au_side", "action_unit_sides", "on which side of the face an action unit is", _sides),
    SideGroup("raters", "rater_labels", "each annotator's own labels", _raters),
    SideGroup("native", "native_expressions", "classes that the unified ones do not hold", _native),
    SideGroup("time", "has_timestamps", "when a frame is, in seconds", _time),
    SideGroup("", "scores", "a number that a database gives, such as pain", _scores),
)
"""All that a database can declare, in the order in which a dataset lists it."""


def declared_columns(databases: Iterable[type[Database]]) -> tuple[SideColumn, ...]:
    """The columns of side groups that databases declare, group by group.

    Raises:
        UnknownNameError: a database declares a fact about people for which there is no column.
    """
    merged = sorted(databases, key=lambda database: database.name)
    return tuple(column for group in SIDE_GROUPS for column in group.columns(merged))
