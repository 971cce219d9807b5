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

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, ValidationError

from affect_data.databases.base import SPLITS
from affect_data.dataset.schema import IMAGES, LABELS, SCHEMA_VERSION
from affect_data.errors import DataError, NotADatasetError, UnknownNameError

if TYPE_CHECKING:
    from datasets import Dataset, Features

FORMAT: Final = "affectkit-dataset"
FORMAT_VERSION: Final = 1
MANIFEST: Final = "dataset.json"
LOCK: Final = "dataset.lock.json"
FAILURES: Final = "failures.parquet"
AUDIT: Final = "audit.parquet"
AUDIT_FINGERPRINT: Final = "affectkit.dataset_fingerprint"
ROWS_PER_BATCH: Final = 1000

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
            because = _broken_because(self.path / split / group, self.manifest.groups[split][group])
            if because:
                raise NotADatasetError(
                    self.path, f"the column group '{split}/{group}' {because}", "Write the group again"
                )
            parts.append(load_from_disk(str(self.path / split / group)))
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
        loaded = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
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
    return open_dataset(path).load(split, [LABELS, IMAGES, *(f"soft.{name}" for name in soft_labels)])


# ---------------------------------------------------------------- writing


def shard_name(index: int, count: int) -> str:
    """File name of one shard of a group, as Hugging Face names it."""
    return f"data-{index:05d}-of-{count:05d}.arrow"


def write_shard(path: Path, table: pa.Table, features: "Features", batch_rows: int = ROWS_PER_BATCH) -> None:
    """Writes one Arrow file of a column group, in record batches of `batch_rows`: atomic, flushed to disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    schema = features.arrow_schema
    with partial.open("wb") as sink:
        with pa.ipc.new_stream(sink, schema) as writer:
            writer.write_table(_without_slack(table.cast(schema)), max_chunksize=batch_rows)
        sink.flush()
        os.fsync(sink.fileno())
    partial.rename(path)


def _without_slack(table: pa.Table) -> pa.Table:
    """The table with zeros behind the last bit of its boolean columns: a slice carries bits of the rows after it there."""
    for index, field in enumerate(table.schema):
        column = table.column(index)
        if pa.types.is_boolean(field.type):
            table = table.set_column(index, field, column.cast(pa.int8()).cast(field.type))
        elif pa.types.is_fixed_size_list(field.type) and pa.types.is_boolean(field.type.value_type):
            values = [chunk.flatten().cast(pa.int8()).cast(pa.bool_()) for chunk in column.chunks]
            lists = [pa.FixedSizeListArray.from_arrays(chunk, type=field.type) for chunk in values]
            table = table.set_column(index, field, pa.chunked_array(lists, field.type))
    return table


def seal_group(folder: Path, shards: Sequence[str], features: "Features", fingerprint: str, split: str) -> None:
    """Makes a folder of shards a dataset that ``datasets.load_from_disk`` opens.

    Args:
        folder: holds the shards.
        shards: their file names, in row order.
        features: of the group.
        fingerprint: hash of the group's content.
        split: name of the split.
    """
    from datasets import DatasetInfo

    DatasetInfo(features=features).write_to_directory(str(folder))
    state: dict[str, Any] = {
        "_data_files": [{"filename": name} for name in shards],
        "_fingerprint": fingerprint[:16],
        "_format_columns": None,
        "_format_kwargs": {},
        "_format_type": None,
        "_output_all_columns": False,
        "_split": split,
    }
    write_text(folder / "state.json", json.dumps(state, indent=2, sort_keys=True) + "\n")


def _broken_because(folder: Path, fingerprint: str) -> str:
    """Why a folder is not the sealed column group with this fingerprint; empty where it is."""
    try:
        state = json.loads((folder / "state.json").read_text(encoding="utf-8"))
        shards = [file["filename"] for file in state["_data_files"]]
        sealed = state["_fingerprint"]
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        sealed, shards = "", []
    if sealed != fingerprint[:16]:
        return f"is not the one that {MANIFEST} names, as after an interrupted write"
    lost = next((name for name in shards if not (folder / name).is_file()), None)
    return f"lacks its file '{lost}'" if lost else ""


def write_text(path: Path, text: str) -> None:
    """Writes a text file: atomic, flushed to disk."""
    partial = path.with_name(path.name + ".partial")
    with partial.open("w", encoding="utf-8") as sink:
        sink.write(text)
        sink.flush()
        os.fsync(sink.fileno())
    partial.rename(path)


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Writes ``dataset.json``, which makes everything that it names part of the dataset."""
    write_text(path / MANIFEST, manifest.model_dump_json(indent=2) + "\n")


