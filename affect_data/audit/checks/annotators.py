"""Finds expressions that a picture's annotators did not agree on."""

from typing import Final

import numpy as np
import polars as pl

from affect_data.audit.base import Audit, AuditedDataset, Severity, findings, no_findings
from affect_data.vocabulary import EXPRESSIONS

MAJORITY: Final = 0.5
NONE: Final = "none of them"


class AnnotatorDisagreement(Audit):
    """Pictures without a majority, with another label than most annotators gave, or that most annotators say show no expression."""

    name = "annotators"
    title = "disagreement of annotators"
    severity = Severity.REVIEW
    rule = (
        f"no answer has more than {MAJORITY} of the votes, the label is not the answer with most votes, or most votes "
        f"are for no expression (unknown, not a "
        "face). Score: 1 where the label is not the most frequent answer, else entropy of the votes / entropy of an even vote over all answers"
    )
    source = "Barsoum et al., Training Deep Networks for Facial Expression Recognition with Crowd-Sourced Label Distribution, ICMI 2016"
    example = "five votes for fear, five for surprise (1 bit)"

    def not_applicable(self, dataset: AuditedDataset) -> str:
        """The check needs the votes of annotators."""
        voted = pl.col("expression_votes").arr.first().is_not_nan().any()
        return (
            ""
            if any(block.select(voted).item() for block in dataset.blocks("expression_votes"))
            else "no database has annotators' votes"
        )

    def find(self, dataset: AuditedDataset) -> pl.DataFrame:
        """One finding for every such picture."""
        columns = ("uid", "expression", "expression_votes")
        return pl.concat([no_findings(), *(self._found(block) for block in dataset.blocks(*columns))])

    def _found(self, block: pl.DataFrame) -> pl.DataFrame:
        votes = block["expression_votes"].to_numpy().astype(np.float64)
        voted = ~np.isnan(votes).any(axis=1)
        rows, votes = block.filter(pl.Series(voted)), votes[voted]
        # What is missing from a sum of 1 are votes for answers that are no expression.
        answers = np.column_stack([votes, (1 - votes.sum(axis=1)).clip(0)])
        answers /= answers.sum(axis=1, keepdims=True)
        entropy = -(answers * np.log2(np.where(answers > 0, answers, 1))).sum(axis=1)
        top, share = answers.argmax(axis=1), answers.max(axis=1)
        label = rows["expression"].to_numpy()
        chosen = answers[np.arange(len(rows)), label.clip(0)]
        against = (label >= 0) & (chosen < share - 1e-6)
        nothing = top == len(EXPRESSIONS)
        flagged = (share <= MAJORITY + 1e-6) | against | nothing
        names = np.array([*EXPRESSIONS, NONE])
        rows = rows.with_columns(
            pl.Series("doubt", np.where(against, 1.0, entropy / np.log2(len(names)))),
            pl.Series("entropy_bits", entropy),
            pl.Series("top", names[top]),
            pl.Series("share", share),
        ).filter(pl.Series(flagged))
        evidence = {name: pl.col(name) for name in ("entropy_bits", "top", "share")}
        return findings(rows, pl.col("doubt"), self.severity, {**evidence, "expression": pl.col("expression_name")})
