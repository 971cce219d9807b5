"""Reports of the commands as text for people."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from affect_data.cli.narrow import fitting, terminal_width


def describe_evaluation(split: str, evaluation: Mapping[str, Any]) -> str:
    """The metrics of a split as text: all rows and each database side by side, then each action unit, expression and group of people.

    Bootstrap intervals follow their values.
    """
    columns = {"all": evaluation["overall"], **evaluation["databases"]}
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
    if "au" in overall:
        lines += ["", *aligned(_unit_rows(overall))]
    if "expression" in overall:
        classes = overall["expression"]["by_class"].items()
        table = [
            [name, _with_interval(overall, f"expression.by_class.{name}.f1", c["f1"]), f"{c['labels']:,}"]
            for name, c in classes
        ]
        lines += ["", *aligned([["expression", "F1", "labels"], *table])]
    if evaluation.get("subgroups"):
        lines += ["", *_subgroup_lines(evaluation)]
    return "\n".join(lines) + "\n"


def _unit_rows(overall: Mapping[str, Any]) -> list[list[str]]:
    """A table of the action units; if thresholds were tuned, F1 at 0.5 is shown beside F1 at the threshold."""
    half = overall["au"].get("at_half")
    table = [["action unit", "F1", *(["threshold", "F1 at 0.5"] if half else []), "present", "labels"]]
    for number, unit in overall["au"]["by_action_unit"].items():
        tuned = [f"{unit['threshold']:.3f}", _number(half["by_action_unit"][number]["f1"])] if half else []
        score = _with_interval(overall, f"au.by_action_unit.{number}.f1", unit["f1"])
        table.append([f"AU{number}", score, *tuned, f"{unit['present']:,}", f"{unit['labels']:,}"])
    return table


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
