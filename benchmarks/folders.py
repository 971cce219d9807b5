"""Dataset folders of made-up rows, written shard by shard."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa

from affect_data.dataset.folder import ORIGINS, Fingerprints, Manifest
from affect_data.dataset.hashing import combined_hash, content_hash, dataset_fingerprint
from affect_data.dataset.layout import (
    ORIGIN_COLUMNS,
    PEOPLE,
    PEOPLE_COLUMNS,
    Layout,
    origin_features,
    shown_hash,
)
from affect_data.dataset.schema import IMAGES, LABEL_COLUMNS, Column, arrow_schema
from affect_data.dataset.writing import (
    LABELS_PER_BATCH,
    ROWS_PER_BATCH,
    labels_fingerprint,
    seal_group,
    shard_name,
    write_manifest,
    write_shard,
)

Shards = Iterable[tuple[pl.DataFrame, pa.Array | None]]
"""Labels of the shards of a split, and their pictures: Arrow structs of bytes and path, or None in every shard."""


def write_dataset(path: Path, layout: Layout, splits: Mapping[str, tuple[int, Shards]]) -> None:
    """Writes a dataset folder.

    Args:
        path: of the new folder.
        layout: places for all that the rows say.
        splits: the number of shards, and each shard as it is asked for: columns of the schema, the database by name. What is left out is missing.
    """
    origins: dict[str, pl.DataFrame] = {}
    rows: dict[str, int] = {}
    written: dict[str, dict[str, list[str]]] = {}
    for split, (count, shards) in splits.items():
        names = [shard_name(index, count) for index in range(count)]
        written[split], rows[split] = {}, 0
        for name, (labels, images) in zip(names, shards, strict=True):
            parts = _parts(layout, _with_origins(filled(labels), origins), images)
            for group, (fingerprint, table) in parts.items():
                written[split].setdefault(group, []).append(fingerprint)
                if table is not None:
                    batch = ROWS_PER_BATCH if group == IMAGES else LABELS_PER_BATCH
                    write_shard(path / split / group / name, table, layout.features(group), batch)
            rows[split] += len(labels)
        for group in written[split].keys() - {PEOPLE}:
            fingerprint = combined_hash(written[split][group], group)
            seal_group(path / split / group, names, layout.features(group), fingerprint, split)
    manifest = Manifest(
        fingerprints=Fingerprints(pictures=_hash(written, IMAGES), labels="", people=_hash(written, PEOPLE)),
        layout=layout,
        origins={name: _write_origins(path / ORIGINS / name, table) for name, table in origins.items()},
        rows=rows,
        groups={
            split: {group: combined_hash(hashes, group) for group, hashes in groups.items() if group != PEOPLE}
            for split, groups in written.items()
        },
        shards=written,
    )
    manifest.fingerprints = manifest.fingerprints.model_copy(update={"labels": labels_fingerprint(manifest)})
    write_manifest(path, manifest)


def _parts(layout: Layout, labels: pl.DataFrame, images: pa.Array | None) -> dict[str, tuple[str, pa.Table | None]]:
    """Fingerprint and table of a shard by column group; the people have no table."""
    found: dict[str, tuple[str, pa.Table | None]] = {
        PEOPLE: (content_hash(labels.select(PEOPLE_COLUMNS).to_arrow()), None)
    }
    if images is not None:
        found[IMAGES] = (shown_hash(labels), pa.table([images], schema=arrow_schema(IMAGES)))
    for group in layout.groups:
        stored = layout.stored(labels, group)
        found[group] = (content_hash(stored), stored)
    return found


def filled(labels: pl.DataFrame) -> pl.DataFrame:
    """The rows with all columns of labels but ``image_digest``, which they must have."""
    absent = (column for column in LABEL_COLUMNS if column.name not in labels.columns)
    return labels.with_columns(_missing(column, len(labels)) for column in absent)


def _missing(column: Column, rows: int) -> pl.Series:
    slots = getattr(column.type, "list_size", 0)
    value = column.type.value_type if slots else column.type
    absent = "" if pa.types.is_string(value) else False if pa.types.is_boolean(value) else 0
    fill = pa.repeat(pa.scalar(absent if column.missing is None else column.missing, value), rows * max(slots, 1))
    found = pl.from_arrow(pa.FixedSizeListArray.from_arrays(fill, slots) if slots else fill)
    assert isinstance(found, pl.Series)
    return found.alias(column.name)


def _with_origins(labels: pl.DataFrame, origins: dict[str, pl.DataFrame]) -> pl.DataFrame:
    """The rows with their origins; what is new is added to the origins by database."""
    parts = []
    for (name,), own in labels.with_row_index("row").group_by("database", maintain_order=True):
        known = [origins[str(name)]] if str(name) in origins else []
        origins[str(name)] = pl.concat([*known, own.select(ORIGIN_COLUMNS)]).unique(maintain_order=True)
        numbered = origins[str(name)].with_row_index("origin").cast({"origin": pl.Int32})
        parts.append(own.join(numbered, on=ORIGIN_COLUMNS, how="left", maintain_order="left"))
    return pl.concat(parts).sort("row").drop("row")


def _write_origins(folder: Path, origins: pl.DataFrame) -> str:
    described = origin_features()
    table = origins.to_arrow().cast(described.arrow_schema)
    fingerprint = content_hash(table, seed=folder.name)
    write_shard(folder / shard_name(0, 1), table, described, LABELS_PER_BATCH)
    seal_group(folder, [shard_name(0, 1)], described, fingerprint, ORIGINS)
    return fingerprint


def _hash(written: Mapping[str, Mapping[str, list[str]]], group: str) -> str:
    return dataset_fingerprint({split: {group: combined_hash(own.get(group, ()))} for split, own in written.items()})


def slots(values: np.ndarray, name: str) -> pl.Series:
    """A column of lists of one length.

    Args:
        values: [rows, slots].
        name: of the column.
    """
    return pl.Series(name, values, dtype=pl.Array(pl.Series(values[:0].reshape(-1)).dtype, values.shape[1]))
