"""A reader's rows become unified rows: the masks, the classes by name, the uids, and what is refused."""

import math
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from affect_data.build.harmonise import Unified, harmonise
from affect_data.build.recipe import SplitOptions
from affect_data.databases.base import Scan
from affect_data.databases.expw import ExpW
from affect_data.databases.root import FAILURE_SCHEMA
from affect_data.dataset.schema import LABEL_COLUMNS
from affect_data.errors import DataError, Defect, DefectsFoundError, SchemaError
from affect_data.vocabulary import ACTION_UNITS, COMPOUND_EXPRESSIONS, EXPRESSIONS


def unify(rows: pl.DataFrame | list[dict[str, Any]], *defects: Defect, policy: str = "strict") -> Unified:
    """The unified rows of what a reader might give; image, file and line are filled in where they are not given."""
    frame = rows if isinstance(rows, pl.DataFrame) else pl.DataFrame(rows, infer_schema_length=None)
    given_already = set(frame.columns)
    place = {
        "image": pl.format("{}.jpg", pl.int_range(pl.len())),
        "source_file": pl.lit("a.txt"),
        "source_line": pl.int_range(1, pl.len() + 1),
    }
    frame = frame.with_columns(value.alias(name) for name, value in place.items() if name not in given_already)
    scan = Scan(frame, pl.DataFrame(schema=FAILURE_SCHEMA), defects, ("a.txt",), len(frame))
    return harmonise(scan, ExpW(), "2018", SplitOptions.model_validate({"policy": policy}))


def test_the_unified_rows_have_the_label_columns_in_order_but_for_the_digest() -> None:
    labels = unify([{"expression": "anger"}]).labels
    assert labels.columns == [column.name for column in LABEL_COLUMNS if column.name != "image_digest"] + [
        "image",
        "split",
        "origin",
    ]


def test_what_is_not_labelled_is_the_fill_beside_an_unset_mask() -> None:
    row = unify([{"expression": "anger"}]).labels.row(0, named=True)
    assert row["au"] == [-1] * 40
    assert all(
        math.isnan(value)
        for value in [*row["au_intensity"], *row["expression_votes"], *row["face_box"], row["valence"], row["arousal"]]
    )
    assert row["compound_expression"] == row["frame"] == row["face"] == -1
    assert row["subject"] == row["track"] == ""
    assert not any([*row["au_mask"], *row["au_intensity_mask"], row["va_mask"], row["compound_expression_mask"]])
    assert (row["expression"], row["expression_mask"]) == (1, True)


def test_columns_without_any_value_take_no_memory_a_row() -> None:
    """Otherwise the slots of action units, votes and boxes alone take 300 bytes of each row, and all rows are held at once."""
    empty = ("au", "au_mask", "au_intensity", "au_intensity_mask", "expression_votes", "face_box", "valence", "arousal")
    labels = unify(pl.DataFrame({"expression": ["anger"] * 1000})).labels.select(empty)
    assert labels.estimated_size() < 1000
    assert labels.filter(pl.int_range(pl.len()) % 2 == 0).slice(10, 400).estimated_size() < 1000


def test_action_units_go_to_the_slot_of_their_number() -> None:
    row = unify([{"au_12": 1, "au_1": 0, "au_intensity_45": 2.5}]).labels.row(0, named=True)
    expected = [-1] * 40
    expected[ACTION_UNITS.index(12)], expected[ACTION_UNITS.index(1)] = 1, 0
    assert row["au"] == expected
    assert [ACTION_UNITS[slot] for slot, is_set in enumerate(row["au_mask"]) if is_set] == [1, 12]
    assert row["au_intensity"][ACTION_UNITS.index(45)] == 2.5
    assert sum(row["au_intensity_mask"]) == 1


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_an_expression_becomes_the_class_of_its_name(name: str) -> None:
    assert unify([{"expression": name}]).labels["expression"].to_list() == [EXPRESSIONS.index(name)]


def test_a_compound_expression_becomes_the_class_of_its_name() -> None:
    labels = unify([{"compound_expression": "awed"}, {"compound_expression": None}]).labels
    assert labels.select("compound_expression", "compound_expression_mask").rows() == [(16, True), (-1, False)]
    assert COMPOUND_EXPRESSIONS[16] == "awed"


