"""From rows of any dataset to rows of the schema: classes go by name, nulls and sentinels become fills with masks, nothing is coerced."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from affect_data.dataset.schema import LABELS, MISSING_CLASS, arrow_schema, features
from affect_data.errors import RecipeError, suggestion
from affect_data.vocabulary import ACTION_UNIT_SLOTS, ACTION_UNITS
from affect_train.inputs.foreign.classes import Classes, coded_classes, named_classes, text_classes
from affect_train.inputs.foreign.values import Findings, Known, is_number, is_text, lists, numbers
from affect_train.recipe.dataset import ActionUnitListOptions, ColumnOptions, Value

if TYPE_CHECKING:
    from datasets import Features

Place = Callable[[int], str]

MADE = (
    "uid",
    "database",
    "subject",
    "track",
    "au",
    "au_mask",
    "expression",
    "expression_mask",
    "valence",
    "arousal",
    "va_mask",
    "face_box",
)
"""The columns of the schema that a mapping fills: those that training and evaluation read, besides the image."""

NUMBERS, TEXTS, BINARY, LISTS = "numbers", "texts", "bytes", "lists of numbers"


def kind_of(type_: pa.DataType) -> str:
    """What a column holds, in words."""
    if is_number(type_):
        return NUMBERS
    if is_text(type_):
        return TEXTS
    if pa.types.is_binary(type_) or pa.types.is_large_binary(type_) or pa.types.is_binary_view(type_):
        return BINARY
    if (pa.types.is_list(type_) or pa.types.is_large_list(type_) or pa.types.is_fixed_size_list(type_)) and is_number(
        type_.value_type
    ):
        return LISTS
    return str(type_)


class RowMapping:
    """From tables of a dataset to tables of the schema.

    Args:
        name: of the dataset; it becomes the only class of the column ``database``.
        columns: which column of the dataset holds what.
        given: the dataset's features.

    Raises:
        RecipeError: lists every column that is missing or holds something else, and every class without a name in the vocabulary.
    """

    def __init__(self, name: str, columns: ColumnOptions, given: "Features") -> None:
        self.name = name
        self.columns = columns
        self.image = columns.image
        self.features = _made_features(name)
        self._types = {column: feature_type(given, column) for column in given}
        self._classes: Classes | None = None
        mistakes = [*self._column_mistakes(), *self._sentinel_mistakes(), *self._class_mistakes(given)]
        if mistakes:
            raise RecipeError(f"dataset '{name}'", [f"dataset.columns.{mistake}" for mistake in mistakes])

    @property
    def read(self) -> tuple[str, ...]:
        """The columns that are read besides the image."""
        texts = (self.columns.uid, self.columns.subject, self.columns.track)
        return tuple(dict.fromkeys(name for name in (*texts, *(column for _, column, _ in self._labels())) if name))

    def __call__(self, table: pa.Table, uids: Place, place: Place) -> pa.Table:
        """The rows as the columns `MADE`.

        Args:
            table: with the columns `read`.
            uids: gives a unique name for a row of the table, if no column has one.
            place: gives the name of a row for messages.

        Raises:
            DataError: lists, for every column, the first value that is neither a label nor declared missing.
        """
        given = {name: _whole(table[name]) for name in self.read}
        findings = Findings(place)
        rows = len(table)
        made: dict[str, Any] = {
            "uid": self._texts(given, self.columns.uid, findings) or pa.array(map(uids, range(rows)), pa.string()),
            "database": np.zeros(rows, dtype=np.int64),
            "subject": self._texts(given, self.columns.subject) or pa.repeat("", rows),
            "track": self._texts(given, self.columns.track) or pa.repeat("", rows),
            **self._action_units(given, rows, findings),
            **self._expression(given, rows, findings),
            **self._valence_arousal(given, rows, findings),
            "face_box": _slots(self._face_box(given, rows, findings)),
        }
        findings.raise_any(self.name)
        schema = arrow_schema(LABELS)
        return pa.table({name: _typed(made[name], schema.field(name).type) for name in MADE})

    # ------------------------------------------------------------ checks before the first row

    def _labels(self) -> list[tuple[str, str, tuple[str, ...]]]:
        """For every label: its key in the recipe, its column, and what the column may hold."""
        columns, units = self.columns, self.columns.action_units
        expression = columns.expression_column()
        found: list[tuple[str, str, tuple[str, ...]]] = []
        if expression:
            found.append(("expression", expression.column, (NUMBERS, TEXTS)))
        found += [(key, column, (NUMBERS,)) for key in ("valence", "arousal") if (column := getattr(columns, key))]
        if isinstance(units, ActionUnitListOptions):
            found.append(("action_units", units.column, (LISTS,)))
        elif units:
            found += [(f"action_units.{number}", column, (NUMBERS,)) for number, column in units.items()]
        return [*found, *([("face_box", columns.face_box, (LISTS,))] if columns.face_box else [])]

    def _column_mistakes(self) -> list[str]:
        columns = self.columns
        wanted = [
            *self._labels(),
            *(
                (key, column, (TEXTS, NUMBERS))
                for key in ("uid", "subject", "track")
                if (column := getattr(columns, key))
            ),
        ]
        mistakes = []
        for key, column, allowed in wanted:
            if column not in self._types:
                mistakes.append(f"{key}: the dataset has no column {column!r}; {suggestion(column, self._types)}")
            elif kind_of(self._types[column]) not in allowed:
                mistakes.append(
                    f"{key}: column {column!r} holds {kind_of(self._types[column])}; expected {' or '.join(allowed)}"
                )
        return [*mistakes, *image_mistakes(self._types, columns.image)]

    def _sentinel_mistakes(self) -> list[str]:
        expression = self.columns.expression_column()
        return [
            f"missing.{column}: {value!r} is no number, the column holds {kind_of(self._types[column])}"
            for column, values in self.columns.missing.items()
            for value in values
            if isinstance(value, str) and column in self._types and (expression is None or column != expression.column)
        ]

    def _class_mistakes(self, given: "Features") -> list[str]:
        expression = self.columns.expression_column()
        if expression is None or expression.column not in self._types:
            return []
        missing, labels = self._missing(expression.column), getattr(given[expression.column], "names", None)
        if labels is not None:
            self._classes, mistakes = named_classes(labels, expression.names, missing)
        elif kind_of(self._types[expression.column]) == TEXTS:
            self._classes, mistakes = text_classes(expression.names, missing)
        else:
            self._classes, mistakes = coded_classes(expression.names, missing)
        return [f"expression: column {expression.column!r}: {mistake}" for mistake in mistakes]

    def _missing(self, column: str) -> Sequence[Value]:
        return self.columns.missing.get(column, [])

    # ------------------------------------------------------------ columns of the schema

    def _texts(
        self, given: Mapping[str, pa.Array], column: str | None, findings: Findings | None = None
    ) -> pa.Array | None:
        """A column as texts, nulls as empty texts; None if no column is named."""
        if column is None:
            return None
        if findings is not None:
            null = given[column].is_null(nan_is_null=True).to_numpy(zero_copy_only=False)
            findings.refuse(column, null, lambda row: given[column][row].as_py(), "a unique name in every row")
        return given[column].cast(pa.string()).fill_null("")

    def _expression(self, given: Mapping[str, pa.Array], rows: int, findings: Findings) -> dict[str, NDArray[Any]]:
        codes = np.full(rows, MISSING_CLASS, dtype=np.int64)
        expression = self.columns.expression_column()
        if expression is not None and self._classes is not None:
            values = given[expression.column]
            codes, unknown = self._classes.codes(values)
            findings.refuse(expression.column, unknown, lambda row: values[row].as_py(), self._classes.expected())
        return {"expression": codes, "expression_mask": codes != MISSING_CLASS}

    def _valence_arousal(self, given: Mapping[str, pa.Array], rows: int, findings: Findings) -> dict[str, NDArray[Any]]:
        columns, (low, high) = self.columns, self.columns.valence_arousal_range
        if columns.valence is None or columns.arousal is None:
            nothing = np.full(rows, np.nan, dtype=np.float32)
            return {"valence": nothing, "arousal": nothing, "va_mask": np.zeros(rows, dtype=bool)}
        found, mask = {}, np.ones(rows, dtype=bool)
        for key, column in (("valence", columns.valence), ("arousal", columns.arousal)):
            values, known = numbers(given[column], self._missing(column))
            # A value in single precision may lie beyond the end of the range by a rounding error.
            slack = 1e-6 * (high - low)
            wrong = known & ~((values >= low - slack) & (values <= high + slack))
            findings.refuse(column, wrong, given_value(given[column]), f"a number from {low:g} to {high:g}")
            scaled = values if (low, high) == (-1.0, 1.0) else (values - low) / (high - low) * 2 - 1
            found[key], mask = np.clip(scaled, -1, 1).astype(np.float32), mask & known
        # A point of the plane needs both axes: a single one is masked.
        return {key: np.where(mask, values, np.float32(np.nan)) for key, values in found.items()} | {"va_mask": mask}

    def _action_units(self, given: Mapping[str, pa.Array], rows: int, findings: Findings) -> dict[str, Any]:
        units = self.columns.action_units
        au = np.full((rows, len(ACTION_UNITS)), MISSING_CLASS, dtype=np.int8)
        if isinstance(units, ActionUnitListOptions):
            values, known, whole = self._lists(given[units.column], units.column, len(units.numbers), findings)
            for place, number in enumerate(units.numbers):
                found = self._occurrence(values[:, place], known[:, place], units.column, findings)
                au[whole, ACTION_UNIT_SLOTS[number]] = found[whole]
        for number, column in units.items() if isinstance(units, dict) else ():
            values, known = numbers(given[column], self._missing(column))
            au[:, ACTION_UNIT_SLOTS[number]] = self._occurrence(values, known, column, findings)
        return {"au": _slots(au), "au_mask": _slots(au != MISSING_CLASS)}

    def _occurrence(
        self, values: NDArray[np.float64], known: Known, column: str, findings: Findings
    ) -> NDArray[np.int8]:
        """Presence of an action unit, int8 [n]: 0 or 1, -1 where there is no label."""
        threshold = self.columns.action_unit_threshold
        if threshold is None:
            wrong, expected = known & (values != 0) & (values != 1), "0 or 1 (intensities need `action_unit_threshold`)"
        else:
            wrong, expected = known & ~((values >= 0) & (values <= 5)), "an intensity from 0 to 5"
        findings.refuse(column, wrong, lambda row: float(values[row]), expected)
        return np.where(known, values >= (threshold or 1), MISSING_CLASS).astype(np.int8)

    def _face_box(self, given: Mapping[str, pa.Array], rows: int, findings: Findings) -> NDArray[np.float32]:
        column = self.columns.face_box
        if column is None:
            return np.full((rows, 4), np.nan, dtype=np.float32)
        boxes, known, _ = self._lists(given[column], column, 4, findings)
        if self.columns.face_box_format == "corner_and_size":
            boxes[:, 2:] += boxes[:, :2]
        has_area = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1]) & np.isfinite(boxes).all(1)
        wrong = known.any(1) & ~(known.all(1) & has_area)
        findings.refuse(
            column,
            wrong,
            given_value(given[column]),
            f"a box ({self.columns.face_box_format}) of some width and height",
        )
        return np.where(np.all(known, axis=1, keepdims=True), boxes, np.nan).astype(np.float32)

    def _lists(
        self, given: pa.Array, column: str, width: int, findings: Findings
    ) -> tuple[NDArray[np.float64], Known, Known]:
        """The numbers of a column of lists, float64 [n, width], which of them exist (the same shape), and which rows have a list, bool [n]."""
        entries, whole, wrong = lists(given, width)
        findings.refuse(column, wrong, given_value(given), f"{width} numbers")
        values, known = numbers(entries, self._missing(column))
        found, there = np.zeros((len(given), width)), np.zeros((len(given), width), dtype=bool)
        found[whole], there[whole] = values.reshape(-1, width), known.reshape(-1, width)
        return found, there, whole


def image_mistakes(types: Mapping[str, pa.DataType], column: str) -> list[str]:
    """The mistakes in the column of pictures."""
    if column not in types:
        return [f"image: the dataset has no column {column!r}; {suggestion(column, types)}"]
    kind = types[column]
    is_image = pa.types.is_struct(kind) and {"bytes", "path"} <= {field.name for field in kind}
    if is_image or kind_of(kind) in (TEXTS, BINARY):
        return []
    return [f"image: column {column!r} holds {kind_of(kind)}; expected an Image column, file bytes, or file paths"]


def feature_type(given: "Features", column: str) -> pa.DataType:
    """The Arrow type of a column."""
    return given.arrow_schema.field(column).type


def given_value(values: pa.Array) -> Callable[[int], object]:
    """A function from a row to its value, for messages."""
    return lambda row: values[row].as_py()


def _made_features(name: str) -> "Features":
    from datasets import Features

    whole = features(LABELS, [name])
    return Features({column: whole[column] for column in MADE})


def _whole(column: pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)


def _slots(values: NDArray[Any]) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(np.ascontiguousarray(values).reshape(-1)), values.shape[1])


def _typed(values: Any, kind: pa.DataType) -> pa.Array:  # noqa: ANN401 - an array of either library
    return (values if isinstance(values, pa.Array) else pa.array(values)).cast(kind)
