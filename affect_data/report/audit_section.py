"""The section about the findings of the audits."""

import json
from typing import Any

import polars as pl

from affect_data.audit.registry import AUDITS
from affect_data.audit.run import AUDIT, NotAuditedError, read_audit
from affect_data.dataset.folder import DatasetFolder
from affect_data.report.dataset_sections import shortened
from affect_data.report.gallery import worst_faces
from affect_data.report.html import Markup, Section, paragraph, table


def audits(folder: DatasetFolder, *, with_faces: bool = False) -> Section:
    """The section: findings by check, the worst contradictions, duplicates and leaks, and the worst faces if they are asked for and may be shown."""
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
        *(worst_faces(folder, found) if with_faces else []),
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
                    AUDITS[check].title
                    + (f": the first {len(rows)} of {len(evidence):,}" if len(evidence) > len(rows) else ""),
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
