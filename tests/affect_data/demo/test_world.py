"""The demo databases: every database has one, the same seed gives the same bytes, and the truth stands apart."""

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from affect_data.databases.registry import DATABASES
from affect_data.demo.sampler import DEMO_ACTION_UNITS, PRESENT_ABOVE
from affect_data.demo.world import SHARES, STYLES, write_demo
from affect_data.errors import DataError
from affect_data.vocabulary import EXPRESSIONS


@pytest.fixture(scope="module")
def truth(demo_world: Path) -> pl.DataFrame:
    return pl.read_parquet(demo_world / "truth.parquet")


def test_every_database_has_a_share_and_a_style() -> None:
    assert set(SHARES) == set(STYLES) == set(DATABASES)
    assert sum(SHARES.values()) == pytest.approx(1.0)


def test_a_folder_for_each_database_and_the_truth_apart(demo_world: Path) -> None:
    assert {path.name for path in demo_world.iterdir()} == {*DATABASES, "truth.parquet", "faces.png"}


def test_about_as_many_faces_as_were_asked_for(truth: pl.DataFrame) -> None:
    assert 0.8 * 300 <= len(truth) <= 1.2 * 300


def test_the_truth_is_known_for_every_face_in_full(truth: pl.DataFrame) -> None:
    assert truth.columns == [
        "database", "image", "face", "subject", "expression", "valence", "arousal",
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
