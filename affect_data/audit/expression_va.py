"""Finds expressions that contradict valence and arousal."""

from typing import Final

import polars as pl

from affect_data.audit.base import Audit, AuditedDataset, Severity, findings

NEUTRAL_WITHIN: Final = 0.5
POSITIVE_FROM: Final = 0.3
LARGEST: Final = 2**0.5


class ExpressionValenceArousal(Audit):
    """Expressions on the wrong side of the valence-arousal plane."""

    name = "expression_va"
    title = "expression against valence and arousal"
    severity = Severity.REVIEW
    rule = (
        f"happiness with valence < 0; sadness with valence > 0; neutral with a radius > {NEUTRAL_WITHIN}; anger, disgust or fear with valence > "
        f"{POSITIVE_FROM}. Surprise has no sign. Score: from 0.5 at the limit to 1 at the end of the plane"
    )
    source = "Kuhnke, Rumberg & Ostermann, arXiv 2002.03399 (the first three rules); the last by the circumplex, with a margin"

    def find(self, dataset: AuditedDataset) -> pl.DataFrame:
        """One finding for every row that breaks a rule; the rules exclude each other."""
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
        rows = rows.with_columns(excess.alias("excess")).filter(pl.col("excess").is_not_null())
        evidence = {"expression": expression, "valence": valence, "arousal": arousal}
        return findings(rows, 0.5 + 0.5 * pl.col("excess"), self.severity, evidence)
