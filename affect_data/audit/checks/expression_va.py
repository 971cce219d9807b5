"""Finds expressions that contradict valence and arousal."""

from collections.abc import Sequence
from dataclasses import dataclass
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

_ROWS_AT_ONCE: Final = 1 << 17
_NAMES: Final = pl.Enum(EXPRESSIONS)


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
        columns = ("database", "expression", "expression_mask", "valence", "arousal", "va_mask")
        rows = dataset.rows(*columns).filter(pl.col("expression_mask") & pl.col("va_mask"))
        rows = rows.with_columns(excess.alias("excess"), *_doubts(rows))
        rows = rows.filter(pl.col("excess").is_not_null() | (pl.col("doubt") >= DOUBT_FROM))
        far = pl.when(pl.col("doubt") >= DOUBT_FROM)
        evidence = {
            "expression": expression,
            "valence": valence,
            "arousal": arousal,
            "likelier": far.then(pl.col("likelier")),
        }
        score = pl.max_horizontal(0.5 + 0.5 * pl.col("excess"), far.then(pl.col("doubt")))
        return findings(dataset.identified(rows), score, self.severity, evidence)


def _doubts(rows: pl.DataFrame) -> tuple[pl.Series, pl.Series]:
    """For every row, `doubt`, 1 minus the probability of its expression in its database (0 if unknown), and `likelier`, the likeliest expression."""
    doubt, likeliest = np.zeros(len(rows)), np.zeros(len(rows), np.int8)
    label = rows["expression"].to_numpy()
    places = rows.select("valence", "arousal").to_numpy()
    database = rows["database"].to_physical().to_numpy()
    for name in np.unique(database):
        own = np.nonzero(database == name)[0]
        counts = np.bincount(label[own], minlength=len(EXPRESSIONS))
        classes = np.nonzero(counts >= LEAST_FACES)[0]
        own = own[np.isin(label[own], classes)]
        if len(classes) < 2:
            continue
        clouds = [fitted_cloud(places[own[label[own] == code]].astype(np.float64)) for code in classes]
        for start in range(0, len(own), _ROWS_AT_ONCE):
            part = own[start : start + _ROWS_AT_ONCE]
            probability = plane_probabilities(places[part].astype(np.float64), clouds)
            doubt[part] = 1 - probability[np.arange(len(part)), np.searchsorted(classes, label[part])]
            likeliest[part] = classes[probability.argmax(axis=1)]
    names = pl.Series("likelier", likeliest).replace_strict(dict(enumerate(EXPRESSIONS)), return_dtype=_NAMES)
    return pl.Series("doubt", doubt), names


@dataclass(frozen=True)
class Cloud:
    """A normal distribution in the plane of valence and arousal.

    Attributes:
        centre: float [2], its mean.
        spread: float [2, 2], its covariance.
    """

    centre: Floats
    spread: Floats


def fitted_cloud(places: Floats) -> Cloud:
    """The normal distribution of points of one class, fitted to their innermost `KEPT`, so that wrong labels do not widen it.

    Args:
        places: float [rows, 2].
    """
    off = places - np.median(places, axis=0)
    distance = _distance(off, _spread(off))
    inner = places[distance <= np.quantile(distance, KEPT)]
    return Cloud(inner.mean(axis=0), WIDENED * _spread(inner - inner.mean(axis=0)))


def plane_probabilities(places: Floats, clouds: Sequence[Cloud]) -> Floats:
    """The probability of each class at points of the plane, float [rows, classes]; priors are equal.

    Args:
        places: float [rows, 2].
        clouds: the distribution of each class.
    """
    logs = np.empty((len(places), len(clouds)))
    for number, cloud in enumerate(clouds):
        away = _distance(places - cloud.centre, cloud.spread)
        logs[:, number] = -0.5 * (away + np.log(np.linalg.det(cloud.spread)))
    weights = np.exp(logs - logs.max(axis=1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def _spread(off: Floats) -> Floats:
    return np.asarray(off.T @ off / len(off) + SMALLEST_VARIANCE * np.eye(2))


def _distance(off: Floats, spread: Floats) -> Floats:
    return np.asarray(np.einsum("ni,ij,nj->n", off, np.linalg.inv(spread), off))
