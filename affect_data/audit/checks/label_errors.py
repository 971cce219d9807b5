"""Finds labels that are probably wrong, by confident learning on out-of-fold predictions."""

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from affect_data.audit.base import NORMAL_DEVIATION, Audit, AuditedDataset, Severity, findings, no_findings
from affect_data.audit.predictions import LEAST_EXAMPLES, Predicted, Predictions, best_predictions
from affect_data.vocabulary import EXPRESSIONS

DEVIATIONS: Final = 3.0
DOUBT_FROM: Final = 0.9
UNIT_DOUBT_FROM: Final = 0.8

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class _Task:
    """What rows are labelled with.

    Attributes:
        name: in the evidence.
        names: of the classes.
        doubt_from: a label with at most 1 minus this probability may be wrong.
        origin: of the predictions.
    """

    name: str
    names: "npt.NDArray[np.str_]"
    doubt_from: float
    origin: str


class LabelErrors(Audit):
    """Labels that out-of-fold predictions make improbable."""

    name = "label_errors"
    title = "probable label errors"
    severity = Severity.REVIEW
    rule = (
        "expression and each action unit: confident learning picks the rows whose class the confusion of labels and confident predictions makes "
        f"wrong, where the label's probability is at most {1 - DOUBT_FROM:.1f} ({1 - UNIT_DOUBT_FROM:.1f} for an action unit); valence and "
        f"arousal: a residual of more than {DEVIATIONS:g} standard deviations (from the median) of its database's. Each task on its labelled rows, "
        "predictions out of fold by subject, track and copies. Score: 1 minus the probability of the label; for valence and arousal 1 minus limit / "
        "residual"
    )
    source = "Northcutt, Jiang & Chuang, Confident Learning, JAIR 70 (2021), as implemented by cleanlab"
    example = '`{"task":"expression","label":"neutral","predicted":"anger","by":"linear model, out of fold"}`'

    def not_applicable(self, dataset: AuditedDataset) -> str:  # noqa: ARG002
        """The check needs cleanlab."""
        return "" if find_spec("cleanlab") else "cleanlab is not installed: `pip install 'affectkit[audit]'`"

    def find(self, dataset: AuditedDataset) -> pl.DataFrame:
        """One finding for every row and task."""
        predictions = best_predictions(dataset)
        parts = [no_findings(), self._expressions(dataset, predictions)]
        for number, found in predictions.action_units():
            label = dataset.slots("au", [number])[0][found.rows].astype(np.int64)
            if min((label == 1).sum(), (label == 0).sum()) < LEAST_EXAMPLES:
                continue
            probability = np.stack([1 - found.values, found.values], axis=1)
            task = _Task(f"AU{number}", np.array(["absent", "present"]), UNIT_DOUBT_FROM, predictions.origin)
            parts.append(self._classes(dataset, task, found.rows, label, probability))
        for dimension, found in predictions.valence_arousal():
            parts.append(self._residuals(dataset, dimension, found, predictions.origin))
        return pl.concat(parts)

    def _expressions(self, dataset: AuditedDataset, predictions: Predictions) -> pl.DataFrame:
        predicted = predictions.expression()
        if predicted is None:
            return no_findings()
        codes, found = predicted
        label = dataset.rows("expression")["expression"].to_numpy()[found.rows]
        counts = np.bincount(label, minlength=len(EXPRESSIONS))
        kept = [i for i, code in enumerate(codes) if counts[code] >= LEAST_EXAMPLES]
        # A teacher may name its classes in any order.
        kept.sort(key=lambda place: codes[place])
        classes = np.array(codes)[kept]
        if len(classes) < 2:
            return no_findings()
        judged = np.isin(label, classes)
        probability = found.values[judged][:, kept]
        probability /= probability.sum(axis=1, keepdims=True).clip(1e-9)
        position = np.searchsorted(classes, label[judged])
        task = _Task("expression", np.array(EXPRESSIONS)[classes], DOUBT_FROM, predictions.origin)
        return self._classes(dataset, task, found.rows[judged], position, probability)

    def _classes(
        self,
        dataset: AuditedDataset,
        task: "_Task",
        rows: npt.NDArray[np.integer],
        label: npt.NDArray[np.int64],
        probability: Floats,
    ) -> pl.DataFrame:
        from cleanlab.filter import find_label_issues

        wrong = np.asarray(find_label_issues(label, probability.astype(np.float64), n_jobs=1))
        given = probability[np.arange(len(rows)), label]
        wrong &= given <= 1 - task.doubt_from
        if not wrong.any():
            return no_findings()
        columns = {
            "row": rows[wrong],
            "given": given[wrong],
            "named": pl.Series(task.names[label[wrong]], dtype=pl.String),
            "says": pl.Series(task.names[probability[wrong].argmax(axis=1)], dtype=pl.String),
            "sure": probability[wrong].max(axis=1).astype(np.float64).round(3),
        }
        found = dataset.identified(pl.DataFrame(columns))
        says = {"predicted": pl.col("says"), "probability": pl.col("sure"), "by": task.origin}
        evidence = {"task": task.name, "label": pl.col("named"), **says}
        return findings(found, 1 - pl.col("given"), self.severity, evidence)

    def _residuals(self, dataset: AuditedDataset, dimension: str, found: Predicted, origin: str) -> pl.DataFrame:
        rows = dataset.rows("database", dimension)[found.rows].with_columns(pl.Series("says", found.values))
        off = pl.col(dimension) - pl.col("says")
        # By database, because databases differ in how well a picture predicts their labels.
        rows = rows.with_columns((off - off.median().over("database")).abs().alias("residual"))
        limit = DEVIATIONS * NORMAL_DEVIATION * pl.col("residual").median().over("database")
        rows = rows.with_columns(limit.alias("limit")).filter(pl.len().over("database") >= LEAST_EXAMPLES)
        far = dataset.identified(rows.filter(pl.col("residual") > pl.col("limit")))
        evidence = {"task": dimension, "label": pl.col(dimension), "predicted": pl.col("says").round(4), "by": origin}
        return findings(far, 1 - pl.col("limit") / pl.col("residual"), self.severity, evidence)
