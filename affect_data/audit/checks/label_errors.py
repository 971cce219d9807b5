"""Finds labels that are probably wrong, by confident learning on out-of-fold predictions."""

from importlib.util import find_spec
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from affect_data.audit.base import NORMAL_DEVIATION, Audit, AuditedDataset, Severity, findings, no_findings
from affect_data.audit.predictions import LEAST_EXAMPLES, Predictions, best_predictions
from affect_data.vocabulary import EXPRESSIONS, slot_of

DEVIATIONS: Final = 3.0
DOUBT_FROM: Final = 0.9
UNIT_DOUBT_FROM: Final = 0.8

Floats = npt.NDArray[np.float32]


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
        for number, probability in predictions.action_units.items():
            label = dataset.occurrence[:, slot_of(number)].astype(np.int64)
            two = np.stack([1 - probability, probability], axis=1)
            rows = np.nonzero(label >= 0)[0]
            if min((label == 1).sum(), (label == 0).sum()) < LEAST_EXAMPLES:
                continue
            names = np.array(["absent", "present"])
            parts.append(
                self._classes(
                    dataset, rows, label[rows], two[rows], names, f"AU{number}", predictions.origin, UNIT_DOUBT_FROM
                )
            )
        for dimension, value in predictions.valence_arousal.items():
            parts.append(self._residuals(dataset, dimension, value, predictions.origin))
        return pl.concat(parts)

    def _expressions(self, dataset: AuditedDataset, found: Predictions) -> pl.DataFrame:
        if found.expression is None:
            return no_findings()
        label = dataset.labels["expression"].to_numpy()
        counts = np.bincount(label[label >= 0], minlength=len(EXPRESSIONS))
        kept = [i for i, code in enumerate(found.expressions) if counts[code] >= LEAST_EXAMPLES]
        classes = np.array(found.expressions)[kept]
        if len(classes) < 2:
            return no_findings()
        rows = np.nonzero(np.isin(label, classes))[0]
        probability = found.expression[rows][:, kept]
        probability = probability / probability.sum(axis=1, keepdims=True).clip(1e-9)
        position = np.searchsorted(classes, label[rows])
        names = np.array(EXPRESSIONS)[classes]
        return self._classes(dataset, rows, position, probability, names, "expression", found.origin)

    def _classes(
        self,
        dataset: AuditedDataset,
        rows: npt.NDArray[np.int64],
        label: npt.NDArray[np.int64],
        probability: Floats,
        names: "npt.NDArray[np.str_]",
        task: str,
        origin: str,
        doubt_from: float = DOUBT_FROM,
    ) -> pl.DataFrame:
        from cleanlab.filter import find_label_issues

        wrong = np.asarray(find_label_issues(label, probability.astype(np.float64), n_jobs=1))
        given = probability[np.arange(len(rows)), label]
        wrong &= given <= 1 - doubt_from
        if not wrong.any():
            return no_findings()
        found = dataset.labels[rows[wrong].tolist()].with_columns(
            pl.Series("given", given[wrong]),
            pl.Series("named", names[label[wrong]], dtype=pl.String),
            pl.Series("says", names[probability[wrong].argmax(axis=1)], dtype=pl.String),
            pl.Series("sure", probability[wrong].max(axis=1).astype(np.float64).round(3)),
        )
        says = {"predicted": pl.col("says"), "probability": pl.col("sure"), "by": origin}
        evidence = {"task": task, "label": pl.col("named"), **says}
        return findings(found, 1 - pl.col("given"), self.severity, evidence)

    def _residuals(self, dataset: AuditedDataset, dimension: str, value: Floats, origin: str) -> pl.DataFrame:
        rows = dataset.labels.with_columns(pl.Series("says", value)).filter("va_mask")
        off = pl.col(dimension) - pl.col("says")
        # By database, because databases differ in how well a picture predicts their labels.
        rows = rows.with_columns((off - off.median().over("database")).abs().alias("residual"))
        limit = DEVIATIONS * NORMAL_DEVIATION * pl.col("residual").median().over("database")
        rows = rows.with_columns(limit.alias("limit")).filter(pl.len().over("database") >= LEAST_EXAMPLES)
        found = rows.filter(pl.col("residual") > pl.col("limit"))
        evidence = {"task": dimension, "label": pl.col(dimension), "predicted": pl.col("says"), "by": origin}
        return findings(found, 1 - pl.col("limit") / pl.col("residual"), self.severity, evidence)
