"""How labels are stored: what a layout has a place for, what it refuses by name, and how many bytes a row costs."""

from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from datasets import ClassLabel, Features, List, Value
from hypothesis import given
from pydantic import ValidationError
from stored_rows import NAN, frames, plain_rows

from affect_data.databases.affectnet.reader import AffectNet
from affect_data.databases.affwild2.reader import AffWild2
from affect_data.databases.disfa.reader import Disfa
from affect_data.databases.expw import ExpW
from affect_data.databases.registry import DATABASES
from affect_data.dataset.hashing import content_hash
from affect_data.dataset.layout import COMPOUND, VOTES, Layout, origin_features, origins_of, shown_hash, stored_columns
from affect_data.dataset.schema import LABELS
from affect_data.dataset.writing import LABELS_PER_BATCH, write_shard
from affect_data.vocabulary import ACTION_UNIT_SLOTS, ACTION_UNITS

THREE = (AffWild2, AffectNet, Disfa)
BYTES_A_ROW = 165


def units(name: str, values: dict[int, float], rows: int = 1) -> list[pl.Series]:
    """The columns of action units of equal rows."""
    array = np.full((rows, len(ACTION_UNITS)), NAN if name == "au_intensity" else -1)
    mask = np.zeros(array.shape, bool)
    for unit, value in values.items():
        array[:, ACTION_UNIT_SLOTS[unit]], mask[:, ACTION_UNIT_SLOTS[unit]] = value, True
    kind = pl.Float32 if name == "au_intensity" else pl.Int8
    return [
        pl.Series(name, array, dtype=pl.Array(kind, len(ACTION_UNITS))),
        pl.Series(f"{name}_mask", mask, dtype=pl.Array(pl.Boolean, len(ACTION_UNITS))),
    ]


def boxes(*values: list[float]) -> pl.Series:
    return pl.Series("face_box", values, dtype=pl.Array(pl.Float32, 4))


def numbered(rows: pl.DataFrame) -> pl.DataFrame:
    return origins_of(rows)[0]


# ---------------------------------------------------------------- what there is a place for


def test_a_layout_has_places_for_what_its_databases_code() -> None:
    layout = Layout.of(THREE, [plain_rows(1)])
    assert layout.databases == ("affectnet", "affwild2", "disfa")
    coded = {unit for database in THREE for unit in database.action_units}
    assert layout.action_units == tuple(sorted(coded))
    assert layout.intensities == tuple(sorted({u for database in THREE for u in database.action_unit_intensities}))
    assert layout.groups == (LABELS,)


@pytest.mark.parametrize(("name", "side"), [("ferplus", (VOTES,)), ("raf_db", (COMPOUND,)), ("expw", ())])
def test_a_side_group_is_there_where_a_database_declares_it(name: str, side: tuple[str, ...]) -> None:
    assert Layout.of([DATABASES[name]], [plain_rows(1)]).side == side


@pytest.mark.parametrize(
    ("box", "step", "expected"),
    [
        ([NAN] * 4, NAN, ("none", True)),
        ([1.0, 2.0, 3.0, 4.0], 3.0, ("whole", True)),
        ([1.0, 2.0, 3.5, 4.0], 3.0, ("exact", True)),
        ([1.0, 2.0, 40000.0, 4.0], 2.5, ("exact", False)),
    ],
)
def test_numbers_are_as_small_as_what_the_rows_say_allows(
    box: list[float], step: float, expected: tuple[str, bool]
) -> None:
    rows = plain_rows(1).with_columns(*units("au_intensity", {12: step}), boxes(box))
    layout = Layout.of([Disfa, ExpW], [plain_rows(1), rows])
    assert (layout.boxes, layout.whole_intensities) == expected


def test_features_name_action_units_and_leave_out_what_no_database_has() -> None:
    assert Layout(databases=("disfa",), action_units=(4, 12), intensities=(12,)).features(LABELS) == Features(
        {
            "uid": Value("string"),
            "database": ClassLabel(names=["disfa"]),
            "origin": Value("int32"),
            "frame": Value("int32"),
            "face": Value("int16"),
            "source_line": Value("int32"),
            "au": {"AU4": Value("int8"), "AU12": Value("int8")},
            "au_mask": {"AU4": Value("bool"), "AU12": Value("bool")},
            "au_intensity": {"AU12": Value("int8")},
            "au_intensity_mask": {"AU12": Value("bool")},
            "expression": Layout(databases=()).features(LABELS)["expression"],
            "expression_mask": Value("bool"),
            "valence": Value("float32"),
            "arousal": Value("float32"),
            "va_mask": Value("bool"),
            "image_digest": List(Value("uint8"), length=32),
        }
    )
    assert not {"au", "au_intensity", "face_box"} & set(Layout(databases=("expw",)).features(LABELS))


