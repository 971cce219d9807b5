"""Datasets of the Hub or of this machine that are no dataset folders, as sources of rows."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from affect_data.dataset.hashing import content_hash
from affect_data.recipe_file import DATASET_DESCRIPTION, read_recipe_text, validated
from affect_train.inputs.crops import refuse_crops
from affect_train.inputs.foreign.own_columns import label_dataset, mapped_rows
from affect_train.inputs.foreign.pictures import ForeignFaces
from affect_train.inputs.foreign.reading import OpenedSource, SourceError, open_dataset_source
from affect_train.inputs.foreign.row_stream import RowStream
from affect_train.inputs.foreign.stream_batches import StreamedFaces, StreamedSplit
from affect_train.inputs.labels import LabelArrays
from affect_train.inputs.loading import View
from affect_train.inputs.split import LoadedSplit
from affect_train.inputs.stored import StoredFaces
from affect_train.recipe.dataset import DatasetOptions
from affect_train.tasks import TaskSet

if TYPE_CHECKING:
    from datasets import Dataset

DESCRIPTIONS = (".yaml", ".yml")
"""Files that describe a dataset: the section ``dataset`` of a recipe, or a whole recipe."""


@dataclass(frozen=True)
class LoadedRows:
    """The rows of a split that can be read in any order.

    Attributes:
        dataset: labels and images, joined.
        labels: for the heads.
        faces: the rows as the decoder reads them.
    """

    dataset: "Dataset"
    labels: LabelArrays
    faces: StoredFaces


class ForeignSource:
    """A dataset that is no dataset folder of affectkit.

    Args:
        opened: its files.
    """

    folder: None = None

    def __init__(self, opened: OpenedSource) -> None:
        self.opened = opened

    @property
    def name(self) -> str:
        """The dataset's name in messages and results; of a folder, its last name alone."""
        return self.opened.name

    @property
    def fingerprint(self) -> str | None:
        """Hash of the labels of the loaded splits; None if rows are streamed."""
        return None

    def report(self) -> dict[str, Any]:
        """Name, fingerprint and, for a dataset of the Hub, its commit, as results state them."""
        commit = {"commit": self.opened.commit} if self.opened.commit else {}
        return {"dataset": self.name, "fingerprint": self.fingerprint, **commit}

    def check_split(self, name: str) -> None:
        """Refuses the name of a split that does not exist.

        Raises:
            UnknownNameError: there is no such split.
        """
        self.opened.split(name)

    def place(self, split: str) -> str:
        """The name of a split in messages."""
        return f"'{self.name}', split {split}"


class LoadedForeign(ForeignSource):
    """A dataset whose rows are read before training.

    Args:
        opened: its files.
    """

    streamed: None = None

    def __init__(self, opened: OpenedSource) -> None:
        super().__init__(opened)
        self._hashes: dict[str, str] = {}

    @property
    def loaded(self) -> "LoadedForeign":
        """Itself: its rows can be read in any order."""
        return self

    @property
    def fingerprint(self) -> str | None:
        """Hash of the labels of the loaded splits; None if none is loaded."""
        joined = hashlib.sha256(json.dumps(self._hashes, sort_keys=True).encode()).hexdigest()[:16]
        return joined if self._hashes else None

    def load(self, split: str, tasks: TaskSet) -> LoadedRows:
        """A split with its labels for some heads.

        Raises:
            UnknownNameError: there is no such split.
            SourceError: the dataset cannot be read, or has no row.
            RecipeError: the dataset's columns are not those that the recipe names.
            DataError: a value is no label.
        """
        name, found = self.name, self.opened.load(split)
        if not len(found):
            raise SourceError(name, f"split {split} has no rows", "Name another split")
        rows = mapped_rows(self.opened, found.features)
        table = found.select_columns(list(rows.read)).with_format("arrow")[:] if rows.read else _no_columns(len(found))
        _refuse_empty(name, split, found.select_columns([rows.image]).with_format("arrow")[:].column(0))
        labels = rows(table, lambda row: f"{name}:{split}/{row}", lambda row: f"split {split}, row {row}")
        _refuse_duplicates(name, split, labels["uid"])
        self._hashes[split] = content_hash(labels)
        dataset = _joined(label_dataset(labels, rows.features), found.select_columns([rows.image]), rows.image)
        return LoadedRows(dataset, LabelArrays.load(labels, tasks), ForeignFaces(dataset, self.opened.files))

    def split(self, name: str, tasks: TaskSet, view: View, soft_labels: Sequence[str] = ()) -> LoadedSplit:
        """A split with its labels for some heads and its pictures; raises what `load` raises."""
        assert not soft_labels, "a recipe of another dataset names no soft labels"
        refuse_crops(view.preprocessing, self.name)
        rows = self.load(name, tasks)
        return LoadedSplit(name, rows.dataset, rows.labels, view.images(rows.dataset, rows.faces))


