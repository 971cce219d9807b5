"""Sections about what was done with the dataset: balancing, audits, training."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from affect_data.audit.registry import AUDITS
from affect_data.audit.run import AUDIT, NotAuditedError, read_audit
from affect_data.balance.distribution import distribution
from affect_data.balance.drawing import draw
from affect_data.balance.group import PREFIX, SPLIT, BalanceProvenance, load_weights
from affect_data.balance.labels import PlanLabels
from affect_data.errors import DataError
from affect_data.report.charts import Series, bars, lines, plane
from affect_data.report.dataset_sections import shortened
from affect_data.report.html import Markup, Section, escape, figure, grid, paragraph, table
from affect_data.store import DatasetFolder

Weights = npt.NDArray[np.float32]

POOL_NAMES: Final = {
    "au": "action units",
    "expression": "expressions",
    "va": "valence and arousal",
    "weight": "all labels",
}


class NotARunError(DataError):
    """A folder without the results of a training run."""

    def __init__(self, path: Path, because: str) -> None:
        super().__init__(
            f"'{path}' has no results of a training run: {because}. Make them: `affect-train evaluate {path} DATASET`"
        )


# ---------------------------------------------------------------- balancing


def balancing(folder: DatasetFolder) -> Section | None:
    """Every plan before and after; None where there is none."""
    names = sorted(name.removeprefix(PREFIX) for name in folder.manifest.provenance if name.startswith(PREFIX))
    if not names:
        return None
    parts: list[Markup] = []
    for name in names:
        plan = BalanceProvenance.model_validate(folder.manifest.provenance[PREFIX + name])
        parts.append(Markup(f"<h3>{escape(_title(plan))}</h3>"))
        if plan.dataset_fingerprint != folder.fingerprint:
            parts.append(paragraph("Made for other rows or labels than those in force; not shown."))
            continue
        labels, weights = PlanLabels.read(folder, SPLIT), load_weights(folder.path, name)
        parts += [_pool(column, pool, plan.seed, labels, weights[column]) for column, pool in plan.pools.items()]
    return Section("balancing", "Balancing", tuple(parts))


def _title(plan: BalanceProvenance) -> str:
    options = ", ".join(f"{key} {value}" for key, value in plan.options.items() if value not in (None, []))
    return f"{plan.name}: plan {plan.plan}" + (f" ({options})" if options else "")


def _pool(column: str, pool: dict[str, Any], seed: int, labels: PlanLabels, weights: Weights) -> Markup:
    before, after = pool["before"], pool["realised"]
    text = (
        f"{POOL_NAMES.get(column, column)}: {pool['rows']:,} rows; an epoch of {pool['draws']:,} draws holds {pool['distinct']:,} "
        f"different rows, the most repeated one {pool['largest_repeat']:,} times. {'; '.join(pool['notes'])}"
    )
    drawings = []
    if column in ("au", "weight") and before["action_units"]:
        drawings.append(_pair("AU", before["action_units"], after["action_units"], "action unit"))
    if column in ("expression", "weight") and before["expressions"]:
        drawings.append(_pair("", before["expressions"], after["expressions"], "expression"))
    if column in ("va", "weight") and before["va"]["occupied_bins"]:
        drawings += _planes(pool, seed, labels, weights)
    if len(before["databases"]) > 1:
        drawings.append(_pair("", before["databases"], after["databases"], "database"))
    return Markup(paragraph(text).text + (grid(*drawings).text if drawings else ""))


def _pair(prefix: str, before: dict[str, float], after: dict[str, float], what: str) -> Markup:
    values = [
        Series("before", list(before.values())),
        Series("after (one epoch)", [after.get(key, 0.0) for key in before]),
    ]
    drawn = bars([prefix + name for name in before], values, f"rows by {what} before and after balancing", 400)
    return figure(drawn, f"Rows by {what}: before, and in one epoch drawn.")


def _planes(pool: dict[str, Any], seed: int, labels: PlanLabels, weights: Weights) -> list[Markup]:
    """The plane before and in the epoch that the plan's seed draws; the plan keeps no histogram."""
    times = np.bincount(draw(weights, pool["draws"], seed, pool["repeat_cap"]), minlength=len(labels))
    drawable = weights > 0
    rows = labels.has_va if int(labels.has_va.sum()) == pool["rows"] else drawable
    name = "before" if int(rows.sum()) == pool["rows"] else "before (rows that can be drawn)"
    planes = []
    for title, counted in ((name, rows), ("after (one epoch)", times)):
        bins = distribution(labels, counted, ()).va_bins
        evenness = pool["before" if counted is rows else "realised"]["va"]["evenness"]
        caption = f"{title}: {int(bins.sum()):,} rows, evenness {evenness:.2f}."
        planes.append(figure(plane(bins, f"valence and arousal {title}", 200), caption))
    return planes


