"""Labels of rows as people read them, from Arrow tables and back into them."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pyarrow as pa

from affect_data.corrections.decisions import Field_, Labels
from affect_data.dataset.schema import MISSING_CLASS
from affect_data.vocabulary import ACTION_UNIT_SLOTS, ACTION_UNITS, COMPOUND_EXPRESSIONS, EXPRESSIONS

CHANGEABLE: Final = (
    *("au", "au_mask", "au_intensity", "au_intensity_mask", "expression", "expression_mask"),
    *("compound_expression", "compound_expression_mask", "valence", "arousal", "va_mask"),
)

_CLASSES: Final = {"expression": EXPRESSIONS, "compound_expression": COMPOUND_EXPRESSIONS}


def number_of(value: float) -> float:
    """The shortest decimal that gives the same float32."""
    return float(str(np.float32(value)))


def labels_of(row: Mapping[str, Any]) -> Labels:
    """All labels of a row; missing ones are None.

    Args:
        row: label columns by name, lists for action units.
    """
    return Labels(
        expression=EXPRESSIONS[row["expression"]] if row["expression_mask"] else None,
        compound_expression=COMPOUND_EXPRESSIONS[row["compound_expression"]]
        if row["compound_expression_mask"]
        else None,
        va=(number_of(row["valence"]), number_of(row["arousal"])) if row["va_mask"] else None,
        au={
            number: (1 if value else 0) if known else None
            for number, value, known in zip(ACTION_UNITS, row["au"], row["au_mask"], strict=True)
        },
        au_intensity={
            number: number_of(value) if known else None
            for number, value, known in zip(ACTION_UNITS, row["au_intensity"], row["au_intensity_mask"], strict=True)
        },
    )


def change_rows(table: pa.Table, changes: Mapping[int, Mapping[Field_, Any]]) -> pa.Table:
    """A table of labels, changed in some rows.

    Args:
        table: label columns of the schema.
        changes: by row, the new label by field; None masks it.
    """
    columns = {name: _array(table.column(name)) for name in CHANGEABLE}
    for row, fields in changes.items():
        for (name, number), value in fields.items():
            _set(columns, row, name, number, value)
    for name, values in columns.items():
        index = table.schema.get_field_index(name)
        field = table.schema.field(index)
        flat = pa.array(values.reshape(-1), field.type.value_type if values.ndim == 2 else field.type)
        array = pa.FixedSizeListArray.from_arrays(flat, type=field.type) if values.ndim == 2 else flat
        table = table.set_column(index, field, array)
    return table


def _array(column: pa.ChunkedArray) -> "np.ndarray[Any, Any]":
    array = pa.concat_arrays(column.chunks)
    if not pa.types.is_fixed_size_list(array.type):
        return np.array(array.to_numpy(zero_copy_only=False))
    return np.array(array.flatten().to_numpy(zero_copy_only=False)).reshape(len(array), -1)


def _set(columns: dict[str, "np.ndarray[Any, Any]"], row: int, name: str, number: int, value: Any) -> None:  # noqa: ANN401
    known = value is not None
    if name in _CLASSES:
        columns[name][row] = _CLASSES[name].index(value) if known else MISSING_CLASS
        columns[f"{name}_mask"][row] = known
    elif name == "va":
        columns["valence"][row], columns["arousal"][row] = value if known else (np.nan, np.nan)
        columns["va_mask"][row] = known
    else:
        fill = MISSING_CLASS if name == "au" else np.nan
        columns[name][row, ACTION_UNIT_SLOTS[number]] = value if known else fill
        columns[f"{name}_mask"][row, ACTION_UNIT_SLOTS[number]] = known
