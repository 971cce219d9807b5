"""Reports of the commands as text for people."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from affect_data.build.build import BuildReport
from affect_data.build.check import DatabaseCheck
from affect_data.cli.narrow import fitting, terminal_width
from affect_data.errors import DEFECTS_SHOWN
from affect_data.statistics.statistics import Statistics


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table with columns aligned by spaces: numbers to the right, text to the left; paragraphs on a terminal too narrow for it."""
    cells = [[_cell(value) for value in row] for row in rows]
    widths = [max(len(line[i]) for line in [list(header), *cells]) for i in range(len(header))]
    numeric = [
        all(line[i].removeprefix("-")[:1].isdigit() or line[i] in ("", "-") for line in cells)
        for i in range(len(header))
    ]

    def line(values: Sequence[str]) -> str:
        aligned = (v.rjust(w) if right else v.ljust(w) for v, w, right in zip(values, widths, numeric, strict=True))
        return "  ".join(aligned).rstrip()

    lines = [line(list(header)), "  ".join("-" * width for width in widths), *map(line, cells)]
    return "\n".join(fitting(lines, header, cells, terminal_width()))


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.3f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _counted(reasons: Mapping[str, int]) -> str:
    return (
        "; ".join(f"{count:,} {reason}" for reason, count in sorted(reasons.items(), key=lambda item: -item[1]))
        or "none"
    )


def describe_check(found: DatabaseCheck) -> str:
    """The result of a check of one database as text."""
    title = f"{found.database}" + (f" ({found.release})" if found.release else "")
    lines = [f"{title}: {found.headline}"]
    if found.problem:
        lines += [f"  {line}" for line in found.problem.splitlines()]
        return "\n".join(lines) + "\n"
    lines += [f"  not whole: {loss}" for loss in found.losses]
    lines += [f"  breaks a rule: {broken}" for broken in found.broken_rules]
    lines += [f"  found: {note}" for note in found.notes]
    lines += [
        f"  lines {found.lines:,} = rows {found.rows:,} + failures {sum(found.failures.values()):,} ({_counted(found.failures)})"
    ]
    lines += [f"  masked {entry['task']}: {entry['rows']:,} {entry['reason']}" for entry in found.masked]
    lines += [f"  {defect}" for defect in found.defects[:DEFECTS_SHOWN]]
    if len(found.defects) > DEFECTS_SHOWN:
        lines.append(f"  ... and {len(found.defects) - DEFECTS_SHOWN:,} more defects; --json lists all")
    if found.defects:
        lines += ["  expected layout:", *(f"    {line}" for line in found.expected.splitlines())]
    return "\n".join(lines) + "\n"


def describe_build(report: BuildReport) -> str:
    """The result of a build as text: rows by split, and what became of all lines of every database."""
    dataset = report.dataset
    rows = [
        [
            name,
            found.release,
            found.lines,
            found.rows,
            sum(found.failures.values()),
            sum(int(m["rows"]) for m in found.masked),
        ]
        for name, found in report.databases.items()
    ]
    lines = [table(["database", "release", "lines", "rows", "failures", "masked labels"], rows), ""]
    failures = [
        [name, reason, count] for name, found in report.databases.items() for reason, count in found.failures.items()
    ]
    if failures:
        lines += [table(["database", "failed because", "lines"], failures), ""]
    masked = [
        [name, m["task"], m["reason"], m["rows"]] for name, found in report.databases.items() for m in found.masked
    ]
    if masked:
        lines += [table(["database", "task", "masked because", "rows"], masked), ""]
    lines += [*_counted_pictures(report), *_kept_and_written(report)]
    incomplete = [[name, loss] for name, found in report.databases.items() for loss in found.losses]
    if incomplete:
        lines += [table(["incomplete, as accepted", "lost"], incomplete), ""]
    if report.leaks:
        leaks = [[leak["kind"], leak["key"], " and ".join(leak["splits"]), leak["rows"]] for leak in report.leaks]
        lines += [table(["in two splits", "name", "splits", "rows"], leaks), ""]
    if report.decisions is not None:
        lines += [_decided(report.decisions), ""]
    erased = sum(found.erased for found in report.databases.values())
    if erased:
        lines += [f"left out: {erased:,} lines, which were erased from this dataset before", ""]
    splits = ", ".join(f"{split} {dataset.rows(split):,}" for split in dataset.splits)
    if report.unchanged:
        lines.append(
            f"{dataset.path} is this dataset already: nothing was written ({splits}; fingerprint {dataset.fingerprint})"
        )
    else:
        reused = (
            f"; {report.shards_reused} of {report.shards} shards were there from an interrupted build"
            if report.shards_reused
            else ""
        )
        lines.append(f"built {dataset.path}: {splits}; fingerprint {dataset.fingerprint}{reused}")
        if report.groups_kept:
            lines.append(f"kept: {', '.join(report.groups_kept)}")
        if report.groups_lost:
            lines.append(f"do not fit any more: {', '.join(report.groups_lost)}")
    return "\n".join(lines)


