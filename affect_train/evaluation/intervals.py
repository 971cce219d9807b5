"""Confidence intervals of metrics: the bootstrap over people, because faces of one person are not independent.

Nearly every metric is a function of sums over rows. The rows of a person are summed once, and a resample of people is a weighted sum of those sums,
so that thousands of resamples cost one matrix product. Rankings are no such function: their rows are sorted once, and counted anew for each resample.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from affect_train.evaluation.metrics import Absent
from affect_train.evaluation.ranking import Ranking
from affect_train.tasks import AXES, TaskSet

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]

LEVEL: Final = 0.95
BLOCK: Final = 2**22
"""How many counts (resamples times clusters) are held in memory at a time."""


@dataclass(frozen=True)
class Clusters:
    """Which rows are drawn together.

    Attributes:
        index: int64 [rows], the cluster of each row.
        count: how many clusters there are.
        kinds: how many of them are a ``subject``, a ``track`` and a ``row``.
    """

    index: NDArray[np.int64]
    count: int
    kinds: dict[str, int]

    @classmethod
    def of(cls, databases: Codes, subjects: Codes, tracks: Codes) -> "Clusters":
        """Clusters by subject where it is known, otherwise by track, otherwise each row by itself; always within one database.

        Args:
            databases: [rows], a number each.
            subjects: [rows], a number each, -1 where unknown.
            tracks: [rows], a number each, -1 where unknown.
        """
        levels = np.where(subjects >= 0, 0, np.where(tracks >= 0, 1, 2))
        numbers = np.select([levels == 0, levels == 1], [subjects, tracks], np.arange(len(levels)))
        keys = (levels * (int(databases.max()) + 1) + databases) * (int(numbers.max()) + 1) + numbers
        firsts, index = np.unique(keys, return_index=True, return_inverse=True)[1:]
        kinds = np.bincount(levels[firsts], minlength=3).tolist()
        return cls(index, len(firsts), dict(zip(("subject", "track", "row"), kinds, strict=True)))

    def rows(self, chosen: NDArray[np.int64]) -> "Clusters":
        """The clusters of some rows alone."""
        present, index = np.unique(self.index[chosen], return_inverse=True)
        kinds = np.repeat(list(self.kinds), list(self.kinds.values()))[present]
        return Clusters(index, len(present), {kind: int((kinds == kind).sum()) for kind in self.kinds})


def confidence_intervals(
    predictions: Mapping[str, NDArray[Any]],
    labels: Mapping[str, NDArray[Any]],
    tasks: TaskSet,
    clusters: Clusters,
    *,
    thresholds: NDArray[np.floating],
    resamples: int,
    seed: int = 0,
    absent: Absent = "skip",
) -> dict[str, Any]:
    """Percentile intervals at `LEVEL`, as values that JSON can hold; None where a metric is not defined or depends on one cluster alone.

    The arguments are those of `resampled_metrics`.
    """
    values, deciding = resampled_metrics(
        predictions, labels, tasks, clusters, thresholds=thresholds, resamples=resamples, seed=seed, absent=absent
    )
    return {
        "level": LEVEL,
        "resamples": resamples,
        "seed": seed,
        "clusters": clusters.kinds,
        "metrics": {name: interval(found) if deciding[name] > 1 else None for name, found in values.items()},
    }


def resampled_metrics(
    predictions: Mapping[str, NDArray[Any]],
    labels: Mapping[str, NDArray[Any]],
    tasks: TaskSet,
    clusters: Clusters,
    *,
    thresholds: NDArray[np.floating],
    resamples: int,
    seed: int = 0,
    absent: Absent = "skip",
) -> tuple[dict[str, Floats], dict[str, int]]:
    """The metrics of resamples of people, [resamples] by dotted name, and on how many clusters each metric depends.

    Two models on the same rows are resampled alike by the same seed, so that their values are pairs.

    Args:
        predictions: as for `metrics.evaluate_predictions`.
        labels: as for it.
        tasks: names the columns.
        clusters: what is resampled: as many as there are, with replacement.
        thresholds: for every action unit.
        resamples: how many are drawn.
        seed: of the draws.
        absent: as for `metrics.evaluate_predictions`.
    """
    sums = {name: by_cluster(rows, clusters) for name, rows in row_sums(predictions, labels, tasks, thresholds).items()}
    values = resampled(
        sums, clusters.count, lambda drawn: metrics_of(drawn, tasks, absent), resamples=resamples, seed=seed
    )
    deciding = deciding_clusters(sums, tasks)
    if "au" in tasks.names:
        ranked, people = _resampled_ranks(predictions["au"], labels, tasks, clusters, resamples=resamples, seed=seed)
        values, deciding = values | ranked, deciding | people
    return values, deciding


def draws(clusters: int, size: int, *, resamples: int, seed: int) -> Iterator[Floats]:
    """How often each resample draws each cluster, [B, clusters], some resamples at a time; the same for a seed, however many at a time.

    Args:
        clusters: how many there are; as many are drawn, with replacement.
        size: how many values a resample takes in memory.
        resamples: how many are drawn.
        seed: of the draws.
    """
    rng = np.random.default_rng(seed)
    size = max(1, BLOCK // max(size, clusters))
    for start in range(0, resamples, size):
        count = min(size, resamples - start)
        drawn = rng.integers(0, clusters, (count, clusters))
        flat = (drawn + clusters * np.arange(count)[:, None]).reshape(-1)
        yield np.bincount(flat, minlength=count * clusters).reshape(count, -1).astype(np.float64)


def resampled(
    sums: Mapping[str, Floats],
    clusters: int,
    metrics: Callable[[Mapping[str, Floats]], dict[str, Floats]],
    *,
    resamples: int,
    seed: int,
) -> dict[str, Floats]:
    """The metrics of each resample of clusters, [resamples] by name.

    Args:
        sums: [clusters, columns] by name, from `by_cluster`.
        clusters: how many there are; as many are drawn, with replacement.
        metrics: from sums [B, columns] to metrics [B].
        resamples: how many are drawn.
        seed: of the draws.
    """
    parts = [
        metrics({name: times @ values for name, values in sums.items()})
        for times in draws(clusters, clusters, resamples=resamples, seed=seed)
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _resampled_ranks(
    probabilities: NDArray[np.floating],
    labels: Mapping[str, NDArray[Any]],
    tasks: TaskSet,
    clusters: Clusters,
    *,
    resamples: int,
    seed: int,
) -> tuple[dict[str, Floats], dict[str, int]]:
    """Average precision and area under the ROC curve of each action unit, and their means, in each resample; and the clusters behind them.

    An action unit depends on the people who show it and on those who do not: the fewer of both count.
    """
    values: dict[str, Floats] = {}
    deciding: dict[str, int] = {}
    for column, number in enumerate(tasks.action_units):
        valid = labels["au_mask"][:, column]
        index, present = clusters.index[valid], labels["au"][valid, column] > 0.5
        ranking = Ranking.of(probabilities[valid, column], present)
        parts = [
            ranking.scores(times[:, index])
            for times in draws(clusters.count, len(index), resamples=resamples, seed=seed)
        ]
        people = min(len(np.unique(index[present])), len(np.unique(index[~present])))
        for name, found in zip(("average_precision", "auroc"), zip(*parts, strict=True), strict=True):
            values[f"au.by_action_unit.{number}.{name}"] = np.concatenate(found)
            deciding[f"au.by_action_unit.{number}.{name}"] = people
    labelled = len(np.unique(clusters.index[labels["au_mask"].any(axis=1)]))
    for name in ("average_precision", "auroc"):
        every = [values[f"au.by_action_unit.{number}.{name}"] for number in tasks.action_units]
        values[f"au.mean_{name}"] = _mean(np.stack(every, axis=1))
        deciding[f"au.mean_{name}"] = labelled
    return values, deciding


def deciding_clusters(sums: Mapping[str, Floats], tasks: TaskSet) -> dict[str, int]:
    """How many clusters each metric of `metrics_of` depends on: those with a label; for the F1 of a class, those that predict or show it.

    Args:
        sums: [clusters, columns].
        tasks: names the columns.
    """
    found: dict[str, int] = {}
    for task, part in (("au", "by_action_unit"), ("expression", "by_class")):
        if task in tasks.names:
            labelled = int((sums[f"{task}_labels"] > 0).any(axis=1).sum())
            mean = "mean_f1" if task == "au" else "macro_f1"
            found |= {f"{task}.{mean}": labelled, f"{task}.accuracy": labelled}
            counts = ((sums[f"{task}_hits"] + sums[f"{task}_misses"]) > 0).sum(axis=0).tolist()
            classes = tasks.action_units if task == "au" else tasks.expressions
            found |= {f"{task}.{part}.{name}.f1": count for name, count in zip(classes, counts, strict=True)}
    if "va" in tasks.names:
        labelled = int((sums["valence"][:, 0] > 0).sum())
        found |= dict.fromkeys(("va.valence_ccc", "va.arousal_ccc", "va.mean_ccc"), labelled)
    return {**found, "score": max(found.values())}


def by_cluster(rows: Floats, clusters: Clusters) -> Floats:
    """Sums [clusters, columns] of what each row adds, [rows, columns]."""
    return np.stack([np.bincount(clusters.index, column, clusters.count) for column in rows.T], axis=1)


def interval(values: Floats) -> list[float] | None:
    """The percentile interval at `LEVEL` of the values that are defined; None if none is."""
    defined = values[np.isfinite(values)]
    tail = (1 - LEVEL) / 2
    return np.quantile(defined, [tail, 1 - tail]).tolist() if len(defined) else None


def row_sums(
    predictions: Mapping[str, NDArray[Any]],
    labels: Mapping[str, NDArray[Any]],
    tasks: TaskSet,
    thresholds: NDArray[np.floating],
) -> dict[str, Floats]:
    """What each row adds to the sums that `metrics_of` is a function of, float64 [rows, columns] by name."""
    sums: dict[str, Floats] = {}
    if "au" in tasks.names:
        predicted, present, mask = predictions["au"] >= thresholds, labels["au"] > 0.5, labels["au_mask"]
        sums["au_hits"] = (predicted & present & mask).astype(np.float64)
        sums["au_misses"] = ((predicted != present) & mask).astype(np.float64)
        sums["au_labels"] = mask.astype(np.float64)
    if "expression" in tasks.names:
        classes, mask = np.arange(len(tasks.expressions)), labels["expression_mask"][:, None]
        predicted = predictions["expression"].argmax(axis=1)[:, None] == classes
        present = labels["expression"][:, None] == classes
        sums["expression_hits"] = (predicted & present & mask).astype(np.float64)
        sums["expression_misses"] = ((predicted != present) & mask).astype(np.float64)
        sums["expression_labels"] = mask.astype(np.float64)
    if "va" in tasks.names:
        valid = labels["va_mask"]
        for axis in AXES:
            # Both are shifted by the mean label: the concordance stays the same, and sums of squares lose no precision.
            centre = labels[axis][valid].mean(dtype=np.float64) if valid.any() else 0.0
            x, y = ((values[axis].astype(np.float64) - centre) * valid for values in (predictions, labels))
            sums[axis] = np.stack([valid.astype(np.float64), x, y, x * x, y * y, x * y], axis=1)
    return sums


def metrics_of(sums: Mapping[str, Floats], tasks: TaskSet, absent: Absent = "skip") -> dict[str, Floats]:
    """The metrics of `metrics.evaluate_predictions` by dotted name, each [B], from sums [B, columns]; NaN where one is not defined.

    Those that rank rows are not among them.
    """
    found: dict[str, Floats] = {}
    with np.errstate(invalid="ignore", divide="ignore"):
        if "au" in tasks.names:
            scores = _f1(sums["au_hits"], sums["au_misses"])
            found["au.mean_f1"] = _mean(_with_absent(scores, sums["au_labels"], absent))
            found["au.accuracy"] = 1 - sums["au_misses"].sum(axis=1) / sums["au_labels"].sum(axis=1)
            found |= {f"au.by_action_unit.{number}.f1": scores[:, i] for i, number in enumerate(tasks.action_units)}
        if "expression" in tasks.names:
            scores = _f1(sums["expression_hits"], sums["expression_misses"])
            found["expression.macro_f1"] = _mean(_with_absent(scores, sums["expression_labels"], absent))
            found["expression.accuracy"] = sums["expression_hits"].sum(axis=1) / sums["expression_labels"].sum(axis=1)
            found |= {f"expression.by_class.{name}.f1": scores[:, i] for i, name in enumerate(tasks.expressions)}
        if "va" in tasks.names:
            both = [_concordance(sums[axis]) for axis in AXES]
            found |= {f"va.{axis}_ccc": values for axis, values in zip(AXES, both, strict=True)}
            found["va.mean_ccc"] = (both[0] + both[1]) / 2
        main = {"au": "au.mean_f1", "expression": "expression.macro_f1", "va": "va.mean_ccc"}
        found["score"] = _mean(np.stack([found[main[task]] for task in tasks.names], axis=1))
    return found


def _f1(hits: Floats, misses: Floats) -> Floats:
    # 0 / 0 is NaN, as it should be for a class that is neither predicted nor present.
    return 2 * hits / (2 * hits + misses)


def _with_absent(scores: Floats, labels: Floats, absent: Absent) -> Floats:
    """The scores, 0 in place of NaN where there are labels if absent classes count."""
    return np.where(np.isnan(scores) & (labels > 0), 0.0, scores) if absent == "zero" else scores


def _mean(values: Floats) -> Floats:
    """The mean of the defined values of each row."""
    defined = np.isfinite(values)
    with np.errstate(invalid="ignore"):
        mean: Floats = np.where(defined, values, 0).sum(axis=1) / defined.sum(axis=1)
    return mean


def _concordance(sums: Floats) -> Floats:
    n, x, y, xx, yy, xy = (sums / sums[:, :1]).T
    del n
    denominator = (xx - x * x) + (yy - y * y) + (x - y) ** 2
    defined = (sums[:, 0] >= 2) & (denominator > 1e-12)
    return np.where(defined, 2 * (xy - x * y) / denominator, np.nan)
