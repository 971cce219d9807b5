"""Statistics and balancing reports as text for people."""

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from affect_data.balance.distribution import Distribution
from affect_data.balance.weighing import BalanceReport, PoolReport
from affect_data.cli.tables import table
from affect_data.dataset.kinds.balance import BALANCE
from affect_data.statistics.statistics import Statistics

SETS_SHOWN: Final = 15
BINS_SHOWN: Final = 10


def describe_full_statistics(found: Statistics) -> str:
    """The tables that `tables.describe_statistics` leaves out, as text."""
    parts = [
        _section("Subjects, and how many of them have a row with the label", found.subjects),
        _section("Labels that rows have together", found.label_combinations),
        _section("Expressions by database", found.expressions_by_database),
        _section("Action units by database", found.action_units_by_database),
        _section("Imbalance of action units", _turned(found.imbalance)),
        _section("Imbalance by action unit", found.label_imbalance),
        _section(f"Sets of action units, the {SETS_SHOWN} most frequent of each split", _shown_sets(found)),
        _section("Lift of action units that occur together (1: independent)", _lift_matrix(found.co_occurrence)),
        _section("Lift of action units by expression", _expression_lift(found.action_units_by_expression)),
        *(_plane(split, counts) for split, counts in found.va_histograms.items() if counts.any()),
        _section("Agreement of annotators", found.agreement),
        _section("Beside the labels: rows with a value, by value", found.side),
    ]
    return "\n\n".join(part for part in parts if part)


def _section(title: str, found: pl.DataFrame) -> str:
    if not len(found):
        return ""
    flags = [name for name, dtype in found.schema.items() if dtype == pl.Boolean]
    found = found.with_columns(
        pl.when(pl.col(name)).then(pl.lit("yes")).otherwise(pl.lit("no")).alias(name) for name in flags
    )
    return f"{title}\n{table(found.columns, found.iter_rows())}"


def _turned(measures: pl.DataFrame) -> pl.DataFrame:
    if not len(measures):
        return measures
    names = [name for name in measures.columns if name != "split"]
    columns = {line["split"]: [_number(line[name]) for name in names] for line in measures.to_dicts()}
    return pl.DataFrame({"measure": names, **columns})


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,}" if isinstance(value, int) else f"{value:.3f}"


def _shown_sets(found: Statistics) -> pl.DataFrame:
    shown = found.action_unit_sets.group_by("split", maintain_order=True).head(SETS_SHOWN)
    return shown.with_columns(pl.col("action_units").replace({"": "none"}))


def _lift_matrix(pairs: pl.DataFrame) -> pl.DataFrame:
    both = pl.concat([pairs, pairs.rename({"first": "second", "second": "first"}).select(pairs.columns)])
    return _wide(both.select(pl.format("AU{}", "first").alias("lift"), "first", "second", value="lift"), "lift")


def _expression_lift(rates: pl.DataFrame) -> pl.DataFrame:
    order = {name: place for place, name in enumerate(rates["expression"].unique(maintain_order=True))}
    place = pl.col("expression").replace_strict(order, return_dtype=pl.Int64) if order else pl.lit(0)
    return _wide(rates.select("expression", place.alias("first"), second="action_unit", value="lift"), "expression")


def _wide(cells: pl.DataFrame, row: str) -> pl.DataFrame:
    """Cells `row, first, second, value` as a matrix of text: rows in the order of `first`, columns ``AU<second>``."""
    seconds = cells["second"].unique().sort().to_list()
    lines = []
    for (_, name), part in cells.sort("first").group_by("first", row, maintain_order=True):
        values = dict(part.select("second", "value").iter_rows())
        lines.append([name, *(_lift(values.get(second)) for second in seconds)])
    return pl.DataFrame(lines, schema=[row, *(f"AU{second}" for second in seconds)], orient="row")


def _lift(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _plane(split: str, counts: npt.NDArray[np.int64]) -> str:
    """The plane as text, in `BINS_SHOWN` bins on each axis: arousal upwards, valence to the right."""
    size = len(counts) // BINS_SHOWN
    coarse = counts.reshape(BINS_SHOWN, size, BINS_SHOWN, size).sum(axis=(1, 3))
    centres = (np.arange(BINS_SHOWN) + 0.5) * 2 / BINS_SHOWN - 1
    header = ["arousal \\ valence", *(f"{centre:+.1f}" for centre in centres)]
    lines = [[f"{centres[j]:+.1f}", *coarse[:, j].tolist()] for j in reversed(range(BINS_SHOWN))]
    title = f"Valence and arousal, {split}: rows by bin ({len(counts)} bins an axis, here {BINS_SHOWN}; --json has all)"
    return f"{title}\n{table(header, lines)}"


def describe_balance(report: BalanceReport) -> str:
    """The make-up of each pool as text: before balancing, as planned, and in one epoch as drawn."""
    options = ", ".join(
        f"{key}={value}" for key, value in report.plan.model_dump(mode="json").items() if value not in (None, [])
    )
    lines = [f"plan {report.plan.name} ({report.plan.source}): {options or 'no options'}; seed {report.seed}"]
    for pool in report.pools:
        lines += ["", *_pool(pool)]
    columns = ", ".join(BALANCE.column(report.name, pool.column) for pool in report.pools)
    lines += ["", f"wrote {report.dataset.path}/train/{BALANCE.group(report.name)}: {columns}"]
    return "\n".join(lines)


def _pool(pool: PoolReport) -> list[str]:
    cap = "" if pool.repeat_cap is None else f" (cap {pool.repeat_cap})"
    drawn = f"{pool.draws:,} draws show {pool.distinct:,} different rows, the most repeated {pool.largest_repeat:,} times{cap}"
    lines = [f"pool {pool.column}: {pool.rows:,} rows; {drawn}", *(f"  note: {note}" for note in pool.notes)]
    if pool.before.action_units and pool.column in ("au", "weight"):
        lines += [_counts("action unit", "action_units", pool)]
        lines += [_three("largest IRLbl", [part.max_ir for part in _parts(pool)])]
    if pool.before.expressions and pool.column in ("expression", "weight"):
        lines += [_counts("expression", "expressions", pool)]
    if pool.before.va_bins.any() and pool.column in ("va", "weight"):
        planes = [part.plane() for part in _parts(pool)]
        measures = [[name.replace("_", " "), *(plane[name] for plane in planes)] for name in planes[0]]
        lines += [table(["valence-arousal bins", "before", "planned", "realised"], measures)]
    return [*lines, _counts("database", "databases", pool)]


def _parts(pool: PoolReport) -> tuple[Distribution, ...]:
    return pool.before, pool.planned, pool.realised


def _three(name: str, values: Sequence[float | None]) -> str:
    before, planned, realised = (_number(value) for value in values)
    return f"{name}: before {before}, planned {planned}, realised {realised}"


def _counts(title: str, field: str, pool: PoolReport) -> str:
    parts = [getattr(part, field) for part in _parts(pool)]
    rows: Iterable[list[object]] = (
        [name, round(parts[0].get(name, 0)), f"{parts[1].get(name, 0):,.1f}", round(parts[2].get(name, 0))]
        for name in parts[0]
    )
    return table([title, "before", "planned", "realised"], rows)
