"""The leak guard: people, videos and copies of pictures that are in two splits.

A row of one person in train and another in validation makes every figure of the validation split too good, whatever
task the two rows are labelled for.
So the guard looks at all tasks together, and at all databases of a source family together.
"""

from collections.abc import Sequence
from typing import Any, Final, Literal

import polars as pl

from affect_data.databases.registry import DATABASES
from affect_data.errors import DataError
from affect_data.store import DatasetFolder

LEAK_COLUMNS: Final[dict[str, pl.DataType]] = {
    "kind": pl.String(),
    "source_family": pl.String(),
    "key": pl.String(),
    "splits": pl.List(pl.String()),
    "rows": pl.UInt32(),
}

Policy = Literal["strict", "follow_task", "official"]

LEAKS_SHOWN: Final = 20


class LeakError(DataError):
    """Subjects, tracks or groups of copies that are in two splits."""

    def __init__(self, leaks: pl.DataFrame) -> None:
        self.leaks = leaks
        shown = "".join(
            f"\n  {kind} {key!r} of {family}: {rows:,} rows in {' and '.join(splits)}"
            for kind, family, key, splits, rows in leaks.head(LEAKS_SHOWN).iter_rows()
        )
        more = f"\n  ... and {len(leaks) - LEAKS_SHOWN:,} more" if len(leaks) > LEAKS_SHOWN else ""
        super().__init__(
            f"{len(leaks):,} leak(s) between splits:{shown}{more}\n"
            "Give databases of one source family the same split of subjects, leave one of them out, or choose `splits: {policy: follow_task}` "
            "to keep the official splits of each task and have leaks reported only."
        )


def source_family(database: str) -> str:
    """The family of a database: databases that share pictures or people have the same one."""
    return DATABASES[database].source_family if database in DATABASES else database


def find_leaks(labels: pl.DataFrame, groups: pl.Series | None = None) -> pl.DataFrame:
    """Subjects, tracks and groups of copies that are in more than one split.

    Args:
        labels: rows of all splits, with `database` (by name), `split`, `subject`, `track`.
        groups: for every row a name of its group of copies, the same for all copies; null where it has none.

    Returns:
        `kind` ("subject", "track", "group"), `source_family`, `key`, `splits`, `rows`; sorted.
    """
    families = {name: source_family(name) for name in labels["database"].unique()}
    rows = labels.select(
        pl.col("database").replace_strict(families, return_dtype=pl.String).alias("source_family"),
        *(pl.col(name).replace({"": None}).alias(name) for name in ("subject", "track")),
        pl.col("split").cast(pl.String),
        groups.cast(pl.String).alias("group") if groups is not None else pl.lit(None, pl.String).alias("group"),
    )
    found = [pl.DataFrame(schema=LEAK_COLUMNS)]
    for kind in ("subject", "track", "group"):
        # Copies cross the borders of families, subjects and tracks are named within them.
        family = pl.lit("any").alias("source_family") if kind == "group" else pl.col("source_family")
        keyed = rows.filter(pl.col(kind).is_not_null()).group_by(family, pl.col(kind).alias("key"))
        found.append(
            keyed.agg(pl.col("split").unique().sort().alias("splits"), pl.len().cast(pl.UInt32).alias("rows"))
            .filter(pl.col("splits").list.len() > 1)
            .select(pl.lit(kind).alias("kind"), "source_family", "key", "splits", "rows")
            .sort("source_family", "key")
        )
    return pl.concat(found)


def guard(labels: pl.DataFrame, policy: Policy, groups: pl.Series | None = None) -> pl.DataFrame:
    """Holds rows against leaks before they become, or are used as, a dataset.

    Args:
        labels: see `find_leaks`.
        policy: of the recipe; under ``follow_task`` leaks are intended, and only returned.
        groups: see `find_leaks`.

    Returns:
        The leaks that the policy accepts; empty under the other policies.

    Raises:
        LeakError: there are leaks, and the policy does not accept them.
    """
    leaks = find_leaks(labels, groups)
    if len(leaks) and policy != "follow_task":
        raise LeakError(leaks)
    return leaks


def guard_parts(parts: Sequence[pl.DataFrame], policy: Policy) -> tuple[dict[str, Any], ...]:
    """`guard` over the rows of several databases that are about to become one dataset; returns the accepted leaks as dictionaries.

    Raises:
        LeakError: there are leaks, and the policy does not accept them.
    """
    columns = ("database", "subject", "track", "split")
    if not parts:
        return ()
    rows = pl.concat(part.select(pl.col(columns).cast(pl.String)) for part in parts)
    return tuple(guard(rows, policy).to_dicts())


def guard_dataset(folder: DatasetFolder, policy: Policy = "strict") -> pl.DataFrame:
    """`guard` over all splits of a built dataset, as before a training."""
    columns = ("database", "subject", "track")
    parts = [folder.labels(split).select(*columns, pl.lit(split).alias("split")) for split in folder.splits]
    return guard(pl.concat(parts), policy)
