"""Finds the files of a Hugging Face dataset by split, in a folder on this machine or on the Hub. Nothing of the Hub is run."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from affect_data.bounds import read_json
from affect_data.databases.table.options import DatasetPlace
from affect_data.databases.table.tables import KINDS, kind_of
from affect_data.errors import DataError

STATE, DICTIONARY = "state.json", "dataset_dict.json"


class DatasetPlaceError(DataError):
    """A Hugging Face dataset whose files cannot be found."""

    def __init__(self, dataset: object, because: str, remedy: str) -> None:
        super().__init__(f"dataset '{dataset}': {because}. {remedy}")


@lru_cache(maxsize=16)
def downloaded(path: str, revision: str | None) -> Path:
    """The folder of a dataset of the Hub, in the Hub's own cache; its files are downloaded if they are not there.

    Raises:
        DatasetPlaceError: there is no such dataset, or the Hub cannot be reached.
    """
    from huggingface_hub import snapshot_download

    kinds = [f"*{kind}" for kind in (*KINDS, ".jpg", ".jpeg", ".png", ".md", ".yaml", STATE, DICTIONARY)]
    with _explained(path):
        return Path(snapshot_download(path, repo_type="dataset", revision=revision, allow_patterns=kinds))


def files_by_split(folder: Path, place: DatasetPlace) -> dict[str, list[str]]:
    """The tables of a dataset's splits, relative to its folder, in the order in which they are read.

    Raises:
        DatasetPlaceError: no tables are found, or of a kind that is not read.
    """
    found = _saved(folder) or _data_files(folder, place)
    for paths in found.values():
        if strange := next((path for path in paths if kind_of(path) not in KINDS), None):
            because = f"its file '{strange}' is no table"
            remedy = "Pictures in class folders are read by `class_folders`; pack archives out first"
            raise DatasetPlaceError(place.path or folder.name, because, remedy)
    return found


def _saved(folder: Path) -> dict[str, list[str]] | None:
    """The files of a folder that ``save_to_disk`` wrote; None if it is none."""
    if (folder / DICTIONARY).is_file():
        names = [str(name) for name in read_json(folder / DICTIONARY)["splits"]]
        return {name: _arrow_files(folder, f"{name}/") for name in names}
    if (folder / STATE).is_file():
        split = read_json(folder / STATE).get("_split") or ""
        return {str(split): _arrow_files(folder, "")}
    return None


def _arrow_files(folder: Path, above: str) -> list[str]:
    state = read_json(folder / above / STATE)
    if state.get("_indices_data_files"):
        remedy = "Save it again after `flatten_indices()`"
        raise DatasetPlaceError(folder.name, "it was saved as a selection of rows", remedy)
    return [f"{above}{file['filename']}" for file in state["_data_files"]]


def _data_files(folder: Path, place: DatasetPlace) -> dict[str, list[str]]:
    """The files that ``datasets`` finds in a folder, by its own rules and by the dataset's card."""
    from datasets import load_dataset_builder

    named = place.path or folder.name
    with _explained(named):
        builder = load_dataset_builder(str(folder), place.configuration)
    found: dict[str, list[str]] = {}
    inside = folder.absolute()
    for split, paths in (builder.config.data_files or {}).items():
        relative = [Path(str(path).rpartition("::")[2]) for path in paths]
        found[str(split)] = [path.relative_to(inside).as_posix() for path in relative]
    if not found:
        raise DatasetPlaceError(named, "it has no tables", "It takes parquet, Arrow, csv or json lines")
    return found


@contextmanager
def _explained(dataset: object) -> Iterator[None]:
    """Turns an error of the Hub's libraries into one message.

    Raises:
        DatasetPlaceError: in place of that error.
    """
    from datasets.exceptions import DatasetsError
    from huggingface_hub.errors import HfHubHTTPError

    try:
        yield
    except (OSError, HfHubHTTPError, DatasetsError, ValueError) as error:
        because = (" ".join(str(error).split()) or type(error).__name__)[:400].rstrip(".")
        remedy = (
            "Check the name, the revision and `hf auth login`; offline, name a folder that holds the dataset by --root"
        )
        raise DatasetPlaceError(dataset, because, remedy) from error
