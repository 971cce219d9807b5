"""From texts of a table to labels: what is no label is a defect that names column, value and line; nothing is guessed."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import polars as pl

from affect_data.databases.refusal import PLACE, literal
from affect_data.databases.root import DatabaseRoot
from affect_data.databases.spelling import numbers, plain, whole_numbers
from affect_data.databases.table.columns import Columns, class_named
from affect_data.databases.table.sections import ClassColumn, Value, WordColumn

REMEDY: Final = (
    "mend the value; or say what it means under `columns` in the recipe, where `missing` lists what is no label"
)
SLACK: Final = 1e-6
"""A value in single precision may lie beyond the end of a range by a rounding error."""

VALUES_SHOWN: Final = 12
NO_LABEL: Final = "no label"
DECLARED: Final = "declared as no label"


@dataclass
class Cells:
    """The texts of a table, and what is wrong with them.

    Attributes:
        root: of the database.
        rows: texts by column, null for an empty cell, with their place.
        missing: by column, the values that stand for no label.
    """

    root: DatabaseRoot
    rows: pl.DataFrame
    missing: Mapping[str, Sequence[Value]]
    _wrong: dict[str, list[pl.DataFrame]] = field(default_factory=dict)

    def labelled(self, column: str) -> pl.Series:
        """The texts of a column, null where there is no label."""
        return self.rows[column].set(self.declared(column), None)

    def declared(self, column: str) -> pl.Series:
        """Where a column holds a value that the recipe declares to be no label, bool [rows]."""
        named = sorted({str(value) for value in self.missing.get(column, ())})
        if not named:
            return pl.repeat(value=False, n=len(self.rows), eager=True)
        spelt = plain(pl.Series(named), ())
        return plain(self.rows[column], ()).is_in(spelt.to_list()).fill_null(value=False)

    def masked(self, task: str, columns: Iterable[str]) -> list[pl.Series]:
        """The column ``<task>_masked``: why labels that stand in some columns are not used; nothing where all are."""
        reasons = [
            pl.when(self.declared(column)).then(
                pl.format(f"{{}} = {{}}: {DECLARED}", pl.lit(column), self.rows[column])
            )
            for column in columns
            if column in self.missing
        ]
        return [pl.select(pl.coalesce(reasons).alias(f"{task}_masked")).to_series()] if reasons else []

    def numbers(self, column: str, low: float = -math.inf, high: float = math.inf) -> pl.Series:
        """The finite numbers of a column as Float64; one outside of the range is a defect."""
        texts = self.labelled(column)
        values, slack = numbers(texts), SLACK * (high - low)
        fits = (values.is_finite() & values.is_between(low - slack, high + slack)).fill_null(value=False)
        expected = "a number" if math.isinf(slack) else f"a number from {low:g} to {high:g}"
        self.refuse(column, texts.is_not_null() & ~fits, expected)
        return values.set(~fits, None).clip(low, high)

    def integers(self, column: str, high: int) -> pl.Series:
        """The whole numbers of a column from 0 on as Int32."""
        texts = self.labelled(column)
        values = whole_numbers(texts)
        fits = (values <= high).fill_null(value=False)
        self.refuse(column, texts.is_not_null() & ~fits, f"a whole number from 0 to {high}")
        return values.set(~fits, None)

    def words(self, column: str, names: Mapping[str, str]) -> pl.Series:
        """The words that the texts of a column mean; a text that is not named is a defect.

        Args:
            column: of the table.
            names: the word of each value, values as `spelling.plain` writes them.
        """
        texts = self.labelled(column)
        words = plain(texts, names).replace_strict(names, default=None, return_dtype=pl.String)
        shown = ", ".join(value if value == word else f"{value} ({word})" for value, word in names.items())
        self.refuse(column, texts.is_not_null() & words.is_null(), f"one of {shown}")
        return words

    def classes(self, given: ClassColumn, column: str, known: tuple[str, ...]) -> pl.Series:
        """The classes of a column by name; a value that is not named is a defect. What each value means is noted.

        Args:
            given: what the recipe says of the values.
            column: of the table.
            known: the classes of the vocabulary.
        """
        texts = self.labelled(column)
        names = named_values(given)
        spelt = plain(texts, names)
        meaning: dict[str, str | None] = {value: class_named(name, known) for value, name in names.items()}
        for value in spelt.unique().drop_nulls():
            if value not in meaning and not (isinstance(given.names, tuple) or is_number(value)):
                meaning[value] = class_named(value, known)
        labels = spelt.replace_strict(meaning, default=None, return_dtype=pl.String)
        self.refuse(column, texts.is_not_null() & labels.is_null(), _expected(meaning, known))
        self.root.note(f"{column}: {_counts(self.rows[column], spelt, labels)}")
        return labels.alias("labels")

    def refuse(self, column: str, wrong: pl.Series, expected: str) -> None:
        """Notes wrong values, so that the same mistake in many columns is one finding; `finish` records them."""
        cells = self.rows.filter(wrong).select(*PLACE, column=pl.lit(column), value=column)
        if len(cells):
            self._wrong.setdefault(expected, []).append(cells)

    def finish(self) -> None:
        """Records all wrong values as defects."""
        for expected, cells in self._wrong.items():
            self.root.refuse(pl.concat(cells), pl.lit(value=True), "{column} = {value!r}", literal(expected), REMEDY)
        self._wrong.clear()


def named_values(given: ClassColumn | WordColumn) -> dict[str, str]:
    """The class of each value that the recipe names, values as `spelling.plain` writes them."""
    if isinstance(given.names, tuple):
        return {str(code): name for code, name in enumerate(given.names)}
    values = given.names or {}
    spelt = plain(pl.Series(list(values), dtype=pl.String), ()).to_list()
    return dict(zip(spelt, values.values(), strict=True))


def is_number(text: str) -> bool:
    """Whether a text is a code rather than a name."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def valence_arousal(cells: Cells, columns: Columns) -> list[pl.Series]:
    """Valence and arousal in [-1, 1]; what the columns hold of their stated range is noted."""
    if columns.valence is None or columns.arousal is None:
        return []
    low, high = columns.valence_arousal_range
    found = []
    for key, column in (("valence", columns.valence), ("arousal", columns.arousal)):
        values = cells.numbers(column, low, high)
        if values.count():
            cells.root.note(
                f"{column}: from {_least(values):g} to {-_least(-values):g}, {key} in the range {low:g} to {high:g}"
            )
        found.append(_in_unit_range(values, low, high).alias(key))
    return found


