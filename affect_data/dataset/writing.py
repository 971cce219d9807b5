"""Writes a dataset folder: shards, sealed groups, and the manifest last; all atomic and flushed to disk."""

import json
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from affect_data.errors import DataError

if TYPE_CHECKING:
    from datasets import Features
from affect_data.dataset.folder import MANIFEST, DatasetFolder, Manifest, is_sealed, open_dataset, staged_group
from affect_data.dataset.hashing import content_hash, dataset_fingerprint
from affect_data.files import exclusive, flush, move_folder, write_text, written_file

ROWS_PER_BATCH: Final = 1000
"""Rows of a record batch of pictures."""

CLIPS_PER_BATCH: Final = 8
"""Rows of a record batch of clips; few, because reading one clip reads its whole batch."""

LARGEST_BATCH: Final = 2**31 - 1
"""Bytes of a record batch of pictures: the most that one array can hold."""

LABELS_PER_BATCH: Final = 1 << 16
"""Rows of a record batch of everything else; so many that the overhead of a batch is negligible."""


def shard_name(index: int, count: int) -> str:
    """File name of one shard of a group, as Hugging Face names it."""
    return f"data-{index:05d}-of-{count:05d}.arrow"


def write_shard(
    path: Path, table: pa.Table, features: "Features | pa.Schema", batch_rows: int = ROWS_PER_BATCH
) -> None:
    """Writes one Arrow file of a column group, in record batches of `batch_rows`: atomic, flushed to disk.

    Args:
        path: of the file.
        table: its rows.
        features: of the group, or their Arrow schema, which saves working it out for each shard.
        batch_rows: rows of a record batch.
    """
    schema = features if isinstance(features, pa.Schema) else features.arrow_schema
    with written_file(path) as partial, partial.open("wb") as sink, pa.ipc.new_stream(sink, schema) as writer:
        writer.write_table(_without_slack(table.cast(schema)), max_chunksize=batch_rows)


@contextmanager
def shard_file(path: Path, features: "Features", batch_rows: int = ROWS_PER_BATCH) -> Iterator["BatchWriter"]:
    """One Arrow file of a group of one column, written array by array, with the bytes that `write_shard` gives it: atomic, flushed to disk."""
    schema = features.arrow_schema
    with written_file(path) as partial, partial.open("wb") as sink, pa.ipc.new_stream(sink, schema) as stream:
        writer = BatchWriter(stream, schema, batch_rows)
        yield writer
        writer.finish()


class BatchWriter:
    """Writes arrays of any length as record batches of one length. Only the last is shorter, or one whose values are more than an array can hold."""

    def __init__(self, stream: pa.ipc.RecordBatchStreamWriter, schema: pa.Schema, batch_rows: int) -> None:
        self._stream = stream
        self._schema = schema
        self._length = batch_rows
        self._held: list[pa.Array] = []
        self._rows = 0
        self._size = 0

    def append(self, array: pa.Array) -> None:
        """Adds the values of an array without nulls, which is no slice of another."""
        if self._held and self._size + array.nbytes > LARGEST_BATCH:
            self.finish()
        start = 0
        while self._rows + len(array) - start >= self._length:
            stop = start + self._length - self._rows
            self._hold(array, start, stop)
            self.finish()
            start = stop
        if start < len(array):
            self._hold(array, start, len(array))

    def finish(self) -> None:
        """Writes what is left."""
        if self._held:
            whole = self._held[0] if len(self._held) == 1 else pa.concat_arrays(self._held)
            self._stream.write_batch(pa.RecordBatch.from_arrays([whole], schema=self._schema))
        self._held, self._rows, self._size = [], 0, 0

    def _hold(self, array: pa.Array, start: int, stop: int) -> None:
        whole = stop - start == len(array)
        # Copied, because a part of an array would be written with the values behind it in the same 64 bytes.
        part = array if whole else array.take(pa.array(np.arange(start, stop)))
        self._held.append(part)
        self._rows, self._size = self._rows + len(part), self._size + part.nbytes


