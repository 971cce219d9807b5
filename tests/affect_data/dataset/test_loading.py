import doctest
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from datasets import ClassLabel, Dataset, DatasetDict, IterableDataset, IterableDatasetDict

import affect_data
from affect_data.build.build import BuildReport
from affect_data.dataset import loading
from affect_data.dataset.folder import DatasetFolder
from affect_data.errors import DataError, UnknownNameError
from affect_data.vocabulary import ACTION_UNITS, EXPRESSIONS


@pytest.fixture(scope="module")
def folder(demo_report: BuildReport) -> DatasetFolder:
    return demo_report.dataset


def test_a_dataset_without_a_split_is_all_of_them_by_name(folder: DatasetFolder) -> None:
    loaded = affect_data.load_dataset(folder.path)
    assert isinstance(loaded, DatasetDict)
    assert {name: len(part) for name, part in loaded.items()} == {name: folder.rows(name) for name in folder.splits}
    one = affect_data.load_dataset(folder.path, "validation")
    assert isinstance(one, Dataset)
    assert one.features == loaded["validation"].features
    assert one[:20]["uid"] == loaded["validation"][:20]["uid"]


def test_a_streamed_dataset_gives_the_same_rows_in_order(folder: DatasetFolder) -> None:
    streamed = affect_data.load_dataset(folder.path, "validation", streaming=True)
    assert isinstance(streamed, IterableDataset)
    whole = affect_data.load_dataset(folder.path, "validation")
    assert [row["uid"] for row in streamed.take(20)] == whole[:20]["uid"]
    every = affect_data.load_dataset(folder.path, streaming=True)
    assert isinstance(every, IterableDatasetDict)
    assert set(every) == set(folder.splits)


def test_an_unknown_split_is_named(folder: DatasetFolder) -> None:
    with pytest.raises(UnknownNameError, match="trian"):
        affect_data.load_dataset(folder.path, "trian")


def test_a_frame_of_all_splits_has_every_row_and_says_its_split(folder: DatasetFolder) -> None:
    labels = affect_data.to_polars(folder.path)
    assert labels["split"].unique(maintain_order=True).to_list() == list(folder.splits)
    assert labels.filter(split="train").drop("split").equals(folder.labels("train"))


def test_wide_columns_hold_the_labels_and_null_where_there_is_none(folder: DatasetFolder) -> None:
    labels = folder.labels("train")
    wide = affect_data.to_polars(folder.path, "train", wide=True)
    units, coded = labels["au"].to_numpy(), labels["au_mask"].to_numpy()
    strengths, measured = labels["au_intensity"].to_numpy(), labels["au_intensity_mask"].to_numpy()
    for slot, unit in enumerate(ACTION_UNITS):
        assert wide[f"AU{unit}"].to_list() == [
            int(value) if known else None for value, known in zip(units[:, slot], coded[:, slot], strict=True)
        ]
        found = wide[f"AU{unit}_intensity"].to_list()
        assert found == [
            float(value) if known else None for value, known in zip(strengths[:, slot], measured[:, slot], strict=True)
        ]
    assert coded.any()
    assert measured.any()
    assert wide["expression"].to_list() == [
        EXPRESSIONS[code] if code >= 0 else None for code in labels["expression"].to_list()
    ]
    assert wide["valence"].is_null().to_list() == (~labels["va_mask"]).to_list()
    assert wide["face_box"].is_null().to_list() == np.isnan(labels["face_box"].to_numpy()[:, 0]).tolist()
    assert not [name for name in wide.columns if name.endswith("_mask")]
    assert not [
        name for name, kind in wide.schema.items() if kind in (pl.Float32, pl.Float64) and wide[name].is_nan().any()
    ]


def test_a_side_group_stands_beside_wide_columns(folder: DatasetFolder) -> None:
    groups = folder.manifest.layout.side_groups
    assert groups
    wide = affect_data.to_polars(folder.path, "train", groups[:1], wide=True)
    assert len(wide.columns) > len(affect_data.to_polars(folder.path, "train", wide=True).columns)


def test_a_missing_class_has_no_name_and_an_impossible_one_is_refused() -> None:
    feature = ClassLabel(names=["neutral", "anger"])
    assert [affect_data.class_name(feature, code) for code in (-1, 0, 1)] == [None, "neutral", "anger"]
    for code in (2, -2):
        with pytest.raises(DataError, match=rf"{code} is no class; the column has 2: neutral, anger, and -1"):
            affect_data.class_name(feature, code)


def test_the_examples_of_the_docstrings_are_true(
    demo_report: BuildReport, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "merged").symlink_to(demo_report.dataset.path)
    monkeypatch.chdir(tmp_path)
    found = doctest.DocTestFinder().find(loading, extraglobs={"affect_data": affect_data, "polars": pl})
    run = [doctest.DocTestRunner().run(example) for example in found if example.examples]
    assert [result.failed for result in run] == [0, 0, 0]
