"""Opens a dataset of the Hub or of this machine with the library ``datasets``; a failure is explained in one sentence."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from affect_data.bounds import read_json
from affect_data.dataset.folder import FORMAT, MANIFEST, open_dataset
from affect_data.dataset.view import Origins
from affect_data.errors import DataError, UnknownNameError
from affect_train.inputs.foreign.pictures import PictureFiles
from affect_train.recipe.dataset import DatasetOptions

if TYPE_CHECKING:
    from datasets import Dataset, DatasetBuilder, IterableDataset

HUB_ID = re.compile(r"[\w.-]+/[\w.-]+|[\w.-]+")
UNKNOWN_LABEL = "Invalid string class label"
"""What ``datasets`` says of a class folder inside an archive: it takes the name of the archive's folder for the class."""
ROWS_PER_SHARD = 1000
SHARDS = 64
"""The most parts that a dataset on this machine is divided into, so that streaming can shuffle them."""


class SourceError(DataError):
    """A dataset that cannot be opened or read."""

    def __init__(self, dataset: object, because: str, remedy: str) -> None:
        super().__init__(f"dataset '{dataset}': {because}. {remedy}")


@dataclass(frozen=True)
class OpenedSource:
    """A dataset whose files were found; no row has been read.

    Attributes:
        options: what the recipe says.
        splits: names of the splits.
        folder: file paths in the rows are relative to it; None for a dataset of the Hub.
        builder: of ``datasets``; None if `saved` gives the rows.
        saved: opens a split that lies on this machine as Arrow files.
        origins: of a dataset folder of affectkit.
    """

    options: DatasetOptions
    splits: tuple[str, ...]
    folder: Path | None
    builder: "DatasetBuilder | None" = None
    saved: Any = None
    origins: Origins | None = None

    @property
    def name(self) -> str:
        """The dataset's name in messages and results; of a folder, its last name alone."""
        options = (
            self.options
            if self.folder is None
            else self.options.model_copy(update={"path": self.folder.resolve().name})
        )
        return str(options)

    @property
    def files(self) -> PictureFiles:
        """The picture files that its rows name."""
        return PictureFiles(self.folder, follow_links=self.options.follow_links)

    @property
    def commit(self) -> str | None:
        """The commit of the Hub that is read; None for a folder."""
        return self.builder.hash if self.folder is None and self.builder is not None else None

    def split(self, name: str) -> str:
        """The name itself, if there is such a split.

        Raises:
            UnknownNameError: there is no such split.
        """
        if name not in self.splits:
            raise UnknownNameError(f"split of dataset '{self.options}'", name, self.splits)
        return name

    def load(self, split: str) -> "Dataset":
        """The rows of a split over memory maps; they are downloaded and converted if that has not been done before."""
        self.split(split)
        if self.builder is None:
            return self.saved(split)
        with explained(self.options):
            self.builder.download_and_prepare()
            return self.builder.as_dataset(split)

    def stream(self, split: str) -> "IterableDataset":
        """The rows of a split as they are read."""
        self.split(split)
        if self.builder is None:
            dataset = self.saved(split)
            shards = min(SHARDS, -(-len(dataset) // ROWS_PER_SHARD))
            return dataset.to_iterable_dataset(num_shards=max(shards, 1))
        with explained(self.options):
            return self.builder.as_streaming_dataset(split)


def open_dataset_source(options: DatasetOptions) -> OpenedSource:
    """Finds the files and splits of a dataset.

    Raises:
        SourceError: there is no such dataset, configuration or revision, or the Hub cannot be reached.
    """
    folder = Path(options.path)
    if not folder.is_dir():
        if HUB_ID.fullmatch(options.path) is None:
            remedy = "Name an existing folder, or a dataset of the Hub as `owner/name`"
            raise SourceError(options, f"the folder '{folder}' does not exist", remedy)
        return _built(options, None)
    if options.revision is not None:
        raise SourceError(options, "a folder has no revisions", "Remove `dataset.revision`")
    saved = _saved(options, folder)
    if saved is None:
        return _built(options, folder)
    if options.configuration is not None:
        raise SourceError(options, "a folder of Arrow files has no configurations", "Remove `dataset.configuration`")
    return saved


def _built(options: DatasetOptions, folder: Path | None) -> OpenedSource:
    from datasets import load_dataset_builder

    with explained(options):
        builder = load_dataset_builder(options.path, options.configuration, revision=options.revision)
    found = OpenedSource(
        options, tuple(map(str, builder.config.data_files or builder.info.splits or ())), folder, builder
    )
    if folder is not None:
        allowed = found.files
        for path in (path for paths in (builder.config.data_files or {}).values() for path in paths):
            allowed.check(str(path).rpartition("::")[2])
    return found


def _saved(options: DatasetOptions, folder: Path) -> OpenedSource | None:
    """A dataset folder of affectkit, or a folder that ``save_to_disk`` wrote; None if it is neither."""
    from datasets import DatasetDict, load_from_disk

    if (folder / MANIFEST).is_file() and read_json(folder / MANIFEST).get("format") == FORMAT:
        own = open_dataset(folder)
        if own.videos is not None:
            because = "its rows name frames of videos, which are found in the whole folder alone"
            raise SourceError(options.path, because, f"Name the folder itself: `dataset: {options.path}`")
        return OpenedSource(options, own.splits, folder, saved=own.load, origins=own.view.origins)
    if not any((folder / name).is_file() for name in ("state.json", "dataset_dict.json")):
        return None
    with explained(options):
        found = load_from_disk(str(folder))
    parts = found if isinstance(found, DatasetDict) else {str(found.split or "train"): found}
    return OpenedSource(options, tuple(map(str, parts)), folder, saved=parts.__getitem__)


@contextmanager
def explained(dataset: object) -> Iterator[None]:
    """Turns an error of ``datasets`` about a dataset that it cannot open or read into one message.

    Raises:
        SourceError: in place of that error.
    """
    import pyarrow as pa
    from datasets.exceptions import DatasetsError
    from huggingface_hub.errors import HfHubHTTPError

    try:
        yield
    except (OSError, HfHubHTTPError, DatasetsError, ValueError, pa.ArrowException) as error:
        if isinstance(error, DataError):
            raise
        because = " ".join(str(error).split()) or type(error).__name__
        cause = error.__cause__
        if cause is not None and str(cause) not in because:
            because += f" ({' '.join(str(cause).split()).rstrip('.')})"
        raise SourceError(dataset, because[:600].rstrip("."), _remedy(error, because)) from error


def _remedy(error: BaseException, because: str) -> str:
    from datasets.data_files import EmptyDatasetError
    from datasets.exceptions import DataFilesNotFoundError

    if isinstance(error, ConnectionError) or "offline" in str(error).lower():
        return (
            "The Hub cannot be reached: check the network and `HF_ENDPOINT`. With `HF_HUB_OFFLINE=1` only datasets in the cache can be read; "
            "a folder on this machine can be named by its path"
        )
    if isinstance(error, DataFilesNotFoundError | EmptyDatasetError):
        return "It takes parquet, arrow, csv, json or picture files"
    if isinstance(error, FileNotFoundError):
        return "Check the name and the revision; a private dataset takes `hf auth login`. A folder must exist in the working directory"
    if UNKNOWN_LABEL in because:
        return (
            "Unpack its archives, if there are any: class folders are read from a folder, not from inside an archive. "
            "Otherwise check that its labels are of its classes"
        )
    return "Check `path`, `configuration` and `revision`, and that its files are whole"
