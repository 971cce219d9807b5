"""Numbers and texts as other programs write them."""

import math

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from affect_data.databases.spelling import bare, has_index, numbers, plain, whole_numbers


@given(st.lists(st.one_of(st.integers(-9, 1_000), st.floats(-9, 9)), min_size=1), st.data())
def test_a_number_is_read_back_from_any_of_its_spellings(values: list[float], data: st.DataObject) -> None:
    ways = ["{}", "{!r}", " {}\t", '"{}"', "' {} '", "{:.17e}"]
    texts = pl.Series([data.draw(st.sampled_from(ways)).format(value) for value in values], dtype=pl.String)
    assert numbers(texts).to_list() == [float(value) for value in values]
    whole = [int(value) if value == math.floor(value) and value >= 0 else None for value in values]
    assert whole_numbers(texts).to_list() == whole


@pytest.mark.parametrize(
    "text",
    ["", "-", "1,5", "1_000", '"1', "1'", "0x1", "one", "--1", "1 2", '""1""', None, "nan", "inf", "-1", "1.5", "1e12"],
)
def test_what_is_no_whole_number_is_none(text: str | None) -> None:
    assert whole_numbers(pl.Series([text, "2"], dtype=pl.String)).to_list() == [None, 2]


def test_a_text_is_spelt_as_the_known_one() -> None:
    texts = pl.Series("code", ["007", "7", " 7.0 ", '"7"', "-0", "fear", "'fear'", "7.5", "it's", ""])
    assert plain(texts, ("7", "007", "0")).to_list() == ["007", "7", "7", "7", "0", "fear", "fear", "7.5", "it's", ""]


def test_only_a_pair_of_quotation_marks_is_taken_off() -> None:
    texts = ['"a"', "' a b '", '"a', "a'", "\"a'", '""', " a ", '"', None]
    assert bare(pl.Series(texts)).to_list() == ["a", "a b", '"a', "a'", "\"a'", "", "a", '"', None]


@pytest.mark.parametrize(
    ("header", "found"),
    [
        (["", "URL"], True),
        (["Unnamed: 0", "URL"], True),
        (['"index"', "URL"], True),
        (["URL", ""], False),
        ([""], False),
        ([], False),
    ],
)
def test_a_column_that_counts_lines_is_told_by_its_header(header: list[str], *, found: bool) -> None:
    assert has_index(header) is found
