"""Datasets of a few rows with chosen labels, written as a build writes them but without images."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from datasets import Features

from affect_data.dataset.folder import ORIGINS, DatasetFolder, Fingerprints, Manifest, open_dataset
from affect_data.dataset.hashing import combined_hash, content_hash, dataset_fingerprint
from affect_data.dataset.layout import (
    COMPOUND,
    PEOPLE,
    PEOPLE_COLUMNS,
    VOTES,
    Layout,
    origin_features,
    origins_of,
    shown_hash,
)
from affect_data.dataset.schema import IMAGES, LABEL_COLUMNS, check_rules
from affect_data.dataset.writing import labels_fingerprint, seal_group, shard_name, write_manifest, write_shard
from affect_data.vocabulary import ACTION_UNIT_SLOTS, ACTION_UNITS, EXPRESSIONS, FRAME_SCOPE, LABEL_SCOPES


@dataclass(frozen=True)
class Row:
    database: str
    split: str
    subject: str = ""
    au: dict[int, int] = field(default_factory=dict)
    expression: str | None = None
    va: tuple[float, float] | None = None
    votes: dict[str, float] | None = None


def write_dataset(path: Path, rows: Sequence[Row]) -> DatasetFolder:
    """A dataset folder with labels and no pictures."""
    databases = sorted({row.database for row in rows})
    splits = [split for split in ("train", "validation", "test") if any(row.split == split for row in rows)]
    numbered = list(enumerate(rows))
    dataset = write_tables(
        path,
        {
            split: label_table([_labels(number, row, databases) for number, row in numbered if row.split == split])
            for split in splits
        },
        databases,
    )
    for split in splits:
        check_rules(dataset.labels(split))
    return dataset


def label_table(rows: Sequence[dict[str, Any]]) -> pl.DataFrame:
    """Rows of plain values as a frame with the columns of the schema; ``database`` is a code, and a row is of scope frame where it does not say."""
    schema = pa.schema([pa.field(column.name, column.type) for column in LABEL_COLUMNS])
    frame = pl.from_arrow(pa.Table.from_pylist(list(rows), schema=schema))
    assert isinstance(frame, pl.DataFrame)
    return frame.with_columns(pl.col("label_scope").fill_null(LABEL_SCOPES.index(FRAME_SCOPE)))


def layout_that_holds(frames: Sequence[pl.DataFrame], databases: Sequence[str]) -> Layout:
    """A layout with places for what frames of the schema say, whatever their databases declare."""
    exact = Layout.of([], frames)
    masks = [np.concatenate([frame[f"{name}_mask"].to_numpy() for frame in frames]) for name in ("au", "au_intensity")]
    units, intensities = (tuple(np.array(ACTION_UNITS)[mask.any(axis=0)].tolist()) for mask in masks)
    side = (VOTES,) * any(not np.isnan(frame["expression_votes"].to_numpy()).all() for frame in frames)
    side += (COMPOUND,) * any(frame["compound_expression_mask"].any() for frame in frames)
    return Layout(
        databases=tuple(databases),
        action_units=units,
        intensities=intensities,
        whole_intensities=exact.whole_intensities,
        boxes=exact.boxes,
        side=side,
    )


def write_tables(
    path: Path,
    labels: Mapping[str, pl.DataFrame],
    databases: Sequence[str],
    images: Mapping[str, pa.Table] | None = None,
    layout: Layout | None = None,
) -> DatasetFolder:
    """A dataset folder, as a build writes it.

    Args:
        path: of the folder.
        labels: by split, with the columns of the schema; ``database`` is a code; no rule is asked for.
        databases: alphabetical.
        images: by split; without them, the dataset has no pictures.
        layout: where the labels say less than it holds.
    """
    layout = layout or layout_that_holds(list(labels.values()), databases)
    numbered, origins = _with_origins(labels, databases)
    shards: dict[str, dict[str, list[str]]] = {}
    groups: dict[str, dict[str, str]] = {}
    for split, rows in numbered.items():
        tables = {group: layout.stored(rows, group) for group in layout.groups}
        shards[split] = {group: [content_hash(table)] for group, table in tables.items()}
        if images is not None:
            tables[IMAGES] = images[split]
            shards[split][IMAGES] = [shown_hash(rows)]
        groups[split] = {group: combined_hash(hashes, seed=group) for group, hashes in shards[split].items()}
        for group, table in tables.items():
            _write_group(path / split / group, table, layout.features(group), groups[split][group], split)
    hashes = {}
    for database, table in origins.items():
        hashes[database] = content_hash(table, seed=database)
        _write_group(path / ORIGINS / database, table, origin_features(), hashes[database], ORIGINS)
    shown = {split: {IMAGES: shown_hash(rows)} for split, rows in numbered.items()}
    people = {split: {PEOPLE: content_hash(rows.select(PEOPLE_COLUMNS).to_arrow())} for split, rows in numbered.items()}
    manifest = Manifest(
        fingerprints=Fingerprints(pictures=dataset_fingerprint(shown), labels="", people=dataset_fingerprint(people)),
        layout=layout,
        origins=hashes,
        rows={split: len(rows) for split, rows in labels.items()},
        groups=groups,
        shards=shards,
    )
    manifest.fingerprints = manifest.fingerprints.model_copy(update={"labels": labels_fingerprint(manifest)})
    write_manifest(path, manifest)
    return open_dataset(path)


def with_other(dataset: DatasetFolder, *names: str) -> DatasetFolder:
    """The dataset after a change of its pictures, labels or people, as its manifest tells it."""
    other = dataset.manifest.fingerprints.model_copy(update=dict.fromkeys(names, "f" * 16))
    write_manifest(dataset.path, dataset.manifest.model_copy(update={"fingerprints": other}))
    return open_dataset(dataset.path)


def _with_origins(
    labels: Mapping[str, pl.DataFrame], databases: Sequence[str]
) -> tuple[dict[str, pl.DataFrame], dict[str, pa.Table]]:
    """The rows of each split with their origins, and the table of origins of each database."""
    every = pl.concat([rows.with_columns(split=pl.lit(split)) for split, rows in labels.items()]).with_row_index("row")
    parts, origins = [every.clear().with_columns(origin=pl.lit(0, pl.Int32))], {}
    for code, database in enumerate(databases):
        part, table = origins_of(every.filter(pl.col("database") == code))
        origins[database] = table.to_arrow().cast(origin_features().arrow_schema)
        parts.append(part)
    numbered = pl.concat(parts).sort("row")
    return {split: numbered.filter(pl.col("split") == split).drop("row", "split") for split in labels}, origins


def _write_group(place: Path, table: pa.Table, described: Features, fingerprint: str, split: str) -> None:
    shard = shard_name(0, 1)
    write_shard(place / shard, table, described)
    seal_group(place, [shard], described, fingerprint, split)


def _labels(number: int, row: Row, databases: list[str]) -> dict:
    au = np.full(len(ACTION_UNITS), -1)
    for unit, value in row.au.items():
        au[ACTION_UNIT_SLOTS[unit]] = value
    votes = [np.nan] * len(EXPRESSIONS) if row.votes is None else [row.votes.get(name, 0.0) for name in EXPRESSIONS]
    expression = -1 if row.expression is None else EXPRESSIONS.index(row.expression)
    valence, arousal = (np.nan, np.nan) if row.va is None else row.va
    return {
        "uid": f"{row.database}:{number}",
        "database": databases.index(row.database),
        "release": "",
        "subject": row.subject,
        "track": "",
        "frame": number,
        "face": 0,
        "source_file": "labels.txt",
        "source_line": number + 1,
        "au": au.tolist(),
        "au_mask": (au >= 0).tolist(),
        "au_intensity": [np.nan] * len(ACTION_UNITS),
        "au_intensity_mask": [False] * len(ACTION_UNITS),
        "expression": expression,
        "expression_mask": expression >= 0,
        "expression_votes": votes,
        "compound_expression": -1,
        "compound_expression_mask": False,
        "valence": valence,
        "arousal": arousal,
        "va_mask": row.va is not None,
        "face_box": [np.nan] * 4,
        "image_digest": hashlib.sha256(str(number).encode()).hexdigest(),
    }