def _without_slack(table: pa.Table) -> pa.Table:
    """The table with zeros behind the last bit of its boolean values: a slice carries bits of the rows after it there."""
    for index, field in enumerate(table.schema):
        parts = [_exact(chunk) for chunk in table.column(index).chunks]
        table = table.set_column(index, field, pa.chunked_array(parts, field.type))
    return table


def _exact(array: pa.Array) -> pa.Array:
    kind = array.type
    if pa.types.is_boolean(kind):
        return array.cast(pa.int8()).cast(kind)
    if pa.types.is_fixed_size_list(kind) and pa.types.is_boolean(kind.value_type):
        return pa.FixedSizeListArray.from_arrays(_exact(array.flatten()), type=kind)
    if pa.types.is_struct(kind) and any(pa.types.is_boolean(field.type) for field in kind):
        return pa.StructArray.from_arrays([_exact(child) for child in array.flatten()], fields=list(kind))
    return array


def seal_group(folder: Path, shards: Sequence[str], features: "Features", fingerprint: str, split: str) -> None:
    """Makes a folder of shards a dataset that ``datasets.load_from_disk`` opens, and flushes it and its name to disk.

    Args:
        folder: holds the shards.
        shards: their file names, in row order.
        features: of the group.
        fingerprint: hash of the group's content.
        split: name of the split.
    """
    from datasets import DatasetInfo

    DatasetInfo(features=features).write_to_directory(str(folder))
    flush(folder / "dataset_info.json")
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
    flush(folder.parent)


def labels_fingerprint(manifest: Manifest) -> str:
    """Hash of all labels of a dataset, from the fingerprints of their column groups."""
    groups = manifest.layout.groups
    return dataset_fingerprint(
        {split: {group: own[group] for group in groups} for split, own in manifest.groups.items()}
    )


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Writes ``dataset.json``, which makes everything that it names part of the dataset."""
    write_text(path / MANIFEST, manifest.model_dump_json(indent=2) + "\n")


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
        tables: one table for each split, in the row order of the split.
        features: of the group.
        provenance: what made it; kept in the manifest.

    Returns:
        The dataset with the group.

    Raises:
        DataError: a table has another number of rows than its split.
    """
    with exclusive(folder.path):
        manifest = open_dataset(folder.path).manifest
        settle_groups(folder.path, manifest)
        named = manifest.model_copy(deep=True)
        named.provenance[name] = provenance
        try:
            for split, table in tables:
                if len(table) != manifest.rows[split]:
                    raise DataError(
                        f"group '{name}' has {len(table):,} rows for split '{split}', the dataset has {manifest.rows[split]:,}"
                    )
                table = table.cast(features.arrow_schema)
                fingerprint = content_hash(table, seed=name)
                staged = staged_group(folder.path / split / name)
                write_shard(staged / shard_name(0, 1), table, features, LABELS_PER_BATCH)
                seal_group(staged, [shard_name(0, 1)], features, fingerprint, split)
                named.groups[split][name] = fingerprint
            write_manifest(folder.path, named)
        finally:
            settle_groups(folder.path, open_dataset(folder.path).manifest)
    return open_dataset(folder.path)


def settle_groups(path: Path, manifest: Manifest) -> None:
    """Moves staged column groups that the manifest names into place, and removes those that it does not name.

    A group is replaced in three steps: the new one is written beside it and sealed, the manifest names it, and it takes the place of the old one. A
    kill between them leaves a readable dataset; the next command that writes to it, under its lock, takes the last step by this function.
    """
    for split, groups in manifest.groups.items():
        for staged in sorted((path / split).glob(".*.new")):
            name = staged.name.removeprefix(".").removesuffix(".new")
            if name in groups and is_sealed(staged, groups[name]):
                shutil.rmtree(path / split / name, ignore_errors=True)
                move_folder(staged, path / split / name)
            else:
                shutil.rmtree(staged)
