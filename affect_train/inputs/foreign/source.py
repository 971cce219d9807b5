"""Where the rows of a recipe come from: a dataset folder, or any other dataset of the Hub or of this machine."""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from affect_data.dataset.folder import MANIFEST, DatasetFolder, open_dataset
from affect_data.dataset.hashing import content_hash
from affect_data.errors import NotADatasetError, UsageError
from affect_data.recipe_file import DATASET_DESCRIPTION, read_recipe_text, validated
from affect_train.inputs.foreign.pictures import ForeignFaces
from affect_train.inputs.foreign.reading import OpenedSource, SourceError, open_dataset_source
from affect_train.inputs.foreign.stream import RowStream
from affect_train.inputs.foreign.unified import label_dataset, rows_of
from affect_train.inputs.labels import LabelArrays
from affect_train.inputs.stored import StoredFaces
from affect_train.recipe.dataset import DatasetSource
from affect_train.tasks import TaskSet

if TYPE_CHECKING:
    from datasets import Dataset

DESCRIPTIONS = (".yaml", ".yml")
"""Files that describe a dataset: the section ``dataset`` of a recipe, or a whole recipe."""


@dataclass(frozen=True)
class LoadedSplit:
    """One split, whose rows can be read in any order.

    Attributes:
        dataset: labels and images, joined.
        labels: for some heads.
        faces: the rows, for the decoder.
    """

    dataset: "Dataset"
    labels: LabelArrays
    faces: StoredFaces


@dataclass(frozen=True)
class ForeignSource:
    """A dataset that is no dataset folder of affectkit.

    Attributes:
        opened: its files.
        hashes: of the labels of the splits that were loaded.
    """

    opened: OpenedSource
    hashes: dict[str, str] = field(default_factory=dict)

    @property
    def streaming(self) -> bool:
        """Whether rows are read while training."""
        return self.opened.source.streaming

    @property
    def name(self) -> str:
        """What messages and results call it; a folder without the folders that it lies in."""
        return self.opened.name

    def check_split(self, name: str) -> None:
        """Makes sure that there is such a split.

        Raises:
            UnknownNameError: there is none.
        """
        self.opened.split(name)

    def load(self, split: str, tasks: TaskSet) -> LoadedSplit:
        """A split with its labels for some heads.

        Raises:
            UnknownNameError: there is no such split.
            SourceError: the dataset cannot be read, or has no row.
            RecipeError: its columns are not those that the recipe names.
            DataError: a value is no label.
        """
        name, found = self.name, self.opened.load(split)
        if not len(found):
            raise SourceError(name, f"split {split} has no rows", "Name another split")
        rows = rows_of(name, self.opened.source, found.features)
        table = found.select_columns(list(rows.read)).with_format("arrow")[:] if rows.read else _no_columns(len(found))
        _refuse_empty(name, split, found.select_columns([rows.image]).with_format("arrow")[:].column(0))
        labels = rows(table, lambda row: f"{name}:{split}/{row}", lambda row: f"split {split}, row {row}")
        _refuse_duplicates(name, split, labels["uid"])
        self.hashes[split] = content_hash(labels)
        dataset = _joined(label_dataset(labels, rows.features), found.select_columns([rows.image]), rows.image)
        return LoadedSplit(dataset, LabelArrays.load(labels, tasks), ForeignFaces(dataset, self.opened.folder))

    def stream(self, split: str) -> RowStream:
        """The rows of a split as they are read.

        Raises:
            UnknownNameError: there is no such split.
            SourceError: it cannot be read.
            RecipeError: its columns are not those that the recipe names.
        """
        return RowStream(self.opened, split)

    @property
    def fingerprint(self) -> str | None:
        """Hash of the labels of the splits that were loaded; None where they are streamed."""
        joined = hashlib.sha256(json.dumps(self.hashes, sort_keys=True).encode()).hexdigest()[:16]
        return joined if self.hashes else None


def report_of(dataset: DatasetFolder | ForeignSource) -> dict[str, Any]:
    """What results say of the dataset that they come from: its name and fingerprint, and the commit of a dataset of the Hub."""
    if isinstance(dataset, DatasetFolder):
        return {"dataset": dataset.path.name, "fingerprint": dataset.fingerprint}
    commit = {"commit": dataset.opened.commit} if dataset.opened.commit else {}
    return {"dataset": dataset.name, "fingerprint": dataset.fingerprint, **commit}


def open_source(dataset: "str | Path | DatasetSource") -> DatasetFolder | ForeignSource:
    """The dataset of a recipe, or of a command's argument.

    Args:
        dataset: a dataset folder, a file that describes another dataset, or what such a file says.

    Raises:
        NotADatasetError: there is no built dataset folder.
        SourceError: there is no such dataset, or the Hub cannot be reached.
        RecipeError: the description has mistakes.
    """
    if isinstance(dataset, DatasetSource):
        return ForeignSource(open_dataset_source(dataset))
    path = Path(dataset)
    if path.suffix in DESCRIPTIONS and not path.is_dir():
        described = read_description(path)
        return open_source(described)
    if path.is_dir() and not (path / MANIFEST).is_file():
        because = f"it has no {MANIFEST}, so it was not built to its end"
        remedy = f"Build it with `affect-data build RECIPE {path}`; another dataset takes a section, in a recipe or a file (docs/datasets.md)"
        raise NotADatasetError(path, because, remedy)
    return open_dataset(path)


def read_description(path: Path) -> "str | DatasetSource":
    """What a YAML file says of a dataset: the section ``dataset``, by itself or in a recipe.

    Raises:
        RecipeError: lists every mistake.
    """
    text = read_recipe_text(path, DATASET_DESCRIPTION)
    if isinstance(text.values.get("dataset"), str):
        return str(text.values["dataset"])
    return validated(DatasetSource, text.part("dataset") if "dataset" in text.values else text)


def own_folder(dataset: "str | Path | DatasetSource", doing: str) -> Path:
    """The dataset folder that columns can be written into.

    Args:
        dataset: as a recipe or an argument names it.
        doing: what wants to write, for the message.

    Raises:
        UsageError: it is another kind of dataset.
    """
    if isinstance(dataset, DatasetSource) or (Path(dataset).suffix in DESCRIPTIONS and not Path(dataset).is_dir()):
        raise UsageError(
            f"{doing} writes columns into a dataset folder, which '{dataset}' is not; name a folder that `affect-data build` wrote"
        )
    return Path(dataset)


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
