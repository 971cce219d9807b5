"""Turns the votes of FER+ into an expression, or into the reason why there is none."""

from collections.abc import Sequence
from typing import Final, Literal

import polars as pl

EXPRESSIONS: Final = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt")
"""The vote columns that are expressions, in the order of the official files."""

NO_EXPRESSION: Final = ("unknown", "not a face")
"""The two vote columns after them."""

CANDIDATES: Final = (*EXPRESSIONS, *NO_EXPRESSION)

VotingRule = Literal["majority", "plurality"]

NO_MAJORITY: Final = "no majority"
TIE_OF_TWO: Final = "tie of two"
TIE_OF_MORE: Final = "tie of three or more"
TIE_WITH_NO_EXPRESSION: Final = "tie with unknown or not a face"
VOTED_UNKNOWN: Final = "voted unknown"
VOTED_NOT_A_FACE: Final = "voted not a face"


def decide(votes: pl.DataFrame, rule: VotingRule) -> pl.DataFrame:
    """The expression that annotators agree on: columns ``expression`` (null if they do not agree) and ``expression_masked`` (why not).

    A single vote counts as a slip and is ignored. ``majority`` asks for more than half of the remaining votes, like the training mode "majority" of
    the authors' code. ``plurality`` asks for more votes than any other candidate has. No rule breaks a tie.

    `TIE_OF_TWO` masks rows that the "CNTK" cleaning in mcnDatasets would keep, labelled by column order.

    Args:
        votes: integer columns `CANDIDATES`; the result has the same order of rows.
        rule: how many votes decide.

    Source:
        Barsoum et al., *Training Deep Networks for Facial Expression Recognition with Crowd-Sourced Label Distribution*, ICMI 2016,
        section 4, and https://github.com/microsoft/FERPlus.
    """
    counted = [pl.when(pl.col(name) > 1).then(pl.col(name).cast(pl.Int32)).otherwise(0) for name in CANDIDATES]
    total, most = pl.sum_horizontal(counted), pl.max_horizontal(counted)
    is_most = {name: count == most for name, count in zip(CANDIDATES, counted, strict=True)}
    winners = pl.sum_horizontal(is_most.values())
    has_no_majority = (most == 0) | (winners * most * 2 <= total)
    if rule == "plurality":
        has_no_majority = most == 0
    reason = (
        pl.when((winners > 1) & (most > 0) & _any(is_most, NO_EXPRESSION))
        .then(pl.lit(TIE_WITH_NO_EXPRESSION))
        .when((winners > 2) & (most > 0))
        .then(pl.lit(TIE_OF_MORE))
        .when(has_no_majority)
        .then(pl.lit(NO_MAJORITY))
        .when(winners == 2)
        .then(pl.lit(TIE_OF_TWO))
        .when(is_most["unknown"])
        .then(pl.lit(VOTED_UNKNOWN))
        .when(is_most["not a face"])
        .then(pl.lit(VOTED_NOT_A_FACE))
    )
    winner = pl.coalesce(pl.when(is_most[name]).then(pl.lit(name)) for name in EXPRESSIONS)
    decided = votes.select(reason.alias("expression_masked"), winner.alias("expression"))
    return decided.select(
        pl.when(pl.col("expression_masked").is_null()).then("expression").alias("expression"), "expression_masked"
    )


def shares(votes: pl.DataFrame) -> pl.DataFrame:
    """Columns ``votes_<expression>``: shares of all votes, 0 to 1; votes for "unknown" and "not a face" count in the total."""
    total = pl.sum_horizontal(pl.col(name).cast(pl.Int32) for name in CANDIDATES)
    return votes.select((pl.col(name) / total).alias(f"votes_{name}") for name in EXPRESSIONS)


def _any(is_most: dict[str, pl.Expr], names: Sequence[str]) -> pl.Expr:
    return pl.any_horizontal(is_most[name] for name in names)
