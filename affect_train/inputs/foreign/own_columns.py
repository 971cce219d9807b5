"""Rows that have the columns of the schema already: what publishing a dataset folder gives, read back without a mapping."""

from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa

from affect_data.dataset.schema import COLUMNS, LABEL_COLUMNS, RULES, check_rules
from affect_data.errors import RecipeError, SchemaError
from affect_train.inputs.foreign.mapping import MADE, Place, RowMapping
from affect_train.inputs.foreign.reading import SourceError

if TYPE_CHECKING:
    from datasets import Dataset, Features

    from affect_train.recipe.dataset import DatasetOptions


class UnifiedRows:
    """Tables with the columns of the schema, held against its rules.

    Args:
        name: of the dataset.
        given: the dataset's features.

    Raises:
        RecipeError: a column of the schema is not there, or has another type or other classes.
    """

    image = "image"

    def __init__(self, name: str, given: "Features") -> None:
        self.name = name
        mistakes = _differences(given)
        if mistakes:
            raise RecipeError(f"dataset '{name}'", mistakes)
        self.features = type(given)({column: given[column] for column in MADE})

    @property
    def read(self) -> tuple[str, ...]:
        """The columns that are read beside the image."""
        return tuple(column.name for column in LABEL_COLUMNS)

    def __call__(self, table: pa.Table, uids: Place, place: Place) -> pa.Table:  # noqa: ARG002 - the call of `RowMapping`
        """The rows as the columns `mapping.MADE`.

        Raises:
            SourceError: a row breaks a rule of the schema.
        """
        labels = pl.from_arrow(table.select(self.read))
        assert isinstance(labels, pl.DataFrame)
        try:
            check_rules(labels, RULES)
        except SchemaError as error:
            raise SourceError(
                self.name, str(error).partition(". This is")[0], "Publish it again from its dataset folder"
            ) from error
        return table.select(MADE)


def rows_of(name: str, options: "DatasetOptions", given: "Features") -> RowMapping | UnifiedRows:
    """What turns the tables of a dataset into those of the schema.

    Raises:
        RecipeError: its columns are not those of the mapping, or, without a mapping, of the schema.
    """
    if options.columns is not None:
        return RowMapping(name, options.columns, given)
    if not {"uid", "au", "expression", "image"} <= set(given):
        found = ", ".join(given)
        raise RecipeError(
            f"dataset '{name}'",
            [
                f"dataset.columns: missing; its columns are not those of affectkit, so say what they mean (docs/datasets.md). It has: {found}"
            ],
        )
    return UnifiedRows(name, given)


def label_dataset(labels: pa.Table, described: "Features") -> "Dataset":
    """A table in memory as a dataset with these features."""
    from datasets import Dataset, DatasetInfo
    from datasets.table import InMemoryTable

    return Dataset(InMemoryTable(labels), info=DatasetInfo(features=described))


def _differences(given: "Features") -> list[str]:
    schema, mistakes = given.arrow_schema, []
    for column in COLUMNS:
        if column.name not in given:
            mistakes.append(
                f"column {column.name!r} of the schema is not there; publish the dataset with this release, or map it by `columns`"
            )
            continue
        found = schema.field(column.name).type
        names: list[str] | None = getattr(given[column.name], "names", None)
        if found != column.type:
            mistakes.append(f"column {column.name!r} holds {found}; the schema of this release has {column.type}")
        elif column.class_names and names is None:
            mistakes.append(
                f"column {column.name!r} has lost the names of its classes; write it by `Dataset.to_parquet` or `push_to_hub`"
            )
        elif names is not None and len(column.class_names) > 1 and tuple(names) != column.class_names:
            mistakes.append(
                f"column {column.name!r} has the classes {', '.join(names)}; this release has {', '.join(column.class_names)}"
            )
    return mistakes
