"""From the values of one column to labels: numbers, classes and lists, with what is missing and what cannot be a label."""

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from affect_data.errors import DataError
from affect_data.schema import MISSING_CLASS
from affect_data.vocabulary import EXPRESSIONS, UnknownNameError, expression_named
from affect_train.recipe_dataset import Value

Known = NDArray[np.bool_]


@dataclass
class Findings:
    """Values that cannot be labels, one sentence a column.

    Attributes:
        place: what a row is called.
        mistakes: the sentences.
    """

    place: Callable[[int], str]
    mistakes: list[str] = field(default_factory=list)

    def refuse(self, column: str, wrong: Known, found: Callable[[int], object], expected: str) -> None:
        """Writes down the first row that is wrong, and how many there are."""
        count = int(wrong.sum())
        if count:
            row = int(np.argmax(wrong))
            more = f" ({count:,} rows like it)" if count > 1 else ""
            self.mistakes.append(f"column '{column}', {self.place(row)}: found {found(row)!r}; expected {expected}{more}")

    def raise_any(self, name: str) -> None:
        """Raises what was found.

        Raises:
            DataError: lists every column with a wrong value.
        """
        if self.mistakes:
            listed = "".join(f"\n  {mistake}" for mistake in self.mistakes)
            raise DataError(
                f"dataset '{name}': {len(self.mistakes)} column(s) hold values that are no labels:{listed}\n"
                "Name a value that says that there is no label under `dataset.columns.missing`; else mend the dataset or its `columns`."
            )


def is_number(kind: pa.DataType) -> bool:
    """Whether values of an Arrow type are numbers or truth values."""
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind))


def is_text(kind: pa.DataType) -> bool:
    """Whether values of an Arrow type are texts."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def numbers(values: pa.Array, missing: Sequence[Value] = ()) -> tuple[NDArray[np.float64], Known]:
    """The numbers of a column, float64 [n], and which of them are there, bool [n].

    Args:
        values: integers, floating-point numbers or truth values.
        missing: numbers that stand for no value, beside null and NaN.
    """
    known = values.is_valid().to_numpy(zero_copy_only=False)
    if pa.types.is_boolean(values.type):
        values = values.cast(pa.int8())
    elif pa.types.is_float16(values.type):
        values = values.cast(pa.float32())
    found = values.fill_null(0).to_numpy(zero_copy_only=False)
    if found.dtype.kind == "f":
        known = known & ~np.isnan(found)
    for value in missing:
        # A sentinel like -0.1 has another nearest number in single precision.
        known = known & (found != (found.dtype.type(value) if found.dtype.kind == "f" else float(value)))
    return found.astype(np.float64), known


def lists(values: pa.Array, width: int) -> tuple[pa.Array, Known, Known]:
    """The entries of a column of lists, the rows that have a list, and those whose list is of another length.

    Returns:
        The entries of the rows with a list of the right length, one row after the other; bool [n] which rows these are; bool [n] which are wrong.
    """
    given = values.is_valid().to_numpy(zero_copy_only=False)
    if pa.types.is_fixed_size_list(values.type):
        lengths = np.full(len(values), values.type.list_size)
    else:
        lengths = values.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
    right = given & (lengths == width)
    return values.filter(pa.array(right)).flatten(), right, given & ~right


@dataclass(frozen=True)
class Classes:
    """What the values of a column of expressions are called.

    Attributes:
        codes: the expression's class by raw value; -1 where there is no label.
        names: what the raw values are called, for messages; empty where they are names themselves.
    """

    codes: Mapping[Value, int]
    names: Mapping[Value, str] = field(default_factory=dict)

    def of(self, values: pa.Array) -> tuple[NDArray[np.int64], Known]:
        """The class of every value, int64 [n], -1 where there is no label; and which values are unknown, bool [n]."""
        encoded = values.dictionary_encode()
        distinct = [_plain(value) for value in encoded.dictionary.to_pylist()]
        found = [self.codes.get(value) if value is not None else MISSING_CLASS for value in distinct]
        codes = np.array([MISSING_CLASS if code is None else code for code in found] + [MISSING_CLASS], dtype=np.int64)
        unknown = np.array([code is None for code in found] + [False])
        places = encoded.indices.fill_null(len(found)).to_numpy(zero_copy_only=False)
        return codes[places], unknown[places]


def _plain(value: object) -> Value | None:
    """Whole floating-point numbers as integers, because a column with gaps is often stored so; NaN as None."""
    if isinstance(value, float):
        return None if np.isnan(value) else int(value) if value.is_integer() else value
    return value  # type: ignore[return-value]


def classes_of(
    names: Sequence[str] | Mapping[str, str] | None, class_names: Sequence[str] | None, missing: Sequence[Value], *, text: bool
) -> tuple[Classes, list[str]]:
    """What the values of a column of expressions are called, and what is wrong with the names.

    Args:
        names: as in a recipe: the expressions of codes 0, 1, ..., or from a code or a name of the dataset to an expression.
        class_names: of a ClassLabel column.
        missing: values, or names of the ClassLabel, that stand for no label.
        text: the column holds texts.
    """
    mistakes: list[str] = []
    if class_names is not None:
        called = dict(enumerate(class_names))
        # The Hub's own sign for a row without a label.
        absent = {MISSING_CLASS, *(code for code, name in called.items() if name in missing), *missing}
        if isinstance(names, Mapping):
            mistakes += [
                f"{name!r} is no class of the column{_near(name, class_names)}" for name in names if name not in class_names
            ]
            called = {code: names.get(name, name) for code, name in called.items()}
        elif names is not None and len(names) != len(class_names):
            mistakes.append(f"{len(names)} names for the {len(class_names)} classes {', '.join(class_names)}")
        elif names is not None:
            called = dict(enumerate(names))
    elif text:
        called, absent = {name: name for name in (*EXPRESSIONS,)}, set(missing)
        if isinstance(names, Mapping):
            called |= names
        elif names is not None:
            mistakes.append("the column holds texts, so that a list of names has no codes to name; write `text: expression`")
        return _TextClasses({name: EXPRESSIONS.index(name) for name in EXPRESSIONS}, {}).extended(called, absent, mistakes)
    else:
        absent = set(missing)
        if names is None:
            mistakes.append("the column holds codes without names; give `names`")
            called = {}
        elif isinstance(names, Mapping):
            mistakes += [f"{code!r} is no code; the column holds whole numbers" for code in names if not _is_code(code)]
            called = {int(code): name for code, name in names.items() if _is_code(code)}
        else:
            called = dict(enumerate(names))
    codes: dict[Value, int] = {}
    for code, name in called.items():
        if code in absent:
            continue
        try:
            codes[code] = EXPRESSIONS.index(expression_named(name))
        except UnknownNameError:
            mistakes.append(_unknown(name))
    return Classes(codes | dict.fromkeys(absent, MISSING_CLASS), called), mistakes
