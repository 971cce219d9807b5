"""Turns a reader's rows into unified rows: classes for names, fills and masks for nulls, a uid for each row; counts every masked label."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from affect_data.build.recipe import SplitOptions
from affect_data.build.side_columns import given_columns, side_defects, unified_side_columns, why_unknown
from affect_data.build.splits import assign_splits, rows_of_split
from affect_data.databases.base import SPLITS, TASKS, Database, Scan
from affect_data.databases.refusal import row_defects
from affect_data.dataset.layout import origins_of
from affect_data.dataset.schema import (
    LABEL_COLUMNS,
    MISSING_CLASS,
    MISSING_INDEX,
    MISSING_NUMBER,
    RULES_BEFORE_IMAGES,
    UNIQUE,
    check_rules,
)
from affect_data.errors import DataError, DefectsFoundError
from affect_data.vocabulary import (
    ACTION_UNITS,
    CLIP_SCOPE,
    COMPOUND_EXPRESSIONS,
    EXPRESSIONS,
    FRAME_SCOPE,
    LABEL_SCOPES,
)

_OPTIONAL: Final[dict[str, pl.DataType]] = {
    "subject": pl.String(),
    "track": pl.String(),
    "frame": pl.Int32(),
    "face": pl.Int16(),
    "label_scope": pl.String(),
    "expression": pl.String(),
    "compound_expression": pl.String(),
    "valence": pl.Float32(),
    "arousal": pl.Float32(),
    "face_box": pl.Array(pl.Float32, 4),
    **{f"{task}_masked": pl.String() for task in TASKS},
}

MASKED_SCHEMA: Final = pl.Schema({"task": pl.String(), "reason": pl.String(), "rows": pl.Int64()})


HALF_VA: Final = "only one of valence and arousal"


@dataclass(frozen=True)
class Unified:
    """The unified rows of one database.

    Attributes:
        labels: the label columns of the schema except `image_digest`, with `database` still by name. In addition `origin`, `image` (path relative to
            the root), `split`, `clip_frames` (paths of a clip's frames) if the database has clips, and the columns that the database declares, in the
            unified form of `affect_data.dataset.side.base`.
        origins: the table of which the rows' `origin` is the row, with the columns of `layout.ORIGIN_COLUMNS`.
        masked: `task, reason, rows`: labels in the files that are not used.
    """

    labels: pl.DataFrame
    origins: pl.DataFrame
    masked: pl.DataFrame


def harmonise(scan: Scan, database: Database, release: str, splits: SplitOptions) -> Unified:
    """The unified rows of a scan, ordered by split, then as in the files.

    Raises:
        DefectsFoundError: the scan or a side column has defects, or two rows share a uid.
        SchemaError: a row breaks a rule of the schema.
    """
    if scan.defects:
        raise DefectsFoundError(database.name, scan.defects)
    found = _with_all_columns(scan.rows, database)
    if defects := side_defects(found, database):
        raise DefectsFoundError(database.name, defects)
    rows = assign_splits(found, database, splits)
    # A row of two splits is twice in `rows`, but its masked labels are only once in the files.
    masked = count_masked(found if splits.policy == "follow_task" else rows)
    # The reader's rows are as large as the unified ones: whoever does not need them any more lets them go.
    del found, scan
    rows = _in_order_of_splits(rows)
    labels = _unified_rows(rows, database, release)
    del rows
    _refuse_duplicates(labels, database.name, ["uid", "split"] if splits.policy == "follow_task" else ["uid"])
    # That no two rows share a uid is known by now, with the lines of those that would.
    rules = [rule for rule in RULES_BEFORE_IMAGES if rule.name != UNIQUE]
    for split in SPLITS:
        check_rules(rows_of_split(labels, split), rules)
    return Unified(*origins_of(labels), masked)


def _in_order_of_splits(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows in the order of the splits, without the columns that are counted by now."""
    rows = rows.drop(f"{task}_masked" for task in TASKS)
    order = pl.concat([(rows["split"] == split).arg_true() for split in SPLITS])
    return rows if order.is_sorted() else rows[order]


def _unified_rows(rows: pl.DataFrame, database: Database, release: str) -> pl.DataFrame:
    """The label columns, `image`, `clip_frames` if there are clips, `split`, and the side columns.

    A column of which no row has a value is one fill, which polars keeps once for all rows: intensities alone would take 160 bytes a row.
    """
    clips = ("clip_frames",) if database.has_clips else ()
    labels = rows.select(
        _uid(database.name),
        pl.lit(database.name).alias("database"),
        pl.lit(release).alias("release"),
        *(_filled(rows, name, "") for name in ("subject", "track")),
        *(_filled(rows, name, MISSING_INDEX) for name in ("frame", "face")),
        pl.col("source_file"),
        pl.col("source_line").cast(pl.Int32),
        _scope(rows),
        *_action_units(rows, "au", pl.Series([MISSING_CLASS], dtype=pl.Int8)),
        *_action_units(rows, "au_intensity", pl.Series([MISSING_NUMBER], dtype=pl.Float32)),
        *_class(rows, "expression", EXPRESSIONS),
        _votes(rows.columns),
        *_class(rows, "compound_expression", COMPOUND_EXPRESSIONS),
        *_valence_arousal(rows),
        _filled(rows, "face_box", [MISSING_NUMBER] * 4),
        pl.col("image", "split", *clips),
    )
    names = [column.name for column in LABEL_COLUMNS if column.name != "image_digest"]
    return labels.select(*names, "image", *clips, "split").with_columns(unified_side_columns(rows, database))


def _is_empty(rows: pl.DataFrame, *names: str) -> bool:
    """Whether no row has a value in any of some columns."""
    return all(rows[name].null_count() == len(rows) for name in names)


def _filled(rows: pl.DataFrame, name: str, fill: "str | int | list[float]") -> pl.Expr:
    """A column with a fill in place of nulls."""
    value = pl.lit(fill, dtype=_OPTIONAL[name])
    return value.alias(name) if _is_empty(rows, name) else pl.col(name).fill_null(value)


def _scope(rows: pl.DataFrame) -> pl.Expr:
    codes = {scope: code for code, scope in enumerate(LABEL_SCOPES)}
    if (rows["label_scope"] == FRAME_SCOPE).all():
        return pl.lit(codes[FRAME_SCOPE], dtype=pl.Int64).alias("label_scope")
    return pl.col("label_scope").replace_strict(codes, return_dtype=pl.Int64)


def _with_all_columns(rows: pl.DataFrame, database: Database) -> pl.DataFrame:
    optional = _OPTIONAL | ({"clip_frames": pl.List(pl.String)} if database.has_clips else {})
    known = {"image", "source_file", "source_line", "split", *(f"split_{task}" for task in TASKS), *optional}
    known |= set(given_columns(database))
    known |= (
        {f"au_{n}" for n in ACTION_UNITS}
        | {f"au_intensity_{n}" for n in ACTION_UNITS}
        | {f"votes_{n}" for n in EXPRESSIONS}
    )
    unknown = [why_unknown(column) for column in rows.columns if column not in known]
    if unknown:
        raise DataError(
            f"{database.name}: the reader gives unknown columns {', '.join(unknown)}; see ROW_COLUMNS. Please report it."
        )
    if "face_box" in rows.columns and rows.schema["face_box"] != _OPTIONAL["face_box"]:
        rows = rows.with_columns(pl.col("face_box").cast(pl.List(pl.Float32)).list.to_array(4))
    typed = [
        (pl.col(name).cast(dtype) if name in rows.columns else pl.lit(None, dtype=dtype)).alias(name)
        for name, dtype in optional.items()
    ]
    alone = pl.col("valence").is_null() != pl.col("arousal").is_null()
    return rows.with_columns(typed).with_columns(
        pl.col("subject", "track").fill_null(""),
        pl.col("label_scope").fill_null(FRAME_SCOPE),
        pl.when(alone).then(pl.coalesce("va_masked", pl.lit(HALF_VA))).otherwise("va_masked").alias("va_masked"),
    )


def count_masked(rows: pl.DataFrame) -> pl.DataFrame:
    """How many labels were masked: `task, reason, rows`, most first."""
    parts = [
        rows.select(pl.lit(task).alias("task"), pl.col(f"{task}_masked").alias("reason"))
        .drop_nulls()
        .group_by("task", "reason")
        .len("rows")
        for task in TASKS
    ]
    return pl.concat(parts).cast(MASKED_SCHEMA).sort("task", "rows", "reason", descending=[False, True, False])


def _uid(database: str) -> pl.Expr:
    in_track = (pl.col("track") != "") & pl.col("frame").is_not_null()
    place = pl.when(in_track).then(pl.format("{}/{}", "track", "frame")).otherwise(pl.col("image"))
    # The middle frame of a clip changes with the frames that are kept; its track does not.
    place = pl.when(pl.col("label_scope") == CLIP_SCOPE).then("track").otherwise(place)
    face = pl.when(pl.col("face").is_not_null()).then(pl.format("#{}", "face")).otherwise(pl.lit(""))
    return pl.concat_str(pl.lit(f"{database}:"), place, face).alias("uid")


def _action_units(rows: pl.DataFrame, name: str, fill: pl.Series) -> list[pl.Series] | list[pl.Expr]:
    """The slots of all action units, filled where there is no label, and their mask.

    Args:
        rows: with a column for each coded action unit.
        name: of the columns, before the number.
        fill: the fill, in the type of the slots.
    """
    shape = (len(rows), len(ACTION_UNITS))
    kinds = pl.Array(fill.dtype, shape[1]), pl.Array(pl.Boolean, shape[1])
    coded = {slot: f"{name}_{unit}" for slot, unit in enumerate(ACTION_UNITS) if f"{name}_{unit}" in rows.columns}
    if not coded:
        nothing = (fill[0], False)
        return [
            pl.lit([value] * shape[1], dtype=kind).alias(column)
            for value, kind, column in zip(nothing, kinds, (name, f"{name}_mask"), strict=True)
        ]
    values, mask = np.full(shape, fill[0], fill.to_numpy().dtype), np.zeros(shape, bool)
    for slot, column in coded.items():
        mask[:, slot] = rows[column].is_not_null()
        values[:, slot] = rows[column].cast(fill.dtype).fill_null(fill[0])
    return [pl.Series(name, values, dtype=kinds[0]), pl.Series(f"{name}_mask", mask, dtype=kinds[1])]


def _class(rows: pl.DataFrame, name: str, names: Sequence[str]) -> tuple[pl.Expr, pl.Expr]:
    if _is_empty(rows, name):
        return pl.lit(MISSING_CLASS, dtype=pl.Int64).alias(name), pl.lit(value=False).alias(f"{name}_mask")
    codes = pl.col(name).replace_strict({n: code for code, n in enumerate(names)}, return_dtype=pl.Int64)
    return codes.fill_null(MISSING_CLASS).alias(name), pl.col(name).is_not_null().alias(f"{name}_mask")


def _votes(columns: Sequence[str]) -> pl.Expr:
    given = [name for name in EXPRESSIONS if f"votes_{name}" in columns]
    if not given:
        kind = pl.Array(pl.Float32, len(EXPRESSIONS))
        return pl.lit([MISSING_NUMBER] * len(EXPRESSIONS), dtype=kind).alias("expression_votes")
    has_votes = pl.any_horizontal(pl.col(f"votes_{name}").is_not_null() for name in given)
    shares = [
        pl.col(f"votes_{name}").cast(pl.Float32) if name in given else pl.lit(0.0, dtype=pl.Float32)
        for name in EXPRESSIONS
    ]
    return pl.concat_arr(pl.when(has_votes).then(share).otherwise(MISSING_NUMBER) for share in shares).alias(
        "expression_votes"
    )


def _valence_arousal(rows: pl.DataFrame) -> tuple[pl.Expr, ...]:
    if _is_empty(rows, "valence", "arousal"):
        none = (pl.lit(MISSING_NUMBER, dtype=pl.Float32).alias(name) for name in ("valence", "arousal"))
        return (*none, pl.lit(value=False).alias("va_mask"))
    both = pl.col("valence").is_not_null() & pl.col("arousal").is_not_null()
    fills = (
        pl.when(both).then(pl.col(name)).otherwise(MISSING_NUMBER).cast(pl.Float32).alias(name)
        for name in ("valence", "arousal")
    )
    return (*fills, both.alias("va_mask"))


def _refuse_duplicates(labels: pl.DataFrame, database: str, key: list[str]) -> None:
    if labels["uid"].n_unique() == len(labels):
        return
    twice = labels.filter(pl.struct(key).is_duplicated()).sort("uid", "source_file", "source_line")
    if len(twice):
        remedy = "remove one of the lines, or name it under `exclude` in the recipe"
        defects = row_defects(twice, "a second row for {uid}", "one row a face", remedy)
        raise DefectsFoundError(database, defects)
