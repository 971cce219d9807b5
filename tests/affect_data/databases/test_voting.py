"""Votes: the named rules that make one expression of them, ties, several expressions at once, and the option of a database."""

from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydantic import ValidationError

from affect_data.build.check import check
from affect_data.build.recipe import recipe_from
from affect_data.databases.base import Database, Licence, Tier
from affect_data.databases.registry import DATABASES
from affect_data.databases.root import DatabaseRoot
from affect_data.databases.totals import DRAWN_MARKER
from affect_data.databases.voting import VotingOptions, VotingRule, decide, several, shares

NAMES = ("anger", "fear", "surprise")
RULES: tuple[VotingRule, ...] = ("majority", "plurality", "unanimous", "none")
NO_RULE = "no rule makes one class of the votes"


def decided(
    votes: list[float | None], rule: VotingRule, minimum_share: float = 0.0, others: tuple[str, ...] = ()
) -> tuple[str | None, str | None]:
    frame = pl.DataFrame([votes], [*NAMES, *others], orient="row").cast(pl.Float64)
    row = decide(frame, NAMES, others, rule, minimum_share)
    assert row.columns == ["expression", "expression_masked"]
    return row.row(0)


@pytest.mark.parametrize(
    ("votes", "majority", "plurality", "unanimous"),
    [
        ([3, 0, 0], "anger", "anger", "anger"),
        ([1.0, None, None], "anger", "anger", "anger"),
        ([2, 1, 0], "anger", "anger", "not unanimous"),
        ([0.4, 0.3, 0.3], "no majority", "anger", "not unanimous"),
        ([0.5, 0.25, 0.25], "no majority", "anger", "not unanimous"),
        ([2, 2, 1], "tie of two", "tie of two", "tie of two"),
        ([0.333333, 0.333333, 0.333334], "no majority", "surprise", "not unanimous"),
        ([1 / 3, 1 / 3, 1 / 3], "tie of three or more", "tie of three or more", "tie of three or more"),
        ([None, None, None], None, None, None),
    ],
)
def test_each_rule_gives_an_expression_or_the_reason_why_there_is_none(
    votes: list[float | None], majority: str | None, plurality: str | None, unanimous: str | None
) -> None:
    for rule, expected in zip(RULES, (majority, plurality, unanimous), strict=False):
        assert decided(votes, rule) == ((expected, None) if expected in NAMES else (None, expected)), rule
    assert decided(votes, "none") == (None, NO_RULE if any(vote is not None for vote in votes) else None)


@pytest.mark.parametrize(
    ("share", "expected"), [(0.6, ("anger", None)), (0.61, (None, "the first has less than 0.61 of the votes"))]
)
def test_the_expression_must_have_the_minimum_share(share: float, expected: tuple[str | None, str | None]) -> None:
    assert decided([6, 4, 0], "majority", share) == expected
    assert decided([0.6, 0.4, 0.0], "plurality", share) == expected


def test_an_answer_that_is_no_expression_wins_or_ties_and_says_so() -> None:
    assert decided([1, 0, 0, 4], "majority", others=("no idea",)) == (None, "voted no idea")
    assert decided([2, 0, 0, 2], "plurality", others=("no idea",)) == (None, "tie with no idea")
    assert decided([3, 0, 0, 3.5], "unanimous", others=("no idea",)) == (None, "not unanimous")


VOTES = st.lists(st.lists(st.integers(0, 5), min_size=3, max_size=3), min_size=1, max_size=20)


@settings(max_examples=20)
@given(VOTES)
def test_stricter_rules_give_the_same_expression_or_none(votes: list[list[int]]) -> None:
    frame = pl.DataFrame(votes, list(NAMES), orient="row")
    counts = {rule: decide(frame, NAMES, (), rule)["expression"].to_list() for rule in RULES}
    for row, (majority, plurality, unanimous) in enumerate(
        zip(counts["majority"], counts["plurality"], counts["unanimous"], strict=True)
    ):
        highest = [name for name, count in zip(NAMES, votes[row], strict=True) if count == max(votes[row]) > 0]
        assert plurality == (highest[0] if len(highest) == 1 else None)
        assert majority == (plurality if 2 * max(votes[row]) > sum(votes[row]) else None)
        assert unanimous == (plurality if max(votes[row]) == sum(votes[row]) else None)
    by_share = shares(frame, NAMES).rename(lambda name: name.removeprefix("votes_"))
    assert decide(by_share, NAMES)["expression"].to_list() == counts["majority"]


