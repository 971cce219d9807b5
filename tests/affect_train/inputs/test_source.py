"""Datasets of every kind, asked for the same things."""

from collections.abc import Callable
from pathlib import Path

import pytest

from affect_data.dataset.folder import open_dataset
from affect_data.errors import DataError, NotADatasetError, UnknownNameError, UsageError
from affect_train.inputs.loading import View
from affect_train.inputs.preprocess import Preprocessing
from affect_train.inputs.source import OwnFolder, Source, folder_of, open_own_folder, open_source
from affect_train.recipe.dataset import DatasetOptions
from affect_train.tasks import TaskSet

TASKS = TaskSet(expressions=("happiness", "sadness"))
VIEW = View(Preprocessing(8))

Opened = Callable[[], Source]


@pytest.fixture(params=["folder", "loaded", "streamed"])
def source(request: pytest.FixtureRequest, dataset: Path) -> Source:
    """The tiny dataset as a dataset folder, and as a dataset of somebody else's, which a dataset folder can be read as."""
    if request.param == "folder":
        return open_source(dataset)
    return open_source(DatasetOptions(path=str(dataset), streaming=request.param == "streamed"))


def test_every_kind_gives_the_same_labels_and_pictures(source: Source, dataset: Path) -> None:
    split = source.split("validation", TASKS, VIEW)
    shown = [face for batch in split.inputs.in_order(4) for face in zip(batch.uids, batch.inputs, strict=True)]
    rows, labels = split.passed()
    expected = OwnFolder(open_dataset(dataset)).split("validation", TASKS, VIEW)
    assert labels.expression.tolist() == expected.labels.expression.tolist()
    assert rows["uid"][:] == [uid for uid, _ in shown] == expected.dataset["uid"][:]
    faces = [face for batch in expected.inputs.in_order(21) for face in batch.inputs]
    assert all((face == other).all() for (_, face), other in zip(shown, faces, strict=True))
    assert split.inputs.rows == 21


def test_every_kind_names_itself_and_its_splits(source: Source, dataset: Path) -> None:
    assert source.name == source.report()["dataset"] == dataset.name
    assert source.place("train").endswith(f"{dataset.name}', split train")
    source.check_split("validation")
    with pytest.raises(UnknownNameError, match=r"'test'; known: train, validation"):
        source.check_split("test")
    assert (source.streamed is None) != (source.loaded is None)


def test_labels_are_known_before_where_rows_are_not_streamed(source: Source) -> None:
    assert (source.split("train", TASKS, VIEW).labels is None) == (source.streamed is not None)


def test_a_stream_without_a_label_of_the_heads_is_an_error_once_it_has_passed(dataset: Path) -> None:
    streamed = open_source(DatasetOptions(path=str(dataset), streaming=True))
    split = streamed.split("validation", TaskSet(action_units=(45,)), VIEW)
    list(split.inputs.in_order(8))
    with pytest.raises(DataError, match=r"split validation: found no label of any task of the model"):
        split.passed()


def test_column_groups_are_those_of_a_dataset_folder(source: Source, dataset: Path) -> None:
    if source.folder is not None:
        assert folder_of(source, "folds take a dataset folder").path == dataset
        return
    with pytest.raises(UsageError, match=r"folds take a dataset folder; build one with `affect-data build`"):
        folder_of(source, "folds take a dataset folder")


def test_columns_can_be_written_into_built_dataset_folders_alone(dataset: Path, tmp_path: Path) -> None:
    assert open_own_folder(dataset, "the command").path == dataset
    with pytest.raises(UsageError, match=r"the command writes columns into a dataset folder, which 'merged' is not"):
        open_own_folder(DatasetOptions(path="merged"), "the command")
    with pytest.raises(NotADatasetError, match=r"has no dataset.json"):
        open_own_folder(tmp_path, "the command")
