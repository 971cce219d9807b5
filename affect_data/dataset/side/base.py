"""The interface of all kinds of side columns.

A column has three forms. *Given* is what a reader gives, with nulls. *Unified* has words for classes and the fills of the schema: ``""`` for no word,
NaN for no number, -1 for no side. *Stored* is Arrow without nulls, with codes for classes and, for most kinds, a mask.
"""

from abc import abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from affect_data.dataset.schema import Rule

if TYPE_CHECKING:
    from datasets.features.features import FeatureType


class WrongTypeError(TypeError):
    """A reader gives a side column with the wrong type."""


@dataclass(frozen=True)
class Problem:
    """What can be wrong with a reader's values.

    Attributes:
        value: the wrong value of a row; null if the row is right.
        found: describes the wrong value, with ``{value}`` filled in.
        expected: describes a right one.
    """

    value: pl.Expr
    found: str
    expected: str


class SideBase(BaseModel):
    """A column of a side group.

    Attributes:
        group: the column group that holds it.
        name: of the column.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    group: str
    name: str

    @property
    def given(self) -> tuple[str, ...]:
        """The columns of a reader's rows from which it is made."""
        return (self.name,)

    @abstractmethod
    def features(self) -> "dict[str, FeatureType]":
        """The Hugging Face features of the stored form."""

    @abstractmethod
    def problems(self, rows: pl.DataFrame) -> Iterator[Problem]:
        """Checks of given values, each with the values that fail it.

        Args:
            rows: a reader's, with the columns `given`.

        Raises:
            WrongTypeError: a column does not have the type of this kind.
        """

    @abstractmethod
    def unified(self, rows: pl.DataFrame) -> pl.Series:
        """Given values, free of problems, in the unified form."""

    @abstractmethod
    def absent(self, rows: int) -> pl.Series:
        """The unified form of as many rows without a value."""

    @abstractmethod
    def stored(self, values: pl.Series) -> dict[str, pa.Array]:
        """Unified values as they are stored, by the names of `features`."""

    @abstractmethod
    def shown(self, stored: pa.Table) -> pl.DataFrame:
        """Stored values in the unified form, and the mask if one is stored."""

    @abstractmethod
    def rule(self) -> Rule:
        """The rule that unified values obey."""


def check_type(rows: pl.DataFrame, name: str, expected: type[pl.DataType]) -> None:
    """Makes sure that a given column has the expected type, or only nulls.

    Raises:
        WrongTypeError: it has another type.
    """
    if rows.schema[name] not in (expected, pl.Null):
        raise WrongTypeError(f"{name!r} as {rows.schema[name]}; it is {expected.__name__}")


def row_by_row(expression: pl.Expr) -> Callable[[pl.DataFrame], pl.Series]:
    """A function from rows to whether each is right, as `Rule.holds` needs it."""
    return lambda rows: rows.select(expression.fill_null(value=False).alias("holds"))["holds"]
