"""The section about a training run: metrics with their intervals, reliability curves, the course of the losses."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from affect_data.bounds import BoundError, parse_json, read_json, read_lines_file
from affect_data.dataset.folder import DatasetFolder
from affect_data.errors import DataError
from affect_data.report.charts import FEW, Series, bars, lines, reliability
from affect_data.report.html import Markup, Section, figure, grid, paragraph, table

DEFAULT_THRESHOLD: Final = 0.5

METRICS: Final = {
    "AU F1": "au.mean_f1",
    "expression F1": "expression.macro_f1",
    "accuracy": "expression.accuracy",
    "valence CCC": "va.valence_ccc",
    "arousal CCC": "va.arousal_ccc",
    "score": "score",
}


class NotARunError(DataError):
    """A folder without the results of a training run."""

    def __init__(self, path: Path, because: str) -> None:
        super().__init__(
            f"'{path}' has no results of a training run: {because}. Make them: `affect-train evaluate {path} DATASET`"
        )


def training(folder: DatasetFolder, run: Path) -> Section:
    """The section on a run: its metrics on the evaluated splits, and the course of its training.

    Raises:
        NotARunError: the run has no readable ``evaluation.json``.
    """
    try:
        report = read_json(run / "evaluation.json")
        parts = _results(folder, run, report)
    except FileNotFoundError:
        raise NotARunError(run, "it has no evaluation.json") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise NotARunError(run, f"evaluation.json is not readable ({type(error).__name__}: {error})") from None
    return Section("training", "Training results", (*parts, *_course(run / "metrics.jsonl")))


def _results(folder: DatasetFolder, run: Path, report: Mapping[str, Any]) -> list[Markup]:
    splits: dict[str, dict[str, Any]] = report["splits"]
    parts = [paragraph(f"Run {run.resolve().name}, evaluated on dataset {report.get('dataset', '?')}.")]
    if report.get("fingerprint") != folder.fingerprint:
        parts.append(
            paragraph(
                "It was evaluated on other rows or labels than those of this report: the figures are not about them."
            )
        )
    rows = []
    for split, found in splits.items():
        rows.append([split, "all", *_scores(found["overall"])])
        rows += [[split, str(name), *_scores(metrics)] for name, metrics in found["databases"].items()]
    parts.append(table(["split", "database", *METRICS], rows))
    for split, found in splits.items():
        parts += _interval_note(split, found["overall"])
        parts += _thresholds(split, found["overall"], report.get("thresholds_from"))
        parts += _per_label(split, found["overall"])
        parts += _subgroups(split, found)
        parts += _reliability(split, found.get("reliability"))
    if not any("reliability" in found for found in splits.values()):
        parts.append(
            paragraph(
                "Reliability curves are not shown: evaluation.json holds no reliability data; `affect-train evaluate` stores it.",
                quiet=True,
            )
        )
    return parts


def _value(metrics: Mapping[str, Any], name: str) -> float | None:
    """A metric by its dotted name; None if it is missing or not defined."""
    found: Any = metrics
    for key in name.split("."):
        found = found.get(key, {})
    return found if isinstance(found, int | float) else None


def _interval(metrics: Mapping[str, Any], name: str) -> tuple[float, float] | None:
    ends = metrics.get("intervals", {}).get("metrics", {}).get(name)
    return None if ends is None else (float(ends[0]), float(ends[1]))


def _scores(metrics: Mapping[str, Any], names: Iterable[str] = METRICS.values()) -> list[str | float | None]:
    """Metrics by their dotted names, with their intervals if the evaluation has them."""
    cells: list[str | float | None] = []
    for name in names:
        value, ends = _value(metrics, name), _interval(metrics, name)
        cells.append(value if value is None or ends is None else f"{value:.3f} [{ends[0]:.2f}, {ends[1]:.2f}]")
    return cells


def _interval_note(split: str, metrics: Mapping[str, Any]) -> list[Markup]:
    found = metrics.get("intervals")
    if found is None:
        return []
    people = ", ".join(f"{count:,} {kind}s" for kind, count in found["clusters"].items() if count)
    text = f"{split}: brackets and whiskers are {found['level']:.0%} intervals, from {found['resamples']:,} resamples of {people}."
    return [paragraph(text, quiet=True)]


def _thresholds(split: str, metrics: Mapping[str, Any], origin: Mapping[str, Any] | None) -> list[Markup]:
    """Where the thresholds of action units come from, and how F1 compares with a threshold of 0.5."""
    units = metrics.get("au", {}).get("by_action_unit", {})
    tuned = any(unit.get("threshold", DEFAULT_THRESHOLD) != DEFAULT_THRESHOLD for unit in units.values())
    if not units or not tuned:
        return (
            [paragraph(f"{split}: an action unit is present from a probability of {DEFAULT_THRESHOLD} on.")]
            if units
            else []
        )
    source = f"chosen on split {origin['split']} of dataset {origin['dataset']}" if origin else "of unknown origin"
    half = _value(metrics, "au.at_half.mean_f1")
    instead = "" if half is None else f" With {DEFAULT_THRESHOLD} for all of them, the mean F1 is {half:.3f}."
    shown = ", ".join(f"AU{number} {unit['threshold']:.2f}" for number, unit in units.items())
    return [paragraph(f"{split}: thresholds of action units were {source}: {shown}.{instead}")]


def _per_label(split: str, metrics: Mapping[str, Any]) -> list[Markup]:
    drawings = []
    for task, key, prefix in (("au", "by_action_unit", "AU"), ("expression", "by_class", "")):
        found = metrics.get(task, {}).get(key, {})
        if found:
            names = [f"{prefix}{name} ({entry['labels']:,})" for name, entry in found.items()]
            ranges = [_interval(metrics, f"{task}.{key}.{name}.f1") for name in found]
            drawn = bars(names, [Series("F1", [entry["f1"] for entry in found.values()], ranges)], f"F1 on {split}")
            drawings.append(figure(drawn, f"F1 on {split}; labelled rows in brackets."))
    return [grid(*drawings)] if drawings else []


def _subgroups(split: str, found: Mapping[str, Any]) -> list[Markup]:
    """The groups of people where databases say who is shown, with the metrics that any of them has."""
    groups = found.get("subgroups")
    if not groups:
        return []
    least = found["subgroup_minimum"]
    shown = {
        name: place
        for name, place in METRICS.items()
        if any(_value(one["metrics"], place) is not None for one in groups)
    }
    rows = [
        [
            one["database"],
            f"{one['attribute'].replace('_', ' ')}: {one['value']}",
            one["rows"],
            one.get("people"),
            *_scores(one["metrics"], shown.values()),
        ]
        for one in groups
    ]
    explained = (
        f"{split}: groups of people, in the words of each database. A task is scored from {least['rows']:,} labelled rows of {least['people']:,} "
        "people on; where a database does not say who is shown, videos count as people, or else rows. Smaller groups are only counted."
    )
    return [
        Markup("<h3>Groups of people</h3>"),
        paragraph(explained, quiet=True),
        table(["database", "group", "rows", "people", *shown], rows),
    ]


def _reliability(split: str, found: Mapping[str, Any] | None) -> list[Markup]:
    """Reliability curves: a large one for expressions, a small one for each action unit."""
    if found is None:
        return []
    parts: list[Markup] = []
    expression, units = found.get("expression"), found.get("au", {}).get("by_action_unit", {})
    if expression is not None and expression["labels"]:
        drawn = _curve(expression, f"reliability of expressions on {split}", ("confidence", "accuracy"), 220)
        caption = f"Expressions on {split}: ECE {expression['ece']:.3f} over {expression['labels']:,} labels."
        parts.append(figure(drawn, caption))
    small = [
        figure(
            _curve(curve, f"reliability of AU{number} on {split}", ("probability", "frequency"), 110),
            f"AU{number}: ECE {curve['ece']:.3f}",
        )
        for number, curve in units.items()
        if curve["labels"]
    ]
    if small:
        mean = found["au"]["mean_ece"]
        parts += [paragraph(f"Action units on {split}: mean ECE {mean:.3f}.", quiet=True), grid(*small)]
    if not parts:
        return []
    heading = Markup("<h3>Reliability</h3>")
    explained = (
        f"Expected calibration error (ECE) over {found['bins']} bins of equal width. On the dashed line, probabilities mean what they say. "
        f"Below each curve stands how many labels a bin has; bins with fewer than {FEW} are hollow dots."
    )
    return [heading, paragraph(explained, quiet=True), *parts]


def _curve(curve: Mapping[str, Any], title: str, axes: tuple[str, str], size: int) -> Markup:
    return reliability(curve["probability"], curve["frequency"], curve["count"], title, axes, size)


def _course(path: Path) -> list[Markup]:
    """The losses over the steps, from the complete lines of the log."""
    losses: dict[str, list[tuple[float, float]]] = {}
    text = read_lines_file(path, f"'{path}'").decode("utf-8", errors="replace") if path.is_file() else ""
    for line in text.splitlines():
        with suppress(BoundError, ValueError, KeyError, TypeError, AttributeError):
            entry = parse_json(line, f"'{path}'")
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
