"""Splits: official ones, tracks whose tasks disagree under each policy, and group-disjoint holdouts."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from affect_data.build.recipe import SplitOptions
from affect_data.build.splits import SplitConflictError, assign_splits, rows_of_split, task_columns
from affect_data.databases.affwild2.reader import AffWild2
from affect_data.databases.base import Database, DatabaseOptions
from affect_data.databases.expw import ExpW, ExpWOptions

STRICT, FOLLOW_TASK, OFFICIAL = (SplitOptions(policy=policy) for policy in ("strict", "follow_task", "official"))

MASKS = {f"{task}_masked": pl.String for task in ("au", "expression", "va")}


def rows_of(*rows: dict[str, object]) -> pl.DataFrame:
    """A reader's rows with the columns that harmonising always gives."""
    schema = {
        "image": pl.String, "subject": pl.String, "track": pl.String,
        "split_au": pl.String, "split_expression": pl.String, "split_va": pl.String,
        "au_1": pl.Int8, "au_intensity_1": pl.Float32, "expression": pl.String, "valence": pl.Float32, "arousal": pl.Float32, **MASKS,
    }  # fmt: skip
    blank = {"subject": "", "track": ""}
    return pl.DataFrame([{"image": f"{index}.jpg", **blank, **row} for index, row in enumerate(rows)], schema=schema)


AU = {"split_au": "train", "au_1": 1, "au_intensity_1": 3.0}
EXPRESSION = {"split_expression": "validation", "expression": "anger"}
VA = {"split_va": "train", "valence": 0.5, "arousal": -0.5}

# Track "a" is train for AU and VA, validation for expressions; its second frame has a VA label alone. Track "b" is train alone.
CONFLICT = rows_of(
    {"track": "a", **AU, **EXPRESSION, **VA},
    {"track": "a", **VA, "split_au": "train", "split_expression": "validation"},
    {"track": "b", **AU},
)


def test_strict_makes_a_disputed_track_validation_and_masks_its_train_labels() -> None:
    found = assign_splits(CONFLICT, AffWild2(), STRICT)
    assert found["split"].to_list() == ["validation", "validation", "train"]
    assert found.select("au_1", "au_intensity_1", "expression", "valence", "arousal").rows() == [
        (None, None, "anger", None, None),
        (None, None, None, None, None),
        (1, 3.0, None, None, None),
    ]
    reason = "train label of a validation track (split policy strict)"
    assert found.select("au_masked", "expression_masked", "va_masked").rows() == [
        (reason, None, reason),
        (None, None, reason),
        (None, None, None),
    ]


def test_strict_keeps_a_reason_that_a_reader_gave() -> None:
    rows = CONFLICT.with_columns(expression_masked=pl.lit("annotators disagree"))
    found = assign_splits(rows, AffWild2(), STRICT)
    assert found["expression_masked"].to_list() == ["annotators disagree"] * 3


def test_strict_keeps_the_tracks_of_one_person_together() -> None:
    rows = rows_of(
        {"subject": "p", "track": "p-left", **AU},
        {"subject": "p", "track": "p-1", **EXPRESSION},
        {"subject": "q", "track": "q", **VA},
    )
    found = assign_splits(rows, AffWild2(), STRICT)
    assert found["split"].to_list() == ["validation", "validation", "train"]
    assert found["au_masked"].to_list() == ["train label of a validation track (split policy strict)", None, None]


def test_follow_task_leaves_a_label_without_a_split_of_its_own_with_its_row() -> None:
    rows = rows_of(
        {"track": "a", "expression": "anger", **AU}, {"track": "b", "valence": 0.5, "arousal": 0.5, **AU, **EXPRESSION}
    )
    found = assign_splits(rows, AffWild2(), FOLLOW_TASK)
    assert found.select("split", "au_1", "expression", "valence").rows() == [
        ("train", 1, "anger", None),
        ("train", 1, None, 0.5),
        ("validation", None, "anger", None),
    ]


def test_strict_prefers_test_to_validation() -> None:
    rows = rows_of({"track": "a", **EXPRESSION}, {"track": "a", **VA, "split_va": "test"}, {"track": "a", **AU})
    found = assign_splits(rows, AffWild2(), STRICT)
    assert found["split"].to_list() == ["test"] * 3
    assert found["expression_masked"].to_list() == [
        "validation label of a test track (split policy strict)",
        None,
        None,
    ]
    assert found["valence"].to_list() == [None, 0.5, None]


