"""Reports of the commands as text for people."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any


def describe_evaluation(split: str, evaluation: Mapping[str, Any]) -> str:
    """The metrics of a split: all rows and each database side by side, then each action unit and expression."""
    columns = {"all": evaluation["overall"], **evaluation["databases"]}
    if len(evaluation["databases"]) == 1:
        columns.pop("all")
    names = list(dict.fromkeys(name for metrics in columns.values() for name, _ in _main_metrics(metrics)))
    found = {column: dict(_main_metrics(metrics)) for column, metrics in columns.items()}
    rows = [[name, *(_number(found[column].get(name)) for column in columns)] for name in names]
    lines = [f"{split}: {evaluation['rows']:,} rows", *_aligned([["metric", *columns], *rows])]
    overall = evaluation["overall"]
    if "au" in overall:
        units = overall["au"]["by_action_unit"].items()
        table = [
            [f"AU{number}", _number(unit["f1"]), f"{unit['present']:,}", f"{unit['labels']:,}"]
            for number, unit in units
        ]
        lines += ["", *_aligned([["action unit", "F1", "present", "labels"], *table])]
    if "expression" in overall:
        classes = overall["expression"]["by_class"].items()
        lines += [
            "",
            *_aligned(
                [["expression", "F1", "labels"], *([name, _number(c["f1"]), f"{c['labels']:,}"] for name, c in classes)]
            ),
        ]
    return "\n".join(lines) + "\n"


def _main_metrics(metrics: Mapping[str, Any]) -> Iterator[tuple[str, float | int | None]]:
    named = {
        "au": {"AU mean F1": "mean_f1", "AU accuracy": "accuracy", "AU labels": "labels"},
        "expression": {
            "expression macro F1": "macro_f1",
            "expression accuracy": "accuracy",
            "expression labels": "labels",
        },
        "va": {"valence CCC": "valence_ccc", "arousal CCC": "arousal_ccc", "VA labels": "labels"},
    }
    for task, names in named.items():
        for name, key in names.items():
            if task in metrics:
                yield name, metrics[task][key]
    for name, value in metrics["abaw"].items():
        yield f"ABAW {name}", value


def describe_prediction(result: Mapping[str, Any]) -> str:
    """The labels of one picture."""
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


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in rows
    ]
