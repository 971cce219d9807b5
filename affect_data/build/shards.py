"""Image bytes, as found, into Arrow shards; what cannot be decoded is quarantined.

A shard is a function of its rows and of the pictures that they name, of nothing else: it can be packed by any process on any machine, and a finished
shard is used again exactly when the same rows and the same bytes would go into it.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import polars as pl
import pyarrow as pa

from affect_data.bounds import read_json
from affect_data.databases.base import IMAGE_MISSING, DatabaseOptions
from affect_data.databases.registry import DATABASES, scores_of
from affect_data.dataset.hashing import content_hash
from affect_data.dataset.layout import PEOPLE, PEOPLE_COLUMNS, Layout, shown_hash
from affect_data.dataset.schema import (
    IMAGES,
    LABEL_COLUMNS,
    MISSING_NUMBER,
    SCHEMA_VERSION,
    check_rules,
    score_features,
)
from affect_data.dataset.writing import LABELS_PER_BATCH, shard_name, write_shard
from affect_data.files import write_bytes, write_text
from affect_data.pictures import Examined, box_misses, examine
from affect_data.system_errors import reading

UNDECODABLE: Final = "image cannot be decoded"
BOX_OUTSIDE: Final = "face box outside its image"

USABLE: Final = 2
"""Version of what makes a row usable; shards of another are packed again."""

FAILURE_COLUMNS: Final = ("database", "source_file", "source_line", "image", "reason", "detail")


@dataclass(frozen=True)
class ShardJob:
    """What goes into one shard.

    Attributes:
        split: of the dataset.
        index: position among the shards of the split.
        count: how many shards the split has.
        rows: label columns without `image_digest`, the database by name, `origin`, `image`, and `score_<name>` where the database has scores.
        layout: of the dataset.
        roots: folder by database name; no part of the content.
        options: recipe options by database name.
        staging: folder that receives ``<split>/<group>/<shard>``.
    """

    split: str
    index: int
    count: int
    rows: pl.DataFrame
    layout: Layout
    roots: dict[str, Path]
    options: dict[str, DatabaseOptions]
    staging: Path

    def key(self) -> str:
        """sha256 of what decides the shard, but for the bytes of the pictures."""
        readers = [f"{name} {DATABASES[name].reader_version}" for name in self.rows["database"].unique().sort()]
        layout = self.layout.model_dump_json()
        place = f"schema {SCHEMA_VERSION}; usable {USABLE}; {self.split}; {layout}; {','.join(readers)}"
        return content_hash(self.rows.to_arrow(), seed=place)

    @property
    def groups(self) -> tuple[str, ...]:
        """The column groups of the dataset: images, labels with their side groups, and one for each score that any of its databases has."""
        return (IMAGES, *self.layout.groups, *scores_of(self.layout.databases))

    def path(self, group: str) -> Path:
        """Where the shard of a group is written."""
        return self.staging / self.split / group / shard_name(self.index, self.count)

    def digests_path(self) -> Path:
        """Where the digests of all pictures that it names are written, those of lost ones too."""
        return self.staging / self.split / f"{self.index:05d}.digests"

    def record_path(self) -> Path:
        """Where the record of the finished shard is written, last of its files."""
        return self.staging / self.split / f"{self.index:05d}.json"


@dataclass(frozen=True)
class ShardRecord:
    """What became of one shard.

    Attributes:
        split: of the dataset.
        index: position among the shards of the split.
        key: `ShardJob.key`.
        rows: rows that were written.
        pictures: sha256 over `picture_digests`.
        fingerprints: content hash of the shard by column group, and of `PEOPLE`.
        failures: rows that were not written, with the columns of `FAILURE_COLUMNS`.
        reused: whether an earlier build had finished it.
    """

    split: str
    index: int
    key: str
    rows: int
    pictures: str
    fingerprints: dict[str, str]
    failures: list[dict[str, str | int]] = field(default_factory=list)
    reused: bool = False


def pack_shard(job: ShardJob) -> ShardRecord:
    """Writes one shard of images and labels, and its record; a finished shard of the same content is used again.

    Raises:
        SchemaError: a row breaks a rule of the schema.
    """
    key = job.key()
    finished = _finished(job, key)
    if finished is not None:
        return finished
    seen = bytearray()
    kept: list[bool] = []
    digests: list[str] = []
    images: list[dict[str, bytes | str]] = []
    failures: list[dict[str, str | int]] = []
    examined: tuple[str, Examined] = ("", Examined(""))
    for row, data in _pictures(job):
        hashed = hashlib.sha256(data or b"")
        digest = hashed.hexdigest()
        seen += hashed.digest()
        if data is not None and examined[0] != digest:
            examined = (digest, examine(data))
        reason, detail = _unusable(row, data, examined[1])
        kept.append(not reason)
        if reason or data is None:
            place = {name: row[name] for name in ("database", "source_file", "source_line", "image")}
            failures.append({**place, "reason": reason, "detail": detail})
        else:
            digests.append(digest)
            images.append({"bytes": data, "path": f"{row['database']}/{row['image']}"})
    rows = job.rows.filter(pl.Series(kept, dtype=pl.Boolean)).with_columns(
        pl.Series("image_digest", digests, dtype=pl.String)
    )
    fingerprints = _write(job, rows, images)
    record = ShardRecord(
        job.split, job.index, key, len(images), hashlib.sha256(seen).hexdigest(), fingerprints, failures
    )
    write_bytes(job.digests_path(), bytes(seen))
    write_text(job.record_path(), json.dumps(asdict(record), sort_keys=True) + "\n")
    return record


def _unusable(row: Mapping[str, Any], data: bytes | None, picture: Examined) -> tuple[str, str]:
    """Why a row cannot be trained on, and what exactly is wrong; empty where it can."""
    if data is None:
        return IMAGE_MISSING, ""
    if picture.because:
        return UNDECODABLE, picture.because
    if box_misses(row["face_box"], picture.width, picture.height):
        box = " ".join(f"{side:g}" for side in row["face_box"])
        return BOX_OUTSIDE, f"{box} in {picture.width}x{picture.height} pixels"
    return "", ""


def picture_digests(job: ShardJob) -> bytes:
    """sha256 of the bytes of every picture that the shard names, in order, 32 bytes each; a missing one counts as empty."""
    return b"".join(hashlib.sha256(data or b"").digest() for _, data in _pictures(job))


def _pictures(job: ShardJob) -> Iterator[tuple[dict[str, Any], bytes | None]]:
    """The shard's rows with the bytes of their pictures, None where there is no file; a picture of several faces is read once."""
    openers: dict[str, Callable[[str], bytes]] = {}
    last: tuple[tuple[str, str], bytes | None] | None = None
    for row in job.rows.select("database", "source_file", "source_line", "image", "face_box").iter_rows(named=True):
        name, place = row["database"], (row["database"], row["image"])
        if last is None or last[0] != place:
            if name not in openers:
                openers[name] = DATABASES[name](job.options[name]).open_images(job.roots[name])
            with reading(job.roots[name] / row["image"]):
                try:
                    last = (place, openers[name](row["image"]))
                except (FileNotFoundError, IsADirectoryError):
                    last = (place, None)
        yield row, last[1]


