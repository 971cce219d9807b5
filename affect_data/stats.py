"""What is in a dataset: rows, labels by database and split, mask coverage, class counts, and what complete-case filtering would lose."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from affect_data.store import DatasetFolder
from affect_data.vocabulary import ACTION_UNITS, COMPOUND_EXPRESSIONS, EXPRESSIONS


@dataclass(frozen=True)
class Statistics:
    """Counts over a dataset.

    Attributes:
        coverage: one line a database and split: `database, split, rows, au, expression, va, compound_expression, any_label, all_three`; the label
            columns count rows, `au` those with at least one action unit.
        action_units: one line an action unit that somebody labels: `action_unit, labelled, present, with_intensity` and `rate` = present / labelled.
        expressions: `expression, rows`, also of classes without a row.
        compound_expressions: `compound_expression, rows`, without empty classes.
        valence_arousal: `split, rows, valence_mean, valence_std, arousal_mean, arousal_std`.
        complete_case: of the rows with any label, how many have all of AU, expression and VA: `labelled, complete, lost_share`.
    """

    coverage: pl.DataFrame
    action_units: pl.DataFrame
    expressions: pl.DataFrame
    compound_expressions: pl.DataFrame
    valence_arousal: pl.DataFrame
    complete_case: dict[str, float]

    def to_json(self) -> dict[str, object]:
        """The same as plain lists and dictionaries."""
        tables = ("coverage", "action_units", "expressions", "compound_expressions", "valence_arousal")
        return {**{name: getattr(self, name).to_dicts() for name in tables}, "complete_case": self.complete_case}


def statistics(dataset: DatasetFolder) -> Statistics:
    """The counts of a dataset, over all its splits."""
    columns = [
        "database",
        "au",
        "au_mask",
        "au_intensity_mask",
        "expression",
        "compound_expression",
        "valence",
        "arousal",
        "va_mask",
    ]
    parts = {split: dataset.labels(split).select(columns) for split in dataset.splits}
    coverage = pl.concat(_coverage(labels, split) for split, labels in parts.items()).sort("database", "split")
    labelled, complete = int(coverage["any_label"].sum()), int(coverage["all_three"].sum())
    return Statistics(
        coverage=coverage,
        action_units=_action_units(list(parts.values())),
        expressions=_classes(list(parts.values()), "expression", EXPRESSIONS),
        compound_expressions=_classes(list(parts.values()), "compound_expression", COMPOUND_EXPRESSIONS).filter(
            pl.col("rows") > 0
        ),
        valence_arousal=pl.concat(_valence_arousal(labels, split) for split, labels in parts.items()),
        complete_case={
            "labelled": labelled,
            "complete": complete,
            "lost_share": 1 - complete / labelled if labelled else 0.0,
        },
    )


def _coverage(labels: pl.DataFrame, split: str) -> pl.DataFrame:
    has = labels.select(
        "database",
        au=pl.col("au_mask").arr.any() | pl.col("au_intensity_mask").arr.any(),
        expression=pl.col("expression") >= 0,
        va=pl.col("va_mask"),
        compound_expression=pl.col("compound_expression") >= 0,
    )
    three = ("au", "expression", "va")
    return (
        has.with_columns(
            any_label=pl.any_horizontal(*three, "compound_expression"), all_three=pl.all_horizontal(*three)
        )
        .group_by("database")
        .agg(pl.len().alias("rows"), pl.col(*three, "compound_expression", "any_label", "all_three").sum())
        .with_columns(pl.lit(split).alias("split"))
        .select("database", "split", "rows", *three, "compound_expression", "any_label", "all_three")
    )


def _action_units(parts: list[pl.DataFrame]) -> pl.DataFrame:
    def count(slots: Callable[[pl.DataFrame], npt.NDArray[np.bool_]]) -> npt.NDArray[np.int64]:
        totals = np.zeros(len(ACTION_UNITS), np.int64)
        for labels in parts:
            totals += slots(labels).sum(axis=0, dtype=np.int64)
        return totals

    table = pl.DataFrame(
        {
            "action_unit": ACTION_UNITS,
            "labelled": count(lambda labels: labels["au_mask"].to_numpy()),
            "present": count(lambda labels: labels["au"].to_numpy() == 1),
            "with_intensity": count(lambda labels: labels["au_intensity_mask"].to_numpy()),
        }
    )
    return table.filter((pl.col("labelled") > 0) | (pl.col("with_intensity") > 0)).with_columns(
        rate=pl.when(pl.col("labelled") > 0).then(pl.col("present") / pl.col("labelled"))
    )


def _classes(parts: list[pl.DataFrame], column: str, names: tuple[str, ...]) -> pl.DataFrame:
    codes = pl.concat(labels[column] for labels in parts)
    rows = np.bincount(codes.filter(codes >= 0).to_numpy(), minlength=len(names))
    return pl.DataFrame({column: names, "rows": rows})


def _valence_arousal(labels: pl.DataFrame, split: str) -> pl.DataFrame:
    return labels.filter("va_mask").select(
        pl.lit(split).alias("split"),
        pl.len().cast(pl.Int64).alias("rows"),
        *(pl.col(axis).mean().cast(pl.Float64).alias(f"{axis}_mean") for axis in ("valence", "arousal")),
        *(pl.col(axis).std(ddof=0).cast(pl.Float64).alias(f"{axis}_std") for axis in ("valence", "arousal")),
    )
