"""Finds expressions whose action units are those of another expression, judged by the rest of the same database.

Which action units go with an expression is learned from each database by itself, because coders and situations differ: AU12 in sadness is an error in
posed data and a masking smile in spontaneous data.
"""

from collections.abc import Iterator
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from affect_data.audit.base import Audit, AuditedDataset, Severity, findings, no_findings, units_named
from affect_data.vocabulary import ACTION_UNITS, EXPRESSIONS

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
        habits: dict[str, _Habits] = {}
        for name, rows in _coded(dataset):
            habits.setdefault(name, _Habits()).count(rows)
        for name, rows in _coded(dataset):
            habits[name].weigh_powers(rows)
        found = [self._find(habits[name], rows) for name, rows in _coded(dataset)]
        return pl.concat([no_findings(), *found])

    def _find(self, habits: "_Habits", rows: pl.DataFrame) -> pl.DataFrame:
        rows, units, label = habits.judged(rows)
        if rows.is_empty():
            return no_findings()
        doubt = 1 - habits.probabilities(units, label, habits.power)
        unlikely = (units == 1) & (habits.share / habits.base < LIFT_BELOW)[label]
        missing = (units == 0) & (habits.share >= EXPECTED_FROM)[label]
        flagged = (doubt >= FLAGGED_FROM) & (unlikely | missing).any(axis=1)
        rows = rows.with_columns(pl.Series("doubt", doubt)).filter(pl.Series(flagged))
        marked = {"present": units == 1, "unlikely": unlikely, "missing": missing}
        named = [pl.Series(name, units_named(slots[flagged]), dtype=pl.String) for name, slots in marked.items()]
        evidence = {"expression": pl.col("expression_name"), **{name: pl.col(name) for name in marked}}
        return findings(rows.with_columns(named), pl.col("doubt"), self.severity, evidence)


def _coded(dataset: AuditedDataset) -> Iterator[tuple[str, pl.DataFrame]]:
    """The rows with an expression and action units: name of the database, and some of its rows."""
    for block in dataset.blocks("uid", "database", "expression", "expression_mask", "au", "au_mask"):
        coded = block.filter(pl.col("expression_mask") & pl.col("au_mask").arr.any())
        for (name,), rows in coded.group_by("database", maintain_order=True):
            yield str(name), rows


class _Habits:
    """Which action units a database codes together with which expression: first `count` all rows, then `weigh_powers` with all, then ask."""

    def __init__(self) -> None:
        self._rows = np.zeros(len(EXPRESSIONS), np.int64)
        self._present = np.zeros((len(EXPRESSIONS), len(ACTION_UNITS)))
        self._known = np.zeros_like(self._present)
        self._fits = np.zeros(len(POWERS))

    def count(self, rows: pl.DataFrame) -> None:
        """Takes some rows into the counts."""
        units, label = rows["au"].to_numpy(), rows["expression"].to_numpy()
        self._rows += np.bincount(label, minlength=len(EXPRESSIONS))
        for code in np.unique(label):
            self._present[code] += (units[label == code] == 1).sum(axis=0)
            self._known[code] += (units[label == code] >= 0).sum(axis=0)

    @cached_property
    def _classes(self) -> npt.NDArray[np.int64]:
        """Codes of the expressions with enough rows; none if there is only one."""
        found = np.nonzero(self._rows >= LEAST_ROWS)[0]
        return found if len(found) > 1 else found[:0]

    @cached_property
    def share(self) -> Floats:
        """How many rows of a class show an action unit, smoothed, float [classes, slots]."""
        return np.asarray((self._present[self._classes] + SMOOTHING) / (self._known[self._classes] + 2 * SMOOTHING))

    @cached_property
    def base(self) -> Floats:
        """The same of all classes together, float [slots]."""
        present, known = (counts[self._classes].sum(axis=0) for counts in (self._present, self._known))
        return np.asarray((present + SMOOTHING) / (known + 2 * SMOOTHING))

    def judged(self, rows: pl.DataFrame) -> tuple[pl.DataFrame, npt.NDArray[np.int8], npt.NDArray[np.int64]]:
        """The rows with an expression of enough rows, their action units, int8 [rows, slots], and the positions of their classes."""
        rows = rows.filter(pl.col("expression").is_in(self._classes.tolist()))
        return rows, rows["au"].to_numpy(), np.searchsorted(self._classes, rows["expression"].to_numpy())

    def weigh_powers(self, rows: pl.DataFrame) -> None:
        """Adds how probable each power makes the labels of some rows."""
        _, units, label = self.judged(rows)
        if len(label):
            logs = self._logs(units, label)
            found = [self._of_label(power * logs, label) for power in POWERS]
            self._fits += [np.log(probability.clip(1e-9)).sum() for probability in found]

    @property
    def power(self) -> float:
        """The power of the likelihoods that makes the labels of the database most probable."""
        return float(POWERS[int(np.argmax(self._fits))])

    def probabilities(self, units: npt.NDArray[np.int8], label: npt.NDArray[np.int64], power: float) -> Floats:
        """Naive Bayes' probability of the labelled expression given the action units, float [rows]; a row's own counts are left out.

        Args:
            units: int8 [rows, slots], -1 unknown.
            label: int64 [rows], position among the classes.
            power: of the likelihoods.
        """
        return self._of_label(power * self._logs(units, label), label)

    def _of_label(self, logs: Floats, label: npt.NDArray[np.int64]) -> Floats:
        counts = self._rows[self._classes]
        return _softmax(logs + np.log(counts / counts.sum()))[np.arange(len(label)), label]

    def _logs(self, units: npt.NDArray[np.int8], label: npt.NDArray[np.int64]) -> Floats:
        """The logarithms of the likelihoods, float [rows, classes]."""
        present, known = self._present[self._classes], self._known[self._classes]
        # An action unit that is never coded for some expression cannot tell expressions apart.
        everywhere = (known > 0).all(axis=0)
        units, present, known = units[:, everywhere], present[:, everywhere], known[:, everywhere]
        is_present, is_absent = (units == 1).astype(float), (units == 0).astype(float)
        share = (present + SMOOTHING) / (known + 2 * SMOOTHING)
        logs = is_present @ np.log(share.T) + is_absent @ np.log(1 - share.T)
        own = (present[label] - is_present + SMOOTHING) / (known[label] - is_present - is_absent + 2 * SMOOTHING)
        logs[np.arange(len(units)), label] = (is_present * np.log(own) + is_absent * np.log(1 - own)).sum(axis=1)
        return np.asarray(logs)


def _softmax(logits: Floats) -> Floats:
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))
