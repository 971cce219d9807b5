"""The labels of single annotators, as a column of lists."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import polars as pl
import pyarrow as pa

from affect_data.dataset.schema import MISSING_CLASS, MISSING_NUMBER, Rule
from affect_data.dataset.side.base import Problem, SideBase, WrongTypeError, row_by_row
from affect_data.vocabulary import EXPRESSIONS, unit_name

if TYPE_CHECKING:
    from datasets.features.features import FeatureType


class RatersColumn(SideBase):
    """The labels of each annotator: a list of structs, in the order of the files.

    Attributes:
        expressions: whether some database has the expressions of single annotators.
        valence_arousal: whether some has their valence and arousal.
        action_units: whose occurrence some has by annotator, rising.
    """

    kind: Literal["raters"] = "raters"
    expressions: bool = False
    valence_arousal: bool = False
    action_units: tuple[int, ...] = ()

    def features(self) -> "dict[str, FeatureType]":
        """A list of structs without masks; a fill means that the annotator did not label it."""
        from datasets import ClassLabel, List, Value

        told: dict[str, Any] = {"rater": Value("string")}
        if self.expressions:
            told["expression"] = ClassLabel(names=list(EXPRESSIONS))
        if self.valence_arousal:
            told |= {"valence": Value("float32"), "arousal": Value("float32")}
        if self.action_units:
            told["au"] = {unit_name(unit): Value("int8") for unit in self.action_units}
        return {self.name: List(told)}

    def problems(self, rows: pl.DataFrame) -> Iterator[Problem]:
        """An annotator without an id or listed twice, and invalid labels."""
        each, fields = pl.element().struct, {field.name for field in self._told(rows)}
        if not fields:
            return

        def first(wrong: pl.Expr, value: pl.Expr) -> pl.Expr:
            found = pl.when(wrong.fill_null(value=False)).then(value)
            return pl.col(self.name).list.eval(found).list.drop_nulls().list.first()

        rater = each.field("rater")
        nameless = rater.is_null() | (rater == "")
        yield Problem(first(nameless, pl.lit("")), "a rater without an id", "the id of each rater")
        yield Problem(first(rater.is_duplicated(), rater), "the rater {value!r} twice", "one entry for each rater")
        if "expression" in fields:
            unknown = ~each.field("expression").is_in(EXPRESSIONS)
            found = first(unknown, each.field("expression"))
            yield Problem(found, "a rater's expression = {value!r}", f"one of {', '.join(EXPRESSIONS)}")
        for name in ("valence", "arousal"):
            if name in fields:
                value = each.field(name).cast(pl.Float64)
                outside = ~value.is_between(-1.0, 1.0) | value.is_nan()
                yield Problem(first(outside, value), f"a rater's {name} = {{value}}", "a number in [-1, 1]")
        for unit in self.action_units:
            if (name := f"au_{unit}") in fields:
                value = each.field(name)
                yield Problem(first(~value.is_in([0, 1]), value), f"a rater's {name} = {{value}}", "0, 1 or null")

    def unified(self, rows: pl.DataFrame) -> pl.Series:
        """Lists of structs with fills; expressions are codes, because lists of words would have to be read one by one."""
        each, known = pl.element().struct, {field.name for field in self._told(rows)}
        if not known:
            return self.absent(len(rows))
        codes = {name: code for code, name in enumerate(EXPRESSIONS)}

        def filled(name: str, kind: pl.DataType) -> pl.Expr:
            value = each.field(name) if name in known else pl.lit(None, dtype=kind)
            if name == "expression" and name in known:
                value = value.cast(pl.String).replace_strict(codes, return_dtype=kind)
            return value.cast(kind).fill_null(_fill(kind)).alias(name)

        flat = pl.struct(each.field("rater"), *(filled(name, kind) for name, kind in self._numbers()))
        lists = rows.select(pl.col(self.name).fill_null([]).list.eval(flat)).to_series()
        return lists.cast(self._type())

    def absent(self, rows: int) -> pl.Series:
        """Empty lists."""
        return pl.Series(self.name, [[]] * rows, dtype=self._type())

    def stored(self, values: pl.Series) -> dict[str, pa.Array]:
        """Lists of structs, the action units as a struct of their own."""
        arrow = values.to_arrow()
        lists = arrow.cast(pa.list_(arrow.type.value_type))
        told, given = lists.flatten(), {field.name for field in lists.type.value_type}
        kind = self._stored_type()
        children = []
        for field in kind:
            if field.name != "au":
                children.append(_child(told, given, field.name, field.type))
                continue
            units = [_child(told, given, f"au_{unit}", pa.int8()) for unit in self.action_units]
            children.append(pa.StructArray.from_arrays(units, fields=list(field.type)))
        structs = pa.StructArray.from_arrays(children, fields=list(kind))
        offsets = pa.array(np.concatenate([[0], np.cumsum(values.list.len().to_numpy())]), pa.int32())
        return {self.name: pa.ListArray.from_arrays(offsets, structs)}

    def shown(self, stored: pa.Table) -> pl.DataFrame:
        """Lists of structs, as they are stored."""
        return pl.DataFrame([pl.Series(self.name, stored.column(self.name))])

    def rule(self) -> Rule:
        """Every annotator has an id, and at most one entry in each row."""
        rater = pl.element().struct.field("rater")
        right = pl.col(self.name).list.eval((rater != "") & ~rater.is_duplicated()).list.all()
        what = f"each entry of `{self.name}` has an id of its own"
        return Rule(f"{self.name}_have_ids", what, row_by_row(right))

    def _told(self, rows: pl.DataFrame) -> Sequence[pl.Field]:
        """The fields of the given structs; none where no row names an annotator.

        Raises:
            WrongTypeError: they are not lists of such structs.
        """
        kind = rows.schema[self.name]
        if kind in (pl.Null, pl.List(pl.Null)):
            return ()
        inner = kind.inner if isinstance(kind, pl.List) else None
        allowed = {"rater", *(name for name, _ in self._numbers())}
        if not isinstance(inner, pl.Struct) or not {"rater"} <= {field.name for field in inner.fields} <= allowed:
            raise WrongTypeError(f"'{self.name}' as {kind}; it is a list of structs of {', '.join(sorted(allowed))}")
        for field in inner.fields:
            is_text = field.name in ("rater", "expression")
            kind = field.dtype if isinstance(field.dtype, pl.DataType) else field.dtype()
            if kind != pl.Null and (kind != pl.String if is_text else not kind.is_numeric()):
                raise WrongTypeError(f"'{self.name}.{field.name}' as {kind}; it is {'text' if is_text else 'a number'}")
        return inner.fields

    def _numbers(self) -> list[tuple[str, pl.DataType]]:
        """The fields of unified structs, without the id."""
        found: list[tuple[str, pl.DataType]] = [("expression", pl.Int64())] if self.expressions else []
        if self.valence_arousal:
            found += [("valence", pl.Float32()), ("arousal", pl.Float32())]
        return found + [(f"au_{unit}", pl.Int8()) for unit in self.action_units]

    def _type(self) -> pl.List:
        return pl.List(pl.Struct({"rater": pl.String(), **dict(self._numbers())}))

    def _stored_type(self) -> pa.StructType:
        from datasets import Features

        return Features(self.features()).arrow_schema.field(self.name).type.value_type


def _fill(kind: pl.DataType) -> float:
    return MISSING_NUMBER if kind.is_float() else MISSING_CLASS


def _child(told: pa.StructArray, given: set[str], name: str, kind: pa.DataType) -> pa.Array:
    """A field of structs, or its fill if they lack it."""
    if name in given:
        return told.field(name).cast(kind)
    fill = MISSING_NUMBER if pa.types.is_floating(kind) else MISSING_CLASS
    return pa.repeat(pa.scalar(fill, kind), len(told))
