"""The page about runs: one HTML file, which loads and runs nothing."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from affect_data.environment import own_version
from affect_data.files import write_text
from affect_data.report.charts import lines
from affect_data.report.course import Points
from affect_data.report.document import document
from affect_data.report.evaluation_figures import (
    Judged,
    confusions,
    per_label,
    precision_recalls,
    reliabilities,
    scores,
    shown_metrics,
    va_planes,
)
from affect_data.report.html import Markup, Section, figure, folded, grid, heading, paragraph, table
from affect_data.report.training_section import interval_note, threshold_note
from affect_data.report.verdict import Verdict, verdict_section
from affect_train.report.differences import differences_section
from affect_train.report.runs import ReportedRun, common_splits, judged

CURVES: Final = {
    "score": "mean of the tasks",
    "au.mean_f1": "AU F1",
    "au.mean_average_precision": "AU average precision",
    "expression.macro_f1": "expression F1",
    "expression.accuracy": "expression accuracy",
    "va.valence_ccc": "valence CCC",
    "va.arousal_ccc": "arousal CCC",
}
"""The scores on validation whose course is drawn."""

NO_VERDICT: Final = "Nothing speaks against these figures."


def run_report(
    runs: Sequence[ReportedRun], verdicts: Sequence[Verdict], comparisons: Sequence[Mapping[str, Any]] = ()
) -> str:
    """The page, a whole HTML document; the same runs give the same bytes.

    Args:
        runs: from `runs.read_runs`.
        verdicts: on them.
        comparisons: from `differences.face_by_face`; none if the dataset was not at hand.
    """
    splits = common_splits(runs)
    sections = [
        verdict_section(verdicts, {}, NO_VERDICT),
        _scores(runs, splits),
        differences_section(comparisons),
        *(_of_split(runs, split) for split in splits),
        _course(runs),
        _settings(runs),
    ]
    names = ", ".join(run.name for run in runs)
    title = f"Training report: {names}"
    facts = f"{len(runs)} run{'s' if len(runs) > 1 else ''} · dataset {runs[0].evaluation.get('dataset', '?')} · affectkit {own_version()}"
    return document(title, facts, [section for section in sections if section is not None])


def write_run_report(
    out: Path, runs: Sequence[ReportedRun], verdicts: Sequence[Verdict], comparisons: Sequence[Mapping[str, Any]] = ()
) -> None:
    """Writes `run_report` to a file."""
    text = run_report(runs, verdicts, comparisons)
    out.parent.mkdir(parents=True, exist_ok=True)
    write_text(out, text)


def _scores(runs: Sequence[ReportedRun], splits: Iterable[str]) -> Section:
    """The section of scores: a line for each run, over all rows and on each database."""
    parts: list[Markup] = []
    if len(runs) > 1:
        parts.append(table(["", "run"], [[run.letter, run.name] for run in runs], "What runs are called below"))
    for split in splits:
        shown = shown_metrics(one for _, one in judged(runs, split))
        databases = list(runs[0].splits[split]["databases"])
        # The only database is all rows.
        places: dict[str, str | None] = dict.fromkeys(databases or ["all"])
        if len(databases) > 1:
            places = {"all": None, **{name: name for name in databases}}
        rows = [
            [name, letter, *scores(one, shown.values())]
            for name, place in places.items()
            for letter, one in judged(runs, split, place)
        ]
        header = ["database", "run", *shown]
        if len(runs) == 1:
            header, rows = ["database", *shown], [[row[0], *row[2:]] for row in rows]
        parts.append(table(header, rows, f"{split}: {runs[0].splits[split]['rows']:,} rows"))
        parts += interval_note(split, runs[0].splits[split]["overall"])
        parts += _notes_on_thresholds(runs, split)
    left_out = sorted({split for run in runs for split in run.splits} - set(splits))
    if left_out:
        parts.append(
            paragraph(f"Not shown, since not every run was evaluated there: {', '.join(left_out)}.", quiet=True)
        )
    return Section("scores", "Scores", tuple(parts))


def _notes_on_thresholds(runs: Sequence[ReportedRun], split: str) -> list[Markup]:
    """A note for each run, or one for all if it is the same."""
    origins = [run.evaluation.get("thresholds_from") for run in runs]
    overall = [run.splits[split]["overall"] for run in runs]
    notes = [threshold_note(split, one, origin) for one, origin in zip(overall, origins, strict=True)]
    if all(note == notes[0] for note in notes):
        return notes[0]
    letters = [f"{run.letter}, {split}" for run in runs]
    named = [threshold_note(*one) for one in zip(letters, overall, origins, strict=True)]
    return [note for one in named for note in one]


def _of_split(runs: Sequence[ReportedRun], split: str) -> Section:
    """The section of a split: labels, confusions, curves and planes, over all rows; those of each database to be opened."""
    known = judged(runs, split)
    parts = [*per_label(known, split), *_drawn(known, split)]
    if not any("curves" in one for _, one in known):
        parts.append(
            paragraph(
                "Confusions, precision-recall curves and planes are not shown: these evaluations were made before they were stored. "
                "`affect-train evaluate` stores them.",
                quiet=True,
            )
        )
    databases = list(runs[0].splits[split]["databases"])
    for name in databases if len(databases) > 1 else ():
        where = f"{name}, {split}"
        found = judged(runs, split, name)
        parts.append(folded(f"On {name} alone", [*per_label(found, where), *_drawn(found, where)]))
    return Section(f"split-{split}", f"What the models say on {split}", tuple(parts))


def _drawn(known: Judged, where: str) -> list[Markup]:
    parts: list[Markup] = []
    if matrices := confusions(known, where):
        parts += [heading("Confusion of expressions"), grid(*matrices)]
    if ranked := precision_recalls(known, where):
        parts += [heading("Precision and recall"), *ranked]
    if planes := va_planes(known, where):
        parts += [heading("Valence and arousal"), *planes]
    return [*parts, *reliabilities(known, where)]


def _course(runs: Sequence[ReportedRun]) -> Section | None:
    """The section of trainings: losses, and scores on validation, over the steps, a line for each run."""
    losses = dict.fromkeys(name for run in runs for name in run.course.losses)
    parts: list[Markup] = []
    drawn = [
        _lines(runs, [run.course.losses.get(name, []) for run in runs], f"Training loss: {name}", "loss")
        for name in losses
    ]
    parts += [grid(*(chart for chart in drawn if chart is not None))]
    drawn = [
        _lines(runs, [run.course.scores.get(name, []) for run in runs], f"On validation: {title}", title)
        for name, title in CURVES.items()
    ]
    parts += [grid(*(chart for chart in drawn if chart is not None))]
    if not any("<figure" in part.text for part in parts):
        return None
    return Section("course", "The course of training", tuple(parts))


def _lines(runs: Sequence[ReportedRun], every: Sequence[Points], title: str, up: str) -> Markup | None:
    # One point is no line, and says nothing that a table does not say.
    if max((len(points) for points in every), default=0) < 2:
        return None
    return figure(
        lines([(run.letter, points) for run, points in zip(runs, every, strict=True)], title, "step", up), f"{title}."
    )


def _settings(runs: Sequence[ReportedRun]) -> Section | None:
    """The section of settings: those that differ; all of them to be opened."""
    known = [run.settings for run in runs]
    keys = sorted({key for one in known for key in one})
    if not keys:
        return None
    header = ["setting", *(run.letter if len(runs) > 1 else run.name for run in runs)]
    rows = [[key, *(_shown(one.get(key)) for one in known)] for key in keys]
    everything = folded("All settings", [table(header, rows)])
    if len(runs) == 1:
        return Section("settings", "Settings", (everything,))
    differing = differing_settings(runs)
    told = (
        table(header, [[key, *map(_shown, values)] for key, values in differing.items()], "Settings that differ")
        if differing
        else paragraph("No setting differs.")
    )
    return Section("settings", "Settings", (told, everything))


def differing_settings(runs: Sequence[ReportedRun]) -> dict[str, list[Any]]:
    """What recipes and evaluations say differently, a value for each run by dotted name; where runs lie is no setting."""
    every = [{**run.settings, **_of_evaluation(run.evaluation)} for run in runs]
    found = {key: [one.get(key) for one in every] for key in sorted({key for one in every for key in one} - {"output"})}
    return {key: values for key, values in found.items() if any(value != values[0] for value in values)}


def _of_evaluation(evaluation: Mapping[str, Any]) -> dict[str, Any]:
    return {f"evaluation: {key}": evaluation[key] for key in ("target_prior", "thresholds_from") if evaluation.get(key)}


def _shown(value: object) -> str:
    if value is None:
        return "–"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
