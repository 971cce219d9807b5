"""How a dataset folder is written: shards, sealed groups, the manifest last; all atomic and flushed to disk."""

import json
import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from affect_data.errors import DataError

if TYPE_CHECKING:
    from datasets import Features
from affect_data.dataset.folder import MANIFEST, DatasetFolder, Manifest, open_dataset
from affect_data.dataset.hashing import content_hash
from affect_data.files import exclusive, write_text
from affect_data.system_errors import writing_to

ROWS_PER_BATCH: Final = 1000


def shard_name(index: int, count: int) -> str:
    """File name of one shard of a group, as Hugging Face names it."""
    return f"data-{index:05d}-of-{count:05d}.arrow"


def write_shard(path: Path, table: pa.Table, features: "Features", batch_rows: int = ROWS_PER_BATCH) -> None:
    """Writes one Arrow file of a column group, in record batches of `batch_rows`: atomic, flushed to disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    schema = features.arrow_schema
    with writing_to(path), partial.open("wb") as sink:
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
