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

from affect_data.databases.base import IMAGE_MISSING, DatabaseOptions
from affect_data.databases.registry import DATABASES, scores_of
from affect_data.dataset.hashing import content_hash
from affect_data.dataset.schema import (
    IMAGES,
    LABEL_COLUMNS,
    LABELS,
    MISSING_NUMBER,
    SCHEMA_VERSION,
    check_rules,
    features,
    score_features,
)
from affect_data.dataset.writing import shard_name, write_shard
from affect_data.files import write_text
from affect_data.pictures import Examined, box_misses, examine
from affect_data.system_errors import reading

UNDECODABLE: Final = "image cannot be decoded"
BOX_OUTSIDE: Final = "face box outside its image"

USABLE: Final = 2
"""Version of what makes a row usable; shards of another are packed again."""

FAILURE_COLUMNS: Final = ("database", "source_file", "source_line", "image", "reason", "detail")


@dataclass(frozen=True)
class ShardPlan:
    """What goes into one shard.

    Attributes:
        split: of the dataset.
        index: position among the shards of the split.
        count: how many shards the split has.
        rows: label columns without `image_digest`, the database by name, `image`, and `score_<name>` where the database has scores.
        databases: names of all merged databases.
        roots: folder by database name; no part of the content.
        options: recipe options by database name.
        staging: folder that receives ``<split>/<group>/<shard>``.
    """

    split: str
    index: int
    count: int
    rows: pl.DataFrame
    databases: tuple[str, ...]
    roots: dict[str, Path]
    options: dict[str, DatabaseOptions]
    staging: Path

    def key(self) -> str:
        """sha256 of what decides the shard, but for the bytes of the pictures."""
        readers = [f"{name} {DATABASES[name].reader_version}" for name in self.rows["database"].unique().sort()]
        place = (
            f"schema {SCHEMA_VERSION}; usable {USABLE}; {self.split}; {','.join(self.databases)}; {','.join(readers)}"
        )
        return content_hash(self.rows.to_arrow(), seed=place)

    @property
    def groups(self) -> tuple[str, ...]:
        """The column groups of the dataset: images, labels, and one for each score that any of its databases has."""
        return (IMAGES, LABELS, *scores_of(self.databases))

    def path(self, group: str) -> Path:
        """Where the shard of a group is written."""
        return self.staging / self.split / group / shard_name(self.index, self.count)

    def record_path(self) -> Path:
        """Where the record of the finished shard is written, last of its files."""
        return self.staging / self.split / f"{self.index:05d}.json"


@dataclass(frozen=True)
class ShardRecord:
    """What became of one shard.

    Attributes:
        split: of the dataset.
        index: position among the shards of the split.
        key: `ShardPlan.key`.
        rows: rows that were written.
        pictures: sha256 over the bytes of all pictures that the shard names, in order; missing ones count as empty.
        failures: rows that were not written, with the columns of `FAILURE_COLUMNS`.
        reused: whether an earlier build had finished it.
    """

    split: str
    index: int
    key: str
    rows: int
    pictures: str
    failures: list[dict[str, str | int]] = field(default_factory=list)
    reused: bool = False


def pack_shard(plan: ShardPlan) -> ShardRecord:
    """Writes one shard of images and labels, and its record; a finished shard of the same content is used again.

    Raises:
        SchemaError: a row breaks a rule of the schema.
    """
    key = plan.key()
    finished = _finished(plan, key)
    if finished is not None:
        return finished
    pictures = hashlib.sha256()
    kept: list[bool] = []
    digests: list[str] = []
    images: list[dict[str, bytes | str]] = []
    failures: list[dict[str, str | int]] = []
    examined: tuple[str, Examined] = ("", Examined(""))
    for row, data in _pictures(plan):
        digest = hashlib.sha256(data or b"").hexdigest()
        pictures.update(digest.encode())
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
    _write(plan, plan.rows.filter(pl.Series(kept, dtype=pl.Boolean)), digests, images)
    record = ShardRecord(plan.split, plan.index, key, len(images), pictures.hexdigest(), failures)
    write_text(plan.record_path(), json.dumps(asdict(record), sort_keys=True) + "\n")
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


def pictures_digest(plan: ShardPlan) -> str:
    """sha256 over the bytes of all pictures that the shard names: `ShardRecord.pictures` of a shard that was packed now."""
    pictures = hashlib.sha256()
    for _, data in _pictures(plan):
        pictures.update(hashlib.sha256(data or b"").hexdigest().encode())
    return pictures.hexdigest()


def _pictures(plan: ShardPlan) -> Iterator[tuple[dict[str, Any], bytes | None]]:
    """The shard's rows with the bytes of their pictures, None where there is no file; a picture of several faces is read once."""
    openers: dict[str, Callable[[str], bytes]] = {}
    last: tuple[tuple[str, str], bytes | None] | None = None
    for row in plan.rows.select("database", "source_file", "source_line", "image", "face_box").iter_rows(named=True):
        name, place = row["database"], (row["database"], row["image"])
        if last is None or last[0] != place:
            if name not in openers:
                openers[name] = DATABASES[name](plan.options[name]).open_images(plan.roots[name])
            with reading(plan.roots[name] / row["image"]):
                try:
                    last = (place, openers[name](row["image"]))
                except (FileNotFoundError, IsADirectoryError):
                    last = (place, None)
        yield row, last[1]


def _finished(plan: ShardPlan, key: str) -> ShardRecord | None:
    """The record of the shard, where it was finished with the same rows and the pictures still have the same bytes."""
    try:
        record = ShardRecord(**json.loads(plan.record_path().read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return None
    if record.key != key or not all(plan.path(group).is_file() for group in plan.groups):
        return None
    return replace(record, reused=True) if pictures_digest(plan) == record.pictures else None


def _write(plan: ShardPlan, rows: pl.DataFrame, digests: list[str], images: list[dict[str, bytes | str]]) -> None:
    codes = {name: code for code, name in enumerate(sorted(plan.databases))}
    labels = rows.with_columns(
        pl.col("database").replace_strict(codes, return_dtype=pl.Int64),
        pl.Series("image_digest", digests, dtype=pl.String),
    ).select(column.name for column in LABEL_COLUMNS)
    check_rules(labels)
    image_features = features(IMAGES, plan.databases)
    table = pa.table({"image": pa.array(images, type=pa.struct({"bytes": pa.binary(), "path": pa.string()}))})
    write_shard(plan.path(IMAGES), table, image_features)
    write_shard(plan.path(LABELS), labels.to_arrow(), features(LABELS, plan.databases))
    for score in scores_of(plan.databases):
        none = pl.repeat(MISSING_NUMBER, len(rows), dtype=pl.Float32, eager=True)
        values = rows.get_column(f"score_{score}", default=none)
        write_shard(plan.path(score), pa.table({score: values.to_arrow()}), score_features(score))
