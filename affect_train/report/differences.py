"""What runs can be told apart by: from the intervals of each, and face by face where the dataset is at hand."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from affect_data.errors import UsageError
from affect_data.report.charts import forest
from affect_data.report.evaluation_figures import interval, value
from affect_data.report.html import Markup, Section, figure, paragraph, table
from affect_train.inputs.source import open_own_folder
from affect_train.report.runs import ReportedRun, common_splits, judged
from affect_train.study.compare import compare

MAIN: Final = {
    "AU average precision": "au.mean_average_precision",
    "expression F1": "expression.macro_f1",
    "mean CCC": "va.mean_ccc",
}
"""By what runs are ranked, a metric for each task."""


@dataclass(frozen=True)
class Ranked:
    """Runs by one metric on one split.

    Attributes:
        title: of the metric.
        split: where it was measured.
        runs: letter, value and interval of each run that has it, best first.
    """

    title: str
    split: str
    runs: tuple[tuple[str, float, tuple[float, float] | None], ...]

    @property
    def is_apart(self) -> bool:
        """Whether the interval of the best ends above those of all others."""
        first, *others = [ends for _, _, ends in self.runs]
        return first is not None and all(ends is not None and ends[1] < first[0] for ends in others)


def ranked(runs: Sequence[ReportedRun]) -> Iterator[Ranked]:
    """The runs by the main metric of each task on each common split, where two or more have it."""
    for split in common_splits(runs):
        for title, name in MAIN.items():
            known = [
                (letter, found, interval(one, name))
                for letter, one in judged(runs, split)
                if (found := value(one, name)) is not None
            ]
            if len(known) > 1:
                yield Ranked(title, split, tuple(sorted(known, key=lambda run: -run[1])))


def face_by_face(
    runs: Sequence[ReportedRun], dataset: Path, *, resamples: int, workers: int | None
) -> list[dict[str, Any]] | None:
    """The first run against each other on each common split, from `study.compare.compare`, on the main process; None on the others.

    Raises:
        UsageError: there is one run only, or the dataset is not the one that the runs were evaluated on.
        AffectError: models and dataset do not fit, or too few people are shown.
    """
    if len(runs) < 2:
        raise UsageError("--dataset compares runs face by face; name two runs or more")
    folder, stated = open_own_folder(dataset, "affect-train report"), runs[0].evaluation.get("fingerprint")
    if folder.fingerprint != stated:
        raise UsageError(
            f"'{dataset}' has fingerprint {folder.fingerprint}, and the runs were evaluated on {stated}: name the dataset of the evaluation, or "
            f"evaluate the runs on this one: `affect-train evaluate RUN {dataset}`"
        )
    found = []
    for other in runs[1:]:
        for split in common_splits(runs):
            # Whether the split chose a checkpoint was said when it was evaluated, and is a verdict here.
            result = compare(
                str(runs[0].path),
                str(other.path),
                dataset,
                split,
                resamples=resamples,
                optimistic=True,
                workers=workers,
            )
            if result is None:
                return None
            found.append({**result, "first": runs[0].letter, "second": other.letter})
    return found


def differences_section(comparisons: Sequence[Mapping[str, Any]]) -> Section | None:
    """The section of comparisons face by face; None without any."""
    if not comparisons:
        return None
    parts: list[Markup] = []
    for one in comparisons:
        first, second, split = one["first"], one["second"], one["split"]
        lines = one["differences"]
        people = ", ".join(f"{count:,} {kind}s" for kind, count in one["people"].items() if count)
        said = (
            f"{first} minus {second} on {split}: {one['rows']:,} rows of {people}, both models resampled alike; {one['level']:.0%} intervals. "
            f"Dark: more than chance, by a rate of false discoveries of {one['rate']:.0%} over all lines. "
            f"{len(one['left_out'])} metrics have no comparison."
        )
        main = [line for line in lines if "by_" not in line["metric"]]
        drawn = forest(
            [f"{line['group']}: {line['metric']}" for line in main],
            [(line["difference"], *line["interval"], line["verdict"] != "not shown") for line in main],
            f"differences between {first} and {second} on {split}",
            (f"{second} is better", f"{first} is better"),
        )
        parts += [figure(drawn, said), _of_labels(lines, first, second)]
    explained = paragraph(
        "The same faces, one model beside the other: what both find easy or hard cancels out.", quiet=True
    )
    return Section("differences", "Differences face by face", (explained, *parts))


def _of_labels(lines: Sequence[Mapping[str, Any]], first: str, second: str) -> Markup:
    rows = [
        [line["group"], line["metric"], line["first"], line["second"], line["difference"], _better(line, first, second)]
        for line in lines
        if "by_" in line["metric"] and line["verdict"] != "not shown"
    ]
    if not rows:
        return paragraph("No action unit and no expression is told apart.", quiet=True)
    caption = "Action units and expressions that are told apart"
    return table(["rows", "metric", first, second, "difference", "better"], rows, caption)


def _better(line: Mapping[str, Any], first: str, second: str) -> str:
    return first if line["verdict"] == "first" else second