def test_follow_task_gives_a_row_in_each_split_with_the_labels_of_that_split_alone() -> None:
    found = assign_splits(CONFLICT, AffWild2(), FOLLOW_TASK)
    assert found.select("image", "split", "au_1", "expression", "valence").rows() == [
        ("0.jpg", "train", 1, None, 0.5),
        ("1.jpg", "train", None, None, 0.5),
        ("2.jpg", "train", 1, None, None),
        ("0.jpg", "validation", None, "anger", None),
    ]
    assert found.select(*MASKS).null_count().row(0) == (4, 4, 4)


def test_follow_task_loses_no_label_and_doubles_none() -> None:
    found = assign_splits(CONFLICT, AffWild2(), FOLLOW_TASK)
    for column in ("au_1", "au_intensity_1", "expression", "valence", "arousal"):
        assert found[column].count() == CONFLICT[column].count()


def test_official_refuses_disputed_tracks_by_name() -> None:
    with pytest.raises(
        SplitConflictError,
        match=r"affwild2: 1 track\(s\) are in different splits for different tasks: a\. Choose .*strict",
    ):
        assign_splits(CONFLICT, AffWild2(), OFFICIAL)


def test_official_names_ten_tracks_and_counts_the_others() -> None:
    rows = rows_of(*({"track": f"t{index:02d}", **AU, **EXPRESSION} for index in range(13)))
    with pytest.raises(SplitConflictError, match=r"13 track\(s\) .*: t00, .*, t09 and 3 more\."):
        assign_splits(rows, AffWild2(), OFFICIAL)


def test_official_keeps_what_agrees_as_it_is() -> None:
    rows = rows_of({"track": "a", **EXPRESSION}, {"track": "b", **AU, **VA})
    found = assign_splits(rows, AffWild2(), OFFICIAL)
    assert found["split"].to_list() == ["validation", "train"]
    assert found.drop("split").equals(rows.drop("split_au", "split_expression", "split_va"))


def test_images_without_a_track_are_disputed_one_by_one() -> None:
    rows = rows_of({**AU}, {**EXPRESSION})
    assert assign_splits(rows, AffWild2(), OFFICIAL)["split"].to_list() == ["train", "validation"]


def test_one_split_for_all_tasks_is_taken_as_it_is() -> None:
    rows = pl.DataFrame(
        {"image": ["a", "b", "c"], "subject": "", "track": "", "split": ["test", "train", "validation"]}
    )
    rows = rows.with_columns(
        expression=pl.Series(["anger", "fear", None]), **{name: pl.lit(None, pl.String) for name in MASKS}
    )
    for policy in (STRICT, FOLLOW_TASK, OFFICIAL):
        found = assign_splits(rows, ExpW(), policy)
        assert dict(found.select("image", "split").rows()) == {"a": "test", "b": "train", "c": "validation"}
        assert found["expression"].count() == 2


def test_rows_without_an_official_split_are_train() -> None:
    rows = rows_of({"expression": "anger"}, {"valence": 0.1, "arousal": 0.2}, {})
    for policy in (STRICT, FOLLOW_TASK, OFFICIAL):
        assert assign_splits(rows, ExpW(), policy)["split"].to_list() == ["train"] * 3


def test_the_columns_of_a_task_are_its_labels() -> None:
    rows = rows_of({}).with_columns(votes_anger=pl.lit(0.1), compound_expression=pl.lit("awed"))
    assert task_columns(rows, "au") == ["au_1", "au_intensity_1"]
    assert task_columns(rows, "expression") == ["expression", "compound_expression", "votes_anger"]
    assert task_columns(rows, "va") == ["valence", "arousal"]


# ---------------------------------------------------------------- holdout


def holding_out(share: float) -> Database:
    return ExpW(ExpWOptions(holdout=share))


def subjects(count: int, each: int = 3) -> pl.DataFrame:
    return rows_of(
        *(
            {"subject": f"s{index}", "track": f"t{index}-{part}", "expression": "anger"}
            for index in range(count)
            for part in range(each)
        )
    )


def validation_groups(rows: pl.DataFrame, database: Database, seed: int, column: str = "subject") -> set[str]:
    found = assign_splits(rows, database, SplitOptions(seed=seed))
    parts = {split: set(part[column]) for (split,), part in found.group_by("split")}
    assert parts.get("train", set()).isdisjoint(parts.get("validation", set()))
    assert "test" not in parts
    return parts.get("validation", set())


def test_a_holdout_takes_whole_subjects_and_about_its_share() -> None:
    taken = validation_groups(subjects(400), holding_out(0.25), seed=0)
    assert 70 <= len(taken) <= 130