@pytest.mark.parametrize("name", ["angry", "Anger", "", "none"])
def test_an_expression_that_the_vocabulary_does_not_hold_is_never_a_label(name: str) -> None:
    with pytest.raises(pl.exceptions.InvalidOperationError, match="incomplete mapping"):
        unify([{"expression": name}])


def test_valence_without_arousal_is_no_label() -> None:
    labels = unify([{"valence": 0.5, "arousal": None}, {"valence": 0.5, "arousal": -0.25}]).labels
    assert labels["va_mask"].to_list() == [False, True]
    assert math.isnan(labels["valence"][0])
    assert labels.select("valence", "arousal").row(1) == (0.5, -0.25)


def test_votes_of_some_classes_fill_the_others_with_nothing() -> None:
    rows = [{"votes_anger": 0.75, "votes_fear": 0.25}, {"votes_anger": None, "votes_fear": None}]
    votes = unify(rows).labels["expression_votes"].to_numpy()
    assert votes[0].tolist() == [0, 0.75, 0, 0.25, 0, 0, 0, 0, 0]
    assert np.isnan(votes[1]).all()


@pytest.mark.parametrize(
    ("row", "rule"),
    [
        ({"au_1": 2}, "action_units_are_labels_or_masked"),
        ({"au_1": -1}, "action_units_are_labels_or_masked"),
        ({"au_intensity_1": 9.0}, "action_unit_intensities_are_labels_or_masked"),
        ({"au_intensity_1": math.nan}, "action_unit_intensities_are_labels_or_masked"),
        ({"valence": -5.0, "arousal": -5.0}, "valence_and_arousal_are_labels_or_masked"),
        ({"valence": math.nan, "arousal": 0.0}, "valence_and_arousal_are_labels_or_masked"),
        ({"votes_anger": 7.0, "votes_fear": 3.0}, "votes_are_shares"),
        ({"votes_anger": 0.5, "votes_fear": None}, "votes_are_shares"),
        ({"face_box": [5.0, 5.0, 1.0, 9.0]}, "face_box_has_area"),
        ({"face_box": [None, 5.0, 10.0, 9.0]}, "face_box_has_area"),
        ({"source_file": "/data/a.txt", "expression": "anger"}, "source_is_relative"),
    ],
)
def test_a_sentinel_that_a_reader_lets_through_stops_the_build(row: dict[str, Any], rule: str) -> None:
    with pytest.raises(SchemaError, match=f"break the rule '{rule}'.*This is a defect of the reader"):
        unify([row])


def test_a_column_that_the_schema_does_not_know_is_never_dropped_silently() -> None:
    with pytest.raises(DataError, match=r"expw: the reader gives unknown columns au_3, emotion; see ROW_COLUMNS"):
        unify([{"au_3": 1, "emotion": "anger"}])


def test_a_scan_with_defects_is_refused() -> None:
    with pytest.raises(DefectsFoundError, match=r"expw: 1 defect\(s\), nothing was written:\n  a.txt:3: found x"):
        unify([{"expression": "anger"}], Defect("a.txt", 3, "x", "y", "z"))


# ---------------------------------------------------------------- uids


@pytest.mark.parametrize(
    ("row", "uid"),
    [
        ({"image": "a/b.jpg"}, "expw:a/b.jpg"),
        ({"image": "a/b.jpg", "face": 0}, "expw:a/b.jpg#0"),
        ({"image": "x.jpg", "track": "v1", "frame": 7}, "expw:v1/7"),
        ({"image": "x.jpg", "track": "v1", "frame": 7, "face": 2}, "expw:v1/7#2"),
        ({"image": "x.jpg", "track": "v1"}, "expw:x.jpg"),
        ({"image": "x.jpg", "frame": 7}, "expw:x.jpg"),
    ],
)
def test_a_uid_names_database_place_and_face(row: dict[str, Any], uid: str) -> None:
    assert unify([row]).labels["uid"].to_list() == [uid]


def test_two_rows_of_one_face_are_defects_with_both_lines() -> None:
    rows = [{"image": "p.jpg", "face": 0}, {"image": "p.jpg", "face": 1}, {"image": "p.jpg", "face": 0}]
    with pytest.raises(DefectsFoundError) as caught:
        unify(rows)
    assert [str(defect).partition(";")[0] for defect in caught.value.defects] == [
        "a.txt:1: found a second row for expw:p.jpg#0",
        "a.txt:3: found a second row for expw:p.jpg#0",
    ]


