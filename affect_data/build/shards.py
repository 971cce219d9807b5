"""Packs labels and the bytes of pictures, as found, into Arrow shards; rows whose pictures cannot be decoded become failures.

A shard is a function of only its rows and the pictures that they name. So any process on any machine can pack it, and a finished shard is used again
exactly when the same rows and bytes would go into it.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import polars as pl
import pyarrow as pa

from affect_data.bounds import BoundError, read_json
from affect_data.databases.base import IMAGE_MISSING, DatabaseOptions
from affect_data.databases.clips import NO_FRAMES
from affect_data.databases.registry import reader_of
from affect_data.dataset.hashing import content_hash
from affect_data.dataset.layout import PEOPLE, PEOPLE_COLUMNS, Layout, frames_hash, shown_hash
from affect_data.dataset.schema import (
    FRAMES,
    IMAGES,
    LABEL_COLUMNS,
    PICTURE,
    SCHEMA_VERSION,
    check_rules,
)
from affect_data.dataset.writing import CLIPS_PER_BATCH, LABELS_PER_BATCH, shard_name, write_shard
from affect_data.files import write_bytes, write_text
from affect_data.pictures import Examined, box_misses, examine
from affect_data.system_errors import reading

UNDECODABLE: Final = "image cannot be decoded"
BOX_OUTSIDE: Final = "face box outside its image"

USABLE: Final = 3
"""Version of what makes a row usable; shards of another version are packed again."""

_PLACE: Final = ("database", "source_file", "source_line", "image", "face_box")

FAILURE_COLUMNS: Final = (
    "database",
    "source_file",
    "source_line",
    "image",
    "reason",
    "detail",
    "split",
    "position",
    "origin",
)
"""Columns of the failures. The last three say where a row whose picture cannot be used would be: the split, the position among the rows of its
database there, and the origin; of a line without a row they are "" and -1."""


@dataclass(frozen=True)
class ShardJob:
    """What goes into one shard.

    Attributes:
        split: of the dataset.
        index: position among the shards of the split.
        count: how many shards the split has.
        rows: label columns without `image_digest`, the database by name, `origin`, `image`, `clip_frames` if the database has clips, and
            its side columns.
        layout: of the dataset.
        roots: folder by database name; not part of the content.
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
        """sha256 of what decides the shard, except the bytes of the pictures."""
        readers = [
            f"{name} {reader_of(name, self.options[name]).reader_version}"
            for name in self.rows["database"].unique().sort()
        ]
        layout = self.layout.model_dump_json()
        place = f"schema {SCHEMA_VERSION}; usable {USABLE}; {self.split}; {layout}; {','.join(readers)}"
        return content_hash(self.rows.to_arrow(), seed=place)

    @property
    def groups(self) -> tuple[str, ...]:
        """The column groups of the dataset: pictures, labels with their side groups, and those that its databases declare in addition."""
        return (*self.layout.pictures, *self.layout.groups, *self.layout.side_groups)

    @property
    def has_clips(self) -> bool:
        """Whether its rows are clips; all of them are of one database."""
        return "clip_frames" in self.rows.columns

    def path(self, group: str) -> Path:
        """Where the shard of a group is written."""
        return self.staging / self.split / group / shard_name(self.index, self.count)

    def digests_path(self) -> Path:
        """Where the digests of all named pictures are written, including those of missing ones."""
        return self.staging / self.split / f"{self.index:05d}.digests"

    def record_path(self) -> Path:
        """Where the record of the finished shard is written, as the last of its files."""
        return self.staging / self.split / f"{self.index:05d}.json"


@dataclass(frozen=True)
class ShardRecord:
    """What became of one shard.

    Attributes:
        split: of the dataset.
        index: position among the shards of the split.
        key: `ShardJob.key`.
        rows: number of rows that were written.
        pictures: sha256 over `picture_digests`.
        fingerprints: content hash of the shard by column group, and of `PEOPLE`.
        failures: rows that were not written, with the columns of `FAILURE_COLUMNS`; `position` counts from the first row of the shard.
        frames: number of frames of clips that were written.
        frames_left_out: frames of these clips that cannot be decoded, and why.
        reused: whether an earlier build had finished it.
    """

    split: str
    index: int
    key: str
    rows: int
    pictures: str
    fingerprints: dict[str, str]
    failures: list[dict[str, str | int]] = field(default_factory=list)
    frames: int = 0
    frames_left_out: list[str] = field(default_factory=list)
    reused: bool = False


