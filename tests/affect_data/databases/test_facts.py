"""What a reader relies on and what it maps: rows that contradict themselves are refused, and the codes of a scan come from them."""

import pytest

from affect_data.databases.catalogue import describe_database, facts
from affect_data.databases.facts import Evidence, Grade, NativeValue, labels_of, numbered, reasons_of

MAPPING = (
    *numbered("label", ("happiness", "sadness"), first=1),
    NativeValue("label", "9", masked="uncertain"),
    NativeValue("label", "10", unified="kept in group native: blank", masked="no face"),
    NativeValue("valence", "-10..10", unified="a tenth"),
)


@pytest.mark.parametrize(
    "row",
    [
        {"field": "label", "native": "1"},
        {"field": "label", "native": "1", "unified": "anger", "masked": "uncertain"},
        {"field": "label", "native": "", "unified": "anger"},
        {"field": "", "native": "1", "unified": "anger"},
    ],
)
def test_a_native_value_that_is_no_label_and_not_masked_or_both_is_refused(row: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="a native value "):
        NativeValue(**row)


def test_evidence_without_a_place_is_refused() -> None:
    with pytest.raises(ValueError, match="evidence must name a fact and where it was seen"):
        Evidence("labels count from 1", Grade.ASSUMED, "")


def test_the_codes_of_a_field_are_read_from_the_table() -> None:
    assert labels_of(MAPPING, "label") == {"1": "happiness", "2": "sadness", "9": None, "10": None}
    assert reasons_of(MAPPING, "label") == {"9": "uncertain", "10": "no face"}


def test_a_row_of_the_table_reads_as_a_sentence() -> None:
    assert [str(row) for row in MAPPING] == [
        "1 -> happiness",
        "2 -> sadness",
        "9 -> masked: uncertain",
        "10 -> masked: no face (kept in group native: blank)",
        "-10..10 -> a tenth",
    ]


def test_the_table_and_the_evidence_are_printed() -> None:
    text = describe_database("expw")
    assert "\nnative values, and what becomes of them:\nexpression:\n    0 -> anger\n    1 -> disgust\n" in text
    assert "    the expressions 0..6 are in this order (documented: readme.txt beside label.lst)\n" in text
    assert facts("expw")["mapping"][0] == {"field": "expression", "native": "0", "unified": "anger", "masked": ""}
    assert facts("expw")["evidence"][1]["grade"] == "documented"