# ---------------------------------------------------------------- audits


def audits(folder: DatasetFolder) -> Section:
    """Findings by check, and the worst of contradictions, duplicates and leakage."""
    try:
        found = read_audit(folder.path)
    except NotAuditedError:
        because = "its labels have changed since" if (folder.path / AUDIT).is_file() else "no check was run"
        return Section(
            "audit", "Audit", (paragraph(f"The dataset is not audited: {because}. `affect-data audit` does."),)
        )
    if found.is_empty():
        return Section("audit", "Audit", (paragraph("The audit has no findings."),))
    counted = found.group_by("check", maintain_order=True).agg(
        *((pl.col("severity") == level).sum().alias(level) for level in ("error", "warning", "review")),
        pl.struct("uid", "split").n_unique().alias("rows"),
        pl.col("score").max().cast(pl.Float64).alias("highest"),
    )
    lines_ = [
        [AUDITS[check].title if check in AUDITS else check, error, warning, review, rows, highest]
        for check, error, warning, review, rows, highest in counted.iter_rows()
    ]
    parts = [
        paragraph("A finding is a reason for a person to look; nothing was changed because of it."),
        table(["check", "error", "warning", "review", "rows", "highest score"], lines_),
        *_contradictions(found),
        *_duplicates(found),
        *_leaks(found),
    ]
    return Section("audit", "Audit", tuple(parts))


def _evidence(found: pl.DataFrame, check: str) -> list[dict[str, Any]]:
    rows = found.filter(pl.col("check") == check)
    return [
        {"uid": uid, "score": score, **json.loads(evidence)}
        for uid, score, evidence in rows.select("uid", "score", "evidence").iter_rows()
    ]


def _contradictions(found: pl.DataFrame) -> list[Markup]:
    parts = []
    for check in ("expression_va", "au_expression", "au_va", "occurrence_intensity", "codes"):
        evidence = _evidence(found, check)
        if evidence:
            rows = [[e["uid"], float(e["score"]), _listed(e)] for e in evidence[:10]]
            parts.append(
                table(
                    ["row", "score", "evidence"],
                    rows,
                    f"{AUDITS[check].title}: the first {len(rows)} of {len(evidence):,}",
                )
            )
    return parts


def _listed(evidence: dict[str, Any]) -> str:
    kept = {
        key: value for key, value in evidence.items() if key not in ("uid", "score") and value not in (None, "", [])
    }
    return "; ".join(
        f"{key.replace('_', ' ')} {', '.join(map(str, value)) if isinstance(value, list) else f'{value:.2f}' if isinstance(value, float) else value}"
        for key, value in kept.items()
    )


def _duplicates(found: pl.DataFrame) -> list[Markup]:
    evidence = _evidence(found, "duplicates")
    groups = {e["group"]: e for e in evidence}
    if not groups:
        return []
    counted: dict[tuple[str, str], list[int]] = {}
    for group in groups.values():
        key = (" + ".join(group["databases"]), " + ".join(group["splits"]))
        totals = counted.setdefault(key, [0, 0, 0])
        totals[0] += 1
        totals[1] += int(group["copies"])
        totals[2] += bool(group["conflict"])
    rows = [
        [databases, splits, *totals]
        for (databases, splits), totals in sorted(counted.items(), key=lambda item: -item[1][0])
    ]
    text = f"{len(groups):,} groups of copies, {sum(len(g['splits']) > 1 for g in groups.values()):,} of them across splits."
    return [
        paragraph(text),
        *shortened(rows, ["databases", "splits", "groups", "rows", "with a label conflict"], "Groups of copies"),
    ]


