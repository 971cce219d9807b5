"""The dataset folder: row-aligned column groups, each an ordinary Hugging Face dataset, and a manifest that is written last.

::

    merged/
      dataset.json                      format version, splits, rows, groups, fingerprints
      dataset.lock.json                 what the dataset was made from
      failures.parquet
      origins/<database>/               where its rows come from, as text: release, subject, track, source_file
      train/images/  train/frames/  train/labels/  train/votes/  train/<score>/  train/soft.<teacher>/
      validation/...

Files that the manifest does not name are not part of the dataset, so an interrupted write changes nothing.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, ValidationError

from affect_data.bounds import read_json
from affect_data.databases.base import SPLITS
from affect_data.dataset.hashing import dataset_fingerprint
from affect_data.dataset.layout import ORIGIN_COLUMNS, Layout, group_of, stored_columns
from affect_data.dataset.schema import LABEL_COLUMNS, LABELS, SCHEMA_VERSION
from affect_data.dataset.view import LabelView
from affect_data.errors import DataError, NotADatasetError, UnknownNameError
from affect_data.files import was_moved_away
from affect_data.video.stored import VIDEOS

if TYPE_CHECKING:
    from datasets import Dataset


FORMAT: Final = "affectkit-dataset"


FORMAT_VERSION: Final = 2


MANIFEST: Final = "dataset.json"


LOCK: Final = "dataset.lock.json"


ORIGINS: Final = "origins"
FAILURES: Final = "failures.parquet"


AUDIT: Final = "audit.parquet"


AUDIT_FINGERPRINT: Final = "affectkit.dataset_fingerprint"
AUDIT_PICTURES: Final = "affectkit.pictures_fingerprint"


LABEL_NAMES: Final = tuple(column.name for column in LABEL_COLUMNS)

BUILD_REMEDY: Final = "Build it with `affect-data build RECIPE {path}`"


class Fingerprints(BaseModel):
    """Separate hashes of what a dataset consists of, so that a change makes only those groups stale that depend on it.

    Attributes:
        pictures: of the digests of the pictures and of the frames of clips, row by row.
        labels: of the labels and their side groups.
        people: of who is where: database, subject, track, frame and face, row by row.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    pictures: str
    labels: str
    people: str

    def all(self) -> str:
        """16 hexadecimal digits that identify the three together."""
        return dataset_fingerprint({"dataset": self.model_dump()})


class Manifest(BaseModel):
    """What ``dataset.json`` says.

    Attributes:
        format: always `FORMAT`.
        format_version: layout of the folder.
        schema_version: column contract.
        fingerprints: hashes of the pictures, of the labels, and of who is where in them; a group is bound to those that it was made from.
        layout: how the labels are stored.
        origins: fingerprint of the table of origins by database.
        rows: number of rows by split.
        groups: fingerprint of each column group by split.
        shards: fingerprints of the shards of the groups that the build wrote, and of their people, in order, by split.
        provenance: what made a group, by group name, for groups that the build did not make.
    """

    model_config = ConfigDict(extra="forbid")

    format: str = FORMAT
    format_version: int = FORMAT_VERSION
    schema_version: int = SCHEMA_VERSION
    fingerprints: Fingerprints
    layout: Layout
    origins: dict[str, str]
    rows: dict[str, int]
    groups: dict[str, dict[str, str]]
    shards: dict[str, dict[str, list[str]]]
    provenance: dict[str, dict[str, Any]] = {}

    @property
    def databases(self) -> list[str]:
        """The merged databases, alphabetical."""
        return list(self.layout.databases)


class ForeignVersionError(DataError):
    """A dataset folder that another version of affectkit wrote."""

    def __init__(self, path: Path, found: object) -> None:
        remedy = BUILD_REMEDY.format(path=path) + " again."
        if isinstance(found, int) and found > FORMAT_VERSION:
            remedy = "Update affectkit."
        elif found == 1:
            remedy = (
                f"Upgrade it with `affect-data upgrade {path}`: pictures, soft labels and decisions stay as they are."
            )
        super().__init__(f"'{path}' has dataset format {found}, this affectkit reads {FORMAT_VERSION}. {remedy}")