_Read = bytes | str | None
"""The bytes of a picture, or why its file cannot be read, or None if there is no file."""


@dataclass(frozen=True)
class _Named:
    """A row and the pictures that it names.

    Attributes:
        row: the columns of `_PLACE`.
        pictures: path and content of each: all frames of a clip in order, or the one picture of another row.
    """

    row: Mapping[str, Any]
    pictures: Sequence[tuple[str, _Read]]


@dataclass(frozen=True)
class _Packed:
    """What becomes of a row.

    Attributes:
        image: bytes and path of its picture, for a clip the middle frame; None if the row is not written.
        frames: bytes and path of the frames of a clip.
        digests: of the frames.
        digest: of the picture.
        reason: why the row is not written; empty if it is.
        detail: what exactly is wrong.
        left_out: the frames of a clip that cannot be decoded, and why.
    """

    image: dict[str, bytes | str] | None
    digest: str = ""
    frames: Sequence[dict[str, bytes | str]] = ()
    digests: Sequence[str] = ()
    reason: str = ""
    detail: str = ""
    left_out: Sequence[str] = ()


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
    packed: list[_Packed] = []
    failures: list[dict[str, str | int]] = []
    examine_once = lru_cache(maxsize=1)(examine)
    for position, named in enumerate(_named_pictures(job)):
        seen += _digests(named)
        found = _pack_clip(named) if job.has_clips else _pack_picture(named, examine_once)
        packed.append(found)
        if found.image is None:
            place = {name: named.row[name] for name in ("database", "source_file", "source_line", "image")}
            where = {"split": job.split, "position": position, "origin": job.rows["origin"][position]}
            failures.append({**place, "reason": found.reason, "detail": found.detail, **where})
    kept = [row for row in packed if row.image is not None]
    rows = job.rows.filter(pl.Series([row.image is not None for row in packed], dtype=pl.Boolean)).with_columns(
        pl.Series("image_digest", [row.digest for row in kept], dtype=pl.String)
    )
    fingerprints = _write(job, rows, kept)
    record = ShardRecord(
        job.split, job.index, key, len(kept), hashlib.sha256(seen).hexdigest(), fingerprints, failures,
        frames=sum(len(row.frames) for row in kept), frames_left_out=[frame for row in kept for frame in row.left_out],
    )  # fmt: skip
    write_bytes(job.digests_path(), bytes(seen))
    write_text(job.record_path(), json.dumps(asdict(record), sort_keys=True) + "\n")
    return record


def _pack_picture(named: _Named, examine_once: Callable[[bytes], Examined]) -> _Packed:
    """What becomes of a row with one picture; a picture of several faces is examined only once."""
    (image, data), row = named.pictures[0], named.row
    if data is None:
        return _Packed(None, reason=IMAGE_MISSING)
    if isinstance(data, str):
        return _Packed(None, reason=UNDECODABLE, detail=data)
    picture = examine_once(data)
    if picture.because:
        return _Packed(None, reason=UNDECODABLE, detail=picture.because)
    if box_misses(row["face_box"], picture.width, picture.height):
        box = " ".join(f"{side:g}" for side in row["face_box"])
        return _Packed(None, reason=BOX_OUTSIDE, detail=f"{box} in {picture.width}x{picture.height} pixels")
    return _Packed({"bytes": data, "path": f"{row['database']}/{image}"}, hashlib.sha256(data).hexdigest())


def _pack_clip(named: _Named) -> _Packed:
    """What becomes of a clip: it is written with the frames that can be decoded, if there are any; the middle one is its picture."""
    frames: list[dict[str, bytes | str]] = []
    left_out: list[str] = []
    for path, data in named.pictures:
        because = examine(data).because if isinstance(data, bytes) else data or "there is no such file"
        if because:
            left_out.append(f"{path}: {because}")
        elif isinstance(data, bytes):
            frames.append({"bytes": data, "path": f"{named.row['database']}/{path}"})
    if not frames:
        return _Packed(None, reason=NO_FRAMES, detail=f"none of {len(left_out):,} can be decoded; {left_out[0]}")
    digests = [hashlib.sha256(frame["bytes"]).hexdigest() for frame in frames]  # type: ignore[arg-type]
    middle = len(frames) // 2
    return _Packed(frames[middle], digests[middle], frames, digests, left_out=left_out)