class StreamedForeign(ForeignSource):
    """A dataset whose rows are read while training, and not kept.

    Args:
        opened: its files.
    """

    loaded: None = None

    @property
    def streamed(self) -> "StreamedForeign":
        """Itself: its rows come in the order in which they are read."""
        return self

    @property
    def options(self) -> DatasetOptions:
        """The section ``dataset`` of the recipe: how rows are shuffled and shared."""
        return self.opened.options

    def stream(self, split: str) -> RowStream:
        """The rows of a split as they are read.

        Raises:
            UnknownNameError: there is no such split.
            SourceError: the split cannot be read.
            RecipeError: the dataset's columns are not those that the recipe names.
        """
        return RowStream(self.opened, split)

    def split(self, name: str, tasks: TaskSet, view: View) -> StreamedSplit:
        """A split for evaluation, whose labels are known once its pictures have passed; raises what `stream` raises."""
        refuse_crops(view.preprocessing, self.name)
        return StreamedSplit(name, StreamedFaces(self.stream(name), tasks, view.preprocessing, view.threads))


def open_foreign(options: DatasetOptions) -> LoadedForeign | StreamedForeign:
    """A dataset that a recipe describes.

    Raises:
        SourceError: there is no such dataset, or the Hub cannot be reached.
    """
    opened = open_dataset_source(options)
    return StreamedForeign(opened) if options.streaming else LoadedForeign(opened)


def read_description(path: Path) -> "str | DatasetOptions":
    """The dataset that a YAML file describes: the section ``dataset``, by itself or in a recipe.

    Raises:
        RecipeError: lists every mistake.
    """
    text = read_recipe_text(path, DATASET_DESCRIPTION)
    if isinstance(text.values.get("dataset"), str):
        return str(text.values["dataset"])
    return validated(DatasetOptions, text.part("dataset") if "dataset" in text.values else text)


def _joined(labels: "Dataset", pictures: "Dataset", image: str) -> "Dataset":
    from datasets import concatenate_datasets

    if pictures._indices is not None:
        pictures = pictures.flatten_indices()
    return concatenate_datasets(
        [labels, pictures.rename_column(image, "image") if image != "image" else pictures], axis=1
    )


def _refuse_duplicates(name: str, split: str, uids: pa.ChunkedArray) -> None:
    if pc.count_distinct(uids).as_py() == len(uids):
        return
    counts = pc.value_counts(uids)
    twice = next(item["values"].as_py() for item in counts if item["counts"].as_py() > 1)
    raise SourceError(
        name, f"split {split} has two rows of the uid '{twice}'", "Name another column under `columns.uid`, or none"
    )


def _refuse_empty(name: str, split: str, pictures: pa.ChunkedArray) -> None:
    if pa.types.is_struct(pictures.type):
        held = (pc.is_valid(pc.struct_field(pictures, key)) for key in ("bytes", "path"))
        there = pc.and_(pc.is_valid(pictures), pc.or_(*held))
    else:
        there = pc.is_valid(pictures)
    if not pc.all(there).as_py():
        row, count = pc.index(there, value=False).as_py(), len(there) - pc.sum(there).as_py()
        raise SourceError(
            name, f"split {split}, row {row}: there is no picture ({count:,} such rows)", "Leave such rows out of it"
        )


def _no_columns(rows: int) -> pa.Table:
    return pa.table({"": pa.nulls(rows)})
