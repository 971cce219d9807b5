"""The vocabulary against its published sources, and names that it does not hold."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from affect_data.vocabulary import (
    ACTION_UNIT_NAMES,
    ACTION_UNIT_SLOTS,
    ACTION_UNITS,
    COMPOUND_EXPRESSIONS,
    EXPRESSION_ACTION_UNITS,
    EXPRESSION_ALIASES,
    EXPRESSION_SETS,
    EXPRESSIONS,
    UnknownNameError,
    expression_named,
    slot_of,
)


def test_expressions_stand_in_the_order_of_the_schema() -> None:
    assert EXPRESSIONS == (
        "neutral",
        "anger",
        "disgust",
        "fear",
        "happiness",
        "sadness",
        "surprise",
        "contempt",
        "other",
    )


def test_action_units_ascend_and_each_slot_leads_back_to_its_number() -> None:
    assert list(ACTION_UNITS) == sorted(set(ACTION_UNITS))
    assert [ACTION_UNIT_SLOTS[number] for number in ACTION_UNITS] == list(range(len(ACTION_UNITS)))


def test_every_action_unit_of_the_six_databases_has_a_slot() -> None:
    aff_wild2 = {1, 2, 4, 6, 7, 10, 12, 15, 23, 24, 25, 26}
    disfa = {1, 2, 4, 5, 6, 9, 12, 15, 17, 20, 25, 26}
    assert aff_wild2 | disfa <= set(ACTION_UNITS)


@pytest.mark.parametrize(
    ("number", "name"),
    [(1, "inner brow raiser"), (4, "brow lowerer"), (12, "lip corner puller"), (26, "jaw drop"), (45, "blink")],
)
def test_action_units_have_their_facs_names(number: int, name: str) -> None:
    assert ACTION_UNIT_NAMES[number] == name


def test_the_sets_of_aff_wild2_have_the_order_of_its_files() -> None:
    basic = ("neutral", "anger", "disgust", "fear", "happiness", "sadness", "surprise")
    assert EXPRESSION_SETS["aff_wild2_7"] == basic
    assert EXPRESSION_SETS["aff_wild2_8"] == (*basic, "other")


def test_every_set_and_alias_is_of_the_vocabulary() -> None:
    assert all(set(names) <= set(EXPRESSIONS) for names in EXPRESSION_SETS.values())
    assert set(EXPRESSION_ALIASES.values()) <= set(EXPRESSIONS)
    assert not set(EXPRESSION_ALIASES) & set(EXPRESSIONS)


def test_compound_expressions_are_the_seventeen_of_du_with_no_name_twice() -> None:
    assert len(COMPOUND_EXPRESSIONS) == len(set(COMPOUND_EXPRESSIONS)) == 17


def test_the_relation_table_says_what_du_2014_says_of_happiness_and_surprise() -> None:
    assert EXPRESSION_ACTION_UNITS["happiness"] == {12: 1.0, 25: 1.0, 6: 0.51}
    assert EXPRESSION_ACTION_UNITS["surprise"] == {1: 1.0, 2: 1.0, 25: 1.0, 26: 1.0, 5: 0.66}
    for related in EXPRESSION_ACTION_UNITS.values():
        assert set(related) <= set(ACTION_UNITS)
        assert all(0 < share <= 1 for share in related.values())


@pytest.mark.parametrize(
    ("spelling", "name"),
    [("Happy", "happiness"), ("ANGRY", "anger"), (" sadness ", "sadness"), ("Natural", "neutral"), ("afraid", "fear")],
)
def test_known_spellings_lead_to_the_name(spelling: str, name: str) -> None:
    assert expression_named(spelling) == name


def test_a_name_is_its_own_spelling_in_any_case() -> None:
    assert [expression_named(name.upper()) for name in EXPRESSIONS] == list(EXPRESSIONS)


def test_an_unknown_expression_is_an_error_that_lists_the_vocabulary() -> None:
    with pytest.raises(
        UnknownNameError, match=r"'boredom' is no expression; the vocabulary has neutral, anger, .*other$"
    ):
        expression_named("boredom")


@given(st.integers(-10, 100))
def test_a_number_has_a_slot_exactly_if_facs_names_it(number: int) -> None:
    if number in ACTION_UNIT_NAMES:
        assert ACTION_UNITS[slot_of(number)] == number
    else:
        with pytest.raises(
            UnknownNameError, match=re.escape(f"AU{number} is no action unit of the vocabulary (1, 2, 4")
        ):
            slot_of(number)
