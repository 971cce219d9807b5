"""What goes into a shard, and what is known of a finished one."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import polars as pl

from affect_data.bounds import PICTURE_BYTES, PIXELS, BoundError, read_json
from affect_data.build.seen import SEEN
from affect_data.build.sources import PictureSource, settled_before
from affect_data.databases.base import DatabaseOptions
from affect_data.databases.registry import reader_of
from affect_data.dataset.hashing import content_hash
from affect_data.dataset.layout import Layout
from affect_data.dataset.schema import SCHEMA_VERSION
from affect_data.dataset.writing import shard_name
from affect_data.files import write_text

USABLE: Final = 3
"""Version of what makes a row usable; shards of another version are packed again."""

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
        earlier: the shard of the same pictures in the dataset that is replaced.
        because: why there is none.
    """

    split: str
    index: int
    count: int
    rows: pl.DataFrame
    layout: Layout
    roots: dict[str, Path]
    options: dict[str, DatabaseOptions]
    staging: Path
    earlier: "EarlierShard | None" = None
    because: str = ""

    def key(self) -> str:
        """sha256 of what decides the shard, except the bytes of the pictures."""
        layout = self.layout.model_dump_json()
        place = f"schema {SCHEMA_VERSION}; usable {USABLE}; {self.split}; {layout}; {self._reader()}"
        return content_hash(self.rows.to_arrow(), seed=place)

    def pictures_key(self) -> str:
        """sha256 of what decides the pictures of the shard, except their bytes: rows of other labels may have the same."""
        limits = f"{PIXELS.value()} {PICTURE_BYTES.value()}"
        place = f"pictures; usable {USABLE}; {limits}; {self._reader()}; {self.layout.clips}"
        clips = ("clip_frames",) if self.has_clips else ()
        return content_hash(self.rows.select("database", "image", "face_box", *clips).to_arrow(), seed=place)

    def source(self) -> PictureSource:
        """Opens its pictures."""
        ((name, root),) = self.roots.items()
        options = self.options[name]
        return PictureSource(reader_of(name, options)(options), root, settled_before(self.staging.parent))

    def _reader(self) -> str:
        """The database and the version of its reader."""
        (name,) = self.roots
        return f"{name} {reader_of(name, self.options[name]).reader_version}"

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

    def seen_path(self) -> Path:
        """Where the digests of all named pictures are written, including those of missing ones."""
        return self.record_path().with_suffix(".pictures")

    def record_path(self) -> Path:
        """Where the record of the finished shard is written, as the last of its files."""
        return record_path(self.staging, self.split, self.index)


def record_path(folder: Path, split: str, index: int) -> Path:
    """Where a dataset or a staging folder keeps the record of a shard."""
    return folder / SEEN / split / f"{index:05d}.json"


@dataclass(frozen=True)
class ShardRecord:
    """What became of one shard.

    Attributes:
        split: of the dataset.
        index: position among the shards of the split.
        key: `ShardJob.key`.
        rows: number of rows that were written.
        pictures: sha256 over the digests of the named pictures.
        fingerprints: content hash of the shard by column group, and of `PEOPLE`.
        failures: rows that were not written, with the columns of `FAILURE_COLUMNS`; `position` counts from the first row of the shard.
        frames: number of frames of clips that were written.
        frames_left_out: frames of these clips that cannot be decoded, and why.
        damaged: number of pictures that are written although a part of them is damaged.
        pictures_key: `ShardJob.pictures_key`.
        files: size and time of the file of each group, by which it is known whether anything changed it.
        reused: whether an interrupted build had finished it.
        pictures_kept: whether its pictures are a file of the dataset that is replaced.
        labels_kept: whether its labels are.
        because: why pictures or labels had to be written.
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
    damaged: int = 0
    pictures_key: str = ""
    files: dict[str, list[int]] = field(default_factory=dict, compare=False)
    reused: bool = False
    pictures_kept: bool = False
    labels_kept: bool = False
    because: str = field(default="", compare=False)

    def write(self, path: Path) -> None:
        """Writes it to a file."""
        write_text(path, json.dumps(asdict(self), sort_keys=True) + "\n")

    @classmethod
    def read(cls, path: Path) -> "ShardRecord | None":
        """What a file holds; None if there is no whole record."""
        try:
            return cls(**read_json(path))
        except (OSError, ValueError, TypeError, BoundError):
            return None

    def described(self) -> dict[str, Any]:
        """What the lock says of the shard: what follows from rows and pictures alone."""
        names = ("split", "index", "key", "rows", "pictures", "fingerprints", "frames", "frames_left_out")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True)
class EarlierShard:
    """A shard of the dataset that is replaced.

    Attributes:
        record: of the shard.
        files: of each column group, in the dataset.
        seen: where the digests of its pictures are.
        same_labels: whether the labels are still those that were packed, and not corrected ones.
    """

    record: ShardRecord
    files: dict[str, Path]
    seen: Path
    same_labels: bool

    def is_whole(self, groups: Sequence[str]) -> bool:
        """Whether nothing has changed the files of some groups since they were written."""
        return all(
            group in self.files and list(facts_of(self.files[group])) == self.record.files.get(group)
            for group in groups
        )


def facts_of(path: Path) -> tuple[int, int]:
    """Size and time (nanoseconds) of the last change of a file; -1 if there is none."""
    try:
        status = path.stat()
    except OSError:
        return -1, -1
    return status.st_size, status.st_mtime_ns
