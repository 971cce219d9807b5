"""Reports of the commands as text for people."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from affect_data.cli.narrow import fitting, terminal_width


def describe_evaluation(split: str, evaluation: Mapping[str, Any]) -> str:
    """The metrics of a split as text: all rows and each database side by side, then each action unit, expression and group of people.

    Bootstrap intervals follow their values.
    """
    columns = {
        "all": {"reliability": evaluation.get("reliability"), **evaluation["overall"]},
        **evaluation["databases"],
    }
    if len(evaluation["databases"]) == 1:
        columns.pop("all")
    found = {column: dict(_main_metrics(metrics)) for column, metrics in columns.items()}
    names = list(dict.fromkeys(name for cells in found.values() for name in cells))
    rows = [[name, *(found[column].get(name, "-") for column in columns)] for name in names]
    clips = evaluation.get("clips")
    pooled = f", {clips['rows']:,} of them clips, each judged by the {clips['pooling']}" if clips else ""
    lines = [f"{split}: {evaluation['rows']:,} rows{pooled}", *aligned([["metric", *columns], *rows])]
    overall = evaluation["overall"]
    if "intervals" in overall:
        lines += ["", _describe_intervals(overall["intervals"])]
    for task, table in (("au", _unit_rows), ("expression", _class_rows)):
        for suffix, metrics in _with_labels(evaluation, task):
            lines += ["", *aligned(table(metrics, suffix))]
    if evaluation.get("subgroups"):
        lines += ["", *_subgroup_lines(evaluation)]
    return "\n".join(lines) + "\n"


def _with_labels(evaluation: Mapping[str, Any], task: str) -> list[tuple[str, Mapping[str, Any]]]:
    """The metrics of all rows and of each database with labels of a task, with the ending of a table's title; if one database has all, once."""
    found = {name: one for name, one in evaluation["databases"].items() if one.get(task, {}).get("labels")}
    named = [(f", {name}", metrics) for name, metrics in found.items()] if len(found) > 1 else []
    overall = {"reliability": evaluation.get("reliability"), **evaluation["overall"]}
    return [("", overall), *named] if overall.get(task, {}).get("labels") else []


def _unit_rows(metrics: Mapping[str, Any], suffix: str) -> list[list[str]]:
    """A table of the labelled action units; if thresholds were tuned, F1 at 0.5 is shown beside F1 at the threshold."""
    half = metrics["au"].get("at_half")
    curves = ((metrics.get("reliability") or {}).get("au") or {}).get("by_action_unit", {})
    ranks = {"average_precision": "AP", "auroc": "AUROC"}
    table = [
        [
            f"action unit{suffix}",
            "F1",
            *(["threshold", "F1 at 0.5"] if half else []),
            *ranks.values(),
            "ECE",
            "present",
            "labels",
        ]
    ]
    for number, unit in metrics["au"]["by_action_unit"].items():
        if not unit["labels"]:
            continue
        place = f"au.by_action_unit.{number}"
        tuned = [f"{unit['threshold']:.3f}", _number(half["by_action_unit"][number]["f1"])] if half else []
        shown = [_with_interval(metrics, f"{place}.{rank}", unit.get(rank)) for rank in ranks]
        table.append(
            [
                f"AU{number}",
                _with_interval(metrics, f"{place}.f1", unit["f1"]),
                *tuned,
                *shown,
                _number(curves.get(number, {}).get("ece")),
                f"{unit['present']:,}",
                f"{unit['labels']:,}",
            ]
        )
    return table


def _class_rows(metrics: Mapping[str, Any], suffix: str) -> list[list[str]]:
    """A table of the expressions."""
    classes = metrics["expression"]["by_class"].items()
    cells = [
        [name, _with_interval(metrics, f"expression.by_class.{name}.f1", one["f1"]), f"{one['labels']:,}"]
        for name, one in classes
    ]
    return [[f"expression{suffix}", "F1", "labels"], *cells]


def _subgroup_lines(evaluation: Mapping[str, Any]) -> list[str]:
    """A table of the groups of people, and from what size on they are scored."""
    groups, least = evaluation["subgroups"], evaluation["subgroup_minimum"]
    found = [dict(_main_metrics(group["metrics"])) for group in groups]
    names = list(dict.fromkeys(name for cells in found for name in cells))
    rows = [
        [
            f"{group['database']} {group['attribute']}: {group['value']}",
            _number(group["rows"]),
            _number(group.get("people")),
            *(cells.get(name, "-") for name in names),
        ]
        for group, cells in zip(groups, found, strict=True)
    ]
    small = f"[groups with fewer than {least['rows']:,} labelled rows or {least['people']:,} people are not scored]"
    return [*aligned([["group", "rows", "people", *names], *rows]), "", small]


def _describe_intervals(intervals: Mapping[str, Any]) -> str:
    people = ", ".join(f"{count:,} {kind}s" for kind, count in intervals["clusters"].items() if count)
    return f"[{intervals['level']:.0%} intervals: {intervals['resamples']:,} resamples of {people}]"


def _main_metrics(metrics: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    named = {
        "au": {
            "AU mean F1": "mean_f1",
            "AU mean F1 at 0.5": "at_half.mean_f1",
            "AU mean AP": "mean_average_precision",
            "AU mean AUROC": "mean_auroc",
            "AU accuracy": "accuracy",
            "AU labels": "labels",
        },
        "expression": {
            "expression macro F1": "macro_f1",
            "expression accuracy": "accuracy",
            "expression labels": "labels",
        },
        "va": {
            "valence CCC": "valence_ccc",
            "arousal CCC": "arousal_ccc",
            "valence CCC per video": "per_track.valence_ccc",
            "arousal CCC per video": "per_track.arousal_ccc",
            "VA labels": "labels",
        },
    }
    for task, names in named.items():
        for name, key in names.items():
            *path, last = key.split(".")
            part = metrics.get(task, {})
            for step in path:
                part = part.get(step, {})
            if last in part:
                yield name, _with_interval(metrics, f"{task}.{key}", part[last])
    for name, task, key in (("AU mean ECE", "au", "mean_ece"), ("expression ECE", "expression", "ece")):
        errors = (metrics.get("reliability") or {}).get(task)
        if errors is not None:
            yield name, _number(errors[key])
    for name, value in metrics.get("abaw", {}).items():
        yield f"ABAW {name}", _number(value)


def _with_interval(metrics: Mapping[str, Any], key: str, value: float | int | None) -> str:
    interval = metrics.get("intervals", {}).get("metrics", {}).get(key)
    return _number(value) + (f" [{interval[0]:.3f}, {interval[1]:.3f}]" if interval else "")


def describe_prediction(result: Mapping[str, Any]) -> str:
    """The predictions for one picture as text."""
    parts = []
    if "action_units" in result:
        present = [
            f"{name} {unit['probability']:.2f}" for name, unit in result["action_units"].items() if unit["present"]
        ]
        parts.append("action units: " + (", ".join(present) or "none"))
    if "expression" in result:
        parts.append(
            f"expression: {result['expression']} {result['expression_probabilities'][result['expression']]:.2f}"
        )
    if "valence" in result:
        parts.append(f"valence {result['valence']:+.2f}, arousal {result['arousal']:+.2f}")
    return f"{result['image']}: " + "; ".join(parts)


def _number(value: float | int | None) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else f"{value:.3f}"


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a table, its header first: the first column aligned left, the others right; paragraphs on a terminal too narrow for it."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in rows
    ]
    return fitting(lines, rows[0], rows[1:], terminal_width())
