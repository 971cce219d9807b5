"""Turns packed shards into the column groups of a dataset, and the manifest that names them."""

import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from affect_data.build.jobs import ShardRecord, record_path
from affect_data.corrections.decisions import Decision
from affect_data.corrections.matching import LabelShard, correct
from affect_data.databases.base import SPLITS
from affect_data.dataset.folder import (
    ORIGINS,
    Fingerprints,
    Manifest,
)
from affect_data.dataset.hashing import combined_hash, content_hash, dataset_fingerprint
from affect_data.dataset.layout import PEOPLE, Layout, origin_features
from affect_data.dataset.view import LabelView
from affect_data.dataset.writing import LABELS_PER_BATCH, labels_fingerprint, seal_group, shard_name, write_shard


def apply_to_shards(
    decisions: Sequence[Decision], staging: Path, view: LabelView, records: list[ShardRecord]
) -> tuple[dict[str, Any], list[ShardRecord]]:
    """Corrects the packed labels by decisions. These find rows by digests, which are known only after packing.

    Returns:
        What became of the decisions, and the records with the fingerprints of the corrected labels.
    """
    counts = Counter(record.split for record in records)
    shards = [
        LabelShard(
            record.split,
            {
                group: staging / record.split / group / shard_name(record.index, counts[record.split])
                for group in view.layout.groups
            },
            view,
        )
        for record in records
    ]

    def forget(number: int) -> None:
        # After a kill from here on, the next build must not take corrected labels for those of the files. The pictures stay what they are.
        record = records[number]
        replace(record, key="").write(record_path(staging, record.split, record.index))

    summary, written = correct(shards, view.layout.databases, decisions, forget)
    return summary, [
        replace(record, fingerprints=record.fingerprints | written.get(number, {}))
        for number, record in enumerate(records)
    ]


def write_origins(staging: Path, origins: Mapping[str, pl.DataFrame]) -> dict[str, str]:
    """Writes the table of origins of every database; returns their fingerprints."""
    described, found = origin_features(), {}
    for name, known in origins.items():
        table = known.to_arrow().cast(described.arrow_schema)
        folder, shard = staging / ORIGINS / name, shard_name(0, 1)
        found[name] = content_hash(table, seed=name)
        write_shard(folder / shard, table, described, LABELS_PER_BATCH)
        seal_group(folder, [shard], described, found[name], ORIGINS)
    return found


def seal(staging: Path, layout: Layout, records: list[ShardRecord], origins: dict[str, str]) -> Manifest:
    """Turns the packed shards into column groups; returns the manifest that names them."""
    rows: dict[str, int] = {}
    groups: dict[str, dict[str, str]] = {}
    shards: dict[str, dict[str, list[str]]] = {}
    for split in SPLITS:
        own = [record for record in records if record.split == split]
        if not sum(record.rows for record in own):
            shutil.rmtree(staging / split, ignore_errors=True)
            continue
        rows[split] = sum(record.rows for record in own)
        names = [shard_name(index, len(own)) for index in range(len(own))]
        shards[split] = {name: [record.fingerprints[name] for record in own] for name in sorted(own[0].fingerprints)}
        groups[split] = {
            group: combined_hash(hashes, seed=group) for group, hashes in shards[split].items() if group != PEOPLE
        }
        for group, fingerprint in groups[split].items():
            seal_group(staging / split / group, names, layout.features(group), fingerprint, split)
    pictures, people = (
        dataset_fingerprint({split: {name: combined_hash(shards[split][name]) for name in names} for split in shards})
        for names in (layout.pictures, (PEOPLE,))
    )
    named = Manifest(
        fingerprints=Fingerprints(pictures=pictures, labels="", people=people),
        layout=layout,
        origins=origins,
        rows=rows,
        groups=groups,
        shards=shards,
    )
    named.fingerprints = named.fingerprints.model_copy(update={"labels": labels_fingerprint(named)})
    return named
