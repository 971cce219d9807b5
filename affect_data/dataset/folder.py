"""The dataset folder: row-aligned column groups, each an ordinary Hugging Face dataset, and a manifest that is written last.

::

    merged/
      dataset.json                      format version, splits, rows, groups, fingerprints
      dataset.lock.json                 what the dataset was made from
      failures.parquet
      train/images/  train/labels/  train/<score>/  train/soft.<teacher>/
      validation/...

What the manifest does not name is no part of the dataset, so that a write which was interrupted changes nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import polars as pl
from pydantic import BaseModel, ConfigDict, ValidationError

from affect_data.bounds import read_json
from affect_data.databases.base import SPLITS
from affect_data.dataset.kinds.soft_labels import SOFT_LABELS
from affect_data.dataset.schema import IMAGES, LABELS, SCHEMA_VERSION
from affect_data.errors import DataError, NotADatasetError, UnknownNameError

if TYPE_CHECKING:
    from datasets import Dataset


FORMAT: Final = "affectkit-dataset"


FORMAT_VERSION: Final = 1


MANIFEST: Final = "dataset.json"


LOCK: Final = "dataset.lock.json"


FAILURES: Final = "failures.parquet"


AUDIT: Final = "audit.parquet"


AUDIT_FINGERPRINT: Final = "affectkit.dataset_fingerprint"


BUILD_REMEDY: Final = "Build it with `affect-data build RECIPE {path}`"


class Manifest(BaseModel):
    """What ``dataset.json`` says.

    Attributes:
        format: always `FORMAT`.
        format_version: layout of the folder.
        schema_version: column contract.
        fingerprint: hash of all labels and image digests; soft labels are bound to it.
        databases: merged databases, alphabetical.
        rows: number of rows by split.
        groups: fingerprint of each column group by split.
        provenance: what made a group, by group name, where it is not the build.
    """

    model_config = ConfigDict(extra="forbid")

    format: str = FORMAT
    format_version: int = FORMAT_VERSION
    schema_version: int = SCHEMA_VERSION
    fingerprint: str
    databases: list[str]
    rows: dict[str, int]
    groups: dict[str, dict[str, str]]
    provenance: dict[str, dict[str, Any]] = {}


class ForeignVersionError(DataError):
    """A dataset folder that another version of affectkit wrote."""

    def __init__(self, path: Path, found: object) -> None:
        super().__init__(
            f"'{path}' has dataset format {found}, this affectkit reads {FORMAT_VERSION}. "
            + (
                "Update affectkit."
                if isinstance(found, int) and found > FORMAT_VERSION
                else BUILD_REMEDY.format(path=path) + " again."
            )
        )


@dataclass(frozen=True)
class DatasetFolder:
    """An opened dataset folder."""

    path: Path
    manifest: Manifest

    @property
    def fingerprint(self) -> str:
        """Hash of all labels and image digests."""
        return self.manifest.fingerprint

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits that have rows, train first."""
        return tuple(split for split in SPLITS if split in self.manifest.rows)

    def rows(self, split: str) -> int:
        """Number of rows of a split."""
        return self.manifest.rows[self._known_split(split)]

    def groups(self, split: str) -> tuple[str, ...]:
        """Names of the column groups of a split, alphabetical."""
        return tuple(sorted(self.manifest.groups[self._known_split(split)]))

    def group_folder(self, split: str, group: str) -> Path:
        """Where the column group that the manifest names lies: in its place, or beside it where a kill came before it was put there."""
        place = self.path / split / group
        staged = staged_group(place)
        return staged if is_sealed(staged, self.manifest.groups[split][group]) else place

    def load(self, split: str, groups: Sequence[str] = (LABELS, IMAGES)) -> "Dataset":
        """The named column groups of a split side by side, over memory maps.

        Raises:
            UnknownNameError: the dataset has no such split or group.
            NotADatasetError: a group on disk is not the one that the manifest names.
        """
        from datasets import concatenate_datasets, load_from_disk

        parts = []
        for group in groups:
            if group not in self.manifest.groups[self._known_split(split)]:
                raise UnknownNameError(f"column group of split '{split}' in '{self.path}'", group, self.groups(split))
            place = self.group_folder(split, group)
            because = _broken_because(place, self.manifest.groups[split][group])
            if because:
                raise NotADatasetError(
                    self.path, f"the column group '{split}/{group}' {because}", "Write the group again"
                )
            parts.append(load_from_disk(str(place)))
        return parts[0] if len(parts) == 1 else concatenate_datasets(parts, axis=1)

    def labels(self, split: str) -> pl.DataFrame:
        """The labels of a split as a polars frame, without copying where Arrow allows it; `database` is by name."""
        labels = self.load(split, [LABELS])
        frame = pl.from_arrow(labels.data.table)
        assert isinstance(frame, pl.DataFrame)
        names = dict(enumerate(labels.features["database"].names))
        return frame.with_columns(pl.col("database").replace_strict(names, return_dtype=pl.String))

    def failures(self) -> pl.DataFrame:
        """The table of failures of the build: `database, source_file, source_line, image, reason, detail`."""
        return pl.read_parquet(self.path / FAILURES)

    def _known_split(self, split: str) -> str:
        if split not in self.manifest.rows:
            raise UnknownNameError(f"split of '{self.path}'", split, self.splits)
        return split


