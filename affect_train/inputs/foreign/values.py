"""Numbers and lists of a foreign column: which values are missing, and which cannot be labels."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from affect_data.errors import DataError
from affect_train.recipe.dataset import Value

Known = NDArray[np.bool_]


@dataclass
class Findings:
    """Values that cannot be labels, one sentence a column.

    Attributes:
        place: gives the name of a row for messages.
        mistakes: the sentences.
    """

    place: Callable[[int], str]
    mistakes: list[str] = field(default_factory=list)

    def refuse(self, column: str, wrong: Known, found: Callable[[int], object], expected: str) -> None:
        """Notes the first wrong row of a column, and how many there are; nothing if there is none."""
        count = int(wrong.sum())
        if count:
            row = int(np.argmax(wrong))
            more = f" ({count:,} rows like it)" if count > 1 else ""
            self.mistakes.append(
                f"column '{column}', {self.place(row)}: found {found(row)!r}; expected {expected}{more}"
            )

    def raise_any(self, name: str) -> None:
        """Raises one error for all findings, if there are any.

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
    """The numbers of a column, float64 [n], and which of them exist, bool [n].

    Args:
        values: integers, floating-point numbers or truth values.
        missing: numbers that stand for no value, besides null and NaN.
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
        # Compared in the column's precision: a sentinel such as -0.1 is another number in single precision.
        known = known & (found != (found.dtype.type(value) if found.dtype.kind == "f" else float(value)))
    return found.astype(np.float64), known


def lists(values: pa.Array, width: int) -> tuple[pa.Array, Known, Known]:
    """The entries of a column of lists of a given length, which rows have such a list, and which have one of another length.

    Returns:
        The entries of all lists of the right length, one row after the other; bool [n], which rows these are; bool [n], which rows are wrong.
    """
    given = values.is_valid().to_numpy(zero_copy_only=False)
    if pa.types.is_fixed_size_list(values.type):
        lengths = np.full(len(values), values.type.list_size)
    else:
        lengths = values.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
    right = given & (lengths == width)
    return values.filter(pa.array(right)).flatten(), right, given & ~right
