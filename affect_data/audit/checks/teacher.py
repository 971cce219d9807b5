"""Finds labels that a teacher contradicts."""

from collections.abc import Iterator
from typing import Final

import numpy as np
import polars as pl

from affect_data.audit.base import Audit, AuditedDataset, Severity, findings, no_findings
from affect_data.audit.predictions import TeacherPredictions
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
            teacher = TeacherPredictions(dataset, name)
            about = {"teacher": name, "out_of_fold": provenance.out_of_fold}
            for block in dataset.blocks("uid", "expression", "au", "valence", "arousal"):
                parts += [
                    self._expression(block, teacher, about),
                    *self._units(block, teacher, about),
                    *self._va(block, teacher, about),
                ]
        return pl.concat(parts)

    def _expression(self, block: pl.DataFrame, teacher: TeacherPredictions, about: dict[str, object]) -> pl.DataFrame:
        label = block["expression"].to_numpy()
        column = np.array([teacher.classes.index(e) if e in teacher.classes else -1 for e in range(len(EXPRESSIONS))])
        rows = np.nonzero((label >= 0) & (column[label.clip(0)] >= 0))[0]
        if not teacher.classes or not len(rows):
            return no_findings()
        probability = teacher.expression_of(_place(block))[rows]
        given = probability[np.arange(len(rows)), column[label[rows]]]
        margin = probability.max(axis=1) - given
        names = np.array(EXPRESSIONS)[np.array(teacher.classes)][probability.argmax(axis=1)]
        picked = margin > EXPRESSION_MARGIN
        wrong = block[rows[picked].tolist()].with_columns(
            pl.Series("margin", margin[picked]), pl.Series("says", names[picked], dtype=pl.String)
        )
        evidence = {**about, "label": pl.col("expression_name"), "task": "expression", "teacher_says": pl.col("says")}
        return findings(wrong, pl.col("margin"), self.severity, evidence)

    def _units(
        self, block: pl.DataFrame, teacher: TeacherPredictions, about: dict[str, object]
    ) -> Iterator[pl.DataFrame]:
        labels = block["au"].to_numpy()
        probabilities = teacher.units_of(_place(block)).T if teacher.units else ()
        for number, probability in zip(teacher.units, probabilities, strict=True):
            label = labels[:, slot_of(number)]
            difference = np.where(label >= 0, np.abs(probability - label), 0)
            rows = np.nonzero(difference > UNIT_MARGIN)[0]
            wrong = block[rows.tolist()].with_columns(
                pl.Series("difference", difference[rows]), pl.Series("label", label[rows])
            )
            evidence = {**about, "task": f"AU{number}", "label": pl.col("label")}
            yield findings(wrong, pl.col("difference"), self.severity, evidence)

    def _va(self, block: pl.DataFrame, teacher: TeacherPredictions, about: dict[str, object]) -> Iterator[pl.DataFrame]:
        for dimension in teacher.dimensions:
            value = teacher.plane_of(dimension, _place(block))
            difference = np.nan_to_num(np.abs(value - block[dimension].to_numpy()))
            rows = np.nonzero(difference > VA_MARGIN)[0]
            wrong = block[rows.tolist()].with_columns(
                pl.Series("difference", difference[rows]), pl.Series("says", value[rows])
            )
            evidence = {**about, "label": pl.col(dimension), "task": dimension, "teacher_says": pl.col("says")}
            yield findings(wrong, pl.col("difference") / 2, self.severity, evidence)


def _place(block: pl.DataFrame) -> slice:
    """The positions of consecutive rows."""
    return slice(block["row"][0], block["row"][0] + len(block))
