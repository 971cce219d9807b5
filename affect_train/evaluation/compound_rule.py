"""The published rule that scores compound expressions, and the metrics of naming them.

Source: Kollias, Sharmanska & Zafeiriou, *Face Behavior a la carte* (arXiv 1910.11111), section on zero-shot recognition.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from affect_data.databases.raf_db.reader import COMPOUND
from affect_data.errors import UnknownNameError, UsageError
from affect_data.vocabulary import (
    COMPOUND_EXPRESSION_ACTION_UNITS,
    COMPOUND_EXPRESSION_PARTS,
    COMPOUND_EXPRESSIONS,
)
from affect_train.errors import ModelMismatchError
from affect_train.evaluation.intervals import LEVEL, Clusters, by_cluster, interval, resampled
from affect_train.tasks import TaskSet

RAF_DB: Final = tuple(name for name in COMPOUND_EXPRESSIONS if name in COMPOUND)
"""The eleven compound expressions of RAF-DB."""

PLEASANT: Final = ("happily surprised", "happily disgusted")
"""The compound expressions that the rule expects where valence is positive."""


@dataclass(frozen=True)
class CompoundRule:
    """The published rule, for K compound expressions and the heads of a model.

    Attributes:
        names: the K compound expressions.
        units: float64 [K, A], p(AU | compound expression).
        parts: int64 [K, 2], the two basic expressions as classes of the head.
        pleasant: bool [K], whether positive valence speaks for it.
        dropped: related action units that the head does not predict, by compound expression.
    """

    names: tuple[str, ...]
    units: NDArray[np.float64]
    parts: NDArray[np.int64]
    pleasant: NDArray[np.bool_]
    dropped: Mapping[str, tuple[int, ...]]

    @classmethod
    def of(cls, names: Sequence[str], tasks: TaskSet) -> "CompoundRule":
        """The rule for the named compound expressions.

        Raises:
            UnknownNameError: there is no compound expression of a name.
            UsageError: fewer than two are named, or one twice, or one whose action units or parts are not known.
            ModelMismatchError: the model lacks a head that the rule needs.
        """
        _check_names(names)
        _check_heads(names, tasks)
        columns = {number: column for column, number in enumerate(tasks.action_units)}
        units, dropped = np.zeros((len(names), len(columns))), {}
        for position, name in enumerate(names):
            relations = COMPOUND_EXPRESSION_ACTION_UNITS[name]
            for number in set(relations) & set(columns):
                units[position, columns[number]] = relations[number]
            missing = tuple(sorted(set(relations) - set(columns)))
            if missing:
                dropped[name] = missing
        parts = [[tasks.expressions.index(part) for part in COMPOUND_EXPRESSION_PARTS[name]] for name in names]
        return cls(tuple(names), units, np.array(parts), np.isin(names, PLEASANT), dropped)

    def scores(
        self, au: NDArray[np.floating], expression: NDArray[np.floating], valence: NDArray[np.floating]
    ) -> NDArray[np.float64]:
        """The score of each compound expression, float64 [N, K].

        It is the weighted mean of the probabilities of its action units, plus the probabilities of its two parts; where valence is positive, the
        pleasant ones get 1 more.

        Args:
            au: [N, A] probabilities.
            expression: [N, C] probabilities.
            valence: [N].
        """
        shown = au.astype(np.float64) @ self.units.T / self.units.sum(axis=1)
        named = expression.astype(np.float64)[:, self.parts].sum(axis=2)
        scores: NDArray[np.float64] = shown + named + (valence > 0)[:, None] * self.pleasant
        return scores


def _check_names(names: Sequence[str]) -> None:
    for name in names:
        if name not in COMPOUND_EXPRESSIONS:
            raise UnknownNameError("compound expression", name, COMPOUND_EXPRESSIONS)
        if name not in COMPOUND_EXPRESSION_PARTS or name not in COMPOUND_EXPRESSION_ACTION_UNITS:
            lacking = "action units" if name in COMPOUND_EXPRESSION_PARTS else "two basic expressions"
            raise UsageError(
                f"compound expression '{name}': its {lacking} are not known, so that it cannot be scored; leave it out"
            )
    if len(set(names)) < max(2, len(names)):
        raise UsageError(
            f"compound expressions: found {', '.join(names) or 'none'}; name two different ones at least, each once"
        )


def _check_heads(names: Sequence[str], tasks: TaskSet) -> None:
    parts = sorted({part for name in names for part in COMPOUND_EXPRESSION_PARTS[name]})
    lacking = [f"expression {part}" for part in parts if part not in tasks.expressions]
    lacking += [] if "va" in tasks.names else ["valence"]
    known = set(tasks.action_units)
    lacking += [
        f"an action unit of {name}" for name in names if not known & set(COMPOUND_EXPRESSION_ACTION_UNITS[name])
    ]
    if lacking:
        raise ModelMismatchError(
            "compound expressions",
            f"a model without {', '.join(lacking)}",
            "action units, basic expressions, and valence and arousal",
            "train a model with `tasks` that hold them, or name fewer compound expressions",
        )


def metrics(predicted: NDArray[np.int64], labels: NDArray[np.int64], names: Sequence[str]) -> dict[str, Any]:
    """Recall of each class, its mean over the classes that occur (``uar``), accuracy, and the confusion matrix (true class by predicted class).

    Args:
        predicted: int64 [N].
        labels: int64 [N].
        names: of the classes.
    """
    count = len(names)
    confusion = np.bincount(labels * count + predicted, minlength=count * count).reshape(count, count)
    shown = confusion.sum(axis=1)
    recalls = [
        float(hits / total) if total else None for hits, total in zip(np.diag(confusion), shown.tolist(), strict=True)
    ]
    return {
        "uar": float(np.mean([recall for recall in recalls if recall is not None])),
        "accuracy": float(np.mean(predicted == labels)),
        "by_class": {
            name: {"recall": recall, "labels": total}
            for name, recall, total in zip(names, recalls, shown.tolist(), strict=True)
        },
        "confusion": confusion.tolist(),
    }


def intervals(
    predicted: NDArray[np.int64],
    labels: NDArray[np.int64],
    classes: int,
    clusters: Clusters,
    *,
    resamples: int,
    seed: int = 0,
) -> dict[str, Any]:
    """Bootstrap intervals of ``uar`` and ``accuracy`` over people; None if there is only one cluster.

    Args:
        predicted: int64 [N].
        labels: int64 [N].
        classes: how many there are.
        clusters: which rows are drawn together.
        resamples: how many are drawn.
        seed: of the draws.
    """
    shown = (labels[:, None] == np.arange(classes)).astype(np.float64)
    sums = {
        "hits": by_cluster(shown * (predicted == labels)[:, None], clusters),
        "labels": by_cluster(shown, clusters),
    }

    def measured(drawn: Mapping[str, NDArray[np.float64]]) -> dict[str, NDArray[np.float64]]:
        hits, totals = drawn["hits"], drawn["labels"]
        present = totals > 0
        recalls = np.where(present, hits / np.maximum(totals, 1), 0)
        return {
            "uar": recalls.sum(axis=1) / present.sum(axis=1),
            "accuracy": hits.sum(axis=1) / totals.sum(axis=1),
        }

    values = resampled(sums, clusters.count, measured, resamples=resamples, seed=seed)
    return {
        "level": LEVEL,
        "resamples": resamples,
        "seed": seed,
        "clusters": clusters.kinds,
        "metrics": {name: interval(found) if clusters.count > 1 else None for name, found in values.items()},
    }
