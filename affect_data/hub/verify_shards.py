"""Reads every value and picture of a dataset, shard by shard, by several processes and threads."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import polars as pl
import pyarrow as pa

from affect_data.build.databases import Progress
from affect_data.build.packing import in_threads
from affect_data.build.shards import shared_out
from affect_data.dataset.folder import LABEL_NAMES, DatasetFolder, group_files, open_dataset
from affect_data.dataset.hashing import content_hash
from affect_data.dataset.layout import PEOPLE, PEOPLE_COLUMNS, frames_hash
from affect_data.dataset.schema import FRAMES, IMAGES, RULES, UNIQUE, Rule, check_rules
from affect_data.dataset.view import side_by_side
from affect_data.errors import SchemaError
from affect_data.hub.codes import Finding
from affect_data.processes import map_jobs

_PICTURES_AT_ONCE: Final = 500


@dataclass(frozen=True)
class StoredShard:
    """One shard of a dataset.

    Attributes:
        dataset: the folder.
        split: of the shard.
        number: position among the shards of the split.
        first: position of its first row in the split.
        rows: how many it has.
    """

    dataset: Path
    split: str
    number: int
    first: int
    rows: int


def stored_shards(folder: DatasetFolder) -> list[StoredShard]:
    """The shards of a dataset whose groups can be opened."""
    found = []
    for split in folder.splits:
        place, first = folder.group_folder(split, IMAGES), 0
        for number, name in enumerate(group_files(place)):
            rows = _opened(place / name).num_rows
            found.append(StoredShard(folder.path, split, number, first, rows))
            first += rows
    return found


def value_findings(folder: DatasetFolder, workers: int, progress: Progress) -> Iterator[Finding]:
    """What is wrong with the values and pictures of a dataset whose groups can be opened.

    Args:
        folder: the dataset.
        workers: pictures that are read at a time; every two are one process.
        progress: told about every shard.
    """
    shards = stored_shards(folder)
    processes, threads = shared_out(workers, max(1, len(shards)))
    for done, found in enumerate(map_jobs(partial(shard_findings, threads=threads), shards, processes), start=1):
        yield from found
        progress("verifying shards", done, len(shards))
    unique = [rule for rule in RULES if rule.name == UNIQUE]
    for split in folder.splits:
        yield from _broken_rules(folder.labels(split, ("uid", "source_file", "source_line")), split, unique)


def shard_findings(shard: StoredShard, *, threads: int = 1) -> list[Finding]:
    """What is wrong with one shard.

    Args:
        shard: that is read.
        threads: that hash pictures.
    """
    folder = open_dataset(shard.dataset)
    return [*_labels(folder, shard), *_pictures(folder, shard, threads), *_frames(folder, shard)]


def _labels(folder: DatasetFolder, shard: StoredShard) -> Iterator[Finding]:
    """The groups of labels whose values do not have their fingerprints, and the rules that rows break."""
    layout, hashes = folder.manifest.layout, folder.manifest.shards[shard.split]
    for group in (*layout.groups, *layout.side_groups):
        file = _file(folder, shard, group)
        if shard.number >= len(hashes[group]) or content_hash(_opened(file)) != hashes[group][shard.number]:
            yield Finding("D201", f"{shard.split}/{group}/{file.name}", "other values")
    stored = side_by_side([_opened(_file(folder, shard, group)) for group in layout.groups])
    people = folder.view.frame(stored, PEOPLE_COLUMNS).to_arrow()
    if shard.number >= len(hashes[PEOPLE]) or content_hash(people) != hashes[PEOPLE][shard.number]:
        last = shard.first + shard.rows - 1
        yield Finding("D201", f"{shard.split}, rows {shard.first:,} to {last:,}", "other people or frames")
    rules = [rule for rule in RULES if rule.name != UNIQUE]
    yield from _broken_rules(folder.view.frame(stored, LABEL_NAMES), shard.split, rules)


def _broken_rules(rows: pl.DataFrame, split: str, rules: Sequence[Rule]) -> Iterator[Finding]:
    try:
        check_rules(rows, rules)
    except SchemaError as error:
        yield Finding("D203", split, str(error).partition(". ")[0])


def _pictures(folder: DatasetFolder, shard: StoredShard, threads: int) -> Iterator[Finding]:
    """The rows whose pictures do not have their digests."""
    stored = _opened(_file(folder, shard, folder.manifest.layout.groups[0]))
    digests = folder.view.frame(stored, ("image_digest",))["image_digest"]
    images = _opened(_file(folder, shard, IMAGES)).column("image")

    def other(start: int) -> list[int]:
        part = images.slice(start, _PICTURES_AT_ONCE)
        found = (data for chunk in part.chunks for data in chunk.field("bytes"))
        return [row for row, data in enumerate(found, start) if _sha256(data) != digests[row]]

    for rows in in_threads(other, range(0, len(images), _PICTURES_AT_ONCE), threads):
        for row in rows:
            yield Finding("D202", f"{shard.split}/{IMAGES}", f"row {shard.first + row:,}")


def _frames(folder: DatasetFolder, shard: StoredShard) -> Iterator[Finding]:
    """A shard of clips whose frames do not have their fingerprint."""
    if FRAMES not in folder.groups(shard.split):
        return
    file = _file(folder, shard, FRAMES)
    if (
        frames_hash(frame_digests(_opened(file).column(FRAMES)))
        != folder.manifest.shards[shard.split][FRAMES][shard.number]
    ):
        yield Finding("D202", f"{shard.split}/{FRAMES}/{file.name}", "other frames of clips")


def frame_digests(clips: pa.ChunkedArray) -> list[list[str]]:
    """The digests of the frames of clips, a list for each row."""
    return [[_sha256(frame["bytes"]) for frame in frames] for chunk in clips.chunks for frames in chunk]


def _sha256(data: pa.BinaryScalar) -> str:
    return hashlib.sha256(data.as_buffer()).hexdigest()


def _file(folder: DatasetFolder, shard: StoredShard, group: str) -> Path:
    place = folder.group_folder(shard.split, group)
    return place / group_files(place)[shard.number]


def _opened(file: Path) -> pa.Table:
    return pa.ipc.open_stream(pa.memory_map(str(file))).read_all()
