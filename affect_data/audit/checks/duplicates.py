"""Finds copies of pictures, also across splits and databases, and labels on which copies disagree."""

import numpy as np
import polars as pl

from affect_data.audit.base import Audit, AuditedDataset, Severity, findings
from affect_data.audit.pictures.copies import CHANGED, CONFIRMED, MIRRORED

VA_APART = 0.3
"""Copies disagree if their valence or arousal differs by more than this."""


class Duplicates(Audit):
    """Copies of a picture, and whether their labels agree."""

    name = "duplicates"
    title = "copies of a picture"
    severity = Severity.REVIEW
    rule = (
        f"same bytes, same decoded pixels, or a correlation after alignment of at least {CONFIRMED} ({CHANGED} if one is turned, moved or brightened "
        f"to fit, {MIRRORED} with the mirrored picture); error "
        f"where the copies are in different splits, warning where they disagree (expression, an action unit, or more than {VA_APART} of valence or "
        "arousal). Score: the correlation"
    )
    source = "Schlett et al., Double Trouble? Impact and Detection of Duplicates in Face Image Datasets, 2024 (hashes, then a second look)"
    example = '`{"copies":3,"level":"near","splits":["train","validation"],"conflict":["expression"],...}`'

    def find(self, dataset: AuditedDataset) -> pl.DataFrame:
        """One finding for every row that has a copy."""
        copies = dataset.copies
        columns = ("database", "expression", "expression_mask", "valence", "arousal", "va_mask")
        rows = dataset.rows(*columns).with_columns(
            pl.Series("group", copies.of_row), copies.level.alias("level"), pl.Series("correlation", copies.correlation)
        )
        rows = dataset.identified(rows.filter(pl.col("level") != ""))
        # A row that a split policy has put into two splits is one row and not two copies.
        rows = rows.filter(pl.col("uid").n_unique().over("group") > 1)
        if rows.is_empty():
            return findings(rows, pl.lit(1.0), self.severity, {"group": pl.lit("")})
        rows = rows.with_columns(units=_units_apart(dataset, rows))
        conflicts = rows.group_by("group").agg(_conflicts())
        summary = rows.group_by("group").agg(
            pl.col("uid").sort_by("row").first().alias("group_uid"),
            pl.len().alias("copies"),
            pl.col("split").unique().sort().alias("splits"),
            pl.col("database").unique().sort().alias("databases"),
        )
        rows = rows.join(summary, on="group").join(conflicts, on="group").sort("row")
        across = pl.col("splits").list.len() > 1
        severity = (
            pl.when(across)
            .then(pl.lit(Severity.ERROR.value))
            .when(pl.col("conflict").list.len() > 0)
            .then(pl.lit(Severity.WARNING.value))
            .otherwise(pl.lit(Severity.REVIEW.value))
        )
        evidence = {
            "group": pl.col("group_uid"),
            "copies": pl.col("copies"),
            "level": pl.col("level"),
            "splits": pl.col("splits"),
            "databases": pl.col("databases"),
            "conflict": pl.col("conflict"),
            "expression": pl.col("expression_name"),
        }
        return findings(rows, pl.col("correlation"), severity, evidence)


def _conflicts() -> pl.Expr:
    """The tasks on which the copies of a group disagree."""
    expressions = pl.col("expression").filter(pl.col("expression_mask")).n_unique() > 1
    apart = [
        (
            pl.col(name).filter(pl.col("va_mask")).max() - pl.col(name).filter(pl.col("va_mask")).min() > VA_APART
        ).fill_null(value=False)
        for name in ("valence", "arousal")
    ]
    tasks = [
        pl.when(expressions).then(pl.lit("expression")),
        pl.when(pl.col("units").any()).then(pl.lit("au")),
        pl.when(pl.any_horizontal(apart)).then(pl.lit("va")),
    ]
    return pl.concat_list(tasks).list.drop_nulls().alias("conflict")


def _units_apart(dataset: AuditedDataset, rows: pl.DataFrame) -> pl.Series:
    """Whether an action unit is present in one copy of the row's group and absent in another."""
    numbers = dataset.folder.manifest.layout.action_units
    units = dataset.slots("au", numbers)[:, rows["row"].to_numpy()].T
    _, group = np.unique(rows["group"].to_numpy(), return_inverse=True)
    present = np.zeros((int(group.max(initial=-1)) + 1, units.shape[1]), bool)
    absent = present.copy()
    np.logical_or.at(present, group, units == 1)
    np.logical_or.at(absent, group, units == 0)
    return pl.Series(np.asarray((present & absent).any(axis=1))[group])
