"""Stored labels come back as the columns of the schema: every value, every type, whatever the layout has no place for."""

from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from labelled_rows import Row, write_dataset
from stored_rows import NAMES, frames, plain_rows, stored_with_view

from affect_data.dataset.hashing import content_hash
from affect_data.dataset.label_chunks import label_chunks
from affect_data.dataset.layout import Layout, stored_columns
from affect_data.dataset.schema import COLUMNS_BY_NAME, LABELS, arrow_schema
from affect_data.vocabulary import ACTION_UNIT_SLOTS

ONE = Layout(databases=("expw",))


def in_arrow(rows: pl.DataFrame) -> pa.Table:
    return rows.select(NAMES).to_arrow().cast(arrow_schema(LABELS))


@given(frames())
def test_what_a_layout_holds_comes_back_value_by_value_and_type_by_type(given: tuple[Layout, pl.DataFrame]) -> None:
    layout, rows = given
    stored, view = stored_with_view(layout, rows)
    shown = view.table(stored, NAMES)
    assert shown.schema == arrow_schema(LABELS)
    for name in NAMES:
        assert content_hash(shown.select([name])) == content_hash(in_arrow(rows).select([name])), name


@given(frames())
def test_each_column_comes_back_alone_and_in_parts(given: tuple[Layout, pl.DataFrame]) -> None:
    layout, rows = given
    stored, view = stored_with_view(layout, rows)
    half = len(rows) // 2
    for name in NAMES:
        part = stored.select([own for own in stored.column_names if own in {*stored_columns([name]), name}])
        pieces = pa.concat_tables([view.table(part.slice(0, half), [name]), view.table(part.slice(half), [name])])
        assert content_hash(pieces) == content_hash(in_arrow(rows).select([name])), name


@given(frames())
def test_a_frame_has_the_database_by_name(given: tuple[Layout, pl.DataFrame]) -> None:
    layout, rows = given
    stored, view = stored_with_view(layout, rows)
    names = [layout.databases[code] for code in rows["database"]]
    assert view.frame(stored, ["database", "track"]).equals(
        pl.DataFrame({"database": pl.Series(names, dtype=pl.String), "track": rows["track"]})
    )


def test_columns_that_no_database_has_are_fills() -> None:
    stored, view = stored_with_view(ONE, plain_rows(3))
    absent = ["au", "au_mask", "au_intensity", "au_intensity_mask", "expression_votes", "face_box"]
    absent += ["compound_expression", "compound_expression_mask"]
    assert not set(absent) & set(stored.column_names)
    shown = view.table(stored, absent)
    for name in absent:
        column = shown.column(name).combine_chunks()
        assert column.type == COLUMNS_BY_NAME[name].type
        assert column.null_count == 0
    assert shown.column("compound_expression").to_pylist() == [-1] * 3
    assert not any(shown.column("compound_expression_mask").to_pylist())
    assert set(shown.column("au").combine_chunks().flatten().to_pylist()) == {-1}
    for name in ("au_intensity", "expression_votes", "face_box"):
        assert np.isnan(shown.column(name).combine_chunks().flatten().to_numpy()).all(), name
    for name in ("au_mask", "au_intensity_mask"):
        assert not any(shown.column(name).combine_chunks().flatten().to_pylist()), name


def test_a_dataset_of_which_nothing_that_is_asked_for_is_stored_has_its_rows_all_the_same(tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path / "merged", [Row("expw", "train", expression="fear")] * 3)
    assert dataset.groups("train") == (LABELS,)
    for names in (["au"], ["expression_votes"], ["compound_expression", "compound_expression_mask"], ["face_box"]):
        assert dataset.labels("train", names).height == 3
        (chunk,) = label_chunks(dataset, "train", names)
        assert len(chunk[names[0]]) == 3


def test_an_action_unit_comes_back_in_the_slot_of_the_vocabulary() -> None:
    layout = ONE.model_copy(update={"action_units": (4, 12)})
    au = np.full((2, 40), -1)
    au[0, ACTION_UNIT_SLOTS[12]], au[1, ACTION_UNIT_SLOTS[4]] = 1, 0
    rows = plain_rows(2).with_columns(
        pl.Series("au", au, dtype=pl.Array(pl.Int8, 40)), pl.Series("au_mask", au >= 0, dtype=pl.Array(pl.Boolean, 40))
    )
    stored, view = stored_with_view(layout, rows)
    assert stored.column("au").to_pylist() == [{"AU4": -1, "AU12": 1}, {"AU4": 0, "AU12": -1}]
    assert view.frame(stored, ["au", "au_mask"]).equals(rows.select("au", "au_mask"))


@pytest.mark.parametrize(
    ("box", "layout", "shown"),
    [
        ([3.0, 4.0, 30.0, 40.0], "whole", [3.0, 4.0, 30.0, 40.0]),
        ([-3.0, 0.0, 0.0, 40.0], "whole", [-3.0, 0.0, 0.0, 40.0]),
        ([0.5, 0.25, 1.0, 2.0], "exact", [0.5, 0.25, 1.0, 2.0]),
        ([0.0, 0.0, 0.0, 0.0], "exact", [0.0, 0.0, 0.0, 0.0]),
    ],
)
def test_boxes_come_back_whole_or_exact(box: list[float], layout: str, shown: list[float]) -> None:
    rows = plain_rows(2).with_columns(pl.Series("face_box", [box, [float("nan")] * 4], dtype=pl.Array(pl.Float32, 4)))
    stored, view = stored_with_view(ONE.model_copy(update={"boxes": layout}), rows)
    found = view.frame(stored, ["face_box"])["face_box"].to_numpy()
    assert found[0].tolist() == shown
    assert np.isnan(found[1]).all()


def test_codes_number_texts_in_the_order_of_the_rows_within_their_database() -> None:
    layout = Layout(databases=("disfa", "expw"))
    subjects = ["z", "", "a", "z", "z", "", "a", "q"]
    databases = [0, 0, 0, 0, 1, 1, 1, 0]
    rows = pl.concat([plain_rows(8).drop("subject", "database")], how="horizontal").with_columns(
        pl.Series("subject", subjects), pl.Series("database", databases, dtype=pl.Int64)
    )
    stored, view = stored_with_view(layout, rows)
    codes = view.codes(stored, "subject")
    assert codes.dtype == np.int64
    assert codes.tolist() == [0, -1, 1, 0, 2, -1, 3, 4]


@given(frames())
def test_rows_have_one_code_exactly_where_database_and_text_are_one(given: tuple[Layout, pl.DataFrame]) -> None:
    layout, rows = given
    stored, view = stored_with_view(layout, rows)
    for name in ("release", "subject", "track", "source_file"):
        seen: dict[tuple[int, str], int] = {}
        expected = [
            -1 if not text else seen.setdefault((database, text), len(seen))
            for database, text in rows.select("database", name).iter_rows()
        ]
        assert view.codes(stored, name).tolist() == expected
