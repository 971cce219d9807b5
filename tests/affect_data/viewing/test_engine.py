"""Filters, orders and counts, against expressions that are written by hand on the labels of the schema."""

from dataclasses import replace
from urllib.parse import parse_qsl

import numpy as np
import polars as pl
import pytest

from affect_data.dataset.folder import DatasetFolder
from affect_data.errors import UnknownNameError, UsageError
from affect_data.viewing.engine import Engine
from affect_data.viewing.filters import check_view, labelled_tasks, view_of
from affect_data.viewing.table import CELLS, LabelTable, plane_cells, with_listed
from affect_data.vocabulary import ACTION_UNIT_SLOTS, EXPRESSIONS


@pytest.fixture(scope="module")
def labels(looked_at: DatasetFolder) -> pl.DataFrame:
    """The columns of the schema of all splits, in the order of the table, and `row`."""
    parts = [looked_at.labels(split).with_columns(split=pl.lit(split)) for split in looked_at.splits]
    return pl.concat(parts).with_row_index("row")


@pytest.fixture(scope="module")
def engine(table: LabelTable) -> Engine:
    return Engine(table)


def rows(engine: Engine, address: str) -> list[int]:
    return engine.rows(view_of(parse_qsl(address))).tolist()


def au(number: int) -> pl.Expr:
    return pl.col("au").arr.get(ACTION_UNIT_SLOTS[number])


def expression(name: str) -> pl.Expr:
    return pl.col("expression_mask") & (pl.col("expression") == EXPRESSIONS.index(name))


IS = pl.col("expression_mask")
BY_HAND = {
    "": pl.lit(value=True),
    "database=disfa": pl.col("database") == "disfa",
    "database=disfa&database=expw": pl.col("database").is_in(["disfa", "expw"]),
    "split=validation&database=affwild2": (pl.col("split") == "validation") & (pl.col("database") == "affwild2"),
    "expression=fear&expression=neutral": expression("fear") | expression("neutral"),
    "expression=none": ~IS,
    "expression=none&expression=anger": ~IS | expression("anger"),
    "task=expression&task=va": IS & pl.col("va_mask"),
    "task=-va&task=au": ~pl.col("va_mask") & pl.col("au_mask").arr.any(),
    "au=25": au(25) == 1,
    "au=25&au=-1": (au(25) == 1) & (au(1) == 0),
    "au=25&au=-25": au(25).is_in([0, 1]),
    "au=~25&split=train": (au(25) == -1) & (pl.col("split") == "train"),
    "intensity=25:2..4": pl.col("au_intensity").arr.get(ACTION_UNIT_SLOTS[25]).fill_nan(None).is_between(2, 4),
    "intensity=25:..": pl.col("au_intensity_mask").arr.get(ACTION_UNIT_SLOTS[25]),
    "va=-1,-1,0,0": pl.col("va_mask") & pl.col("valence").is_between(-1, 0) & pl.col("arousal").is_between(-1, 0),
    "va=0.5,1,0,-1": pl.col("va_mask") & pl.col("valence").is_between(0, 0.5) & pl.col("arousal").is_between(-1, 1),
    "subject=none": pl.col("subject") == "",
    "text=MANUALLY": pl.col("uid").str.to_lowercase().str.contains("manually", literal=True),
    "text=manually&text=.jpg": pl.col("uid").str.contains("(?i)manually") & pl.col("uid").str.contains(r"(?i)\.jpg"),
    "text=.TXT": pl.any_horizontal(pl.col("uid", "source_file").str.to_lowercase().str.contains(".txt", literal=True)),
    "text=.txt&text=04": pl.all_horizontal(
        pl.any_horizontal(pl.col("uid", "source_file").str.contains(text, literal=True)) for text in (".txt", "04")
    ),
    "rows=3,5": pl.col("row").is_in([3, 5]),
    "finding=none": pl.lit(value=True),
    "decided=open": pl.lit(value=True),
    "decided=keep": pl.lit(value=False),
}  # fmt: skip


@pytest.mark.parametrize("address", BY_HAND)
def test_a_view_has_the_rows_of_an_expression_by_hand(engine: Engine, labels: pl.DataFrame, address: str) -> None:
    expected = labels.filter(BY_HAND[address])["row"].to_list()
    assert rows(engine, address) == expected
    assert engine.counts(view_of(parse_qsl(address)))["total"] == len(expected)


def test_subjects_and_tracks_are_those_of_their_database(engine: Engine, labels: pl.DataFrame) -> None:
    first = labels.filter(pl.col("subject") != "", pl.col("track") != "").row(0, named=True)
    for key in ("subject", "track"):
        own = labels.filter(pl.col("database") == first["database"], pl.col(key) == first[key])
        assert rows(engine, f"{key}={first['database']}/{first[key]}") == own["row"].to_list()


def test_the_count_beside_a_choice_is_what_the_choice_would_show(engine: Engine) -> None:
    address = "database=affwild2&split=train&task=au"
    counted = engine.counts(view_of(parse_qsl(address)))["choices"]
    for key in ("database", "split", "expression", "decided"):
        others = "&".join(part for part in address.split("&") if not part.startswith(f"{key}="))
        for value, count in counted[key].items():
            assert count == len(rows(engine, f"{others}&{key}={value}")), (key, value)
    for key in ("task", "au"):
        for value, count in counted[key].items():
            assert count == len(rows(engine, f"{address}&{key}={value}")), (key, value)


