"""From texts of a table to the columns that readers give for side groups."""

from typing import Final

import polars as pl

from affect_data.databases.table.beside import RaterColumns
from affect_data.databases.table.columns import Columns
from affect_data.databases.table.labels import Cells, named_values, scaled
from affect_data.databases.table.sections import ClassColumn
from affect_data.vocabulary import EXPRESSIONS, SIDES

OLDEST: Final = 150


def side_values(cells: Cells, columns: Columns) -> list[pl.Series]:
    """What stands beside the labels: age, words, sides, scores and raters, each only if the recipe names a column."""
    found = [cells.numbers(columns.age, 0, OLDEST).alias("age")] if columns.age else []
    for name, given in columns.words().items():
        found.append(cells.words(given.column, named_values(given)).alias(name))
    for number, side in columns.side_columns().items():
        names = {word: word for word in SIDES} | dict(side.names)
        found.append(cells.words(side.column, names).alias(f"side_{number}"))
    for name, score in columns.score_columns().items():
        found.append(cells.numbers(score.column).alias(f"score_{name}"))
    return [*found, *_raters(cells, columns)]


def _raters(cells: Cells, columns: Columns) -> list[pl.Series]:
    """A list of structs a row, in the order of the recipe; an annotator without any label of a row is left out."""
    if not columns.raters:
        return []
    told = pl.DataFrame([_told(cells, columns, name, rater) for name, rater in columns.raters.items()])
    return [told.select(pl.concat_list(pl.all()).list.drop_nulls().alias("raters")).to_series()]


def _told(cells: Cells, columns: Columns, name: str, rater: RaterColumns) -> pl.Series:
    """What one annotator says of each row, as structs with the fields of all annotators; null where that is nothing."""
    labels: dict[str, pl.Series] = {}
    raters = columns.raters.values()
    if any(other.expression for other in raters):
        labels["expression"] = _expression(cells, columns, rater)
    if any(other.valence for other in raters):
        for key, column in (("valence", rater.valence), ("arousal", rater.arousal)):
            labels[key] = _empty(cells, pl.Float64()) if column is None else scaled(cells, columns, column)
    for number in columns.rater_units():
        unit = rater.action_units.get(number)
        values = _empty(cells, pl.Int8()) if unit is None else cells.integers(unit, 1).cast(pl.Int8)
        labels[f"au_{number}"] = values
    frame = pl.DataFrame(labels)
    said = pl.any_horizontal(pl.all().is_not_null())
    told = pl.struct(pl.lit(name).alias("rater"), pl.all())
    return frame.select(pl.when(said).then(told).alias(name)).to_series()


def _expression(cells: Cells, columns: Columns, rater: RaterColumns) -> pl.Series:
    given = ClassColumn(column=rater.expression) if isinstance(rater.expression, str) else rater.expression
    if given is None or given.column is None:
        return _empty(cells, pl.String())
    of_table = columns.class_column("expression")
    if given.names is None and of_table is not None:
        given = given.model_copy(update={"names": of_table.names})
    return cells.classes(given, given.column or "", EXPRESSIONS)


def _empty(cells: Cells, kind: pl.DataType) -> pl.Series:
    return pl.repeat(None, len(cells.rows), dtype=kind, eager=True)
