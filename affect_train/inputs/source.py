"""Where the rows of a recipe come from: a dataset folder, or any other dataset of the Hub or of this machine."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from affect_data.dataset.folder import MANIFEST, DatasetFolder, open_dataset
from affect_data.errors import NotADatasetError, UsageError
from affect_train.inputs.crops import crop_groups
from affect_train.inputs.foreign.source import DESCRIPTIONS, StreamedForeign, open_foreign, read_description
from affect_train.inputs.labels import load_labels
from affect_train.inputs.loading import View
from affect_train.inputs.split import LoadedSplit, Split
from affect_train.recipe.dataset import DatasetOptions
from affect_train.tasks import TaskSet


class LoadedSource(Protocol):
    """A dataset whose rows can be read in any order."""

    def split(self, name: str, tasks: TaskSet, view: View, soft_labels: Sequence[str] = ()) -> LoadedSplit:
        """A split as pictures, as from `Source.split`, with teachers' outputs added to the labels.

        Raises:
            UnknownNameError: there is no such teacher.
            ModelMismatchError: a teacher does not fit the heads.
        """
        ...


class Source(Protocol):
    """An opened dataset of any kind."""

    @property
    def name(self) -> str:
        """The dataset's name in results; of a folder, its last name alone."""
        ...

    @property
    def fingerprint(self) -> str | None:
        """Hash of the labels; None if they are not known."""
        ...

    @property
    def folder(self) -> DatasetFolder | None:
        """The dataset folder with its column groups; None for another kind of dataset."""
        ...

    @property
    def loaded(self) -> LoadedSource | None:
        """Itself if its rows can be read in any order; None if they are streamed."""
        ...

    @property
    def streamed(self) -> StreamedForeign | None:
        """Itself if its rows are read while training; None if they can be read in any order."""
        ...

    def report(self) -> dict[str, Any]:
        """Name, fingerprint and, for a dataset of the Hub, its commit, as results state them."""
        ...

    def check_split(self, name: str) -> None:
        """Refuses the name of a split that does not exist.

        Raises:
            UnknownNameError: there is no such split.
        """
        ...

    def place(self, split: str) -> str:
        """The name of a split in messages."""
        ...

    def split(self, name: str, tasks: TaskSet, view: View) -> Split:
        """A split as pictures.

        Args:
            name: of the split.
            tasks: the heads that labels are for.
            view: how the pictures are shown.

        Raises:
            UnknownNameError: there is no such split.
            DataError: the rows cannot be read, or a value is no label.
        """
        ...


@dataclass(frozen=True)
class OwnFolder:
    """A dataset folder as a source of rows.

    Attributes:
        folder: opened.
    """

    folder: DatasetFolder
    streamed: None = None

    @property
    def loaded(self) -> "OwnFolder":
        """Itself: its rows can be read in any order."""
        return self

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.path.name

    @property
    def fingerprint(self) -> str:
        """Hash of all labels and image digests."""
        return self.folder.fingerprint

    def report(self) -> dict[str, Any]:
        """Name and fingerprint, as results state them."""
        return {"dataset": self.name, "fingerprint": self.fingerprint}

    def check_split(self, name: str) -> None:
        """Refuses the name of a split that does not exist, with those that there are."""
        self.folder.rows(name)

    def place(self, split: str) -> str:
        """The name of a split in messages, with the folder's path."""
        return f"'{self.folder.path}', split {split}"

    def split(self, name: str, tasks: TaskSet, view: View, soft_labels: Sequence[str] = ()) -> LoadedSplit:
        """A split with its labels, the outputs of teachers and its pictures, over memory maps."""
        groups = crop_groups(self.folder, view.preprocessing)
        dataset, labels = load_labels(self.folder, name, tasks, soft_labels, groups)
        return LoadedSplit(name, dataset, labels, view.images(dataset, videos=self.folder.videos))


def open_recipe_source(dataset: str | DatasetOptions) -> Source:
    """The dataset of a recipe: a dataset folder by its path, or another dataset by its section.

    Raises:
        NotADatasetError: there is no built dataset folder.
        SourceError: there is no such dataset, or the Hub cannot be reached.
    """
    return open_foreign(dataset) if isinstance(dataset, DatasetOptions) else OwnFolder(open_dataset(dataset))


def open_source(dataset: str | Path | DatasetOptions) -> Source:
    """The dataset of a command's argument.

    Args:
        dataset: a dataset folder, a file that describes another dataset, or the content of such a file.

    Raises:
        NotADatasetError: there is no built dataset folder.
        SourceError: there is no such dataset, or the Hub cannot be reached.
        RecipeError: the description has mistakes.
    """
    if isinstance(dataset, DatasetOptions):
        return open_foreign(dataset)
    path = Path(dataset)
    if _is_description(path):
        return open_source(read_description(path))
    if path.is_dir() and not (path / MANIFEST).is_file():
        because = f"it has no {MANIFEST}, so it was not built to its end"
        remedy = f"Build it with `affect-data build RECIPE {path}`; another dataset takes a section, in a recipe or a file (docs/datasets.md)"
        raise NotADatasetError(path, because, remedy)
    return OwnFolder(open_dataset(path))


def open_own_folder(dataset: str | Path | DatasetOptions, doing: str) -> DatasetFolder:
    """The dataset folder of an argument, into which columns can be written.

    Args:
        dataset: as a recipe or an argument names it.
        doing: the command that writes, for the message.

    Raises:
        UsageError: it is another kind of dataset.
        NotADatasetError: the dataset folder is not built.
    """
    if isinstance(dataset, DatasetOptions) or _is_description(Path(dataset)):
        raise UsageError(
            f"{doing} writes columns into a dataset folder, which '{dataset}' is not; name a folder that `affect-data build` wrote"
        )
    return open_dataset(dataset)


def folder_of(source: Source, because: str) -> DatasetFolder:
    """The dataset folder of a source.

    Args:
        source: of any kind.
        because: what needs a dataset folder, and why; for the message.

    Raises:
        UsageError: it is another kind of dataset.
    """
    if source.folder is None:
        raise UsageError(f"{because}; build one with `affect-data build`")
    return source.folder


def _is_description(path: Path) -> bool:
    return path.suffix in DESCRIPTIONS and not path.is_dir()
