"""Finds labels that a teacher contradicts."""

from typing import Final

import numpy as np
import polars as pl

from affect_data.audit.base import Audit, AuditedDataset, Severity, findings, no_findings
from affect_data.audit.predictions import Predictions, teacher_predictions
from affect_data.vocabulary import EXPRESSIONS, slot_of

EXPRESSION_MARGIN: Final = 0.5
UNIT_MARGIN: Final = 0.9
VA_MARGIN: Final = 0.5


class TeacherDisagreement(Audit):
    """Labels that the soft labels of a teacher contradict."""

    name = "teacher"
    title = "disagreement with a teacher"
    severity = Severity.REVIEW
    rule = (
        f"the teacher's best class exceeds the labelled expression by more than {EXPRESSION_MARGIN} in probability; "
        f"its probability of an action unit is more "
        f"than {UNIT_MARGIN} from the label; its valence or arousal more than {VA_MARGIN}. Score: that difference, halved for valence and arousal"
    )
    source = "soft labels (docs); a teacher that has seen the label says less, so prefer one that is out of fold"
    example = "labelled sadness, the teacher gives happiness 0.97 and sadness 0.02 (score 0.95)"

    def not_applicable(self, dataset: AuditedDataset) -> str:
        """The check needs soft labels of this dataset."""
        return "" if dataset.teachers() else "no soft labels of this dataset (`affect-train label` writes them)"

    def find(self, dataset: AuditedDataset) -> pl.DataFrame:
        """One finding for every teacher, row and contradicted label."""
        parts = [no_findings()]
        for name, provenance in sorted(dataset.teachers().items()):
            predictions = teacher_predictions(dataset, name)
            about = {"teacher": name, "out_of_fold": provenance.out_of_fold}
            parts += [
                self._expression(dataset, predictions, about),
                self._units(dataset, predictions, about),
                self._va(dataset, predictions, about),
            ]
        return pl.concat(parts)

    def _expression(self, dataset: AuditedDataset, found: Predictions, about: dict[str, object]) -> pl.DataFrame:
        label = dataset.labels["expression"].to_numpy()
        column = np.array(
            [found.expressions.index(e) if e in found.expressions else -1 for e in range(len(EXPRESSIONS))]
        )
        rows = np.nonzero((label >= 0) & (column[label.clip(0)] >= 0))[0]
        if found.expression is None or not len(rows):
            return no_findings()
        probability = found.expression[rows]
        given = probability[np.arange(len(rows)), column[label[rows]]]
        margin = probability.max(axis=1) - given
        names = np.array(EXPRESSIONS)[np.array(found.expressions)][probability.argmax(axis=1)]
        picked = margin > EXPRESSION_MARGIN
        wrong = dataset.labels[rows[picked].tolist()].with_columns(
            pl.Series("margin", margin[picked]), pl.Series("says", names[picked], dtype=pl.String)
        )
        evidence = {**about, "label": pl.col("expression_name"), "task": "expression", "teacher_says": pl.col("says")}
        return findings(wrong, pl.col("margin"), self.severity, evidence)

    def _units(self, dataset: AuditedDataset, found: Predictions, about: dict[str, object]) -> pl.DataFrame:
        parts = [no_findings()]
        for number, probability in found.action_units.items():
            label = dataset.occurrence[:, slot_of(number)]
            difference = np.where(label >= 0, np.abs(probability - label), 0)
            rows = np.nonzero(difference > UNIT_MARGIN)[0]
            wrong = dataset.labels[rows.tolist()].with_columns(
                pl.Series("difference", difference[rows]), pl.Series("label", label[rows])
            )
            evidence = {**about, "task": f"AU{number}", "label": pl.col("label")}
            parts.append(findings(wrong, pl.col("difference"), self.severity, evidence))
        return pl.concat(parts)

    def _va(self, dataset: AuditedDataset, found: Predictions, about: dict[str, object]) -> pl.DataFrame:
        parts = [no_findings()]
        for dimension, value in found.valence_arousal.items():
            difference = np.nan_to_num(np.abs(value - dataset.labels[dimension].to_numpy()))
            rows = np.nonzero(difference > VA_MARGIN)[0]
            wrong = dataset.labels[rows.tolist()].with_columns(
                pl.Series("difference", difference[rows]), pl.Series("says", value[rows])
            )
            evidence = {**about, "label": pl.col(dimension), "task": dimension, "teacher_says": pl.col("says")}
            parts.append(findings(wrong, pl.col("difference") / 2, self.severity, evidence))
        return pl.concat(parts)
