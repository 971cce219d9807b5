"""Finds expressions whose action units are those of another expression, judged by the rest of the same database.

Which action units go with an expression is learned from each database by itself, because coders and situations differ: AU12 in sadness is an error in
posed data and a masking smile in spontaneous data.
"""

from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from affect_data.audit.base import Audit, AuditedDataset, Severity, findings, no_findings, units_named
from affect_data.vocabulary import EXPRESSIONS

LEAST_ROWS: Final = 10
LIFT_BELOW: Final = 0.5
EXPECTED_FROM: Final = 0.7
FLAGGED_FROM: Final = 0.95
SMOOTHING: Final = 1.0
POWERS: Final = tuple(np.geomspace(0.2, 1.0, 9))
"""Powers of the likelihoods that are tried: up to 1, because action units that go together would count the same evidence twice."""

Floats = npt.NDArray[np.float64]


class ActionUnitExpression(Audit):
    """Faces whose action units point to another expression than the labelled one."""

    name = "au_expression"
    title = "action units against expression"
    severity = Severity.REVIEW
    rule = (
        f"within a database, from expressions with at least {LEAST_ROWS} coded faces: the action units (naive Bayes with the expressions' shares, "
        "likelihoods to the power that fits the database best, the face itself left out) give the labelled expression at most "
        f"{1 - FLAGGED_FROM:.2f}, and an action unit is present whose lift P(AU | expression) / P(AU) is below {LIFT_BELOW}, or one is absent that "
        f"at least {EXPECTED_FROM} of the expression's faces show. Score: 1 minus the labelled expression's probability"
    )
    source = "lift: Brin et al., Dynamic Itemset Counting, SIGMOD 1997; learnt per database"
    example = "sadness with AU6 and AU12 and without AU15, in a database where one sad face in fifty shows AU12"

    def find(self, dataset: AuditedDataset) -> pl.DataFrame:
        """One finding for every contradicting row."""
        parts = [no_findings()]
        coded = dataset.labels.filter(pl.col("expression_mask") & pl.col("au_mask").arr.any())
        for _, rows in coded.group_by("database", maintain_order=True):
            parts.append(self._find(dataset, rows))
        return pl.concat(parts)

    def _find(self, dataset: AuditedDataset, rows: pl.DataFrame) -> pl.DataFrame:
        counts = np.bincount(rows["expression"].to_numpy(), minlength=len(EXPRESSIONS))
        classes = np.nonzero(counts >= LEAST_ROWS)[0]
        rows = rows.filter(pl.col("expression").is_in(classes.tolist()))
        if len(classes) < 2:
            return no_findings()
        units = dataset.occurrence[rows["row"].to_numpy()]
        label = np.searchsorted(classes, rows["expression"].to_numpy())
        present = np.stack([(units[label == k] == 1).sum(axis=0) for k in range(len(classes))]).astype(float)
        known = np.stack([(units[label == k] >= 0).sum(axis=0) for k in range(len(classes))]).astype(float)
        share = (present + SMOOTHING) / (known + 2 * SMOOTHING)
        base = (present.sum(axis=0) + SMOOTHING) / (known.sum(axis=0) + 2 * SMOOTHING)
        doubt = 1 - _probability_of_label(units, label, present, known)
        unlikely = (units == 1) & (share / base < LIFT_BELOW)[label]
        missing = (units == 0) & (share >= EXPECTED_FROM)[label]
        flagged = (doubt >= FLAGGED_FROM) & (unlikely | missing).any(axis=1)
        rows = rows.with_columns(pl.Series("doubt", doubt)).filter(pl.Series(flagged))
        marked = {"present": units == 1, "unlikely": unlikely, "missing": missing}
        named = [pl.Series(name, units_named(slots[flagged]), dtype=pl.String) for name, slots in marked.items()]
        evidence = {"expression": pl.col("expression_name"), **{name: pl.col(name) for name in marked}}
        return findings(rows.with_columns(named), pl.col("doubt"), self.severity, evidence)


def _probability_of_label(
    units: npt.NDArray[np.int8], label: npt.NDArray[np.int64], present: Floats, known: Floats
) -> Floats:
    """Naive Bayes' probability of the labelled expression given the action units, float [rows]; a row's own counts are left out.

    The likelihoods are raised to the power of `POWERS` that makes the labels of the database most probable.

    Args:
        units: int8 [rows, slots], -1 unknown.
        label: int64 [rows], position among the classes.
        present: [classes, slots], how many rows of a class show an action unit.
        known: [classes, slots], how many rows of a class have it coded.
    """
    # An action unit that is never coded for some expression cannot tell expressions apart.
    everywhere = (known > 0).all(axis=0)
    units, present, known = units[:, everywhere], present[:, everywhere], known[:, everywhere]
    is_present, is_absent = (units == 1).astype(float), (units == 0).astype(float)
    share = (present + SMOOTHING) / (known + 2 * SMOOTHING)
    logs = is_present @ np.log(share.T) + is_absent @ np.log(1 - share.T)
    own = (present[label] - is_present + SMOOTHING) / (known[label] - is_present - is_absent + 2 * SMOOTHING)
    rows = np.arange(len(units))
    logs[rows, label] = (is_present * np.log(own) + is_absent * np.log(1 - own)).sum(axis=1)
    prior = np.log(np.bincount(label, minlength=len(share)) / len(label))
    found = [_softmax(power * logs + prior)[rows, label] for power in POWERS]
    return found[int(np.argmax([np.log(probability.clip(1e-9)).mean() for probability in found]))]


def _softmax(logits: Floats) -> Floats:
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))