def _finished(job: ShardJob, key: str) -> ShardRecord | None:
    """The record of the shard, where it was finished with the same rows and the pictures still have the same bytes."""
    try:
        record = ShardRecord(**read_json(job.record_path()))
    except (FileNotFoundError, ValueError, TypeError):
        return None
    if record.key != key or not all(job.path(group).is_file() for group in job.groups):
        return None
    return replace(record, reused=True) if _same_pictures(job, record) else None


def _same_pictures(job: ShardJob, record: ShardRecord) -> bool:
    return job.digests_path().is_file() and hashlib.sha256(picture_digests(job)).hexdigest() == record.pictures


def _write(job: ShardJob, rows: pl.DataFrame, images: list[dict[str, bytes | str]]) -> dict[str, str]:
    """Writes the shard of every column group; returns their fingerprints."""
    check_rules(rows.select(column.name for column in LABEL_COLUMNS))
    table = pa.table({"image": pa.array(images, type=pa.struct({"bytes": pa.binary(), "path": pa.string()}))})
    write_shard(job.path(IMAGES), table, job.layout.features(IMAGES))
    found = {
        IMAGES: shown_hash(rows),
        PEOPLE: content_hash(rows.select(PEOPLE_COLUMNS).to_arrow()),
    }
    for group in job.layout.groups:
        stored = job.layout.stored(rows, group)
        write_shard(job.path(group), stored, job.layout.features(group), LABELS_PER_BATCH)
        found[group] = content_hash(stored)
    for score in scores_of(job.layout.databases):
        none = pl.repeat(MISSING_NUMBER, len(rows), dtype=pl.Float32, eager=True)
        values = pa.table({score: rows.get_column(f"score_{score}", default=none).to_arrow()})
        write_shard(job.path(score), values, score_features(score), LABELS_PER_BATCH)
        found[score] = content_hash(values)
    return found