def open_dataset(path: Path | str) -> DatasetFolder:
    """The dataset folder at a path.

    Raises:
        NotADatasetError: there is none, or it is unfinished; the message names the command that builds one.
        ForeignVersionError: another version of affectkit wrote it.
    """
    path = Path(path)
    remedy = BUILD_REMEDY.format(path=path)
    if not path.is_dir():
        raise NotADatasetError(path, "the folder does not exist", remedy)
    try:
        loaded = read_json(path / MANIFEST)
    except FileNotFoundError:
        raise NotADatasetError(path, f"it has no {MANIFEST}, so it was not built to its end", remedy) from None
    except ValueError as error:
        raise NotADatasetError(path, f"{MANIFEST} is not readable ({error})", remedy) from None
    if not isinstance(loaded, dict) or loaded.get("format") != FORMAT:
        raise NotADatasetError(path, f"{MANIFEST} is not from affectkit", remedy)
    if loaded.get("format_version") != FORMAT_VERSION:
        raise ForeignVersionError(path, loaded.get("format_version", 0))
    try:
        return DatasetFolder(path, Manifest.model_validate(loaded))
    except ValidationError as error:
        raise NotADatasetError(path, f"{MANIFEST} does not validate: {error.errors()[0]['loc']}", remedy) from None


def load_dataset(path: Path | str, split: str, soft_labels: Sequence[str] = ()) -> "Dataset":
    """One split of a built dataset as one Hugging Face dataset: labels, images, and the logits of the named teachers.

    Args:
        path: dataset folder.
        split: ``train``, ``validation`` or ``test``.
        soft_labels: names of teachers; each adds the columns ``soft.<name>.<head>``.

    Raises:
        NotADatasetError: the folder is no finished dataset.
        UnknownNameError: it has no such split or teacher.
    """
    return open_dataset(path).load(split, [LABELS, IMAGES, *map(SOFT_LABELS.group, soft_labels)])


def staged_group(place: Path) -> Path:
    """Where a column group is written, beside the place that it takes when the manifest names it."""
    return place.with_name(f".{place.name}.new")


def group_files(folder: Path) -> tuple[str, ...]:
    """Names of the files of a sealed column group, in row order; none where the folder is not one."""
    return _seal(folder)[1]


def is_sealed(folder: Path, fingerprint: str) -> bool:
    """Whether a folder is the sealed column group with this fingerprint."""
    return _seal(folder)[0] == fingerprint[:16]


def _seal(folder: Path) -> tuple[str, tuple[str, ...]]:
    try:
        state = read_json(folder / "state.json")
        return state["_fingerprint"], tuple(file["filename"] for file in state["_data_files"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return "", ()


def _broken_because(folder: Path, fingerprint: str) -> str:
    """Why a folder is not the sealed column group with this fingerprint; empty where it is."""
    if not is_sealed(folder, fingerprint):
        return f"is not the one that {MANIFEST} names, as after an interrupted write"
    lost = next((name for name in group_files(folder) if not (folder / name).is_file()), None)
    return f"lacks its file '{lost}'" if lost else ""