def test_several_expressions_at_once_have_equal_shares() -> None:
    chosen = pl.DataFrame([[1, 1, 0], [0, 0, 1], [0, 0, 0], [1, 1, 1]], list(NAMES), orient="row")
    votes = several(chosen, NAMES)
    assert votes.rows() == [(0.5, 0.5, 0), (0, 0, 1), (None, None, None), (1 / 3, 1 / 3, 1 / 3)]
    assert decide(votes, NAMES).rows() == [
        (None, "tie of two"),
        ("surprise", None),
        (None, None),
        (None, "tie of three or more"),
    ]


# ---------------------------------------------------------------- the option of a database


class Crowd(Database):
    """Crowd: made-up faces with the shares of annotators.

    Official layout::

        shares.txt      picture anger fear surprise
    """

    name = "crowd"
    title = "Crowd"
    homepage = "https://crowd.example/"
    citation = "@misc{doe2026crowd,\n  title = {Crowd},\n  author = {Doe},\n  year = {2026}\n}"
    licence = Licence("made up for a test", publishes=Tier.RECIPE, url="https://crowd.example/")
    source_family = "crowd"
    expressions = NAMES
    has_expression_votes = True
    Options = VotingOptions
    options: VotingOptions

    def scan(self, root: DatabaseRoot) -> pl.DataFrame:
        """One row a line."""
        lines = root.numbers(root.table("shares.txt", ("image", *NAMES), separator=" "), NAMES, 0, 1)
        decision = decide(lines, NAMES, (), self.options.rule, self.options.minimum_share)
        votes = lines.select(pl.col(name).alias(f"votes_{name}") for name in NAMES)
        return lines.drop(NAMES).with_columns(decision.get_columns() + votes.get_columns())


def masked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *lines: str, **options: object) -> dict[str, int]:
    """How many expressions are masked, by reason."""
    monkeypatch.setitem(DATABASES, "crowd", Crowd)
    root = tmp_path / "crowd"
    root.mkdir()
    (root / DRAWN_MARKER).write_text("made up\n")
    for line in lines:
        Image.new("RGB", (8, 8)).save(root / line.split(" ")[0])
    (root / "shares.txt").write_text("".join(f"{line}\n" for line in lines))
    (found,) = check(recipe_from({"databases": {"crowd": options}}, "data.yaml"), {"crowd": root})
    if found.problem:
        raise AssertionError(found.problem)
    assert found.rows == len(lines)
    return {row["reason"]: row["rows"] for row in found.masked}


LINES = ("a.png 0.9 0.1 0", "b.png 0.6 0.4 0", "c.png 0.4 0.3 0.3", "d.png 0.5 0.5 0", "e.png 1 0 0")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, {"no majority": 1, "tie of two": 1}),
        ({"rule": "plurality"}, {"tie of two": 1}),
        ({"rule": "unanimous"}, {"not unanimous": 3, "tie of two": 1}),
        ({"rule": "plurality", "minimum_share": 0.7}, {"the first has less than 0.7 of the votes": 2, "tie of two": 1}),
        ({"rule": "none"}, {NO_RULE: 5}),
    ],
)
def test_the_rule_is_an_option_and_what_it_masks_is_counted_by_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, object], expected: dict[str, int]
) -> None:
    assert masked(tmp_path, monkeypatch, *LINES, **options) == expected


def test_votes_that_sum_to_more_than_one_are_refused_with_their_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(AssertionError, match=r"rule 'votes_are_shares'.* crowd:b.png \(shares.txt:2\)"):
        masked(tmp_path, monkeypatch, "a.png 1 0 0", "b.png 0.9 0.2 0")


@pytest.mark.parametrize("options", [{"rule": "mean"}, {"minimum_share": 1.5}])
def test_an_unknown_rule_and_a_share_above_one_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        VotingOptions.model_validate(options)
