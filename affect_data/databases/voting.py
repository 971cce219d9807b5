"""Votes of annotators: their shares, and the named rules that make one expression of them or say why there is none.

Votes are counts or shares, one column a candidate. Candidates are expressions, or answers that are none, such as "unknown". An annotator who named
several expressions at once gave each of them the same weight: 1/k of a vote for each of k.
"""

from collections.abc import Sequence
from typing import Final, Literal

import polars as pl
from pydantic import Field

from affect_data.databases.base import DatabaseOptions
from affect_data.databases.facts import NativeValue

VotingRule = Literal["majority", "plurality", "unanimous", "none"]

NO_MAJORITY: Final = "no majority"
NOT_UNANIMOUS: Final = "not unanimous"
TIE_OF_TWO: Final = "tie of two"
TIE_OF_MORE: Final = "tie of three or more"
NO_RULE: Final = "no rule makes one class of the votes"
BELOW_SHARE: Final = "the first has less than {} of the votes"

STEPS: Final = 1_000_000
"""Votes are compared in this many steps: shares that are written with six decimals tie as the counts did that they come from."""


class VotingOptions(DatabaseOptions):
    """What a data recipe may say of a database with votes."""

    rule: VotingRule = Field(
        "majority",
        description="how many of the votes decide on the expression: majority, plurality, unanimous, or none for votes alone",
    )
    minimum_share: float = Field(
        0.0, ge=0.0, le=1.0, description="the share of the votes that the expression must have besides"
    )


def decide(
    votes: pl.DataFrame,
    expressions: Sequence[str],
    others: Sequence[str] = (),
    rule: VotingRule = "majority",
    minimum_share: float = 0.0,
) -> pl.DataFrame:
    """The expression that annotators agree on: columns ``expression`` (null where they do not) and ``expression_masked`` (why not).

    ``majority`` wants more than half of all votes on one candidate, ``plurality`` more than any other candidate has, ``unanimous`` all of them;
    ``none`` makes no class of votes. No rule breaks a tie. A row without any vote has neither an expression nor a reason.

    Args:
        votes: columns `expressions` and `others` of counts or shares, null or 0 where nobody chose the candidate.
        expressions: candidates that are expressions, by name.
        others: candidates that are none; where one wins, the reason says so.
        rule: how many votes decide.
        minimum_share: of all votes, which the expression must have besides.
    """
    candidates = (*expressions, *others)
    counted = {name: (pl.col(name).fill_null(0) * STEPS).round().cast(pl.Int64) for name in candidates}
    has_votes = pl.any_horizontal(pl.col(name).is_not_null() for name in candidates)
    if rule == "none":
        masked = pl.when(has_votes).then(pl.lit(NO_RULE))
        return votes.select(expression=pl.lit(None, dtype=pl.String), expression_masked=masked)
    total, most = pl.sum_horizontal(counted.values()), pl.max_horizontal(counted.values())
    is_most = {name: count == most for name, count in counted.items()}
    reason = _reason(total, most, is_most, others, rule, minimum_share)
    winner = pl.coalesce(pl.when(is_most[name]).then(pl.lit(name)) for name in expressions)
    decided = votes.select(
        pl.when(has_votes).then(reason).alias("expression_masked"), pl.when(has_votes).then(winner).alias("expression")
    )
    return decided.select(pl.when(pl.col("expression_masked").is_null()).then("expression"), "expression_masked")


def decision_rows(field: str, others: Sequence[str] = ()) -> tuple[NativeValue, ...]:
    """What the default rule makes of votes, as rows of a reader's table.

    Args:
        field: the columns of the votes.
        others: candidates that are no expression, as for `decide`.
    """
    return (
        NativeValue(field, "more than half of the votes", "the expression"),
        NativeValue(field, "as many as another has", masked=TIE_OF_TWO),
        NativeValue(field, "as many as two others have", masked=TIE_OF_MORE),
        NativeValue(field, "no more than half", masked=NO_MAJORITY),
        *(NativeValue(name, "more than half", masked=f"voted {name}") for name in others),
        *([NativeValue(", ".join(others), "as many as another has", masked=tie_with(others))] if others else []),
    )


def tie_with(others: Sequence[str]) -> str:
    """Why there is no expression where candidates that are none have as many votes as another."""
    return f"tie with {' or '.join(others)}"


def _reason(
    total: pl.Expr,
    most: pl.Expr,
    is_most: dict[str, pl.Expr],
    others: Sequence[str],
    rule: VotingRule,
    minimum_share: float,
) -> pl.Expr:
    """Why votes make no expression, null where they do."""
    winners = pl.sum_horizontal(is_most.values())
    no_majority = winners * most * 2 <= total if rule == "majority" else pl.lit(value=False)
    not_unanimous = most < total if rule == "unanimous" else pl.lit(value=False)
    tied_with_other = pl.any_horizontal(is_most[name] for name in others) if others else pl.lit(value=False)
    reason = (
        pl.when((winners > 1) & (most > 0) & tied_with_other)
        .then(pl.lit(tie_with(others)))
        .when((winners > 2) & (most > 0))
        .then(pl.lit(TIE_OF_MORE))
        .when((most == 0) | no_majority)
        .then(pl.lit(NO_MAJORITY))
        .when(winners == 2)
        .then(pl.lit(TIE_OF_TWO))
        .when(not_unanimous)
        .then(pl.lit(NOT_UNANIMOUS))
        .when(most < (minimum_share * total).round())
        .then(pl.lit(BELOW_SHARE.format(f"{minimum_share:g}")))
    )
    for name in others:
        reason = reason.when(is_most[name]).then(pl.lit(f"voted {name}"))
    return reason


def shares(votes: pl.DataFrame, expressions: Sequence[str], others: Sequence[str] = ()) -> pl.DataFrame:
    """Columns ``votes_<expression>``: the share of all votes, those on candidates that are no expressions included; null without any vote.

    Args:
        votes: as for `decide`.
        expressions: as for `decide`.
        others: as for `decide`.
    """
    total = pl.sum_horizontal(pl.col(name).cast(pl.Float64).fill_null(0) for name in (*expressions, *others))
    return votes.select(
        pl.when(total > 0).then(pl.col(name).fill_null(0) / total).alias(f"votes_{name}") for name in expressions
    )


def several(chosen: pl.DataFrame, expressions: Sequence[str]) -> pl.DataFrame:
    """Votes of faces with several expressions at once: 1/k for each of the k that are chosen, null where none is.

    Args:
        chosen: columns `expressions`, 1 or true where the face has the expression.
        expressions: by name.
    """
    number = pl.sum_horizontal(pl.col(name).cast(pl.Int32).fill_null(0) for name in expressions)
    return chosen.select(
        pl.when(number > 0).then(pl.col(name).cast(pl.Int32).fill_null(0) / number).alias(name) for name in expressions
    )
