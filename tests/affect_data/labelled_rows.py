"""Datasets of a few rows with chosen labels, written as a build writes them but without images."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa

from affect_data.dataset.folder import DatasetFolder, Manifest, open_dataset
from affect_data.dataset.hashing import content_hash
from affect_data.dataset.schema import LABELS, arrow_schema, check_rules, features
from affect_data.dataset.writing import seal_group, shard_name, write_manifest, write_shard
from affect_data.vocabulary import ACTION_UNIT_SLOTS, ACTION_UNITS, EXPRESSIONS


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
    """A dataset folder with one column group, the labels."""
    databases = sorted({row.database for row in rows})
    splits = [split for split in ("train", "validation", "test") if any(row.split == split for row in rows)]
    groups = {}
    for split in splits:
        members = [(number, row) for number, row in enumerate(rows) if row.split == split]
        table = pa.Table.from_pylist(
            [_labels(number, row, databases) for number, row in members], schema=arrow_schema(LABELS)
        )
        shards = [shard_name(0, 1)]
        described = features(LABELS, databases)
        write_shard(path / split / LABELS / shards[0], table, described)
        digest = content_hash(table)
        seal_group(path / split / LABELS, shards, described, digest, split)
        groups[split] = {LABELS: digest}
    counts = {split: sum(row.split == split for row in rows) for split in splits}
    fingerprint = content_hash(pa.table({"d": [groups[split][LABELS] for split in splits]}))[:16]
    write_manifest(path, Manifest(fingerprint=fingerprint, databases=databases, rows=counts, groups=groups))
    dataset = open_dataset(path)
    for split in splits:
        check_rules(dataset.labels(split))
    return dataset


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
        "image_digest": f"{number:064x}",
    }
