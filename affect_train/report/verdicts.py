"""What stands first on the page about runs: what their figures do not bear, and what they say."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from affect_data.audit.base import Severity
from affect_data.report.evaluation_figures import PARTS
from affect_data.report.verdict import Verdict
from affect_train.evaluation.differences import LEAST_PEOPLE
from affect_train.report.differences import Ranked, ranked
from affect_train.report.runs import ReportedRun

DOUBTFUL_ECE: Final = 0.1
"""From this calibration error on, probabilities are not to be taken at their word."""

STILL_RISING: Final = 0.01
"""A score that is that much better at the last evaluation than at the one before is still rising."""

SCORE: Final = "score"


def verdicts(runs: Sequence[ReportedRun], comparisons: Sequence[Mapping[str, Any]]) -> list[Verdict]:
    """All verdicts on runs, in any order.

    Args:
        runs: that are reported.
        comparisons: from `differences.face_by_face`; none if the dataset was not at hand.
    """
    between = map(_about_comparison, comparisons) if comparisons else map(_about_ranks, ranked(runs))
    return [*between, *_about_crops(runs), *(verdict for run in runs for verdict in _about_run(run))]


def _about_run(run: ReportedRun) -> Iterator[Verdict]:
    if run.is_stale:
        yield Verdict(
            Severity.ERROR,
            f"{run.name}: its model has changed since it was evaluated.",
            "The figures are about weights that are gone.",
            f"`affect-train evaluate {run.name} DATASET`, then write this report again.",
        )
    for split, found in run.splits.items():
        if run.chosen_on(split):
            yield Verdict(
                Severity.WARNING,
                f"{run.name}: {split} chose its checkpoint, and is reported.",
                "The best of several is reported on the rows that made it the best: the figures flatter.",
                "Report another split, or train with `training.keep_best=0`, which keeps the last checkpoint.",
            )
        yield from _about_people(run, split, found["overall"])
        yield from _about_labels(run, split, found)
    yield from _about_course(run)


def _about_people(run: ReportedRun, split: str, overall: Mapping[str, Any]) -> Iterator[Verdict]:
    known = overall.get("intervals")
    if known is None:
        yield Verdict(
            Severity.WARNING,
            f"{run.name}: the figures on {split} have no intervals.",
            "A difference that chance has made looks like one that a model has made.",
            f"`affect-train evaluate {run.name} DATASET --split {split} --bootstrap 1000`, then write this report again.",
        )
    elif (people := sum(known["clusters"].values())) < LEAST_PEOPLE:
        yield Verdict(
            Severity.WARNING,
            f"{run.name}: {split} shows {people} {'person' if people == 1 else 'people'} (or videos, where people are not known).",
            "From so few, little follows about others, and their intervals are too narrow or missing.",
            f"Evaluate on a split of {LEAST_PEOPLE} people at least.",
        )


def _about_labels(run: ReportedRun, split: str, found: Mapping[str, Any]) -> Iterator[Verdict]:
    never = [
        f"{prefix}{name}"
        for task, key, prefix in PARTS
        for name, entry in found["overall"].get(task, {}).get(key, {}).items()
        if entry["f1"] == 0
    ]
    if never:
        yield Verdict(
            Severity.REVIEW,
            f"{run.name}: never right about {', '.join(never)} on {split}.",
            "An F1 of 0: each time that the model says so it is wrong, or it never says so where it is labelled.",
            "Look at their precision-recall curves: if one is above its dashed line, a threshold mends it "
            "(`affect-train evaluate RUN DATASET --tune-thresholds SPLIT`); otherwise weigh the rows (docs/balancing.md).",
        )
    known = found.get("reliability", {})
    errors = {
        "expressions": known.get("expression", {}).get("ece"),
        "action units": known.get("au", {}).get("mean_ece"),
    }
    high = {name: error for name, error in errors.items() if error is not None and error >= DOUBTFUL_ECE}
    if high:
        told = " and ".join(f"{name} ({error:.2f})" for name, error in high.items())
        yield Verdict(
            Severity.REVIEW,
            f"{run.name}: probabilities of {told} are off on {split}, by the expected calibration error.",
            "A probability of .9 does not mean right nine times in ten; rankings and F1 do not suffer.",
            "Do not read its probabilities as such, and choose thresholds on other rows: `--tune-thresholds SPLIT`.",
        )


def _about_course(run: ReportedRun) -> Iterator[Verdict]:
    points = run.course.scores.get(SCORE, [])
    if len(points) < 2:
        return
    (_, before), (step, last) = points[-2:]
    if last == max(value for _, value in points) and last - before >= STILL_RISING:
        yield Verdict(
            Severity.REVIEW,
            f"{run.name}: the score on validation was still rising when training ended (step {step:,.0f}, by {last - before:.3f}).",
            "A longer training would probably be better; a comparison with a finished one is unfair.",
            "Train longer: more `training.epochs` (docs/training.md says what becomes of the schedule).",
        )


def _about_crops(runs: Sequence[ReportedRun]) -> Iterator[Verdict]:
    crops = {run.name: {key: one for key, one in run.settings.items() if key.startswith("crop.")} for run in runs}
    if len({str(sorted(one.items())) for one in crops.values()}) > 1:
        yield Verdict(
            Severity.REVIEW,
            "The runs see faces cut out in different ways.",
            "The rows are the same, the pictures are not: a difference may come from the crop alone.",
            "Compare `crop` below, under the settings that differ; train with one crop to compare anything else.",
        )


def _about_ranks(one: Ranked) -> Verdict:
    best, *others = one.runs
    told = ", ".join(f"{letter} {_with_interval(value, ends)}" for letter, value, ends in others)
    shown = f"{best[0]} {_with_interval(*best[1:])}; {told}"
    do = "To compare face by face: name the dataset, `affect-train report RUN... --dataset DATASET`."
    if one.is_apart:
        return Verdict(
            Severity.REVIEW,
            f"{one.title} on {one.split}: {best[0]} is best.",
            f"{shown}. Its interval lies above those of all others.",
            do,
        )
    return Verdict(
        Severity.REVIEW,
        f"{one.title} on {one.split}: no run is shown to be best.",
        f"{shown}. Intervals that overlap, or are missing, say neither that runs differ nor that they are equal.",
        do,
    )


def _with_interval(value: float, ends: tuple[float, float] | None) -> str:
    return f"{value:.3f}" if ends is None else f"{value:.3f} [{ends[0]:.2f}, {ends[1]:.2f}]"


def _about_comparison(one: Mapping[str, Any]) -> Verdict:
    first, second, split = one["first"], one["second"], one["split"]
    main = [line for line in one["differences"] if line["group"] == "all" and "by_" not in line["metric"]]
    sure = [line for line in main if line["verdict"] != "not shown"]
    better = {
        letter: [f"{line['metric']} ({line['difference']:+.3f})" for line in sure if line["verdict"] == side]
        for letter, side in ((first, "first"), (second, "second"))
    }
    told = "; ".join(f"{letter} is better at {', '.join(names)}" for letter, names in better.items() if names)
    return Verdict(
        Severity.REVIEW,
        f"{first} against {second} on {split}, face by face: {told or 'no difference is shown'}.",
        f"{len(main) - len(sure)} of {len(main)} main metrics may differ by chance alone; differences are {first} minus {second}.",
        "Read the intervals under 'Differences face by face'; where nothing is shown, more people decide, not more faces.",
    )
