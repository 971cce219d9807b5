"""The votes of FER+, of which a single one is taken for a slip."""

from typing import Final

import polars as pl

from affect_data.databases import voting
from affect_data.databases.voting import VotingRule

EXPRESSIONS: Final = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt")
"""The vote columns that are expressions, in the order of the official files."""

NO_EXPRESSION: Final = ("unknown", "not a face")
"""The two vote columns after them."""

CANDIDATES: Final = (*EXPRESSIONS, *NO_EXPRESSION)


def decide(votes: pl.DataFrame, rule: VotingRule, minimum_share: float = 0.0) -> pl.DataFrame:
    """The expression that annotators agree on, or why there is none, as `voting.decide` gives it.

    A single vote counts as a slip and is ignored. With ``majority``, more than half of the remaining votes must agree, like in the training mode
    "majority" of the authors' code.

    `voting.TIE_OF_TWO` masks rows that the "CNTK" cleaning in mcnDatasets would keep, labelled by column order.

    Args:
        votes: integer columns `CANDIDATES`; the result has the same order of rows.
        rule: how many votes decide.
        minimum_share: of the votes that count, which the expression must have besides.

    Source:
        Barsoum et al., *Training Deep Networks for Facial Expression Recognition with Crowd-Sourced Label Distribution*, ICMI 2016,
        section 4, and https://github.com/microsoft/FERPlus.
    """
    counted = votes.select(pl.when(pl.col(name) > 1).then(name).otherwise(0).alias(name) for name in CANDIDATES)
    return voting.decide(counted, EXPRESSIONS, NO_EXPRESSION, rule, minimum_share)


def shares(votes: pl.DataFrame) -> pl.DataFrame:
    """Columns ``votes_<expression>``: shares of all votes, 0 to 1; votes for "unknown" and "not a face" count in the total."""
    return voting.shares(votes, EXPRESSIONS, NO_EXPRESSION)