@dataclass(frozen=True)
class DatasetFolder:
    """An opened dataset folder."""

    path: Path
    manifest: Manifest

    @property
    def fingerprint(self) -> str:
        """Hash of all labels, pictures and people."""
        return self.manifest.fingerprints.all()

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits that have rows, train first."""
        return tuple(split for split in SPLITS if split in self.manifest.rows)

    @property
    def videos(self) -> Path | None:
        """The folder of the videos whose frames rows name; None if all rows hold pictures."""
        return self.path / VIDEOS if self.manifest.layout.videos else None

    def rows(self, split: str) -> int:
        """Number of rows of a split."""
        return self.manifest.rows[self._known_split(split)]

    def groups(self, split: str) -> tuple[str, ...]:
        """Names of the column groups of a split, alphabetical."""
        return tuple(sorted(self.manifest.groups[self._known_split(split)]))

    def group_folder(self, split: str, group: str) -> Path:
        """The folder of the column group that the manifest names: its place, or the staged one if a kill came before it was moved there."""
        place = self.path / split / group
        staged = staged_group(place)
        return staged if is_sealed(staged, self.manifest.groups[split][group]) else place

    def load(self, split: str, groups: Sequence[str] | None = None) -> "Dataset":
        """The named column groups of a split side by side, over memory maps; by default labels and pictures.

        Raises:
            UnknownNameError: the dataset has no such split or group.
            NotADatasetError: a group on disk is not the one that the manifest names.
        """
        from datasets import concatenate_datasets, load_from_disk

        parts = []
        for group in (LABELS, *self.manifest.layout.pictures) if groups is None else groups:
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

    @cached_property
    def view(self) -> LabelView:
        """How stored labels become columns of the schema."""
        return LabelView(self.manifest.layout, _Origins(self))

    def labels(self, split: str, columns: Sequence[str] = LABEL_NAMES, side: Sequence[str] = ()) -> pl.DataFrame:
        """The labels of a split as a polars frame with columns of the schema: `database` by name, tracks, people and files as text.

        Args:
            split: its name.
            columns: of the schema, in this order.
            side: side groups that databases declare, such as ``people``, whose columns follow; classes are in the database's own words.

        Raises:
            UnknownNameError: the dataset has no such split or side group.
        """
        labels = self.view.frame(self.stored_labels(split, columns), columns)
        for group in side:
            if group not in self.manifest.layout.side_groups:
                raise UnknownNameError(f"side group of '{self.path}'", group, self.manifest.layout.side_groups)
            labels = labels.hstack(self.view.side(self.load(split, [group]).data.table, group))
        return labels

    def origin(self, row: Mapping[str, Any]) -> dict[str, str]:
        """Where a row comes from, as text: database, release, subject, track, source_file.

        Args:
            row: of `load_dataset`, or anything else with the stored `database` (a code, or the name) and `origin`.
        """
        database = row["database"]
        name = database if isinstance(database, str) else self.manifest.databases[int(database)]
        texts = self.view.origins[name].slice(int(row["origin"]), 1).to_pylist()[0]
        return {"database": name, **{column: texts[column] for column in ORIGIN_COLUMNS}}

    def codes(self, split: str, column: str) -> npt.NDArray[np.int64]:
        """A number for every different text of a column and database, int64 [rows], in order of appearance; -1 for an empty text.

        Args:
            split: its name.
            column: ``release``, ``subject``, ``track`` or ``source_file``.
        """
        return self.view.codes(self.stored_labels(split, [column]), column)

    def stored_labels(self, split: str, columns: Sequence[str] = LABEL_NAMES) -> pa.Table:
        """The stored columns of a split that columns of the schema are read from, over memory maps."""
        groups = [
            group for group in (LABELS, *self.manifest.layout.side) if any(group_of(name) == group for name in columns)
        ]
        kept = {*stored_columns(columns), *(name for name in columns if group_of(name) in groups)}
        table = self.load(split, groups or [LABELS]).data.table
        return table.select([name for name in table.column_names if name in kept])

    def failures(self) -> pl.DataFrame:
        """The table of failures of the build: `database, source_file, source_line, image, reason, detail, split, position, origin`."""
        return pl.read_parquet(self.path / FAILURES)

    def _known_split(self, split: str) -> str:
        if split not in self.manifest.rows:
            raise UnknownNameError(f"split of '{self.path}'", split, self.splits)
        return split


def open_dataset(path: Path | str) -> DatasetFolder:
    """The dataset folder at a path.

    Args:
        path: of the folder.

    Raises:
        NotADatasetError: there is no dataset, or it is unfinished; the message names the command that builds one.
        ForeignVersionError: another version of affectkit wrote it.
    """
    path = Path(path)
    remedy = BUILD_REMEDY.format(path=path)
    if was_moved_away(path):
        because = "a command that replaced it was killed after it had moved the folder away"
        raise NotADatasetError(path, because, f"Bring it back with `affect-data upgrade {path}`")
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


class _Origins(Mapping[str, pa.Table]):
    """The tables of origins of a dataset, each opened at its first use.

    Args:
        folder: the dataset.
    """

    def __init__(self, folder: DatasetFolder) -> None:
        self._folder = folder
        self._tables: dict[str, pa.Table] = {}

    def __getitem__(self, database: str) -> pa.Table:
        if database not in self._tables:
            from datasets import load_from_disk

            place = self._folder.path / ORIGINS / database
            because = _broken_because(place, self._folder.manifest.origins[database])
            if because:
                raise NotADatasetError(
                    self._folder.path, f"'{ORIGINS}/{database}' {because}", "Build the dataset again"
                )
            self._tables[database] = load_from_disk(str(place)).data.table
        return self._tables[database]

    def __iter__(self) -> Iterator[str]:
        return iter(self._folder.manifest.origins)

    def __len__(self) -> int:
        return len(self._folder.manifest.origins)


def staged_group(place: Path) -> Path:
    """The folder in which a column group is written, beside the place that it takes once the manifest names it."""
    return place.with_name(f".{place.name}.new")


def group_files(folder: Path) -> tuple[str, ...]:
    """Names of the files of a sealed column group, in row order; empty if the folder is not one."""
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
    """Why a folder is not the sealed column group with this fingerprint; empty if it is."""
    if not is_sealed(folder, fingerprint):
        return f"is not the one that {MANIFEST} names, as after an interrupted write"
    lost = next((name for name in group_files(folder) if not (folder / name).is_file()), None)
    return f"lacks its file '{lost}'" if lost else ""