def test_names_that_are_many_are_counted_from_the_most_on(engine: Engine, labels: pl.DataFrame) -> None:
    found = engine.counts(view_of([("split", "train")]))
    tracked = labels.filter(pl.col("split") == "train", pl.col("track") != "")
    counts = tracked.group_by("database", "track").len()
    assert found["names"]["track"] == len(counts)
    assert list(found["choices"]["track"].values()) == counts["len"].sort(descending=True).head(12).to_list()


def test_the_plane_counts_every_face_with_valence_and_arousal_once(engine: Engine, labels: pl.DataFrame) -> None:
    plane = engine.counts(view_of([("va", "-1,-1,0,0")]))["plane"]
    # Its own filter does not count.
    assert (len(plane), sum(plane)) == (CELLS**2, labels["va_mask"].sum())
    corners = plane_cells(np.float32([-1, 1, -1, 1, np.nan]), np.float32([-1, -1, 1, 1, 0])).to_list()
    assert corners == [0, CELLS - 1, CELLS * (CELLS - 1), CELLS**2 - 1, -1]


@pytest.mark.parametrize("sort", ["valence", "-valence", "track", "-track", "subject", "intensity25", "-intensity25"])
def test_an_order_is_that_of_the_values_with_missing_ones_last(engine: Engine, labels: pl.DataFrame, sort: str) -> None:
    name = sort.removeprefix("-")
    text = (
        pl.when(pl.col(name) != "").then(pl.format("{}/{}", "database", name)) if name in ("track", "subject") else None
    )
    intensity = pl.col("au_intensity").arr.get(ACTION_UNIT_SLOTS[25]).fill_nan(None)
    keys = {
        "valence": [pl.col("valence").fill_nan(None)],
        "track": [text, pl.col("frame")],
        "subject": [text, pl.when(pl.col("track") != "").then(pl.format("{}/{}", "database", "track"))],
        "intensity25": [intensity],
    }[name]
    order = labels.select(
        pl.arg_sort_by(keys, descending=sort.startswith("-"), nulls_last=True, maintain_order=True)
    ).to_series()
    assert rows(engine, f"sort={sort}") == order.to_list()


def test_rows_named_by_hand_keep_their_order(table: LabelTable) -> None:
    uids = table.frame["uid"]
    listed = with_listed(table, [uids[7], "nobody", uids[2], uids[7]])
    assert rows(Engine(listed), "rows=listed&sort=listed") == [7, 2]
    assert rows(Engine(listed), "sort=listed")[:4] == [7, 2, 0, 1]


def test_decisions_move_rows_out_of_a_view_that_was_asked_for_before(table: LabelTable) -> None:
    states = np.zeros(len(table), np.int8)
    version = 0
    engine = Engine(table, lambda: (version, pl.Series("decided", states.copy())))
    assert len(rows(engine, "decided=open")) == len(table)
    states[[4, 5]], version = 3, 1
    assert rows(engine, "decided=mask") == [4, 5]
    assert engine.counts(view_of([]))["choices"]["decided"]["mask"] == 2


@pytest.mark.parametrize(
    ("address", "error", "message"),
    [
        ("databse=disfa", UnknownNameError, "unknown filter 'databse'.*database"),
        ("database=disfaa", UnknownNameError, "unknown database 'disfaa'.*disfa"),
        ("expression=joy", UnknownNameError, "unknown expression 'joy'"),
        ("au=99", UnknownNameError, "unknown action unit '99'"),
        ("task=pose", UnknownNameError, "unknown task 'pose'"),
        ("va=1,2", UsageError, "va=1,2: give two corners"),
        ("va=1,2,x,0", UsageError, "'x' is no number"),
        ("va=nan,0,0,0", UsageError, "'nan' is no number"),
        ("intensity=25:2", UsageError, r"give a range, for example 25:0.5\.\.1"),
        ("finding=nonsense", UnknownNameError, "unknown check 'nonsense'"),
        ("decided=maybe", UnknownNameError, "unknown decision 'maybe'"),
        ("rows=x", UsageError, "'x' is no number"),
        ("sort=beauty", UnknownNameError, "unknown order 'beauty'"),
    ],
)
def test_an_address_that_names_what_is_not_there_is_refused(
    table: LabelTable, address: str, error: type[Exception], message: str
) -> None:
    for ask in (lambda: check_view(table, address), lambda: rows(Engine(table), address)):
        with pytest.raises(error, match=message):
            ask()


def test_a_dataset_of_one_row_and_one_database_is_looked_at(table: LabelTable) -> None:
    one = replace(table, frame=table.frame.head(1), splits=("train",), starts=(0,))
    found = Engine(one).counts(view_of([]))
    assert (found["total"], found["choices"]["split"]) == (1, {"train": 1})
    assert rows(Engine(one), "sort=-valence") == [0]
    assert len(labelled_tasks(one)) == 1


def test_tasks_of_a_database_are_those_that_it_labels(table: LabelTable) -> None:
    found = labelled_tasks(table)
    assert (found["expw"], found["disfa"], found["afew_va"]) == (["expression"], ["au"], ["va"])
    assert found["affwild2"] == ["expression", "au", "va"]
