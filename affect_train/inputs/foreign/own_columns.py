"""Rows that need no mapping: they have the columns of the schema, or those that a dataset folder stores (as a published one does)."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from affect_data.dataset.layout import ORIGIN_COLUMNS, SIDE_COLUMNS, Layout
from affect_data.dataset.schema import COLUMNS, IMAGES, LABEL_COLUMNS, RULES, check_rules
from affect_data.dataset.view import LabelView, Origins
from affect_data.errors import RecipeError, SchemaError
from affect_data.vocabulary import ACTION_UNITS, FRAME_SCOPE, LABEL_SCOPES, unit_name
from affect_train.inputs.foreign.mapping import MADE, Place, RowMapping
from affect_train.inputs.foreign.reading import OpenedSource, SourceError
from affect_train.inputs.foreign.values import is_text

if TYPE_CHECKING:
    from datasets import Dataset, Features

CHECKED_ROWS: Final = 1 << 16
"""How many rows are checked against the rules of the schema at a time."""

_TEXTS: Final = ("subject", "track")
"""The columns that name a row's person and video; empty or absent where these are unknown."""

_LABEL_NAMES: Final = tuple(column.name for column in LABEL_COLUMNS)
_OF_CLIPS: Final = ("label_scope", "frames")
"""What only datasets with clips have."""
_LOST_CLASSES: Final = (
    "column {!r} has lost the names of its classes; write it by `Dataset.to_parquet` or `push_to_hub`"
)


class UnifiedRows:
    """Reads tables with the columns of the schema, and checks their rows against its rules.

    Args:
        name: of the dataset.
        given: the dataset's features.

    Raises:
        RecipeError: a column of the schema is missing, or has another type or other classes.
    """

    image = "image"

    def __init__(self, name: str, given: "Features") -> None:
        self.name, self._given = name, tuple(given)
        mistakes = _differences(given)
        if mistakes:
            raise RecipeError(f"dataset '{name}'", mistakes)
        self.features = type(given)({column: given[column] for column in MADE})

    @property
    def read(self) -> tuple[str, ...]:
        """The columns that are read beside the image."""
        return tuple(name for name in _LABEL_NAMES if name in self._given)

    def __call__(self, table: pa.Table, uids: Place, place: Place) -> pa.Table:  # noqa: ARG002 - the call of `RowMapping`
        """The rows as the columns `mapping.MADE`.

        Raises:
            SourceError: a row breaks a rule of the schema.
        """
        _refuse_nulls(self.name, table.select([name for name in _LABEL_NAMES if name not in _TEXTS]))
        labels = pl.from_arrow(table.select(self.read))
        assert isinstance(labels, pl.DataFrame)
        if "label_scope" not in labels.columns:
            labels = labels.with_columns(label_scope=pl.lit(LABEL_SCOPES.index(FRAME_SCOPE), pl.Int64))
        _check_rules(self.name, labels)
        return pa.table({name: _text(table[name]) if name in _TEXTS else table[name] for name in MADE})


class StoredRows:
    """Reads tables with the columns that a dataset folder stores, and checks their rows against the rules of the schema.

    The rows stay as they are stored.

    Args:
        name: of the dataset.
        given: the dataset's features.
        origins: the tables that name the person and video of each row; None: columns ``subject`` and ``track`` do, if they exist.

    Raises:
        RecipeError: a column is missing, or has another type or other classes than in such a folder.
    """

    image = "image"

    def __init__(self, name: str, given: "Features", origins: Origins | None) -> None:
        from datasets import Value

        self.name = name
        try:
            layout = _layout_of(given)
        except ValueError as error:
            raise RecipeError(
                f"dataset '{name}'", [f"its columns are not those of a dataset folder: {error}"]
            ) from error
        stored = {column: kind for group in layout.groups for column, kind in layout.features(group).items()}
        mistakes = _stored_differences(given, type(given)({**stored, **layout.features(IMAGES)}))
        mistakes += [] if origins is not None else _untold(given)
        if mistakes:
            raise RecipeError(f"dataset '{name}'", mistakes)
        self._view, self._stored = LabelView(layout, origins or {}), tuple(stored)
        self._knows_origins = origins is not None
        self._texts = tuple(text for text in _TEXTS if text in given)
        made = {**stored, "subject": Value("string"), "track": Value("string")}
        self.features = type(given)({column: made[column] for column in MADE if column in made})

    @property
    def read(self) -> tuple[str, ...]:
        """The columns that are read beside the image."""
        return (*self._stored, *self._texts)

    def __call__(self, table: pa.Table, uids: Place, place: Place) -> pa.Table:  # noqa: ARG002 - the call of `RowMapping`
        """The rows with those columns of `mapping.MADE` that are stored, and with the names of people and videos.

        Raises:
            SourceError: a row breaks a rule of the schema.
        """
        _refuse_nulls(self.name, table.select(self._stored))
        for rows in _parts(table):
            _check_rules(self.name, self._labels(rows))
        texts = {name: self._text(table, name) for name in _TEXTS}
        return pa.table({name: texts[name] if name in texts else table[name] for name in self.features})

    def _labels(self, rows: pa.Table) -> pl.DataFrame:
        unknown = () if self._knows_origins else ORIGIN_COLUMNS
        labels = pl.from_arrow(self._view.table(rows, [name for name in _LABEL_NAMES if name not in unknown]))
        assert isinstance(labels, pl.DataFrame)
        # Unknown origins break no rule: any text passes.
        return labels.with_columns(pl.lit("unknown").alias(name) for name in unknown)

    def _text(self, table: pa.Table, name: str) -> pa.Array | pa.ChunkedArray:
        if self._knows_origins:
            return self._view.table(table.select(["database", "origin"]), [name])[name]
        return _text(table[name]) if name in self._texts else pa.repeat(pa.scalar("", pa.string()), len(table))


