"""The weights of clean and of corrupted rows, against scikit-learn's area under the curve, and what cannot be compared."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score
from typer.testing import CliRunner

from affect_data.dataset.folder import open_dataset
from affect_data.errors import DataError, NotADatasetError, UnknownNameError
from affect_train.cli.app import app
from affect_train.errors import ModelMismatchError
from affect_train.evaluation.separation import separation

ROWS = 60
CORRUPTED = range(0, ROWS, 3)
WITHOUT_TRUTH = (1, 2)
NEVER_CAME = (4, 5, 6)


def weight_of(number: int) -> float:
    """Ties on purpose; corrupted rows weigh less on the whole."""
    return round(((number * 7) % 11) / 20 + (0.0 if number in CORRUPTED else 0.25), 3)


def corrupted(row: dict[str, Any]) -> dict[str, Any]:
    if row["frame"] in CORRUPTED:
        row["expression"] = (row["expression"] + 1) % 7
    return row


def partly_known(row: dict[str, Any]) -> dict[str, Any]:
    if row["frame"] in WITHOUT_TRUTH:
        row["expression"], row["expression_mask"] = -1, False
    return row


@pytest.fixture
def numbers() -> list[int]:
    return [number for number in range(ROWS) if number not in NEVER_CAME]


@pytest.fixture
def folders(tmp_path: Path, world: SimpleNamespace, numbers: list[int]) -> SimpleNamespace:
    """A dataset a third of whose expressions are wrong, its truth, and a run that has weights for most rows."""
    splits = {"train": [(number, ("expression",)) for number in range(ROWS)], "validation": [(100, ("expression",))]}
    write: Callable[..., Path] = world.write_dataset
    dataset = write(tmp_path / "merged", splits, edit=corrupted)
    truth = write(tmp_path / "truth", splits, edit=partly_known)
    run = tmp_path / "run"
    run.mkdir()
    uids = [world.label_row(number, ())["uid"] for number in numbers]
    weights = np.array([weight_of(number) for number in numbers], dtype=np.float32)
    # In another order than the dataset's.
    pl.DataFrame({"uid": uids[::-1], "weight": weights[::-1]}).write_parquet(run / "weights.parquet")
    return SimpleNamespace(dataset=dataset, truth=truth, run=run, write=write, splits=splits)


def test_weights_are_joined_to_both_datasets_by_uid_and_rows_are_counted(
    folders: SimpleNamespace, numbers: list[int]
) -> None:
    found = separation(folders.run, folders.dataset, folders.truth)
    known = [number for number in numbers if number not in WITHOUT_TRUTH]
    clean = np.array([number not in CORRUPTED for number in known])
    weights = np.array([weight_of(number) for number in known])
    assert found["auroc"] == pytest.approx(roc_auc_score(clean, weights), abs=1e-12)
    assert (found["clean"]["rows"], found["corrupted"]["rows"]) == (int(clean.sum()), int((~clean).sum()))
    assert found["clean"]["mean_weight"] == pytest.approx(weights[clean].mean(), abs=1e-6)
    assert found["corrupted"]["mean_weight"] == pytest.approx(weights[~clean].mean(), abs=1e-6)
    assert found["not_compared"] == len(WITHOUT_TRUTH)
    assert found["without_weight"] == len(NEVER_CAME)
    assert (found["dataset"], found["truth"]) == tuple(
        open_dataset(folder).fingerprint for folder in (folders.dataset, folders.truth)
    )


def test_the_rows_of_each_label_have_an_area_of_their_own(folders: SimpleNamespace, numbers: list[int]) -> None:
    found = separation(folders.run, folders.dataset, folders.truth)["by_expression"]
    labels = {number: (number % 7 + (number in CORRUPTED)) % 7 for number in numbers if number not in WITHOUT_TRUTH}
    assert len(found) == len(set(labels.values()))
    for code, one in enumerate(found.values()):
        rows = [number for number, label in labels.items() if label == code]
        clean = [number not in CORRUPTED for number in rows]
        assert one["clean"]["rows"] + one["corrupted"]["rows"] == len(rows)
        assert one["auroc"] == pytest.approx(roc_auc_score(clean, [weight_of(number) for number in rows]), abs=1e-12)


def test_the_command_prints_a_table_or_json_and_writes_what_it_found(folders: SimpleNamespace, tmp_path: Path) -> None:
    arguments = ["separation", *map(str, (folders.run, folders.dataset, folders.truth))]
    printed = CliRunner().invoke(app, [*arguments, "--json", "--output", str(tmp_path / "found.json")])
    found = separation(folders.run, folders.dataset, folders.truth)
    assert json.loads(printed.stdout) == json.loads((tmp_path / "found.json").read_text()) == found
    shown = CliRunner().invoke(app, arguments).stdout
    assert shown.splitlines()[1].split()[:2] == ["all", f"{found['auroc']:.3f}"]
    assert f"apart: {len(WITHOUT_TRUTH)} rows without a true expression, {len(NEVER_CAME)} that never came" in shown


def test_a_run_without_weights_is_refused(folders: SimpleNamespace, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"has no weights of rows.*method `meta_auxiliary`"):
        separation(tmp_path / "none", folders.dataset, folders.truth)


def test_datasets_of_other_rows_are_refused(folders: SimpleNamespace, tmp_path: Path) -> None:
    fewer = {**folders.splits, "train": folders.splits["train"][:-2]}
    other = folders.write(tmp_path / "other", fewer)
    with pytest.raises(
        ModelMismatchError, match=r"found 2 rows that '.*other' lacks, such as .*; expected the same rows in both"
    ):
        separation(folders.run, folders.dataset, other)
    with pytest.raises(ModelMismatchError, match=r"found 2 rows that '.*other' lacks"):
        separation(folders.run, other, folders.truth)


def test_weights_of_rows_that_the_dataset_does_not_hold_are_refused(folders: SimpleNamespace) -> None:
    with pytest.raises(ModelMismatchError, match=r"found 57 weighted rows that the dataset does not hold"):
        separation(folders.run, folders.dataset, folders.truth, split="validation")


def test_labels_that_are_all_right_leave_nothing_to_separate(folders: SimpleNamespace) -> None:
    with pytest.raises(
        DataError, match=r"weights of 55 clean and 0 corrupted rows, so that there is nothing to separate"
    ):
        separation(folders.run, folders.truth, folders.truth)


def test_an_unknown_split_and_a_missing_dataset_are_named(folders: SimpleNamespace, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"unknown split of '.*merged' 'test'; known: train, validation"):
        separation(folders.run, folders.dataset, folders.truth, split="test")
    with pytest.raises(NotADatasetError, match=r"'.*absent' is no affectkit dataset"):
        separation(folders.run, folders.dataset, tmp_path / "absent")
