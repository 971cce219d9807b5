"""Sections about the dataset itself: what was merged, which labels there are, how they are distributed."""

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import polars as pl

from affect_data.bounds import read_json
from affect_data.corrections.versions import read_changes
from affect_data.dataset.folder import LOCK, DatasetFolder
from affect_data.dataset.merged import databases_of
from affect_data.report.charts import Series, bars, heat_map, plane
from affect_data.report.html import Markup, Section, figure, grid, paragraph, percent, table
from affect_data.statistics.statistics import Statistics
from affect_data.vocabulary import ACTION_UNIT_NAMES, EXPRESSIONS

LINES_SHOWN: Final = 40
TASK_NAMES: Final = {"au": "AU", "expression": "expression", "va": "VA", "compound_expression": "compound"}


def read_lock(folder: DatasetFolder) -> dict[str, Any]:
    """The lock of the dataset, which says what it was made from; empty if the file is missing or broken."""
    try:
        loaded = read_json(folder.path / LOCK)
    except (OSError, ValueError):
        return {}
    return loaded if isinstance(loaded, dict) else {}


def shortened(rows: Sequence[Sequence[Any]], header: Sequence[str], caption: str) -> list[Markup]:
    """A table of the first lines, whose caption says how many lines there are."""
    more = f" (the first {LINES_SHOWN} of {len(rows):,})" if len(rows) > LINES_SHOWN else ""
    return [table(header, rows[:LINES_SHOWN], caption + more)]


def merged(folder: DatasetFolder, lock: dict[str, Any]) -> Section:
    """The section on databases with their releases, lines, rows and failures, and on masked labels."""
    found: dict[str, Any] = lock.get("databases", {})
    rows, failures, masked, readers = [], [], [], databases_of(folder)
    for name in folder.manifest.databases:
        known, report = readers.get(name), found.get(name, {})
        rows.append(
            [
                known.title if known else name,
                report.get("release", ""),
                known.licence.publishes.value if known else "?",
                report.get("lines"),
                report.get("rows"),
                sum(report["failures"].values()) if "failures" in report else None,
                "drawn (demo)" if report.get("drawn") else "",
            ]
        )
        failures += [[name, reason, count] for reason, count in report.get("failures", {}).items()]
        masked += [
            [name, TASK_NAMES.get(m["task"], m["task"]), m["reason"], m["rows"]] for m in report.get("masked", [])
        ]
    header = ["database", "release", "may publish", "annotated faces", "rows", "failures", "note"]
    if not any(row[-1] for row in rows):
        header, rows = header[:-1], [row[:-1] for row in rows]
    parts = [table(header, rows)]
    if not found:
        parts.append(paragraph(f"The dataset has no readable {LOCK}: releases and failures are not known.", quiet=True))
    side_by_side = []
    if failures:
        side_by_side += shortened(failures, ["database", "reason", "faces"], "Faces without a row")
    else:
        parts.append(paragraph("Every annotated face has a row."))
    if masked:
        side_by_side += shortened(
            masked, ["database", "task", "reason", "rows"], "Labels that stand in the files and are not used"
        )
    if side_by_side:
        parts.append(grid(*side_by_side))
    parts += _decisions(folder, lock)
    return Section("merged", "What was merged", tuple(parts))


def _decisions(folder: DatasetFolder, lock: dict[str, Any]) -> list[Markup]:
    parts = []
    if "decisions" in lock:
        decided = lock["decisions"]
        misfits = "".join(f"; {count:,} did not fit: {reason}" for reason, count in decided["misfits"].items())
        parts.append(paragraph(f"The build applied {decided['applied']:,} reviewers' decisions{misfits}."))
    changes = read_changes(folder)
    if len(changes):
        parts.append(paragraph("Labels changed by review"))
        counted = changes.group_by("version", "who", "action").agg(pl.struct("uid", "split").n_unique().alias("rows"))
        parts.append(table(["version", "reviewer", "action", "rows"], counted.sort("version", "who", "action").rows()))
    return parts


def coverage(found: Statistics) -> Section:
    """The section on which rows have which labels, and on what complete-case filtering would lose."""
    tasks = [task for task in TASK_NAMES if found.coverage[task].sum()] or ["au", "expression", "va"]
    rows = [f"{row['database']} / {row['split']}" for row in found.coverage.iter_rows(named=True)]
    counts = found.coverage.select(tasks).to_numpy().astype(np.float64)
    shares = counts / np.maximum(found.coverage["rows"].to_numpy()[:, None], 1)
    texts = [
        [f"{int(n):,} ({share:.0%})" if n else "0" for n, share in zip(*pair, strict=True)]
        for pair in zip(counts, shares, strict=True)
    ]
    matrix = heat_map(
        rows,
        [TASK_NAMES[task] for task in tasks],
        counts,
        "rows with a label by database, split and task",
        shades=shares,
        cell=(104, 22),
        texts=texts,
    )
    complete = found.complete_case
    lost = (
        f"{complete['complete']:,} of {complete['labelled']:,} labelled rows have AU, expression and VA together; "
        f"complete-case filtering would lose {percent(complete['lost_share'])} of them."
    )
    combinations = found.label_combinations.with_columns(
        pl.concat_str(
            [pl.when(pl.col(task)).then(pl.lit(name)) for task, name in TASK_NAMES.items()],
            separator=" + ",
            ignore_nulls=True,
        )
        .replace({"": "no label"})
        .alias("labels")
    )
    lines = [
        [split, labels, rows_, percent(share)]
        for split, labels, rows_, share in combinations.select("split", "labels", "rows", "share").iter_rows()
    ]
    totals = found.coverage.select("database", "split", "rows", "subjects", "any_label", "all_three")
    return Section(
        "masks",
        "Which labels there are",
        (
            figure(matrix, "Rows that carry a label of the task, and their share of the rows."),
            paragraph(lost),
            grid(
                table(["database", "split", "rows", "subjects", "any label", "all three"], totals.rows(), "Rows"),
                table(
                    ["split", "labels together", "rows", "share"], lines[:LINES_SHOWN], "Labels that rows have together"
                ),
            ),
        ),
    )