def test_a_holdout_depends_on_the_seed_alone() -> None:
    rows = subjects(60)
    first = validation_groups(rows, holding_out(0.3), seed=0)
    assert validation_groups(rows.sample(fraction=1.0, shuffle=True, seed=5), holding_out(0.3), seed=0) == first
    assert validation_groups(rows.filter(pl.col("subject") < "s4"), holding_out(0.3), seed=0) == {
        s for s in first if s < "s4"
    }
    assert validation_groups(rows, holding_out(0.3), seed=1) != first


def test_a_larger_holdout_keeps_what_a_smaller_one_took() -> None:
    rows = subjects(60)
    assert validation_groups(rows, holding_out(0.1), seed=0) < validation_groups(rows, holding_out(0.4), seed=0)


@pytest.mark.parametrize(("column", "others"), [("track", {"subject": ""}), ("image", {"subject": "", "track": ""})])
def test_without_subjects_a_holdout_takes_whole_tracks_else_whole_images(column: str, others: dict[str, str]) -> None:
    rows = subjects(40).with_columns(pl.lit(value).alias(name) for name, value in others.items())
    assert validation_groups(rows, holding_out(0.5), seed=0, column=column)


def test_databases_of_one_family_hold_out_the_same_people() -> None:
    class Successor(ExpW):
        name = "successor"

    class Stranger(ExpW):
        name = "stranger"
        source_family = "stranger"

    rows, options = subjects(60), ExpWOptions(holdout=0.4)
    assert validation_groups(rows, Successor(options), 0) == validation_groups(rows, ExpW(options), 0)
    assert validation_groups(rows, Stranger(options), 0) != validation_groups(rows, ExpW(options), 0)


def test_a_holdout_leaves_official_splits_alone() -> None:
    rows = rows_of(*({"track": f"t{index}", **AU} for index in range(50)))
    found = assign_splits(rows, AffWild2(AffWild2.Options(holdout=0.9)), STRICT)
    assert found["split"].to_list() == ["train"] * 50


# ---------------------------------------------------------------- whatever the official splits are

SPLIT = st.sampled_from(["train", "validation", "test", None])
PERSON = {"a": "p", "b": "p", "c": "", "": ""}
FRAME = st.fixed_dictionaries(
    {"track": st.sampled_from(list(PERSON)), "split_au": SPLIT, "split_expression": SPLIT, "split_va": SPLIT},
    optional={"au_1": st.sampled_from([0, 1]), "expression": st.sampled_from(["anger", "fear"]), "valence": st.floats(-1, 1, width=32)},
)  # fmt: skip


def with_people(frames: list[dict[str, object]]) -> pl.DataFrame:
    return rows_of(*({**frame, "subject": PERSON[str(frame["track"])]} for frame in frames))


@given(st.lists(FRAME, min_size=1, max_size=8), st.floats(0, 0.9))
def test_under_strict_no_person_and_no_track_is_in_two_splits_and_every_masked_label_has_a_reason(
    frames: list[dict[str, object]], share: float
) -> None:
    rows = with_people(frames)
    found = assign_splits(rows, AffWild2(DatabaseOptions(holdout=share)), STRICT)
    assert len(found) == len(rows)
    assert found["split"].is_in(["train", "validation", "test"]).all()
    for group in ("subject", "track"):
        splits = found.filter(pl.col(group) != "").group_by(group).agg(pl.col("split").n_unique())["split"]
        assert splits.eq(1).all()
    for task, column in (("au", "au_1"), ("expression", "expression"), ("va", "valence")):
        lost = rows[column].is_not_null() & found[column].is_null()
        assert (lost == found[f"{task}_masked"].is_not_null()).all()


@given(st.lists(FRAME, min_size=1, max_size=8))
def test_under_follow_task_every_label_is_in_exactly_one_split(frames: list[dict[str, object]]) -> None:
    rows = with_people(frames)
    found = assign_splits(rows, AffWild2(), FOLLOW_TASK)
    for column in ("au_1", "expression", "valence"):
        labelled = found.filter(pl.col(column).is_not_null())["image"].sort().to_list()
        assert labelled == rows.filter(pl.col(column).is_not_null())["image"].sort().to_list()
    assert set(found["image"]) == set(rows["image"])


@pytest.mark.parametrize("splits", [["train", "train", "test"], ["validation"], []])
def test_rows_of_a_split_are_those_in_its_place(splits: list[str]) -> None:
    rows = pl.DataFrame({"split": splits, "row": range(len(splits))}, {"split": pl.String, "row": pl.Int64})
    for split in ("train", "validation", "test"):
        assert rows_of_split(rows, split).equals(rows.filter(pl.col("split") == split))
