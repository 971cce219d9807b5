"""YAML 1.2: what a word, a number and a key are, where they stand, and what is no YAML."""

import math
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from affect_data.yaml12 import NotYamlError, read_yaml, write_yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e3", 1000.0),
        ("6e1", 60.0),
        ("1E-3", 0.001),
        ("-.5", -0.5),
        ("-.inf", -math.inf),
        ("0x10", 16),
        ("0o17", 15),
        ("017", 17),
        ("09", 9),
        ("+3", 3),
        ("1_000", "1_000"),
        ("12:30", "12:30"),
        ("2026-01-02", "2026-01-02"),
        ("yes", "yes"),
        ("no", "no"),
        ("on", "on"),
        ("off", "off"),
        ("True", True),
        ("~", None),
        ("", None),
        ("'1e3'", "1e3"),
    ],
)
def test_a_scalar_means_what_yaml_1_2_says(text: str, value: object) -> None:
    found = read_yaml(f"key: {text}").values["key"]
    assert (found, type(found)) == (value, type(value))


def test_a_number_that_is_none_is_not_a_number() -> None:
    assert math.isnan(read_yaml(".nan").values)


def test_keys_are_the_words_that_are_written() -> None:
    assert read_yaml("{1: a, yes: b, 1e3: c, null: d}").values == {"1": "a", "yes": "b", "1e3": "c", "null": "d"}


def test_every_key_and_entry_has_its_line() -> None:
    document = read_yaml("a:\n  b: [1,\n    2]\nc: {d: 3}\n")
    assert document.lines == {("a",): 1, ("a", "b"): 2, ("a", "b", 0): 2, ("a", "b", 1): 3, ("c",): 4, ("c", "d"): 4}


def test_a_key_that_is_written_twice_is_told_with_both_lines() -> None:
    assert read_yaml("a: 1\nb: {c: 1, 'c': 2}\na: 2\n").twice == [(("b", "c"), 2, 2), (("a",), 1, 3)]


def test_an_anchor_is_its_value_and_a_merge_adds_what_is_not_written() -> None:
    assert read_yaml("a: &x {p: 1, q: 2}\nb: *x\nc: {<<: *x, q: 3}\n").values == {
        "a": {"p": 1, "q": 2},
        "b": {"p": 1, "q": 2},
        "c": {"p": 1, "q": 3},
    }


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("a: 1\nb: [", 2, "expected the node content"),
        ("a: 1\n\nb: !!python/object/apply:os.getcwd []", 3, "could not determine a constructor"),
        ("a: &x\n  b: *x\n", 1, "a value that holds itself"),
        ("a: 1\n? [x]\n: y\n", 2, "a key has to be a word"),
        ("a: 1\nb: \x07\n", 2, "special characters are not allowed"),
        ('a: "\\ud800"\n', 1, "half a character"),
        ('a: 1\n"\\udfff": 2\n', 2, "half a character"),
        ("a: " + "9" * 5000, 1, "Exceeds the limit"),
        ("a: !!int nine", 1, "invalid literal"),
        ("a: !!map [1]", 1, "expected a mapping"),
        ("--- 1\n--- 2\n", 2, "but found another document"),
        ("[" * 5000, None, "too deep"),
    ],
)
def test_what_is_no_yaml_is_refused_with_its_line(text: str, line: int | None, problem: str) -> None:
    with pytest.raises(NotYamlError, match=problem) as caught:
        read_yaml(text)
    assert caught.value.line == line


# What YAML 1.1 takes for the end of a line would come back as a blank.
TEXT = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=6)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False) | TEXT
    # Words that one YAML or another takes for something else.
    | st.sampled_from(["1e3", "6e1", "0x10", "0o17", "017", "yes", "no", "on", "off", "~", "", "1_0", "1:2", "<<", "=", ".5", "+1"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)  # fmt: skip


@given(st.dictionaries(TEXT, PLAIN, max_size=3))
def test_what_is_written_reads_back_equal(values: dict[str, Any]) -> None:
    text = write_yaml(values)
    assert read_yaml(text).values == values
    assert yaml.safe_load(text) == values


@given(st.text(alphabet="ab019xeo: -[]{}&*!?|>'\"#,~.\n\t<", max_size=30))
def test_any_text_is_read_or_is_refused_as_no_yaml(text: str) -> None:
    try:
        said = str(read_yaml(text))
    except NotYamlError as error:
        said = error.problem
    assert said