def _leaks(found: pl.DataFrame) -> list[Markup]:
    leaks = {(e["kind"], e["key"]): e for e in _evidence(found, "leakage")}
    if not leaks:
        return []
    rows = [[e["kind"], e["key"], " + ".join(e["splits"]), e["rows"]] for e in leaks.values()]
    return [
        paragraph(f"{len(leaks):,} people, videos or groups of copies are in more than one split."),
        *shortened(rows, ["kind", "name", "splits", "rows"], "In more than one split"),
    ]


# ---------------------------------------------------------------- training


def training(folder: DatasetFolder, run: Path) -> Section:
    """Metrics of a run on the splits that it was evaluated on, and the course of its training.

    Raises:
        NotARunError: the run has no readable ``evaluation.json``.
    """
    try:
        report = json.loads((run / "evaluation.json").read_text(encoding="utf-8"))
        splits = {str(split): found["overall"] for split, found in report["splits"].items()}
        databases = {
            str(split): {str(n): m for n, m in found["databases"].items()} for split, found in report["splits"].items()
        }
    except FileNotFoundError:
        raise NotARunError(run, "it has no evaluation.json") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise NotARunError(run, f"evaluation.json is not readable ({type(error).__name__}: {error})") from None
    parts = [paragraph(f"Run {run.resolve().name}, evaluated on dataset {report.get('dataset', '?')}.")]
    if report.get("fingerprint") != folder.fingerprint:
        parts.append(
            paragraph(
                "It was evaluated on other rows or labels than those of this report: the figures are not about them."
            )
        )
    rows = []
    for split, overall in splits.items():
        rows.append([split, "all", *_scores(overall)])
        rows += [[split, name, *_scores(found)] for name, found in databases[split].items()]
    parts.append(
        table(["split", "database", "AU F1", "expression F1", "accuracy", "valence CCC", "arousal CCC", "score"], rows)
    )
    for split, overall in splits.items():
        parts += _per_label(split, overall)
    parts += _course(run / "metrics.jsonl")
    parts.append(
        paragraph(
            "Reliability curves are not shown: evaluation.json holds no reliability data, and predictions are not stored with a run.",
            quiet=True,
        )
    )
    return Section("training", "Training results", tuple(parts))


def _scores(metrics: dict[str, Any]) -> list[float | None]:
    wanted = (
        ("au", "mean_f1"),
        ("expression", "macro_f1"),
        ("expression", "accuracy"),
        ("va", "valence_ccc"),
        ("va", "arousal_ccc"),
    )
    return [*(metrics.get(task, {}).get(name) for task, name in wanted), metrics.get("score")]


def _per_label(split: str, metrics: dict[str, Any]) -> list[Markup]:
    drawings = []
    for task, key, prefix in (("au", "by_action_unit", "AU"), ("expression", "by_class", "")):
        found = metrics.get(task, {}).get(key, {})
        if found:
            names = [f"{prefix}{name} ({entry['labels']:,})" for name, entry in found.items()]
            drawn = bars(names, [Series("F1", [entry["f1"] for entry in found.values()])], f"F1 on {split}", 400)
            drawings.append(figure(drawn, f"F1 on {split}; labelled rows in brackets."))
    return [grid(*drawings)] if drawings else []


def _course(path: Path) -> list[Markup]:
    """The losses over the steps, from the lines of the log that are whole."""
    losses: dict[str, list[tuple[float, float]]] = {}
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else ():
        with suppress(ValueError, KeyError, TypeError, AttributeError):
            entry = json.loads(line)
            step = float(entry["step"])
            for name, value in entry["losses"].items() if entry["kind"] == "train" else ():
                if not name.endswith("_ccc"):
                    losses.setdefault(name, []).append((step, float(value)))
    if not losses:
        return []
    drawings = [
        figure(lines([(name, points)], f"training loss of {name}", "step", "loss"), f"Training loss: {name}.")
        for name, points in losses.items()
        if len(points) > 1
    ]
    return [grid(*drawings)] if drawings else []
