"""What every kind of side column can do.

A column has three forms. *Given* is what a reader gives, with nulls. *Unified* has the fills of the schema and words for classes: ``""`` for no word,
NaN for no number, -1 for no side. *Stored* is Arrow without nulls, classes as codes, most with a mask beside.
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
    """A reader gives a side column in another type than it has."""


@dataclass(frozen=True)
class Problem:
    """What can be wrong with a reader's values.

    Attributes:
        value: of a row that is wrong, null where the row is right.
        found: what stands there, with ``{value}`` filled in.
        expected: instead.
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
        """The columns of a reader's rows that it is made from."""
        return (self.name,)

    @abstractmethod
    def features(self) -> "dict[str, FeatureType]":
        """The Hugging Face features of what is stored."""

    @abstractmethod
    def problems(self, rows: pl.DataFrame) -> Iterator[Problem]:
        """What can be wrong with given values.

        Args:
            rows: a reader's, with the columns `given`.

        Raises:
            WrongTypeError: a column has another type than this kind has.
        """

    @abstractmethod
    def unified(self, rows: pl.DataFrame) -> pl.Series:
        """Given values in the unified form, in which no problem is left."""

    @abstractmethod
    def absent(self, rows: int) -> pl.Series:
        """The unified form of rows that have no value."""

    @abstractmethod
    def stored(self, values: pl.Series) -> dict[str, pa.Array]:
        """Unified values as they are stored, by the names of `features`."""

    @abstractmethod
    def shown(self, stored: pa.Table) -> pl.DataFrame:
        """Stored values in the unified form, with the mask beside where one is stored."""

    @abstractmethod
    def rule(self) -> Rule:
        """What unified values obey."""


def check_type(rows: pl.DataFrame, name: str, expected: type[pl.DataType]) -> None:
    """Makes sure that a given column has its type.

    Raises:
        WrongTypeError: it has another.
    """
    if rows.schema[name] not in (expected, pl.Null):
        raise WrongTypeError(f"{name!r} as {rows.schema[name]}; it is {expected.__name__}")


def row_by_row(expression: pl.Expr) -> Callable[[pl.DataFrame], pl.Series]:
    """What a rule wants: from rows to whether each is right."""
    return lambda rows: rows.select(expression.fill_null(value=False).alias("holds"))["holds"]