def test_a_row_in_each_of_two_splits_is_no_duplicate() -> None:
    row = {
        "track": "v",
        "frame": 1,
        "au_1": 1,
        "split_au": "train",
        "expression": "fear",
        "split_expression": "validation",
    }
    labels = unify([row], policy="follow_task").labels
    assert labels.select("uid", "split").rows() == [("expw:v/1", "train"), ("expw:v/1", "validation")]


# ---------------------------------------------------------------- what is masked is counted


def test_masked_labels_are_counted_by_task_and_reason_most_first() -> None:
    rows = [
        {"expression": None, "expression_masked": "tie", "va_masked": None},
        {"expression": None, "expression_masked": "tie", "va_masked": "half"},
        {"expression": None, "expression_masked": "unclear", "va_masked": None},
    ]
    frame = pl.DataFrame(rows, schema=dict.fromkeys(("expression", "expression_masked", "va_masked"), pl.String))
    assert unify(frame).masked.rows() == [("expression", "tie", 2), ("expression", "unclear", 1), ("va", "half", 1)]


def test_a_valence_without_an_arousal_is_masked_and_counted() -> None:
    unified = unify([{"valence": 0.5, "arousal": None}, {"valence": 0.5, "arousal": 0.25}])
    assert unified.labels["va_mask"].to_list() == [False, True]
    assert unified.masked.rows() == [("va", "only one of valence and arousal", 1)]


def test_a_masked_label_of_a_row_in_two_splits_is_counted_once() -> None:
    row = {
        "track": "v",
        "frame": 1,
        "split_au": "train",
        "split_va": "validation",
        "au_1": 1,
        "valence": 0.5,
        "arousal": 0.5,
        "expression_masked": "tie",
    }
    unified = unify([row], policy="follow_task")
    assert len(unified.labels) == 2
    assert unified.masked.rows() == [("expression", "tie", 1)]


# ---------------------------------------------------------------- whatever the labels are

LABELLED = st.fixed_dictionaries(
    {
        "au_1": st.sampled_from([0, 1, None]),
        "au_26": st.sampled_from([0, 1, None]),
        "au_intensity_12": st.none() | st.floats(0, 5, width=32),
        "expression": st.none() | st.sampled_from(EXPRESSIONS),
        "compound_expression": st.none() | st.sampled_from(COMPOUND_EXPRESSIONS),
        "valence": st.none() | st.floats(-1, 1, width=32),
        "arousal": st.none() | st.floats(-1, 1, width=32),
    }
)


@given(st.lists(LABELLED, min_size=1, max_size=12))
def test_a_mask_is_set_exactly_where_the_value_is_not_the_fill_and_the_value_is_what_was_read(
    rows: list[dict[str, Any]],
) -> None:
    schema = {
        "au_1": pl.Int8, "au_26": pl.Int8, "au_intensity_12": pl.Float64, "expression": pl.String,
        "compound_expression": pl.String, "valence": pl.Float64, "arousal": pl.Float64,
    }  # fmt: skip
    labels = unify(pl.DataFrame(rows, schema=schema)).labels
    assert (labels["au_mask"].to_numpy() == (labels["au"].to_numpy() != -1)).all()
    assert (labels["au_intensity_mask"].to_numpy() == ~np.isnan(labels["au_intensity"].to_numpy())).all()
    for name in ("expression", "compound_expression"):
        assert (labels[f"{name}_mask"] == (labels[name] != -1)).all()
    for axis in ("valence", "arousal"):
        assert (labels["va_mask"] == labels[axis].is_not_nan()).all()
    for row, unified in zip(rows, labels.iter_rows(named=True), strict=True):
        assert unified["au"][ACTION_UNITS.index(1)] == (-1 if row["au_1"] is None else row["au_1"])
        assert unified["au"][ACTION_UNITS.index(26)] == (-1 if row["au_26"] is None else row["au_26"])
        intensity = unified["au_intensity"][ACTION_UNITS.index(12)]
        assert math.isnan(intensity) if row["au_intensity_12"] is None else intensity == row["au_intensity_12"]
        assert unified["expression"] == (-1 if row["expression"] is None else EXPRESSIONS.index(row["expression"]))
        if row["valence"] is not None and row["arousal"] is not None:
            assert (unified["valence"], unified["arousal"]) == (row["valence"], row["arousal"])