def scaled(cells: Cells, columns: Columns, column: str) -> pl.Series:
    """A column of the stated range of valence and arousal, in [-1, 1]."""
    low, high = columns.valence_arousal_range
    return _in_unit_range(cells.numbers(column, low, high), low, high)


def _in_unit_range(values: pl.Series, low: float, high: float) -> pl.Series:
    return (values if (low, high) == (-1.0, 1.0) else (values - low) / (high - low) * 2 - 1).clip(-1, 1)


def action_units(cells: Cells, columns: Columns) -> list[pl.Series]:
    """Occurrence as ``au_<number>`` and intensity as ``au_intensity_<number>``."""
    found = []
    for number, unit in columns.units().items():
        if unit.intensity is not None:
            levels = cells.numbers(unit.intensity, 0, 5)
            found.append(levels.alias(f"au_intensity_{number}"))
            if unit.threshold is not None:
                found.append((levels >= unit.threshold).cast(pl.Int8).alias(f"au_{number}"))
        if unit.occurrence is not None:
            found.append(cells.integers(unit.occurrence, 1).cast(pl.Int8).alias(f"au_{number}"))
    return found


def _least(values: pl.Series) -> float:
    return float(values.drop_nulls().to_numpy().min())


def _expected(meaning: Mapping[str, str | None], known: tuple[str, ...]) -> str:
    named = ", ".join(f"{value} ({name})" for value, name in meaning.items() if name is not None)
    return f"one of {named}" if named else f"a class of the vocabulary ({', '.join(known)})"


def _counts(given: pl.Series, spelt: pl.Series, labels: pl.Series) -> str:
    """How many rows each value has, and what it means."""
    counted = (
        pl.DataFrame({"value": pl.select(pl.coalesce(spelt, given)).to_series(), "class": labels})
        .group_by("value", "class")
        .len("rows")
        .sort("rows", "value", descending=[True, False])
    )
    shown = [
        f"{value if value is not None else 'empty'} = {name or NO_LABEL} in {rows:,} rows"
        for value, name, rows in counted.head(VALUES_SHOWN).iter_rows()
    ]
    more = [f"{len(counted) - VALUES_SHOWN} more values"] if len(counted) > VALUES_SHOWN else []
    return ", ".join([*shown, *more])
