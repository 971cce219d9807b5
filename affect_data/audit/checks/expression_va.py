"""Finds expressions that contradict valence and arousal."""

from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from affect_data.audit.base import Audit, AuditedDataset, Severity, findings
from affect_data.vocabulary import EXPRESSIONS

NEUTRAL_WITHIN: Final = 0.5
POSITIVE_FROM: Final = 0.3
LARGEST: Final = 2**0.5

LEAST_FACES: Final = 30
DOUBT_FROM: Final = 0.95
KEPT: Final = 0.9
WIDENED: Final = 1.4
"""Variance of a two-dimensional normal distribution relative to that of its innermost 90 %, rounded up."""
SMALLEST_VARIANCE: Final = 0.01

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]


class ExpressionValenceArousal(Audit):
    """Expressions on the wrong side of the valence-arousal plane, or far from the others of the same expression in their database."""

    name = "expression_va"
    title = "expression against valence and arousal"
    severity = Severity.REVIEW
    rule = (
        f"happiness with valence < 0; sadness with valence > 0; neutral with a radius > {NEUTRAL_WITHIN}; anger, disgust or fear with valence > "
        f"{POSITIVE_FROM} (surprise has no sign); or, among the expressions with at least {LEAST_FACES} faces of the database, one normal "
        f"distribution each (its innermost {KEPT:.0%} fitted) gives the labelled one a probability of at most {1 - DOUBT_FROM:.2f}. Score: from 0.5 "
        "at the limit to 1 at the end of the plane, or 1 minus the probability, whichever is larger"
    )
    source = "Kuhnke, Rumberg & Ostermann, arXiv 2002.03399 (the first three rules); anger, disgust and fear by the circumplex, with a margin"
    example = (
        "happiness with valence -0.4 (score 0.7); surprise where the database has its sad faces "
        '(`"likelier":"sadness"`, score 0.98)'
    )

    def find(self, dataset: AuditedDataset) -> pl.DataFrame:
        """One finding for every row that breaks a rule, or is far from the others of its expression."""
        expression, valence, arousal = pl.col("expression_name"), pl.col("valence"), pl.col("arousal")
        radius = (valence**2 + arousal**2).sqrt()
        negative = expression.is_in(["anger", "disgust", "fear"])
        excess = (
            pl.when((expression == "happiness") & (valence < 0)).then(-valence)
            .when((expression == "sadness") & (valence > 0)).then(valence)
            .when((expression == "neutral") & (radius > NEUTRAL_WITHIN)).then((radius - NEUTRAL_WITHIN) / (LARGEST - NEUTRAL_WITHIN))
            .when(negative & (valence > POSITIVE_FROM)).then((valence - POSITIVE_FROM) / (1 - POSITIVE_FROM))
        )  # fmt: skip
        rows = dataset.labels.filter(pl.col("expression_mask") & pl.col("va_mask"))
        doubt, likelier = _doubts(rows)
        rows = rows.with_columns(
            excess.alias("excess"), pl.Series("doubt", doubt), pl.Series("likelier", likelier, dtype=pl.String)
        )
        rows = rows.filter(pl.col("excess").is_not_null() | (pl.col("doubt") >= DOUBT_FROM))
        far = pl.when(pl.col("doubt") >= DOUBT_FROM)
        evidence = {
            "expression": expression,
            "valence": valence,
            "arousal": arousal,
            "likelier": far.then(pl.col("likelier")),
        }
        score = pl.max_horizontal(0.5 + 0.5 * pl.col("excess"), far.then(pl.col("doubt")))
        return findings(rows, score, self.severity, evidence)


def _doubts(rows: pl.DataFrame) -> tuple[Floats, list[str]]:
    """For every row, 1 minus the probability of its expression in its database (0 if unknown), and the name of the likeliest expression."""
    doubt, likeliest = np.zeros(len(rows)), np.zeros(len(rows), np.int64)
    label = rows["expression"].to_numpy().astype(np.int64)
    places = rows.select("valence", "arousal").to_numpy().astype(np.float64)
    database = rows["database"].to_numpy()
    for name in np.unique(database):
        own = np.nonzero(database == name)[0]
        counts = np.bincount(label[own], minlength=len(EXPRESSIONS))
        classes = np.nonzero(counts >= LEAST_FACES)[0]
        own = own[np.isin(label[own], classes)]
        if len(classes) < 2:
            continue
        probability = plane_probabilities(places[own], np.searchsorted(classes, label[own]), len(classes))
        doubt[own] = 1 - probability[np.arange(len(own)), np.searchsorted(classes, label[own])]
        likeliest[own] = classes[probability.argmax(axis=1)]
    return doubt, [EXPRESSIONS[code] for code in likeliest]


def plane_probabilities(places: Floats, classes: Codes, count: int) -> Floats:
    """The probability of each class at points of the plane, float [rows, count], from one normal distribution for each class.

    Priors are equal. Each distribution is fitted to the innermost `KEPT` of its class, so that wrong labels do not widen it.

    Args:
        places: float [rows, 2].
        classes: int [rows]; every class from 0 to ``count - 1`` occurs.
        count: number of classes.
    """
    logs = np.empty((len(places), count))
    for number in range(count):
        own = places[classes == number]
        off = own - np.median(own, axis=0)
        distance = _distance(off, _spread(off))
        own = own[distance <= np.quantile(distance, KEPT)]
        spread = WIDENED * _spread(own - own.mean(axis=0))
        logs[:, number] = -0.5 * (_distance(places - own.mean(axis=0), spread) + np.log(np.linalg.det(spread)))
    weights = np.exp(logs - logs.max(axis=1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def _spread(off: Floats) -> Floats:
    return np.asarray(off.T @ off / len(off) + SMALLEST_VARIANCE * np.eye(2))


def _distance(off: Floats, spread: Floats) -> Floats:
    return np.asarray(np.einsum("ni,ij,nj->n", off, np.linalg.inv(spread), off))