def mapped_rows(opened: OpenedSource, given: "Features") -> RowMapping | UnifiedRows | StoredRows:
    """The object that turns the tables of a dataset into those that training reads.

    Args:
        opened: the dataset.
        given: its features.

    Raises:
        RecipeError: the columns are not those of the mapping; or, without a mapping, neither those of the schema nor of a dataset folder.
    """
    name, columns = opened.name, opened.options.columns
    if columns is not None:
        return RowMapping(name, columns, given)
    if {"uid", "origin", "expression", "image"} <= set(given):
        return StoredRows(name, given, opened.origins)
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
        if column.name in _OF_CLIPS and column.name not in given:
            continue
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
            mistakes.append(_LOST_CLASSES.format(column.name))
        elif names is not None and len(column.class_names) > 1 and tuple(names) != column.class_names:
            mistakes.append(
                f"column {column.name!r} has the classes {', '.join(names)}; this release has {', '.join(column.class_names)}"
            )
    return mistakes


def _untold(given: "Features") -> list[str]:
    """Mistakes: columns named for people or videos that hold no texts. Leaving them out would hide leaks."""
    kinds = given.arrow_schema
    return [
        f"column {text!r} holds {kinds.field(text).type}; it takes texts: `DatasetFolder.labels` gives them"
        for text in _TEXTS
        if text in given and not is_text(kinds.field(text).type)
    ]


def _text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column.cast(pa.string()).fill_null("")


def _refuse_nulls(name: str, table: pa.Table) -> None:
    for column in table.column_names:
        if table[column].null_count:
            row = pc.index(table[column].is_null(), value=True).as_py()
            because = f"column '{column}' has {table[column].null_count:,} nulls, the first in row {row} of {table.num_rows:,}"
            raise SourceError(name, because, "Publish it again from its dataset folder, whose columns have none")


def _check_rules(name: str, labels: pl.DataFrame) -> None:
    """Holds rows against the rules of the schema, and refuses clips: their frames lie in a dataset folder alone.

    Raises:
        SourceError: a row breaks a rule, or is a clip.
    """
    clips = labels.filter(pl.col("label_scope") != LABEL_SCOPES.index(FRAME_SCOPE))
    if len(clips):
        because = f"{len(clips):,} rows are whole clips, the first {clips['uid'][0]}"
        raise SourceError(name, because, "Train on the dataset folder itself, which holds the frames of its clips")
    try:
        check_rules(labels, RULES)
    except SchemaError as error:
        raise SourceError(
            name, str(error).partition(". This is")[0], "Publish it again from its dataset folder"
        ) from error


def _parts(table: pa.Table) -> Iterator[pa.Table]:
    return (table.slice(start, CHECKED_ROWS) for start in range(0, len(table), CHECKED_ROWS))


def _layout_of(given: "Features") -> Layout:
    """The layout of stored columns.

    Raises:
        ValueError: they have none.
    """

    def units(*names: str) -> tuple[int, ...]:
        children = {child for name in names if isinstance(given.get(name), dict) for child in given[name]}
        return tuple(unit for unit in ACTION_UNITS if unit_name(unit) in children)

    def value(name: str) -> str:
        kind: Any = given.get(name)
        inner = next(iter(kind.values()), None) if isinstance(kind, dict) else getattr(kind, "feature", None)
        return str(getattr(inner, "dtype", ""))

    return Layout(
        databases=tuple(getattr(given["database"], "names", None) or ()) if "database" in given else (),
        action_units=units("au", "au_mask"),
        intensities=units("au_intensity", "au_intensity_mask"),
        whole_intensities=value("au_intensity") != "float32",
        boxes={"": "none", "int16": "whole"}.get(value("face_box"), "exact"),
        side=tuple(side for side, columns in SIDE_COLUMNS.items() if set(columns) & set(given)),
        clips="label_scope" in given,
    )


def _stored_differences(given: "Features", expected: "Features") -> list[str]:
    found, schema, mistakes = given.arrow_schema, expected.arrow_schema, []
    for name, feature in expected.items():
        wanted = schema.field(name).type
        names: list[str] | None = getattr(given.get(name), "names", None)
        own: list[str] | None = getattr(feature, "names", None)
        if name not in given:
            mistakes.append(
                f"column {name!r} of a dataset folder is not there; publish the dataset with this release, or map it by `columns`"
            )
        elif found.field(name).type != wanted:
            mistakes.append(
                f"column {name!r} holds {found.field(name).type}; a dataset folder of this release has {wanted}"
            )
        elif own is not None and names is None:
            mistakes.append(_LOST_CLASSES.format(name))
        elif own is not None and names is not None and names != own:
            mistakes.append(f"column {name!r} has the classes {', '.join(names)}; this release has {', '.join(own)}")
    return mistakes
