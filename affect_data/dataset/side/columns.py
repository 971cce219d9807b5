"""Side columns with one value for each row: a word, a number, or the sides of action units."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import polars as pl
import pyarrow as pa

from affect_data.dataset.schema import MISSING_CLASS, MISSING_NUMBER, Rule
from affect_data.dataset.side.base import Problem, SideBase, WrongTypeError, check_type, row_by_row
from affect_data.vocabulary import ACTION_UNIT_SLOTS, ACTION_UNITS, SIDES, unit_name

if TYPE_CHECKING:
    from datasets.features.features import FeatureType

WORDS_SHOWN: Final = 12


class ClassColumn(SideBase):
    """One of a few words.

    Attributes:
        classes: the words, in the order of their codes.
    """

    kind: Literal["class"] = "class"
    classes: tuple[str, ...]

    def features(self) -> "dict[str, FeatureType]":
        """A ClassLabel and its mask."""
        from datasets import ClassLabel, Value

        return {self.name: ClassLabel(names=list(self.classes)), f"{self.name}_mask": Value("bool")}

    def problems(self, rows: pl.DataFrame) -> Iterator[Problem]:
        """A word that was not declared."""
        check_type(rows, self.name, pl.String)
        unknown = pl.when(~pl.col(self.name).is_in(self.classes)).then(self.name)
        shown = ", ".join(self.classes[:WORDS_SHOWN]) + (", ..." if len(self.classes) > WORDS_SHOWN else "")
        yield Problem(unknown, f"{self.name} = {{value!r}}", f"one of {shown}")

    def unified(self, rows: pl.DataFrame) -> pl.Series:
        """The words, ``""`` for none."""
        return rows[self.name].cast(pl.String).fill_null("")

    def absent(self, rows: int) -> pl.Series:
        """Empty words."""
        return pl.repeat("", rows, dtype=pl.String, eager=True)

    def stored(self, values: pl.Series) -> dict[str, pa.Array]:
        """Codes, -1 for no word, and the mask."""
        codes = {word: code for code, word in enumerate(self.classes)} | {"": MISSING_CLASS}
        found = values.replace_strict(codes, return_dtype=pl.Int64)
        return {self.name: found.to_arrow(), f"{self.name}_mask": (found != MISSING_CLASS).to_arrow()}

    def shown(self, stored: pa.Table) -> pl.DataFrame:
        """The words and the mask."""
        codes = pl.Series(self.name, stored.column(self.name))
        words = codes.replace_strict(dict(enumerate(self.classes)) | {MISSING_CLASS: ""}, return_dtype=pl.String)
        return pl.DataFrame([words, _mask(self.name, stored)])

    def rule(self) -> Rule:
        """A declared word or none."""
        known = pl.col(self.name).is_in([*self.classes, ""])
        what = f"`{self.name}` is one of its classes with its mask set, or -1 with it unset"
        return Rule(f"{self.name}_is_a_class_or_masked", what, row_by_row(known))


class NumberColumn(SideBase):
    """A number.

    Attributes:
        low: the smallest allowed value; None: no bound.
        high: the largest allowed value; None: no bound.
        double: whether it is stored in 64 bits instead of 32.
        masked: whether it has a mask beside it.
    """

    kind: Literal["number"] = "number"
    low: float | None = None
    high: float | None = None
    double: bool = False
    masked: bool = False

    @property
    def given(self) -> tuple[str, ...]:
        """``score_<name>`` for a score, which is a group of its own; otherwise the name."""
        return (f"score_{self.name}" if self.group == self.name else self.name,)

    @property
    def _type(self) -> type[pl.Float32 | pl.Float64]:
        return pl.Float64 if self.double else pl.Float32

    def features(self) -> "dict[str, FeatureType]":
        """A float, and a mask if it has one."""
        from datasets import Value

        mask = {f"{self.name}_mask": Value("bool")} if self.masked else {}
        return {self.name: Value("float64" if self.double else "float32"), **mask}

    def problems(self, rows: pl.DataFrame) -> Iterator[Problem]:
        """A value that is not a finite number within the bounds."""
        (given,) = self.given
        kind = rows.schema[given]
        if not kind.is_numeric() and kind != pl.Null:
            raise WrongTypeError(f"{given!r} as {kind}; it is a number")
        value = pl.col(given).cast(pl.Float64)
        yield Problem(pl.when(~self._in_bounds(value)).then(value), f"{given} = {{value}}", self._bounds)

    def unified(self, rows: pl.DataFrame) -> pl.Series:
        """The numbers, NaN for none."""
        return rows[self.given[0]].cast(self._type).fill_null(MISSING_NUMBER).alias(self.name)

    def absent(self, rows: int) -> pl.Series:
        """NaN."""
        return pl.repeat(MISSING_NUMBER, rows, dtype=self._type(), eager=True)

    def stored(self, values: pl.Series) -> dict[str, pa.Array]:
        """The numbers, and the mask if they have one."""
        mask = {f"{self.name}_mask": values.is_not_nan().to_arrow()} if self.masked else {}
        return {self.name: values.to_arrow(), **mask}

    def shown(self, stored: pa.Table) -> pl.DataFrame:
        """The numbers, and the mask if one is stored."""
        values = pl.Series(self.name, stored.column(self.name))
        return pl.DataFrame([values, _mask(self.name, stored)] if self.masked else [values])

    def rule(self) -> Rule:
        """A number within the bounds or NaN."""
        value = pl.col(self.name)
        what = f"`{self.name}` is {self._bounds}" + (
            " with its mask set, or NaN with it unset" if self.masked else ", or NaN"
        )
        return Rule(f"{self.name}_is_a_number_or_missing", what, row_by_row(value.is_nan() | self._in_bounds(value)))

    def _in_bounds(self, value: pl.Expr) -> pl.Expr:
        inside = value.is_finite()
        inside = inside & (value >= self.low) if self.low is not None else inside
        return inside & (value <= self.high) if self.high is not None else inside

    @property
    def _bounds(self) -> str:
        if self.low is None:
            return "a number"
        return f"a number from {self.low:g}" + (f" to {self.high:g}" if self.high is not None else " on")


class SidesColumn(SideBase):
    """For each action unit, the side of the face that shows it.

    Attributes:
        units: whose side any database gives, ascending.
    """

    kind: Literal["sides"] = "sides"
    units: tuple[int, ...]

    @property
    def given(self) -> tuple[str, ...]:
        """``side_<number>``, a word of `vocabulary.SIDES`."""
        return tuple(f"side_{unit}" for unit in self.units)

    def features(self) -> "dict[str, FeatureType]":
        """An int8 for each action unit."""
        from datasets import Value

        return {self.name: {unit_name(unit): Value("int8") for unit in self.units}}

    def problems(self, rows: pl.DataFrame) -> Iterator[Problem]:
        """An unknown word, and a side of an action unit that is absent."""
        for unit, given in zip(self.units, self.given, strict=True):
            if given not in rows.columns:
                continue
            check_type(rows, given, pl.String)
            unknown = pl.when(~pl.col(given).is_in(SIDES)).then(given)
            yield Problem(unknown, f"{given} = {{value!r}}", f"one of {', '.join(SIDES)}")
            if f"au_{unit}" in rows.columns:
                absent = pl.when(pl.col(f"au_{unit}") == 0).then(given)
                yield Problem(absent, f"{given} = {{value!r}}, but AU{unit} absent", "a side of a present action unit")

    def unified(self, rows: pl.DataFrame) -> pl.Series:
        """Arrays over the slots of the vocabulary."""
        codes = {side: code for code, side in enumerate(SIDES)}
        values = np.full((len(rows), len(ACTION_UNITS)), MISSING_CLASS, dtype=np.int8)
        for unit, given in zip(self.units, self.given, strict=True):
            if given in rows.columns:
                known = rows[given].cast(pl.String).replace_strict(codes, return_dtype=pl.Int8)
                values[:, ACTION_UNIT_SLOTS[unit]] = known.fill_null(MISSING_CLASS).to_numpy()
        return self._slots(values)

    def absent(self, rows: int) -> pl.Series:
        """-1 in every slot."""
        return self._slots(np.full((rows, len(ACTION_UNITS)), MISSING_CLASS, dtype=np.int8))

    def stored(self, values: pl.Series) -> dict[str, pa.Array]:
        """A struct with one child for each action unit."""
        slots = values.to_numpy()
        children = [pa.array(np.ascontiguousarray(slots[:, ACTION_UNIT_SLOTS[unit]])) for unit in self.units]
        return {self.name: pa.StructArray.from_arrays(children, names=[unit_name(unit) for unit in self.units])}

    def shown(self, stored: pa.Table) -> pl.DataFrame:
        """Arrays over the slots of the vocabulary."""
        values = np.full((len(stored), len(ACTION_UNITS)), MISSING_CLASS, dtype=np.int8)
        if len(stored):
            children = pa.concat_arrays(stored.column(self.name).chunks)
            for unit in self.units:
                values[:, ACTION_UNIT_SLOTS[unit]] = children.field(unit_name(unit)).to_numpy()
        return pl.DataFrame([self._slots(values)])

    def rule(self) -> Rule:
        """A known side, and none of an action unit that is absent."""

        def is_right(rows: pl.DataFrame) -> pl.Series:
            sides, units = rows[self.name].to_numpy(), rows["au"].to_numpy()
            right = (sides >= MISSING_CLASS) & (sides < len(SIDES)) & ((sides == MISSING_CLASS) | (units != 0))
            return pl.Series(right.all(axis=1))

        what = f"each slot of `{self.name}` is 0..{len(SIDES) - 1} where the action unit is not absent, or -1"
        return Rule(f"{self.name}_is_of_present_action_units", what, is_right)

    def _slots(self, values: "np.ndarray[Any, Any]") -> pl.Series:
        return pl.Series(self.name, values, dtype=pl.Array(pl.Int8, len(ACTION_UNITS)))


def _mask(name: str, stored: pa.Table) -> pl.Series:
    return pl.Series(f"{name}_mask", stored.column(f"{name}_mask"))