@pytest.mark.parametrize(
    "wrong",
    [{"databases": ("b", "a")}, {"action_units": (12, 4)}, {"action_units": (3,)}, {"intensities": (12, 12)}],
)
def test_a_layout_out_of_order_or_of_unknown_units_is_refused(wrong: dict[str, tuple[object, ...]]) -> None:
    with pytest.raises(ValidationError, match=r"in alphabetical order; found|numbers of the vocabulary, rising; found"):
        Layout.model_validate({"databases": ("a",), **wrong})


def test_a_label_has_a_place_or_none() -> None:
    layout = Layout(databases=("disfa",), action_units=(4, 12), intensities=(12,))
    assert layout.holds("au", 12, 1)
    assert not layout.holds("au", 1, 1)
    assert layout.holds("au_intensity", 12, 3.0)
    assert not layout.holds("au_intensity", 12, 2.5)
    assert not layout.holds("au_intensity", 4, 3.0)
    assert layout.model_copy(update={"whole_intensities": False}).holds("au_intensity", 12, 2.5)
    assert layout.holds("expression", 0, "anger")
    assert layout.holds("va", 0, (0.5, 0.5))
    assert not layout.holds("compound_expression", 0, "angrily disgusted")
    assert layout.model_copy(update={"side": (COMPOUND,)}).holds("compound_expression", 0, "angrily disgusted")


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("columns", "because"),
    [
        (units("au", {1: 0}), "au_mask: a row has a label of an action unit that no merged database codes"),
        (units("au_intensity", {4: 2}), "au_intensity_mask: a row has a label of an action unit that no merged"),
        (units("au_intensity", {12: 2.5}), "an intensity is no whole step"),
        ([boxes([0.5, 1.0, 2.0, 3.0])], "a face box is not in whole pixels"),
        ([boxes([1.0, 1.0, 40000.0, 3.0])], "a face box is not in whole pixels"),
    ],
)
def test_a_label_without_a_place_is_refused_by_name(columns: list[pl.Series], because: str) -> None:
    layout = Layout(databases=("disfa",), action_units=(4, 12), intensities=(12,), boxes="whole")
    assert len(layout.stored(numbered(plain_rows(1)), LABELS)) == 1
    with pytest.raises(ValueError, match=because):
        layout.stored(numbered(plain_rows(1).with_columns(columns)), LABELS)


NO_PLACE = {
    "a box": [boxes([1.0, 2.0, 3.0, 4.0])],
    "votes": [pl.Series("expression_votes", [[1.0] + [0.0] * 8], dtype=pl.Array(pl.Float32, 9))],
    "a compound expression": [pl.Series("compound_expression", [3]), pl.Series("compound_expression_mask", [True])],
}


@pytest.mark.parametrize("columns", NO_PLACE.values(), ids=NO_PLACE)
def test_a_label_whose_whole_column_is_not_stored_is_refused_and_not_dropped(columns: list[pl.Series]) -> None:
    rows = numbered(plain_rows(1).with_columns(columns))
    with pytest.raises(
        ValueError,
        match=r"(face_box|expression_votes|compound_expression_mask): a row has what no merged database codes",
    ):
        Layout(databases=("disfa",)).stored(rows, LABELS)


# ---------------------------------------------------------------- what is stored


@given(frames())
def test_the_stored_columns_have_the_types_of_the_features_and_no_null(given: tuple[Layout, pl.DataFrame]) -> None:
    layout, rows = given
    for group in layout.groups:
        stored = layout.stored(rows.with_columns(origin=pl.lit(0, pl.Int32)), group)
        assert stored.schema == layout.features(group).arrow_schema
        assert len(stored) == len(rows)
        for column in stored.columns:
            assert column.null_count == 0


