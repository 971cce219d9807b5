"""Which split a row belongs to: official splits, group-disjoint holdouts, and what happens if a database's tasks disagree.

Databases such as Aff-Wild2 publish one split per task, so that a video can be training data for valence-arousal and validation data for expressions.
Merged into rows, such a video would leak from one split into the other.
"""

import hashlib
from typing import Final

import polars as pl

from affect_data.build.recipe import SplitOptions
from affect_data.databases.base import SPLITS, TASKS, Database, Task
from affect_data.errors import DataError
from affect_data.vocabulary import ACTION_UNITS

_RANK: Final = {split: rank for rank, split in enumerate(SPLITS)}

STRICT_REASON: Final = "{} label of a {} track (split policy strict)"


class SplitConflictError(DataError):
    """Tracks are in different splits for different tasks, and the policy refuses that."""

    def __init__(self, database: str, tracks: list[str]) -> None:
        shown = ", ".join(tracks[:10]) + (f" and {len(tracks) - 10} more" if len(tracks) > 10 else "")
        super().__init__(
            f"{database}: {len(tracks)} track(s) are in different splits for different tasks: {shown}. "
            "Choose `splits: {policy: strict}` (validation for all tasks, its train labels masked) or `follow_task` (a row in each split)."
        )


def task_columns(rows: pl.DataFrame, task: Task) -> list[str]:
    """The label columns of a task that a reader's rows have."""
    named = {
        "au": [*(f"{kind}_{n}" for kind in ("au", "au_intensity", "side") for n in ACTION_UNITS), "raters"],
        "expression": [
            *("expression", "compound_expression", "native_expression", "raters"),
            *(c for c in rows.columns if c.startswith("votes_")),
        ],
        "va": ["valence", "arousal", "raters"],
    }
    return [column for column in named[task] if column in rows.columns]


def _labelled(rows: pl.DataFrame, task: Task) -> pl.Expr:
    columns = task_columns(rows, task)
    return pl.any_horizontal(pl.col(columns).is_not_null()) if columns else pl.lit(value=False)


def rows_of_split(rows: pl.DataFrame, split: str) -> pl.DataFrame:
    """The rows of a split without a copy, of rows in the order of the splits."""
    counts = dict(rows["split"].value_counts().iter_rows())
    start = sum(counts.get(before, 0) for before in SPLITS[: SPLITS.index(split)])
    return rows.slice(start, counts.get(split, 0))


def assign_splits(rows: pl.DataFrame, database: Database, options: SplitOptions) -> pl.DataFrame:
    """A reader's rows with one column ``split`` instead of the official splits per task.

    If a database has a split for each task, the policy decides. Under ``strict`` all tracks of a person take the strictest of their splits (test
    before validation before train), and labels from their other splits are masked with a reason. Under ``follow_task`` a row with labels of two
    splits becomes a row in each. ``official`` refuses such tracks.

    Rows without an official split are train, or a group-disjoint holdout if the recipe asks for one.

    Raises:
        SplitConflictError: the policy is ``official`` and tasks disagree about a track.
    """
    per_task = any(f"split_{task}" in rows.columns for task in TASKS)
    rows = _with_holdout(_with_split_per_task(rows), database, options.seed)
    if not per_task:
        per_label = [f"split_{task}" for task in TASKS]
        return rows.with_columns(split=pl.coalesce(per_label)).drop(per_label)
    if options.policy == "follow_task":
        return _follow_task(rows)
    unit = _unit()
    ranks = [pl.col(f"split_{task}").replace_strict(_RANK, return_dtype=pl.Int8) for task in TASKS]
    strictest = pl.max_horizontal(ranks).max().over(unit)
    if options.policy == "official":
        disagree = strictest != pl.min_horizontal(ranks).min().over(unit)
        conflicting = rows.filter(disagree).select(unit.alias("track"))["track"].unique().sort().to_list()
        if conflicting:
            raise SplitConflictError(database.name, conflicting)
    rows = rows.with_columns(strictest.replace_strict(dict(enumerate(SPLITS)), return_dtype=pl.String).alias("split"))
    for task in TASKS:
        rows = _mask_other_splits(rows, task)
    return rows.drop([f"split_{task}" for task in TASKS])


def _with_split_per_task(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows with ``split_<task>``, null if the row has no label of the task or the database no official split."""
    given: dict[Task, pl.Expr] = {}
    for task in TASKS:
        source = next((name for name in (f"split_{task}", "split") if name in rows.columns), None)
        given[task] = pl.col(source) if source is not None else pl.lit(None, dtype=pl.String)
    of_label = {task: pl.when(_labelled(rows, task)).then(given[task]) for task in TASKS}
    unlabelled = pl.all_horizontal(split.is_null() for split in of_label.values())
    return rows.with_columns(
        pl.when(unlabelled).then(pl.coalesce(*given.values())).otherwise(of_label[task]).alias(f"split_{task}")
        for task in TASKS
    ).drop("split", strict=False)


def _with_holdout(rows: pl.DataFrame, database: Database, seed: int) -> pl.DataFrame:
    unassigned = pl.all_horizontal(pl.col(f"split_{task}").is_null() for task in TASKS)
    unit = _unit()
    units = rows.filter(unassigned).select(unit.alias("unit"))["unit"].unique().sort().to_list()
    held_out = [name for name in units if _share(f"{seed}:{database.source_family}:{name}") < database.options.holdout]
    split = pl.when(unit.is_in(held_out)).then(pl.lit("validation")).otherwise(pl.lit("train"))
    return rows.with_columns(
        pl.when(unassigned).then(split).otherwise(f"split_{task}").alias(f"split_{task}") for task in TASKS
    )


def _unit() -> pl.Expr:
    """What must not be divided between splits: the person, otherwise the video, otherwise the picture."""
    return pl.coalesce(pl.col(name).replace({"": None}) for name in ("subject", "track", "image"))


def _share(key: str) -> float:
    """A number in [0, 1) that depends on the key alone."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8]) / 2**64


def _mask_other_splits(rows: pl.DataFrame, task: Task) -> pl.DataFrame:
    columns = task_columns(rows, task)
    if not columns:
        return rows
    own = pl.col(f"split_{task}")
    elsewhere = _labelled(rows, task) & (own != pl.col("split"))
    reason = pl.format(STRICT_REASON, own, pl.col("split"))
    return rows.with_columns(
        pl.when(elsewhere).then(reason).otherwise(f"{task}_masked").alias(f"{task}_masked"),
        *(pl.when(elsewhere).then(None).otherwise(pl.col(column)).alias(column) for column in columns),
    )


def _follow_task(rows: pl.DataFrame) -> pl.DataFrame:
    per_task = [f"split_{task}" for task in TASKS]
    # A task without a split of its own takes that of another task of the row; its labels must not be in two splits.
    rows = rows.with_columns(pl.coalesce(column, *per_task).alias(column) for column in per_task)
    parts = []
    for split in SPLITS:
        part = rows.filter(pl.any_horizontal(pl.col(f"split_{task}") == split for task in TASKS))
        for task in TASKS:
            elsewhere = (pl.col(f"split_{task}") != split).fill_null(value=False)
            part = part.with_columns(
                pl.when(elsewhere).then(None).otherwise(pl.col(c)).alias(c) for c in task_columns(part, task)
            )
        parts.append(part.with_columns(pl.lit(split).alias("split")).drop(per_task))
    return pl.concat(parts)
