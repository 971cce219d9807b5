"""What two datasets differ in, folders and locks: what decides is what they hold, not how their recipes are worded."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from affect_data.build.build import build
from affect_data.build.diff import diff
from affect_data.build.existing import lock_at
from affect_data.build.recipe import recipe_from
from affect_data.corrections.decisions import Decision, Labels
from affect_data.corrections.versions import apply_decisions, undo_version
from affect_data.dataset.folder import open_dataset
from affect_data.demo.world import World, write_demo
from affect_data.errors import DataError, NotADatasetError
from affect_data.vocabulary import EXPRESSIONS


@pytest.fixture
def one(make_expw: Callable[..., Path], tmp_path: Path) -> Path:
    make_expw(tmp_path / "expw", faces=9)
    return built(tmp_path / "expw", tmp_path / "one")


def built(root: Path, out: Path, **recipe: object) -> Path:
    options = recipe.pop("expw", {})
    values = {"databases": {"expw": options}, "workers": 1, **recipe}
    report = build(recipe_from(values, "data.yaml"), {"expw": root}, out, accept_incomplete=True)
    return report.dataset.path


def of_an_older_affectkit(dataset: Path) -> Path:
    """A folder with what a lock of 0.1.0 says."""
    folder = dataset.with_name("old")
    folder.mkdir()
    lock = lock_at(dataset)
    for key in ("content", "fingerprints"):
        del lock[key]
    (folder / "dataset.lock.json").write_text(json.dumps({**lock, "fingerprint": "0123456789abcdef"}))
    (folder / "dataset.json").write_text('{"format": "affectkit-dataset", "format_version": 1}')
    return folder


def test_folders_and_locks_are_compared_alike(one: Path, tmp_path: Path) -> None:
    lock = shutil.copy(one / "dataset.lock.json", tmp_path / "one.lock.json")
    two = built(tmp_path / "expw", tmp_path / "two", expw={"holdout": 0.5})
    for before, after in ((one, two), (lock, two), (one, two / "dataset.lock.json"), (lock, two / "dataset.lock.json")):
        assert diff(before, after).found[:3] == (
            "expw.holdout: 0.0, now 0.5",
            "train: expw 9 rows, now 4",
            "validation: expw 0 rows, now 5",
        )
    for before, after in ((one, one), (one, lock), (lock, one), (lock, lock)):
        assert diff(before, after) == diff(one, one)
        assert diff(before, after).found == ()


def test_another_wording_makes_no_other_dataset_and_is_named(one: Path, tmp_path: Path) -> None:
    other = built(tmp_path / "expw", tmp_path / "other", shard_rows=4)
    assert open_dataset(other).fingerprint != open_dataset(one).fingerprint
    assert diff(one, other).found == ()
    assert diff(one, other).wording == ("shard_rows: None, now 4",)


def test_decisions_that_were_applied_after_the_build_are_a_difference_until_they_are_undone(
    one: Path, tmp_path: Path
) -> None:
    same, folder = built(tmp_path / "expw", tmp_path / "same"), open_dataset(one)
    row = folder.labels("train").row(0, named=True)
    decision = Decision(
        id="d" * 32,
        split="train",
        database="expw",
        dataset=folder.fingerprint,
        action="mask",
        old=Labels(expression=EXPRESSIONS[row["expression"]]),
        new=Labels(expression=None),
        who="ada",
        when="2020-01-01T00:00:00+00:00",
        **{name: row[name] for name in ("uid", "image_digest", "face")},
    )
    (tmp_path / "decisions.jsonl").write_text(decision.to_line())
    apply_decisions(one, tmp_path / "decisions.jsonl")
    assert diff(same, one).found == ("decisions: 0 applied, now 1",)
    assert diff(one, same / "dataset.lock.json").found == ("decisions: 1 applied, now 0",)
    assert diff(one, shutil.copytree(one, tmp_path / "copy")).found == ()
    undo_version(one)
    assert diff(same, one).found == ()


def test_a_dataset_of_format_1_is_compared_as_far_as_its_lock_says(one: Path) -> None:
    old = of_an_older_affectkit(one)
    because = (
        f"labels and pictures are not compared: the lock of '{old}' is of an older affectkit and does not name them"
    )
    assert diff(old, one).found == (because,)
    assert diff(one, old).found == (because,)
    assert diff(old, old).found == ()
    lock = lock_at(one)
    lock["upgraded_from"] = {"format_version": 1, "fingerprint": "0123456789abcdef"}
    (one / "dataset.lock.json").write_text(json.dumps(lock))
    assert diff(old, one).found == ()


def test_lines_without_a_row_are_named_where_all_rows_are_equal(one: Path, tmp_path: Path) -> None:
    lines = tmp_path / "expw/label/label.lst"
    lines.write_text(lines.read_text() + "gone.png 0 1 2 12 13 20.5 1\n")
    other = built(tmp_path / "expw", tmp_path / "other")
    assert open_dataset(other).fingerprint == open_dataset(one).fingerprint
    assert "lines without a row: expw" in diff(one, other).found


def test_column_groups_that_one_has_alone_are_named(one: Path, tmp_path: Path) -> None:
    write_demo(tmp_path / "world", faces=12, world=World(shares={"ferplus": 1.0}))
    recipe = recipe_from({"databases": {"ferplus": {}}, "workers": 1}, "data.yaml")
    two = build(recipe, {"ferplus": tmp_path / "world/ferplus"}, tmp_path / "two").dataset.path
    assert diff(one, two).found[:2] == ("expw is gone", "ferplus is new")
    assert "train: the column group votes is new" in diff(one, two / "dataset.lock.json").found
    assert "train: the column group votes is gone" in diff(two, one).found


@pytest.mark.parametrize("text", ["{", "[]", "{}"])
def test_what_is_no_lock_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(DataError, match=r"is no lock of a dataset|cannot be read"):
        lock_at(tmp_path / "a.json")
    with pytest.raises(DataError, match="does not exist"):
        lock_at(tmp_path / "gone.json")


def test_a_folder_without_a_lock_says_what_it_is_and_what_to_name(
    one: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        NotADatasetError, match=rf"'{tmp_path}' is no .* it is a folder of something else. Name a dataset folder"
    ):
        diff(Path(), Path())
    (one / "dataset.lock.json").unlink()
    with pytest.raises(NotADatasetError, match="it is lost, and nobody knows what the dataset was made from"):
        lock_at(one)


def test_an_unfinished_dataset_is_refused(one: Path) -> None:
    (one / "dataset.json").unlink()
    with pytest.raises(NotADatasetError, match="was not built to its end"):
        diff(one, one)


def test_the_command_ends_with_1_where_they_differ(
    one: Path, tmp_path: Path, affect_data: Callable[..., CompletedProcess[str]]
) -> None:
    same = affect_data("diff", one, built(tmp_path / "expw", tmp_path / "other", shard_rows=4))
    assert (same.returncode, same.stdout.splitlines()) == (
        0,
        ["the same rows, labels and pictures", "another wording that makes no difference: shard_rows: None, now 4"],
    )
    other = affect_data("diff", of_an_older_affectkit(one), one, "--json")
    assert other.returncode == 1
    assert json.loads(other.stdout)["equal"] is False