def picture_digests(job: ShardJob) -> bytes:
    """sha256 of the bytes of every picture that the shard names, in order, 32 bytes each; a missing or unreadable one counts as empty."""
    return b"".join(map(_digests, _named_pictures(job)))


def _digests(named: _Named) -> bytes:
    return b"".join(hashlib.sha256(data if isinstance(data, bytes) else b"").digest() for _, data in named.pictures)


def _named_pictures(job: ShardJob) -> Iterator[_Named]:
    """The shard's rows with their pictures; a picture of several faces is read only once."""
    openers: dict[str, Callable[[str], bytes]] = {}
    last: tuple[tuple[str, str], _Read] | None = None

    def read(name: str, image: str) -> _Read:
        if name not in openers:
            openers[name] = reader_of(name, job.options[name])(job.options[name]).open_images(job.roots[name])
        with reading(job.roots[name] / image):
            try:
                return openers[name](image)
            except BoundError as error:
                return f"{error.found}; {error.expected} are read: {error.remedy}"
            except (FileNotFoundError, IsADirectoryError):
                return None

    for row in job.rows.select(*_PLACE, *(("clip_frames",) if job.has_clips else ())).iter_rows(named=True):
        name, image = row["database"], row["image"]
        if job.has_clips:
            yield _Named(row, [(frame, read(name, frame)) for frame in row["clip_frames"]])
            continue
        if last is None or last[0] != (name, image):
            last = ((name, image), read(name, image))
        yield _Named(row, [(image, last[1])])


def _finished(job: ShardJob, key: str) -> ShardRecord | None:
    """The record of the shard if it was finished with the same rows and the pictures still have the same bytes; otherwise None."""
    try:
        record = ShardRecord(**read_json(job.record_path()))
    except (FileNotFoundError, ValueError, TypeError):
        return None
    if record.key != key or not all(job.path(group).is_file() for group in job.groups):
        return None
    return replace(record, reused=True) if _same_pictures(job, record) else None


def _same_pictures(job: ShardJob, record: ShardRecord) -> bool:
    return job.digests_path().is_file() and hashlib.sha256(picture_digests(job)).hexdigest() == record.pictures


def _write(job: ShardJob, rows: pl.DataFrame, packed: Sequence[_Packed]) -> dict[str, str]:
    """Writes the shard of every column group; returns their fingerprints."""
    check_rules(rows.select(column.name for column in LABEL_COLUMNS))
    check_rules(rows, [column.rule() for column in job.layout.declared if column.name in rows.columns])
    images = pa.table({"image": pa.array([row.image for row in packed], type=PICTURE)})
    write_shard(job.path(IMAGES), images, job.layout.features(IMAGES))
    found = {
        IMAGES: shown_hash(rows),
        PEOPLE: content_hash(rows.select(PEOPLE_COLUMNS).to_arrow()),
    }
    if FRAMES in job.layout.pictures:
        write_shard(job.path(FRAMES), _frames(packed), job.layout.features(FRAMES), CLIPS_PER_BATCH)
        found[FRAMES] = frames_hash([row.digests for row in packed])
    for group in (*job.layout.groups, *job.layout.side_groups):
        stored = job.layout.stored(rows, group)
        write_shard(job.path(group), stored, job.layout.features(group), LABELS_PER_BATCH)
        found[group] = content_hash(stored)
    return found


def _frames(packed: Sequence[_Packed]) -> pa.Table:
    """The frames of all rows, in chunks of few rows, because one array cannot hold the frames of very many clips."""
    starts = range(0, len(packed), CLIPS_PER_BATCH)
    pieces = [
        pa.array([row.frames for row in packed[start : start + CLIPS_PER_BATCH]], type=pa.list_(PICTURE))
        for start in starts
    ]
    return pa.table({"frames": pa.chunked_array(pieces, type=pa.list_(PICTURE))})
