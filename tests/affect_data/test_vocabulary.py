"""The vocabulary against its published sources, and names that it does not hold."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from affect_data.vocabulary import (
    ACTION_UNIT_NAMES,
    ACTION_UNIT_SLOTS,
    ACTION_UNITS,
    COMPOUND_EXPRESSION_ACTION_UNITS,
    COMPOUND_EXPRESSION_PARTS,
    COMPOUND_EXPRESSIONS,
    EXPRESSION_ACTION_UNITS,
    EXPRESSION_ALIASES,
    EXPRESSION_SETS,
    EXPRESSIONS,
    NotInVocabularyError,
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


def test_compound_expressions_are_seventeen_with_no_name_twice() -> None:
    assert len(COMPOUND_EXPRESSIONS) == len(set(COMPOUND_EXPRESSIONS)) == 17


def test_the_relation_table_says_what_du_2014_says_of_happiness_and_surprise() -> None:
    assert EXPRESSION_ACTION_UNITS["happiness"] == {12: 1.0, 25: 1.0, 6: 0.51}
    assert EXPRESSION_ACTION_UNITS["surprise"] == {1: 1.0, 2: 1.0, 25: 1.0, 26: 1.0, 5: 0.66}
    for related in EXPRESSION_ACTION_UNITS.values():
        assert set(related) <= set(ACTION_UNITS)
        assert all(0 < share <= 1 for share in related.values())


# Du 2014, Table 1: the action units of more than 70 % of the subjects; those of fewer, with their share.
DU_2014_COMPOUNDS = """
happily surprised | 1, 2, 12, 25 | 5 (.64), 26 (.67)
happily disgusted | 10, 12, 25 | 4 (.32), 6 (.61), 9 (.59)
sadly fearful | 1, 4, 20, 25 | 2 (.46), 5 (.24), 6 (.34), 15 (.30)
sadly angry | 4, 15 | 6 (.26), 7 (.48), 11 (.20), 17 (.50)
sadly surprised | 1, 4, 25, 26 | 2 (.27), 6 (.31)
sadly disgusted | 4, 10 | 1 (.49), 6 (.61), 9 (.20), 11 (.35), 15 (.54), 17 (.47), 25 (.43)
fearfully angry | 4, 20, 25 | 5 (.40), 7 (.39), 10 (.30), 11 (.33)
fearfully surprised | 1, 2, 5, 20, 25 | 4 (.47), 10 (.35), 11 (.22), 26 (.51)
fearfully disgusted | 1, 4, 10, 20, 25 | 2 (.64), 5 (.50), 6 (.26), 9 (.28), 15 (.33)
angrily surprised | 4, 25, 26 | 5 (.35), 7 (.50), 10 (.34)
angrily disgusted | 4, 10, 17 | 7 (.60), 9 (.57), 24 (.36)
disgustedly surprised | 1, 2, 5, 10 | 4 (.45), 9 (.37), 17 (.66), 24 (.33)
appalled | 4, 10 | 6 (.25), 9 (.56), 17 (.67), 24 (.36)
hatred | 4, 10 | 7 (.57), 9 (.27), 17 (.63), 24 (.37)
awed | 1, 2, 5, 25 | 4 (.21), 20 (.62), 26 (.56)
"""


def test_the_relation_table_of_compound_expressions_is_that_of_du_2014() -> None:
    published: dict[str, dict[int, float]] = {}
    for row in DU_2014_COMPOUNDS.strip().splitlines():
        name, prototypical, observational = row.split(" | ")
        published[name] = {int(number): 1.0 for number in prototypical.split(", ")}
        published[name] |= {int(n): float(share) for n, share in re.findall(r"(\d+) \((\.\d+)\)", observational)}
    assert len(published) == 15
    assert {name: dict(related) for name, related in COMPOUND_EXPRESSION_ACTION_UNITS.items()} == published
    assert {number for related in published.values() for number in related} <= set(ACTION_UNITS)
    assert set(COMPOUND_EXPRESSIONS) - set(published) == {"happily fearful", "happily sad"}


def test_a_compound_of_two_basic_expressions_is_named_after_them_in_order() -> None:
    beginnings = {
        "happ": "happiness",
        "sad": "sadness",
        "fear": "fear",
        "ang": "anger",
        "disgust": "disgust",
        "surprise": "surprise",
    }
    parts = {
        name: tuple(next(full for start, full in beginnings.items() if word.startswith(start)) for word in name.split())
        for name in COMPOUND_EXPRESSIONS
        if " " in name
    }
    assert dict(COMPOUND_EXPRESSION_PARTS) == parts
    assert len(parts) == 14
    assert set(COMPOUND_EXPRESSIONS) - set(COMPOUND_EXPRESSION_PARTS) == {"appalled", "hatred", "awed"}
    assert {part for pair in parts.values() for part in pair} <= set(EXPRESSIONS)


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
        NotInVocabularyError, match=r"'boredom' is no expression; the vocabulary has neutral, anger, .*other$"
    ):
        expression_named("boredom")


@given(st.integers(-10, 100))
def test_a_number_has_a_slot_exactly_if_facs_names_it(number: int) -> None:
    if number in ACTION_UNIT_NAMES:
        assert ACTION_UNITS[slot_of(number)] == number
    else:
        with pytest.raises(
            NotInVocabularyError, match=re.escape(f"AU{number} is no action unit of the vocabulary (1, 2, 4")
        ):
            slot_of(number)