def _counted_pictures(report: BuildReport) -> list[str]:
    """A table of the frames of clips, and one of the pictures of which a part is lost; each only if there are any."""
    found = report.databases.items()
    clips = [[name, own.rows, own.frames, own.frames_left_out] for name, own in found if own.frames]
    damaged = [[name, own.damaged] for name, own in found if own.damaged]
    tables = {
        ("database of clips", "clips", "frames", "frames that cannot be decoded"): clips,
        ("database", "pictures of which a part is lost (the check half_decoded finds them)"): damaged,
    }
    return [line for columns, rows in tables.items() if rows for line in (table(columns, rows), "")]


def _kept_and_written(report: BuildReport) -> list[str]:
    """A table of the files that were kept of the dataset that was replaced, if any were, and why others were written."""
    if not any(part.pictures_kept or part.labels_kept for part in report.parts):
        return []
    columns = ["files of", "pictures kept", "written", "labels kept", "written", "because"]
    parts = [
        [
            part.database,
            part.pictures_kept,
            part.pictures_written,
            part.labels_kept,
            part.labels_written,
            "; ".join(part.because),
        ]
        for part in report.parts
    ]
    return [table(columns, parts), ""]


def _decided(decisions: Mapping[str, Any]) -> str:
    """How many of the recipe's decisions were applied, and which did not fit."""
    misfits = decisions["misfits"]
    if not misfits:
        return f"decisions: {decisions['applied']:,} applied"
    named = ", ".join(decisions["misfit_uids"][:DEFECTS_SHOWN])
    return f"decisions: {decisions['applied']:,} applied; do not fit any more: {_counted(misfits)} ({named})"


def build_to_json(report: BuildReport) -> dict[str, Any]:
    """The result of a build as plain lists and dictionaries."""
    return {
        "dataset": str(report.dataset.path),
        "fingerprint": report.dataset.fingerprint,
        "unchanged": report.unchanged,
        "shards": report.shards,
        "shards_reused": report.shards_reused,
        "rows": report.dataset.manifest.rows,
        "leaks": list(report.leaks),
        "decisions": report.decisions,
        "groups_kept": list(report.groups_kept),
        "groups_lost": list(report.groups_lost),
        "parts": [asdict(part) for part in report.parts],
        "databases": {name: asdict(found) for name, found in report.databases.items()},
    }


def describe_statistics(found: Statistics) -> str:
    """The main tables of the statistics as text."""
    parts = [
        "Rows with a label, by database and split",
        table(found.coverage.columns, found.coverage.iter_rows()),
        "\nAction units",
        table(found.action_units.columns, found.action_units.iter_rows()),
        "\nExpressions",
        table(found.expressions.columns, found.expressions.iter_rows()),
    ]
    if len(found.compound_expressions):
        parts += [
            "\nCompound expressions",
            table(found.compound_expressions.columns, found.compound_expressions.iter_rows()),
        ]
    parts += ["\nValence and arousal", table(found.valence_arousal.columns, found.valence_arousal.iter_rows())]
    complete = found.complete_case
    parts.append(
        f"\nComplete cases: {complete['complete']:,} of {complete['labelled']:,} labelled rows have AU, expression and VA; "
        f"dropping the others would lose {complete['lost_share']:.1%}"
    )
    return "\n".join(parts)
