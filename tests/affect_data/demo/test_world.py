"""The demo databases: every database has one, the same seed gives the same bytes, and the truth stands apart."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from affect_data.databases.registry import DATABASES
from affect_data.demo.generators import generator_of
from affect_data.demo.sampler import DEMO_ACTION_UNITS, PRESENT_ABOVE
from affect_data.demo.style import Style
from affect_data.demo.world import SHARES, World, write_demo
from affect_data.errors import DataError, UnknownNameError, UsageError
from affect_data.vocabulary import EXPRESSIONS


@pytest.fixture(scope="module")
def truth(demo_world: Path) -> pl.DataFrame:
    return pl.read_parquet(demo_world / "truth.parquet")


@pytest.mark.parametrize("name", sorted(DATABASES))
def test_every_database_has_a_generator_that_states_its_style(name: str) -> None:
    assert isinstance(generator_of(name).STYLE, Style)
    assert World({name: 1.0}).style(name) == generator_of(name).STYLE


def test_the_usual_world_holds_some_of_the_databases() -> None:
    assert set(SHARES) <= set(DATABASES)
    assert sum(SHARES.values()) == pytest.approx(1.0)


def test_a_folder_for_each_database_and_the_truth_apart(demo_world: Path) -> None:
    assert {path.name for path in demo_world.iterdir()} == {*SHARES, "truth.parquet", "faces.png"}


def test_about_as_many_faces_as_were_asked_for(truth: pl.DataFrame) -> None:
    assert 0.8 * 300 <= len(truth) <= 1.2 * 300


def test_the_truth_is_known_for_every_face_in_full(truth: pl.DataFrame) -> None:
    assert truth.columns == [
        "database", "image", "face", "subject", "expression", "shown", "compound", "valence", "arousal",
        *(f"au_{number}" for number in DEMO_ACTION_UNITS), *(f"strength_{number}" for number in DEMO_ACTION_UNITS),
    ]  # fmt: skip
    assert truth.null_count().transpose().to_series().sum() == 0
    assert not truth.select("database", "image", "face").is_duplicated().any()
    assert set(truth["expression"]) <= set(EXPRESSIONS)
    for number in DEMO_ACTION_UNITS:
        assert (truth[f"au_{number}"] == (truth[f"strength_{number}"] > PRESENT_ABOVE).cast(pl.Int64)).all()


def test_every_picture_of_the_truth_is_there(truth: pl.DataFrame, demo_world: Path) -> None:
    for name, image in truth.select("database", "image").iter_rows():
        assert (demo_world / name / image.partition("#")[0]).is_file()


def test_no_person_is_in_two_databases_under_one_look(truth: pl.DataFrame) -> None:
    assert truth.filter(pl.col("subject") == "").is_empty()
    assert truth["subject"].n_unique() > 20


def test_the_same_seed_gives_the_same_bytes_with_any_number_of_workers(
    tmp_path: Path, digests: Callable[[Path], dict[str, str]]
) -> None:
    told: list[tuple[str, int, int]] = []
    write_demo(tmp_path / "one", seed=3, faces=60, progress=lambda *step: told.append(step))
    write_demo(tmp_path / "two", seed=3, faces=60, workers=2)
    write_demo(tmp_path / "other", seed=4, faces=60)
    assert digests(tmp_path / "one") == digests(tmp_path / "two")
    assert digests(tmp_path / "one") != digests(tmp_path / "other")
    assert told == [("drawing faces", done, len(SHARES)) for done in range(1, len(SHARES) + 1)]


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("mine")
    with pytest.raises(DataError, match=r"is not empty; name a new folder for the demo databases"):
        write_demo(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


# ---------------------------------------------------------------- harder worlds


def test_a_world_can_hold_other_databases_in_other_shares(tmp_path: Path) -> None:
    write_demo(tmp_path / "world", faces=100, world=World({"expw": 3, "disfa": 1}))
    truth = pl.read_parquet(tmp_path / "world" / "truth.parquet")
    counts = dict(truth["database"].value_counts().iter_rows())
    assert set(counts) == {"expw", "disfa"}
    assert 60 <= counts["expw"] <= 80


@pytest.fixture(scope="module")
def harder_truth(tmp_path_factory: pytest.TempPathFactory) -> pl.DataFrame:
    """The truth of a world with wrong labels in one database and all expressions equally often in both."""
    world = World({"expw": 1, "affectnet": 2}, label_noise={"expw": 0.4}, imbalance=0.0)
    return write_demo(tmp_path_factory.mktemp("harder") / "world", seed=1, faces=750, world=world)


def test_noisy_labels_differ_from_what_the_face_shows_about_as_often_as_was_asked(harder_truth: pl.DataFrame) -> None:
    wrong = harder_truth.group_by("database").agg((pl.col("expression") != pl.col("shown")).mean())
    shares = dict(wrong.iter_rows())
    assert shares["affectnet"] == 0.0
    assert 0.3 < shares["expw"] < 0.5


def test_without_imbalance_every_expression_is_shown_about_equally_often(harder_truth: pl.DataFrame) -> None:
    counts = harder_truth.filter(pl.col("database") == "affectnet")["shown"].value_counts()["count"]
    assert len(counts) == 8
    assert counts.min() > 0.5 * counts.max()  # by the usual frequencies it is 4 against 30


def test_shift_moves_the_styles_apart_and_nuisance_makes_all_of_them_harder() -> None:
    style = Style(rotation=8.0, tint=(1.1, 1.0, 0.9), brightness=0.8)
    assert style.moved(1.0) == style == style.harder(1.0)
    assert style.moved(0.0) == Style()
    assert style.moved(2.0).rotation == 10.0  # the ordinary 6, and twice the difference of 2
    assert style.moved(2.0).tint == pytest.approx((1.2, 1.0, 0.8))
    assert style.moved(2.0).brightness == pytest.approx(0.6)
    assert style.harder(1.5).rotation == 12.0
    assert style.harder(1.5).brightness == 0.8


@pytest.mark.parametrize(
    ("world", "error", "message"),
    [
        ({"shares": {"expv": 1.0}}, UnknownNameError, "unknown demo database 'expv'"),
        ({"shares": {"expw": 0.0}}, UsageError, "each with a share above 0"),
        ({"label_noise": {"expw": 1.0}}, UsageError, "0 or more, less than 1"),
        ({"shares": {"expw": 1}, "label_noise": {"disfa": 0.1}}, UsageError, "set for disfa, which this world"),
        ({"shift": -1.0}, UsageError, "are 0 or more"),
    ],
)
def test_an_impossible_world_is_refused(world: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        World(**world)