def content_hash(table: pa.Table, seed: str = "") -> str:
    """sha256 of the values of a table, column by column; independent of how it is chunked.

    Raises:
        TypeError: a column is of a type that label and soft-label groups do not have.
    """
    digest = hashlib.sha256(seed.encode())
    for name in table.column_names:
        digest.update(f"\0{name}:{table.schema.field(name).type}\0".encode())
        column = table.column(name)
        # Numbers follow one another whatever the chunks; the lengths of texts come before all of their bytes.
        for array in (
            column.chunks if _is_numeric(column.type) else [pa.concat_arrays(column.chunks)] if len(table) else []
        ):
            for buffer in _value_buffers(array):
                digest.update(buffer)
    return digest.hexdigest()


def _is_numeric(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_primitive(kind) or (pa.types.is_fixed_size_list(kind) and pa.types.is_primitive(kind.value_type))
    )


def dataset_fingerprint(groups: dict[str, dict[str, str]]) -> str:
    """Hash of all labels and image digests, from the fingerprints of the column groups by split."""
    joined = json.dumps({split: groups[split][LABELS] for split in groups}, sort_keys=True)
    return hashlib.sha256(f"{SCHEMA_VERSION};{joined}".encode()).hexdigest()[:16]


def _value_buffers(array: pa.Array) -> tuple[bytes | memoryview, ...]:
    """The values of an array without nulls, as bytes that do not depend on Arrow's offsets and paddings."""
    if pa.types.is_fixed_size_list(array.type):
        array = array.flatten()
    if pa.types.is_boolean(array.type):
        array = array.cast(pa.int8())
    if pa.types.is_primitive(array.type):
        return (np.ascontiguousarray(array.to_numpy(zero_copy_only=False)).view(np.uint8).data,)
    if not (
        pa.types.is_string(array.type) or pa.types.is_large_string(array.type) or pa.types.is_string_view(array.type)
    ):
        raise TypeError(f"no content hash for Arrow type {array.type}")
    text = array.cast(pa.large_string())
    offsets = np.frombuffer(text.buffers()[1], np.int64)[text.offset : text.offset + len(text) + 1]
    data = text.buffers()[2]
    return np.diff(offsets).tobytes(), memoryview(data)[offsets[0] : offsets[-1]] if data is not None else b""


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Holds the folder's write lock.

    Raises:
        DataError: another process holds it.
    """
    path.mkdir(parents=True, exist_ok=True)
    with (path / ".lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DataError(
                f"'{path}' is being written by another process; wait for it to end, then run the same command again"
            ) from None
        yield


def add_group(
    folder: DatasetFolder,
    name: str,
    tables: Iterable[tuple[str, pa.Table]],
    features: "Features",
    provenance: dict[str, Any],
) -> DatasetFolder:
    """Adds a column group to a dataset, or replaces it; images, labels and other groups are not touched.

    Args:
        folder: the dataset.
        name: of the group.
        tables: one table a split, in the row order of the split.
        features: of the group.
        provenance: what made it; kept in the manifest.

    Returns:
        The dataset with the group.

    Raises:
        DataError: a table has another number of rows than its split.
    """
    with exclusive(folder.path):
        manifest = open_dataset(folder.path).manifest
        staged: list[tuple[Path, Path]] = []
        for split, table in tables:
            if len(table) != manifest.rows[split]:
                raise DataError(
                    f"group '{name}' has {len(table):,} rows for split '{split}', the dataset has {manifest.rows[split]:,}"
                )
            table = table.cast(features.arrow_schema)
            fingerprint = content_hash(table, seed=name)
            partial = folder.path / split / f".{name}.partial"
            shutil.rmtree(partial, ignore_errors=True)
            write_shard(partial / shard_name(0, 1), table, features)
            seal_group(partial, [shard_name(0, 1)], features, fingerprint, split)
            staged.append((partial, folder.path / split / name))
            manifest.groups[split][name] = fingerprint
        for partial, final in staged:
            shutil.rmtree(final, ignore_errors=True)
            partial.rename(final)
        manifest.provenance[name] = provenance
        write_manifest(folder.path, manifest)
    return open_dataset(folder.path)
