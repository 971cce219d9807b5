"""A Hugging Face dataset is read from its own files, which know their rows: from a folder, as saved to disk, and from the Hub."""

from pathlib import Path
from typing import Any

import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, Image, Value
from huggingface_hub import HfApi
from loopback_hub import LoopbackHub
from own_tables import ROWS, Scanned

from affect_data.build.build import build
from affect_data.build.recipe import recipe_from
from affect_data.databases.table.hub_datasets import DatasetPlaceError

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content:DeprecationWarning")

COLUMNS: dict[str, Any] = {"expression": "label", "subject": "person"}


def dataset(own: Path) -> Dataset:
    """Pictures with classes in an order of their own; the last has no label."""
    described = Features({"image": Image(), "label": ClassLabel(names=["sad", "happy"]), "person": Value("string")})
    rows = {
        "image": [{"bytes": (own / "pictures" / row["file"]).read_bytes(), "path": None} for row in ROWS],
        "label": [0, 1, 1, -1],
        "person": [row["person"] for row in ROWS],
    }
    return Dataset.from_dict(rows, features=described)


def write_parquet(own: Path, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    dataset(own).select(range(2)).to_parquet(folder / "train-00000-of-00001.parquet")
    dataset(own).select(range(2, 4)).to_parquet(folder / "test-00000-of-00001.parquet")
    return folder


def test_a_folder_of_parquet_is_read_by_split_with_classes_by_name(own: Path, scanned: Scanned) -> None:
    write_parquet(own, own / "data")
    scan = scanned(COLUMNS, dataset={})
    assert scan.defects == ()
    train, test = "data/train-00000-of-00001.parquet", "data/test-00000-of-00001.parquet"
    assert scan.rows.select("image", "source_file", "source_line", "split", "expression").rows() == [
        (f"{train}/0", train, 1, "train", "sadness"),
        (f"{train}/1", train, 2, "train", "happiness"),
        (f"{test}/0", test, 1, "test", "happiness"),
        (f"{test}/1", test, 2, "test", None),
    ]


def test_a_dataset_that_was_saved_to_disk_is_read_from_its_arrow_files(own: Path, tmp_path: Path) -> None:
    DatasetDict(train=dataset(own)).save_to_disk(tmp_path / "saved")
    entry = {"reader": "table", "dataset": {}, "columns": COLUMNS}
    built = build(
        recipe_from({"databases": {"mine": entry}}), {"mine": tmp_path / "saved"}, tmp_path / "merged"
    ).dataset
    (picture,) = {bytes(row["bytes"]) for row in built.load("train", ["images"]).data["image"].to_pylist()[:1]}
    assert picture == (own / "pictures" / "a.png").read_bytes()
    assert built.labels("train")["source_file"].unique().to_list() == ["train/data-00000-of-00001.arrow"]
    assert not built.view.layout.clips


def test_a_dataset_of_the_hub_is_downloaded_once_and_its_commit_is_the_release(
    hub: LoopbackHub, own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = HfApi()
    api.create_repo("anna/faces", repo_type="dataset")
    commit = api.upload_folder(
        repo_id="anna/faces", repo_type="dataset", folder_path=write_parquet(own, tmp_path / "up" / "data").parent
    ).oid
    entry = {"reader": "table", "dataset": {"path": "anna/faces"}, "columns": COLUMNS}
    recipe = recipe_from({"databases": {"mine": entry}})
    built = build(recipe, {}, tmp_path / "merged")
    assert built.databases["mine"].release == commit
    assert {split: built.dataset.rows(split) for split in built.dataset.splits} == {"train": 2, "test": 2}
    local = build(recipe, {"mine": tmp_path / "up"}, tmp_path / "local").dataset
    assert local.labels("train")["image_digest"].equals(built.dataset.labels("train")["image_digest"])


def test_a_dataset_that_nobody_has_is_one_message(hub: LoopbackHub, tmp_path: Path) -> None:
    entry = {"reader": "table", "dataset": {"path": "anna/nothing"}, "columns": COLUMNS}
    with pytest.raises(DatasetPlaceError, match=r"dataset 'anna/nothing'.*by --root"):
        build(recipe_from({"databases": {"mine": entry}}), {}, tmp_path / "merged")
