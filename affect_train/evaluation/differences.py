"""The differences between two models on the same rows, metric by metric, with intervals over people."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from affect_train.evaluation.intervals import LEVEL, Clusters, resampled_metrics
from affect_train.evaluation.metrics import evaluate_predictions
from affect_train.evaluation.significance import RATE, benjamini_hochberg, p_value, student_t_quantile
from affect_train.tasks import TaskSet

Verdict = Literal["first", "second", "not shown"]

HEADLINE: Final[Mapping[str, tuple[str, ...]]] = {
    "au": ("mean_average_precision", "mean_auroc", "mean_f1"),
    "expression": ("macro_f1", "accuracy"),
    "va": ("valence_ccc", "arousal_ccc"),
}
"""The metrics of every group, by task."""

LEAST_PEOPLE: Final = 5
"""On how many people a metric must depend to be compared: the resamples of fewer repeat one another, so that they hardly vary."""

DETAIL: Final = ("average_precision", "auroc", "f1")
"""Those of each action unit."""


@dataclass(frozen=True)
class Pair:
    """What two models say of the same rows.

    Attributes:
        predictions: of the first and of the second, as for `metrics.evaluate_predictions`.
        labels: as for it.
        tasks: that both have; names the columns.
        thresholds: of the first and of the second, for every action unit.
        clusters: which rows show one person.
    """

    predictions: tuple[Mapping[str, NDArray[Any]], Mapping[str, NDArray[Any]]]
    labels: Mapping[str, NDArray[Any]]
    tasks: TaskSet
    thresholds: tuple[Sequence[float], Sequence[float]]
    clusters: Clusters


@dataclass(frozen=True)
class Group:
    """Rows on which the two are compared.

    Attributes:
        name: such as ``all``, ``disfa`` or ``raf_db sex: female``.
        rows: int64, their numbers.
        tasks: which of the tasks count.
        detailed: whether each action unit and expression is compared too.
    """

    name: str
    rows: NDArray[np.int64]
    tasks: tuple[str, ...]
    detailed: bool = True


@dataclass(frozen=True)
class Difference:
    """One line of the table.

    Attributes:
        group: name of the group.
        metric: its dotted name, as in `metrics.evaluate_predictions`.
        first: value of the first model.
        second: value of the second.
        difference: first minus second.
        interval: at `LEVEL`, by the bootstrap's standard error and Student's t over people.
        p: of a difference at least as large where there is none.
        q: the rate of false discoveries of the whole table at which this one is a discovery.
        people: on how many the metric depends.
        verdict: which is better, if `q` is at most `RATE`.
    """

    group: str
    metric: str
    first: float
    second: float
    difference: float
    interval: tuple[float, float]
    p: float
    q: float
    people: int
    verdict: Verdict

    def to_json(self) -> dict[str, Any]:
        """The line as plain values."""
        return {**asdict(self), "interval": list(self.interval)}


def differences(
    pair: Pair, groups: Sequence[Group], *, resamples: int, seed: int = 0
) -> tuple[list[Difference], dict[str, str]]:
    """A line for each metric of each group, and why others have none, by group and metric.

    Both models are resampled with the same people. The false discovery rate is controlled over all lines together.

    Args:
        pair: the two models.
        groups: of rows.
        resamples: of people.
        seed: of the draws.
    """
    found: list[Difference] = []
    left_out: dict[str, str] = {}
    for group in groups:
        for line in _lines(pair, group, resamples, seed):
            if isinstance(line, Difference):
                found.append(line)
            else:
                left_out[f"{group.name}: {line[0]}"] = line[1]
    rates = benjamini_hochberg([line.p for line in found])
    return [_judged(line, q) for line, q in zip(found, rates, strict=True)], left_out


def _judged(line: Difference, q: float) -> Difference:
    better: Verdict = "first" if line.difference > 0 else "second"
    return replace(line, q=q, verdict=better if q <= RATE else "not shown")


def _lines(pair: Pair, group: Group, resamples: int, seed: int) -> Iterator[Difference | tuple[str, str]]:
    """The lines of one group, each a difference or a metric and why it has none."""
    clusters, labels = pair.clusters.rows(group.rows), _of(pair.labels, group.rows)
    values, people, reports = [], [], []
    for predictions, thresholds in zip(pair.predictions, pair.thresholds, strict=True):
        own = _of(predictions, group.rows)
        resampled, deciding = resampled_metrics(
            own, labels, pair.tasks, clusters, thresholds=np.asarray(thresholds), resamples=resamples, seed=seed
        )
        values.append(resampled)
        people.append(deciding)
        reports.append(evaluate_predictions(own, labels, pair.tasks, thresholds))
    for metric in _metrics(pair.tasks, group):
        first, second = (value_at(report, metric) for report in reports)
        count = max(deciding[metric] for deciding in people)
        apart = values[0][metric] - values[1][metric]
        because = _because(first, second, count, apart)
        if because:
            yield metric, because
        else:
            assert first is not None
            assert second is not None
            yield _difference(group.name, metric, (first, second), apart[np.isfinite(apart)], count)


def _because(first: float | None, second: float | None, people: int, apart: NDArray[np.float64]) -> str:
    """Why a metric cannot be compared; empty if it can be."""
    if first is None or second is None:
        return "not defined: there is no label, or all labels are the same"
    if people < LEAST_PEOPLE:
        return f"it depends on {people} people, fewer than {LEAST_PEOPLE}, from whom little follows about others"
    defined = apart[np.isfinite(apart)]
    if len(defined) < 2 or (first != second and not defined.std()):
        return "not defined, or the same, in all resamples of the people"
    return ""


def _difference(
    group: str, metric: str, values: tuple[float, float], apart: NDArray[np.float64], people: int
) -> Difference:
    first, second = values
    # A resample of n people varies by (n - 1) / n of what n people vary.
    deviation = float(apart.std(ddof=1)) * (people / (people - 1)) ** 0.5
    half = student_t_quantile((1 + LEVEL) / 2, people - 1) * deviation
    difference = first - second
    p = p_value(difference, deviation, people - 1)
    return Difference(
        group, metric, first, second, difference, (difference - half, difference + half), p, p, people, "not shown"
    )


def _metrics(tasks: TaskSet, group: Group) -> Iterator[str]:
    for task in group.tasks:
        yield from (f"{task}.{name}" for name in HEADLINE[task])
    if group.detailed and "au" in group.tasks:
        yield from (f"au.by_action_unit.{number}.{name}" for number in tasks.action_units for name in DETAIL)
    if group.detailed and "expression" in group.tasks:
        yield from (f"expression.by_class.{name}.f1" for name in tasks.expressions)


def value_at(report: Mapping[str, Any], metric: str) -> float | None:
    """The value of a metric by its dotted name; None where it is not defined."""
    found: Any = report
    for key in metric.split("."):
        found = found[key]
    return None if found is None else float(found)


def _of(arrays: Mapping[str, NDArray[Any]], rows: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
    return {name: values[rows] for name, values in arrays.items()}
