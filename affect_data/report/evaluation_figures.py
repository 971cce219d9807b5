"""Tables and drawings of evaluations (docs/evaluation.md), of one model or of several beside each other."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np

from affect_data.report.charts import FEW, LABEL_AND_PREDICTION, Series, bars, heat_map, plane, precision_recall
from affect_data.report.charts import reliability as reliability_chart
from affect_data.report.drawing import STROKES
from affect_data.report.html import Markup, figure, grid, heading, paragraph, table

METRICS: Final = {
    "AU F1": "au.mean_f1",
    "AU average precision": "au.mean_average_precision",
    "expression F1": "expression.macro_f1",
    "accuracy": "expression.accuracy",
    "valence CCC": "va.valence_ccc",
    "arousal CCC": "va.arousal_ccc",
    "score": "score",
}
"""What tables show, by its dotted name in an evaluation."""

PARTS: Final = (("au", "by_action_unit", "AU"), ("expression", "by_class", ""))

Judged = Sequence[tuple[str, Mapping[str, Any]]]
"""Models on the same rows: the letter of each (empty if there is only one) and what `part` has of it."""


def part(found: Mapping[str, Any], database: str | None = None) -> dict[str, Any]:
    """The metrics of a split, or of a database in it, with ``reliability`` and ``curves`` where an evaluation has them."""
    if database is not None:
        return dict(found["databases"][database])
    return {**found["overall"], **{key: found[key] for key in ("reliability", "curves") if key in found}}


def value(metrics: Mapping[str, Any], name: str) -> float | None:
    """A metric by its dotted name; None if it is missing or not defined."""
    found: Any = metrics
    for key in name.split("."):
        found = found.get(key, {})
    return found if isinstance(found, int | float) else None


def interval(metrics: Mapping[str, Any], name: str) -> tuple[float, float] | None:
    """The interval of a metric; None without one."""
    ends = metrics.get("intervals", {}).get("metrics", {}).get(name)
    return None if ends is None else (float(ends[0]), float(ends[1]))


def scores(metrics: Mapping[str, Any], names: Iterable[str] = METRICS.values()) -> list[str | float | None]:
    """Metrics by their dotted names, with their intervals if the evaluation has them."""
    return [cell(value(metrics, name), interval(metrics, name)) for name in names]


def cell(found: float | None, ends: tuple[float, float] | None) -> str | float | None:
    """A value, with its interval if there is one."""
    return found if found is None or ends is None else f"{found:.3f} [{ends[0]:.2f}, {ends[1]:.2f}]"


def shown_metrics(every: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Those of `METRICS` that one of the evaluations has."""
    known = list(every)
    return {title: name for title, name in METRICS.items() if any(value(one, name) is not None for one in known)}


def per_label(judged: Judged, where: str) -> list[Markup]:
    """F1 of each action unit and each expression: bars for up to as many models as there are colours, otherwise tables."""
    drawn = []
    for task, key, prefix in PARTS:
        names = dict.fromkeys(name for _, one in judged for name in one.get(task, {}).get(key, {}))
        if not names:
            continue
        counts = {name: _labels(judged, task, key, name) for name in names}
        titles = [f"{prefix}{name} ({counts[name]:,})" for name in names]
        lines = [Series(letter or "F1", *_f1(one, task, key, names)) for letter, one in judged]
        caption = f"F1 on {where}; labelled rows in brackets."
        if len(lines) <= len(STROKES):
            drawn.append(figure(bars(titles, lines, f"F1 on {where}", STROKES), caption))
        else:
            rows = [[titles[i], *(cell(one.values[i], one.ranges[i]) for one in lines)] for i in range(len(titles))]
            drawn.append(table(["F1", *(one.name for one in lines)], rows, caption))
    return [grid(*drawn)] if drawn else []


def _labels(judged: Judged, task: str, key: str, name: str) -> int:
    found = (one.get(task, {}).get(key, {}).get(name) for _, one in judged)
    return next(int(entry["labels"]) for entry in found if entry is not None)


def _f1(
    one: Mapping[str, Any], task: str, key: str, names: Iterable[str]
) -> tuple[list[float | None], list[tuple[float, float] | None]]:
    places = [f"{task}.{key}.{name}.f1" for name in names]
    return [value(one, place) for place in places], [interval(one, place) for place in places]


def confusions(judged: Judged, where: str) -> list[Markup]:
    """The confusion of expressions by each model, shaded by the share of the labelled class."""
    drawn = []
    for letter, one in judged:
        found = one.get("curves", {}).get("expression")
        if found is None or not np.asarray(found["confusion"]).sum():
            continue
        names, counts = list(found["classes"]), np.asarray(found["confusion"], np.float64)
        shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        chart = heat_map(names, names, counts, f"confusion on {where}", shades=shares, cell=(54, 22))
        caption = _said(
            letter,
            f"{where}: rows by labelled expression (down) and predicted one (across); shades are shares of the labelled one.",
        )
        drawn.append(figure(chart, caption))
    return drawn


