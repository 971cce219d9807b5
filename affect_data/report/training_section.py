"""The section about a training run: metrics with their intervals, reliability curves, the course of the losses."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from affect_data.bounds import read_json
from affect_data.dataset.folder import DatasetFolder
from affect_data.errors import DataError
from affect_data.report.charts import lines
from affect_data.report.course import read_course
from affect_data.report.evaluation_figures import (
    confusions,
    part,
    per_label,
    precision_recalls,
    reliabilities,
    scores,
    shown_metrics,
    va_planes,
    value,
)
from affect_data.report.html import Markup, Section, figure, grid, heading, paragraph, table

DEFAULT_THRESHOLD: Final = 0.5


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
    except FileNotFoundError:
        raise NotARunError(run, "it has no evaluation.json") from None
    except (OSError, ValueError) as error:
        raise NotARunError(run, f"evaluation.json is not readable ({type(error).__name__}: {error})") from None
    parts = evaluation_figures(report, run)
    notes = [paragraph(f"Run {run.resolve().name}, evaluated on dataset {report.get('dataset', '?')}.")]
    if report.get("fingerprint") != folder.fingerprint:
        notes.append(
            paragraph(
                "It was evaluated on other rows or labels than those of this report: the figures are not about them."
            )
        )
    return Section("training", "Training results", (*notes, *parts, *_course(run / "metrics.jsonl")))


def evaluation_figures(report: Mapping[str, Any], run: Path) -> list[Markup]:
    """All tables and drawings of an evaluation.

    Args:
        report: content of a run's ``evaluation.json``.
        run: its folder, for the message.

    Raises:
        NotARunError: the evaluation has another form.
    """
    try:
        return _results(report)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise NotARunError(run, f"evaluation.json is not readable ({type(error).__name__}: {error})") from None


def _results(report: Mapping[str, Any]) -> list[Markup]:
    splits: dict[str, dict[str, Any]] = report["splits"]
    shown, rows = shown_metrics(found["overall"] for found in splits.values()), []
    for split, found in splits.items():
        rows.append([split, "all", *scores(found["overall"], shown.values())])
        rows += [[split, str(name), *scores(one, shown.values())] for name, one in found["databases"].items()]
    parts = [table(["split", "database", *shown], rows)]
    for split, found in splits.items():
        parts += interval_note(split, found["overall"])
        parts += threshold_note(split, found["overall"], report.get("thresholds_from"))
        judged = [("", part(found))]
        parts += per_label(judged, split)
        parts += _subgroups(split, found)
        for drawn in (confusions, precision_recalls, va_planes, reliabilities):
            parts += drawn(judged, split)
    if not any("reliability" in found for found in splits.values()):
        parts.append(
            paragraph(
                "Reliability curves are not shown: evaluation.json holds no reliability data; `affect-train evaluate` stores it.",
                quiet=True,
            )
        )
    return parts


def interval_note(split: str, metrics: Mapping[str, Any]) -> list[Markup]:
    """What the intervals of a split are; nothing if it has none."""
    found = metrics.get("intervals")
    if found is None:
        return []
    people = ", ".join(f"{count:,} {kind}s" for kind, count in found["clusters"].items() if count)
    text = f"{split}: brackets and whiskers are {found['level']:.0%} intervals, from {found['resamples']:,} resamples of {people}."
    return [paragraph(text, quiet=True)]


def threshold_note(split: str, metrics: Mapping[str, Any], origin: Mapping[str, Any] | None) -> list[Markup]:
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
    half = value(metrics, "au.at_half.mean_f1")
    instead = "" if half is None else f" With {DEFAULT_THRESHOLD} for all of them, the mean F1 is {half:.3f}."
    shown = ", ".join(f"AU{number} {unit['threshold']:.2f}" for number, unit in units.items())
    return [paragraph(f"{split}: thresholds of action units were {source}: {shown}.{instead}")]


def _subgroups(split: str, found: Mapping[str, Any]) -> list[Markup]:
    """The groups of people where databases say who is shown, with the metrics that any of them has."""
    groups = found.get("subgroups")
    if not groups:
        return []
    least = found["subgroup_minimum"]
    shown = shown_metrics(one["metrics"] for one in groups)
    rows = [
        [
            one["database"],
            f"{one['attribute'].replace('_', ' ')}: {one['value']}",
            one["rows"],
            one.get("people"),
            *scores(one["metrics"], shown.values()),
        ]
        for one in groups
    ]
    explained = (
        f"{split}: groups of people, in the words of each database. A task is scored from {least['rows']:,} labelled rows of {least['people']:,} "
        "people on; where a database does not say who is shown, videos count as people, or else rows. Smaller groups are only counted."
    )
    return [
        heading("Groups of people"),
        paragraph(explained, quiet=True),
        table(["database", "group", "rows", "people", *shown], rows),
    ]


def _course(path: Path) -> list[Markup]:
    """The losses over the steps."""
    drawings = [
        figure(lines([(name, points)], f"training loss of {name}", "step", "loss"), f"Training loss: {name}.")
        for name, points in read_course(path).losses.items()
        if len(points) > 1
    ]
    return [grid(*drawings)] if drawings else []
