"""A build where a dataset stands already: equal is equal whatever the recipe says, and what differs is named."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from datasets import Features, Value

from affect_data.build.build import build
from affect_data.build.existing import OutputTakenError
from affect_data.build.recipe import recipe_from
from affect_data.corrections.decisions import Decision
from affect_data.corrections.versions import apply_decisions
from affect_data.dataset.folder import DatasetFolder, open_dataset
from affect_data.dataset.kinds.balance import BALANCE
from affect_data.dataset.kinds.features import FEATURES
from affect_data.dataset.writing import add_group
from affect_data.errors import DataError, UsageError
from affect_data.files import exclusive
from affect_data.vocabulary import EXPRESSIONS

Make = Callable[..., Path]


@pytest.fixture
def root(make_expw: Make, tmp_path: Path) -> Path:
    return make_expw(tmp_path / "expw", faces=12)


def built(root: Path, out: Path, *, overwrite: bool = False, **recipe: object):
    options = recipe.pop("expw", {})
    return build(
        recipe_from({"databases": {"expw": options}, **recipe}, "data.yaml"), {"expw": root}, out, overwrite=overwrite
    )


def with_features(dataset: DatasetFolder, name: str = "dino") -> DatasetFolder:
    """The dataset with stored features, and with a balance of its labels."""
    tables = [
        (split, pa.table({f"features.{name}": np.zeros(dataset.rows(split), np.float32)})) for split in dataset.splits
    ]
    described = Features({f"features.{name}": Value("float32")})
    dataset = add_group(dataset, f"features.{name}", tables, described, {"made_from": FEATURES.made_from(dataset)})
    weights = [("train", pa.table({"balance.even.expression": np.ones(dataset.rows("train"), np.float32)}))]
    described = Features({"balance.even.expression": Value("float32")})
    return add_group(dataset, "balance.even", weights, described, {"made_from": BALANCE.made_from(dataset)})


@pytest.fixture
def decide_about() -> Callable[..., Path]:
    """A function that writes a file of one decision: another expression for a row."""

    def make(dataset: Path, split: str, row: int) -> Path:
        folder = open_dataset(dataset)
        labels = folder.labels(split).row(row, named=True)
        new = {"expression": "contempt"}
        document = {
            **{name: labels[name] for name in ("uid", "image_digest", "face", "database")},
            "id": "d1",
            "split": split,
            "dataset": folder.fingerprint,
            "action": "correct",
            "old": {"expression": EXPRESSIONS[labels["expression"]]},
            "new": new,
            "who": "ada",
            "when": "2026-11-22T10:00:00+00:00",
            "why": "by hand",
        }
        path = dataset.with_name("decisions.jsonl")
        path.write_text(Decision.model_validate_json(json.dumps(document)).to_line())
        return path

    return make


def files(folder: Path) -> dict[str, tuple[tuple[int, int], bytes]]:
    # A build may note in `.seen` that a file is no longer new.
    hidden = {".lock", ".seen"}
    found = (path for path in sorted(folder.rglob("*")) if path.is_file() and not hidden & set(path.parts))
    return {
        path.relative_to(folder).as_posix(): ((path.stat().st_ino, path.stat().st_mtime_ns), path.read_bytes())
        for path in found
    }


@pytest.mark.parametrize(
    "wording", [{"shard_rows": 5}, {"workers": 1}, {"expw": {"holdout": 0.0}}, {"splits": {"seed": 7}}]
)
def test_another_wording_of_the_same_dataset_touches_nothing(root: Path, tmp_path: Path, wording: dict) -> None:
    first = built(root, tmp_path / "merged")
    before = files(first.dataset.path)
    again = built(root, tmp_path / "merged", **wording)
    assert again.unchanged
    assert files(again.dataset.path) == before


def test_what_differs_is_named_before_it_is_refused(root: Path, tmp_path: Path) -> None:
    built(root, tmp_path / "merged")
    with pytest.raises(
        OutputTakenError,
        match=r"expw\.holdout: 0\.0, now 0\.5; train: expw 12 rows, now 5; validation: expw 0 rows, now 7",
    ):
        built(root, tmp_path / "merged", expw={"holdout": 0.5})
    lines = (root / "label/label.lst").read_text().splitlines(keepends=True)
    (root / "label/label.lst").write_text("".join(lines[1:]))
    with pytest.raises(
        OutputTakenError,
        match=r"holds another dataset \(expw: label/label.lst has changed; train: expw 12 rows, now 11\)",
    ):
        built(root, tmp_path / "merged")


def test_another_picture_is_named_by_split_and_database(root: Path, tmp_path: Path) -> None:
    built(root, tmp_path / "merged")
    pictures = sorted((root / "image/origin").iterdir())
    shutil.copy(pictures[0], pictures[1])
    with pytest.raises(OutputTakenError, match=r"pictures of train: expw"):
        built(root, tmp_path / "merged")


def test_overwriting_keeps_what_still_fits_and_names_what_does_not(root: Path, tmp_path: Path) -> None:
    dataset = with_features(built(root, tmp_path / "merged").dataset)
    stored = files(dataset.path / "train/features.dino")
    line, *others = (root / "label/label.lst").read_text().splitlines(keepends=True)
    code = line.split()[-1]
    (root / "label/label.lst").write_text("".join([f"{line[: line.rindex(code)]}{(int(code) + 1) % 7}\n", *others]))
    report = built(root, tmp_path / "merged", overwrite=True)
    assert report.groups_kept == ("features.dino",)
    assert report.groups_lost == ("balance.even (other labels)",)
    assert [data for _, data in files(tmp_path / "merged/train/features.dino").values()] == [
        d for _, d in stored.values()
    ]
    assert FEATURES.fitting(report.dataset) == ("dino",)
    assert report.dataset.load("train", ["features.dino"]).num_rows == 12


def test_what_fits_stays_although_the_files_are_cut_elsewhere(root: Path, tmp_path: Path) -> None:
    first = with_features(built(root, tmp_path / "merged", shard_rows=5).dataset)
    lines = (root / "label/label.lst").read_text().splitlines(keepends=True)
    (root / "label/label.lst").write_text("".join([lines[0].rstrip()[:-1] + "5\n", *lines[1:]]))
    report = built(root, tmp_path / "merged", overwrite=True)
    assert report.dataset.manifest.fingerprints.pictures != first.manifest.fingerprints.pictures
    assert (report.groups_kept, report.groups_lost) == (("features.dino",), ("balance.even (other labels)",))
    assert FEATURES.fitting(report.dataset) == ("dino",)
    pictures = sorted((root / "image/origin").iterdir())
    shutil.copy(pictures[0], pictures[1])
    report = built(root, tmp_path / "merged", overwrite=True, shard_rows=5)
    assert report.groups_lost == ("features.dino (other pictures)",)


def test_an_overwrite_that_is_killed_between_its_renames_keeps_the_groups_when_it_is_run_again(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_features(built(root, tmp_path / "merged").dataset)
    lines = (root / "label/label.lst").read_text().splitlines(keepends=True)
    (root / "label/label.lst").write_text("".join([lines[0].rstrip()[:-1] + "5\n", *lines[1:]]))
    rename = os.rename

    def killed(source: Path, target: Path) -> None:
        if Path(source).name == ".merged.building":
            raise KeyboardInterrupt
        rename(source, target)

    with monkeypatch.context() as patched:
        patched.setattr(os, "rename", killed)
        with pytest.raises(KeyboardInterrupt):
            built(root, tmp_path / "merged", overwrite=True)
    assert not (tmp_path / "merged").exists()
    report = built(root, tmp_path / "merged", overwrite=True)
    assert report.groups_kept == ("features.dino",)
    assert FEATURES.fitting(report.dataset) == ("dino",)


def test_nobody_adds_to_a_dataset_while_it_is_replaced(root: Path, tmp_path: Path) -> None:
    built(root, tmp_path / "merged")
    with exclusive(tmp_path / "merged"), pytest.raises(DataError, match="is being written by another process"):
        built(root, tmp_path / "merged", overwrite=True, expw={"holdout": 0.5})


def test_decisions_that_were_applied_before_the_recipe_named_them_make_no_other_dataset(
    root: Path, tmp_path: Path, decide_about: Callable[..., Path]
) -> None:
    built(root, tmp_path / "merged")
    decisions = decide_about(tmp_path / "merged", "train", 0)
    apply_decisions(tmp_path / "merged", decisions)
    with pytest.raises(OutputTakenError, match=r"1 decision\(s\) were applied to it that the recipe does not name"):
        built(root, tmp_path / "merged")
    before = files(tmp_path / "merged")
    assert built(root, tmp_path / "merged", decisions=[str(decisions)]).unchanged
    assert files(tmp_path / "merged") == before
    fresh = built(root, tmp_path / "fresh", decisions=[str(decisions)])
    assert built(root, tmp_path / "fresh", decisions=[str(decisions)]).unchanged
    assert fresh.dataset.labels("train").equals(open_dataset(tmp_path / "merged").labels("train"), null_equal=True)
    with pytest.raises(OutputTakenError, match=r"1 decision\(s\) were applied to it that the recipe does not name"):
        built(root, tmp_path / "fresh")


def test_corrected_labels_are_never_taken_for_those_of_the_files_while_pictures_stay(
    root: Path, tmp_path: Path, decide_about: Callable[..., Path], digests: Callable[[Path], dict[str, str]]
) -> None:
    out = tmp_path / "merged"
    built(root, out, shard_rows=4)
    pictures = {path.stat().st_ino for path in (out / "train/images").glob("*.arrow")}
    decisions = [str(decide_about(out, "train", 0))]
    for given in ({}, {"decisions": decisions}, {"decisions": decisions, "expw": {"incomplete": "accepted"}}, {}):
        if not given:
            apply_decisions(out, Path(decisions[0]))
        built(root, out, overwrite=True, shard_rows=4, **given)
        built(root, tmp_path / "fresh", overwrite=True, shard_rows=4, **given)
        assert digests(out) == digests(tmp_path / "fresh")
        shutil.rmtree(tmp_path / "fresh")
        assert {path.stat().st_ino for path in (out / "train/images").glob("*.arrow")} == pictures


def test_shards_that_finish_in_another_order_are_the_same_dataset(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built(root, tmp_path / "merged", shard_rows=4)
    monkeypatch.setattr("affect_data.build.existing.map_jobs", lambda work, jobs, workers: list(map(work, jobs))[::-1])
    assert built(root, tmp_path / "merged", shard_rows=4).unchanged


def test_the_folder_that_one_is_in_is_not_replaced(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "merged/below").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "merged/below")
    for out in (Path(), tmp_path / "merged/below"):
        with pytest.raises(UsageError, match=r"you are in the folder '.*below'.* go to the folder above"):
            built(root, out)
    assert not any(Path().iterdir())
    monkeypatch.chdir(tmp_path)
    built(root, tmp_path / "dataset")
    monkeypatch.chdir(tmp_path / "dataset")
    assert built(root, Path()).unchanged
    with pytest.raises(UsageError, match="which would be replaced by a new one"):
        built(root, Path(), expw={"exclude": ["label/label.lst:1"]}, overwrite=True)