def precision_recalls(judged: Judged, where: str) -> list[Markup]:
    """A small chart of precision by recall for each action unit and each expression, with a line for each model."""
    parts = []
    for task, prefix, what in (("au", "AU", "Action units"), ("expression", "", "Expressions")):
        found = [(letter, _ranked(one, task)) for letter, one in judged]
        names = dict.fromkeys(name for _, lines in found for name in lines)
        small = [_ranked_chart(found, name, f"{prefix}{name}", where) for name in names]
        drawn = [chart for chart in small if chart is not None]
        if drawn:
            text = f"{what} on {where}: precision by recall. On the dashed line lies a guess."
            parts += [paragraph(text, quiet=True), grid(*drawn)]
    return parts


def _ranked(one: Mapping[str, Any], task: str) -> Mapping[str, Any]:
    """The precision-recall curves of a task, by name."""
    found = one.get("curves", {}).get(task, {})
    lines: Mapping[str, Any] = found.get("classes", {}) if task == "expression" else found
    return lines


def _ranked_chart(found: Judged, name: str, title: str, where: str) -> Markup | None:
    lines = [(letter, lines[name]["recall"], lines[name]["precision"]) for letter, lines in found if name in lines]
    if not any(recall for _, recall, _ in lines):
        return None
    rate = next(lines[name]["rate"] for _, lines in found if name in lines)
    chart = precision_recall(lines, rate, f"precision by recall of {title} on {where}")
    return figure(chart, f"{title}: present in {rate:.1%}")


def va_planes(judged: Judged, where: str) -> list[Markup]:
    """For each model what it says of valence and of arousal by what is labelled, and where it puts the faces in the plane."""
    parts = []
    for letter, one in judged:
        found = one.get("curves", {}).get("va")
        if found is None or not np.asarray(found["labelled"]).sum():
            continue
        scored = {axis: value(one, f"va.{axis}_ccc") for axis in ("valence", "arousal")}
        small = [
            figure(
                plane(_counts(found[axis]), f"{axis} on {where}", 170, axes=LABEL_AND_PREDICTION),
                _said(letter, f"{axis}{'' if ccc is None else f', CCC {ccc:.3f}'}"),
            )
            for axis, ccc in scored.items()
        ]
        # Both share one scale of shades.
        largest = float(max(np.max(found["predicted"]), np.max(found["labelled"])))
        small += [
            figure(plane(_counts(found[key]), f"{key} plane on {where}", 170, largest), _said(letter, f"as {key}"))
            for key in ("labelled", "predicted")
        ]
        parts.append(grid(*small))
    if not parts:
        return []
    text = f"{where}: rows by label and prediction; on the dashed line both are equal. Shades are logarithmic."
    return [paragraph(text, quiet=True), *parts]


def _counts(table_of_rows: Sequence[Sequence[int]]) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.asarray(table_of_rows, np.float64)


def reliabilities(judged: Judged, where: str) -> list[Markup]:
    """Reliability curves of each model: one for expressions, a small one for each action unit."""
    known = [(letter, one["reliability"]) for letter, one in judged if one.get("reliability") is not None]
    parts: list[Markup] = []
    parts += [grid(*drawn)] if (drawn := _of_expressions(known, where)) else []
    for letter, found in known:
        units = found.get("au", {}).get("by_action_unit", {})
        small = [
            figure(
                _reliability(curve, f"reliability of AU{number} on {where}", ("probability", "frequency"), 110), text
            )
            for number, curve in units.items()
            if curve["labels"] and (text := f"AU{number}: ECE {curve['ece']:.3f}")
        ]
        if small:
            mean = found["au"]["mean_ece"]
            parts += [paragraph(_said(letter, f"action units on {where}: mean ECE {mean:.3f}."), quiet=True)]
            parts += [grid(*small)]
    if not parts:
        return []
    explained = (
        f"Expected calibration error (ECE) over {known[0][1]['bins']} bins of equal width. On the dashed line, probabilities mean what they say. "
        f"Below each curve stands how many labels a bin has; bins with fewer than {FEW} are hollow dots."
    )
    return [heading("Reliability"), paragraph(explained, quiet=True), *parts]


def _of_expressions(known: Judged, where: str) -> list[Markup]:
    drawn = []
    for letter, found in known:
        curve = found.get("expression")
        if curve is not None and curve["labels"]:
            chart = _reliability(curve, f"reliability of expressions on {where}", ("confidence", "accuracy"), 220)
            text = f"expressions on {where}: ECE {curve['ece']:.3f} over {curve['labels']:,} labels."
            drawn.append(figure(chart, _said(letter, text)))
    return drawn


def _reliability(curve: Mapping[str, Any], title: str, axes: tuple[str, str], size: int) -> Markup:
    return reliability_chart(curve["probability"], curve["frequency"], curve["count"], title, axes, size)


def _said(letter: str, text: str) -> str:
    """A caption, with the letter of its model if there are several."""
    return f"{letter}: {text}" if letter else text[:1].upper() + text[1:]