def expressions(found: Statistics) -> Section:
    """The section on expression classes, over all databases and in each."""
    if not found.expressions["rows"].sum():
        return Section("expressions", "Expressions", (paragraph("No row has an expression label."),))
    drawn = bars(
        found.expressions["expression"].to_list(),
        [Series("rows", found.expressions["rows"].to_list())],
        "rows by expression",
    )
    by_database = found.expressions_by_database
    parts = [
        figure(drawn, "Rows by expression, all databases and splits."),
        table(["database", "split", *EXPRESSIONS], by_database.rows(), "Rows by expression"),
    ]
    compounds = found.compound_expressions
    if len(compounds):
        parts.append(table(["compound expression", "rows"], compounds.rows(), "Compound expressions"))
    if len(found.agreement):
        parts.append(
            table(
                [name.replace("_", " ") for name in found.agreement.columns],
                found.agreement.rows(),
                "Agreement of annotators",
            )
        )
    return Section("expressions", "Expressions", tuple(parts))


def action_units(found: Statistics) -> Section:
    """The section on action units: how often they are labelled and present, how unevenly, and which occur together."""
    units = found.action_units
    if not len(units):
        return Section("action-units", "Action units", (paragraph("No row has an action-unit label."),))
    names = [f"AU{number} {ACTION_UNIT_NAMES[number]}" for number in units["action_unit"]]
    drawn = bars(
        names,
        [Series("labelled", units["labelled"].to_list()), Series("present", units["present"].to_list())],
        "rows by action unit",
    )
    rates = table(
        ["AU", "labelled", "present", "rate", "with intensity"],
        [
            [f"AU{n}", labelled, present, percent(rate), graded]
            for n, labelled, present, graded, rate in units.select(
                "action_unit", "labelled", "present", "with_intensity", "rate"
            ).iter_rows()
        ],
        "Action units",
    )
    parts = [figure(drawn, "Rows in which the action unit is labelled, and in which it is present."), rates]
    if len(found.imbalance):
        shown = found.imbalance.select(
            "split", "rows", "labels", "cardinality", "mean_ir", "max_ir", "cvir", "scumble", "label_sets"
        )
        header = [
            "split",
            "rows",
            "action units",
            "cardinality",
            "MeanIR",
            "largest IRLbl",
            "CVIR",
            "SCUMBLE",
            "label sets",
        ]
        parts.append(table(header, shown.rows(), "Imbalance (Charte et al., 2015)"))
    parts += _co_occurrence(found.co_occurrence)
    parts += _by_expression(found.action_units_by_expression)
    return Section("action-units", "Action units", tuple(parts))


def _co_occurrence(pairs: pl.DataFrame) -> list[Markup]:
    if not len(pairs) or not pairs["lift"].is_not_null().any():
        return []
    units = sorted({*pairs["first"], *pairs["second"]})
    lift = np.full((len(units), len(units)), np.nan)
    for first, second, value in pairs.select("first", "second", "lift").drop_nulls().iter_rows():
        lift[units.index(first), units.index(second)] = lift[units.index(second), units.index(first)] = value
    names = [f"AU{number}" for number in units]
    texts = [["" if math.isnan(v) else f"{v:.1f}" for v in row] for row in lift]
    shades = np.clip(np.log2(np.maximum(lift, 1.0)) / 3.0, 0.0, 1.0)
    drawn = heat_map(names, names, lift, "lift of pairs of action units", shades=shades, cell=(34, 20), texts=texts)
    caption = "Lift of pairs of action units over the rows in which both are labelled: 1 is chance; darkest from 8."
    return [figure(drawn, caption)]


def _by_expression(rates: pl.DataFrame) -> list[Markup]:
    if not len(rates):
        return []
    units = sorted(rates["action_unit"].unique())
    classes = [name for name in EXPRESSIONS if name in set(rates["expression"])]
    values = np.full((len(classes), len(units)), np.nan)
    for name, unit, rate in rates.select("expression", "action_unit", "rate").drop_nulls().iter_rows():
        values[classes.index(name), units.index(unit)] = rate
    texts = [["" if math.isnan(v) else f"{v:.0%}" for v in row] for row in values]
    drawn = heat_map(
        classes,
        [f"AU{n}" for n in units],
        values,
        "share of rows with the action unit by expression",
        shades=values,
        cell=(40, 22),
        texts=texts,
    )
    return [
        figure(
            drawn, "Share of the rows of an expression in which the action unit is present, where both are labelled."
        )
    ]


def valence_arousal(found: Statistics) -> Section:
    """The section on valence and arousal: the plane of each split."""
    if not found.valence_arousal["rows"].sum():
        return Section("va", "Valence and arousal", (paragraph("No row has a valence-arousal label."),))
    planes = [
        figure(
            plane(counts.astype(np.float64), f"valence and arousal of {split}"),
            f"{split}: {int(counts.sum()):,} rows; shades are logarithmic.",
        )
        for split, counts in found.va_histograms.items()
        if counts.sum()
    ]
    columns = ["split", "rows", "valence_mean", "valence_std", "arousal_mean", "arousal_std"]
    header = ["split", "rows", "mean valence", "deviation", "mean arousal", "deviation"]
    return Section(
        "va", "Valence and arousal", (grid(*planes), table(header, found.valence_arousal.select(columns).rows()))
    )