def test_a_database_may_be_given_by_name_or_by_code() -> None:
    layout = Layout(databases=("disfa", "expw"))
    by_code = numbered(plain_rows(3, database=1))
    by_name = by_code.with_columns(database=pl.lit("expw"))
    assert content_hash(layout.stored(by_code, LABELS)) == content_hash(layout.stored(by_name, LABELS))


def test_origins_are_numbered_as_they_come_and_hold_every_text_once() -> None:
    rows = plain_rows(5).with_columns(pl.Series("track", ["b", "a", "b", "b", "c"]))
    found, origins = origins_of(rows)
    assert found["origin"].to_list() == [0, 1, 0, 0, 2]
    assert found["origin"].dtype == pl.Int32
    assert found.drop("origin").equals(rows)
    assert origins.to_dicts() == [
        {"release": "", "subject": "", "track": track, "source_file": "a.txt"} for track in "bac"
    ]
    assert origins.to_arrow().cast(origin_features().arrow_schema).num_rows == 3


def test_an_origin_that_comes_back_keeps_its_number() -> None:
    tracks = ["a", "a", "b", "a", "c", "b", "b"]
    rows = pl.DataFrame({"release": "", "subject": "", "track": tracks, "source_file": "x.txt", "row": range(7)})
    found, origins = origins_of(rows)
    assert origins["track"].to_list() == ["a", "b", "c"]
    assert found["origin"].to_list() == [0, 0, 1, 0, 2, 1, 1]
    assert found["row"].to_list() == list(range(7))
    assert origins_of(rows.clear())[0]["origin"].to_list() == []


def test_texts_are_read_from_database_and_origin_and_side_groups_stand_apart() -> None:
    assert stored_columns(["uid", "track", "subject", "expression_votes", "compound_expression"]) == (
        "database",
        "uid",
        "origin",
    )


def test_what_a_model_is_shown_changes_with_a_box_and_not_with_a_label() -> None:
    rows = plain_rows(2)
    labelled = rows.with_columns(expression=pl.lit(3, pl.Int64), expression_mask=pl.lit(True))
    moved = rows.with_columns(boxes([1.0, 2.0, 3.0, 4.0], [NAN] * 4))
    turned = pl.concat([rows.tail(1), rows.head(1)])
    repainted = rows.with_columns(image_digest=pl.lit("f" * 64))
    assert shown_hash(labelled) == shown_hash(rows)
    assert len({shown_hash(rows), shown_hash(moved), shown_hash(repainted), shown_hash(turned)}) == 4


def test_labels_of_three_databases_cost_few_bytes_a_row(tmp_path: Path) -> None:
    count, rng = 100_000, np.random.default_rng(0)
    one = plain_rows(1).with_columns(*units("au_intensity", {12: 3.0}), boxes([1.0, 2.0, 30.0, 40.0]))
    layout = Layout.of(THREE, [one])
    rows = pl.concat([one] * count).with_columns(
        pl.format("affwild2:{}", pl.int_range(count).cast(pl.String).str.pad_start(39, "0")).alias("uid"),
        pl.int_range(1, count + 1, dtype=pl.Int32).alias("source_line"),
        pl.Series("database", rng.integers(0, 3, count)),
        pl.Series("origin", rng.integers(0, 600, count), dtype=pl.Int32),
        pl.Series("image_digest", [rng.bytes(32).hex() for _ in range(count)]),
        pl.Series("valence", rng.uniform(-1, 1, count), dtype=pl.Float32),
    )
    assert set(rows["uid"].str.len_bytes()) == {48}
    path = tmp_path / "data.arrow"
    write_shard(path, layout.stored(rows, LABELS), layout.features(LABELS), LABELS_PER_BATCH)
    assert path.stat().st_size / count <= BYTES_A_ROW
    with pa.memory_map(str(path)) as source:
        assert pa.ipc.open_stream(source).read_all().num_rows == count


def test_the_arrow_schema_of_every_group_is_that_of_its_features_and_worked_out_once() -> None:
    layout = Layout.of(DATABASES.values(), [])
    for group in (*layout.pictures, *layout.groups, *layout.side_groups):
        assert layout.arrow_schema(group).equals(layout.features(group).arrow_schema, check_metadata=True)
    assert layout.arrow_schema(LABELS) is layout.model_copy().arrow_schema(LABELS)
