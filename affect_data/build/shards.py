"""Packs labels and the bytes of pictures, as found, into Arrow shards; rows whose pictures cannot be decoded become failures.

A shard is a function of only its rows and the pictures that they name. So any process on any machine can pack it, and a finished shard is used again
exactly when the same rows and bytes would go into it: all of it after an interrupted build, and of the dataset that is replaced the pictures or the
labels alone, too.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
import pyarrow as pa

from affect_data.build.jobs import ShardJob, ShardRecord, facts_of
from affect_data.build.packing import DIGEST_BYTES, Block, Check, packed_blocks
from affect_data.build.seen import SeenPictures, look_again
from affect_data.dataset.hashing import content_hash
from affect_data.dataset.layout import PEOPLE, PEOPLE_COLUMNS, frames_hash, shown_hash
from affect_data.dataset.schema import (
    FRAMES,
    IMAGES,
    LABEL_COLUMNS,
    PICTURE,
    check_rules,
)
from affect_data.dataset.writing import (
    CLIPS_PER_BATCH,
    LABELS_PER_BATCH,
    ROWS_PER_BATCH,
    shard_file,
    write_shard,
)
from affect_data.files import link_file, written_file
from affect_data.pictures import examine

INTERRUPTED: Final = "finished by an interrupted build"
CHANGED_FILES: Final = "something changed its files"
OTHER_BYTES: Final = "picture files have other bytes"

_BATCH: Final = {IMAGES: ROWS_PER_BATCH, FRAMES: CLIPS_PER_BATCH}
"""Rows of a record batch by column group."""


@dataclass
class _Pictures:
    """The pictures of a shard, which are written or linked.

    Attributes:
        seen: all that are named.
        kept: whether each row is written.
        image_digests: of the rows that are written.
        failures: position, reason and detail of each row that is not written.
        frames: fingerprint of the frames of clips.
        frame_count: how many there are.
        left_out: frames of clips that cannot be decoded, and why.
        damaged: number of damaged pictures among those that are written.
    """

    seen: SeenPictures
    kept: list[bool]
    image_digests: list[str]
    failures: list[tuple[int, str, str]]
    frames: str = ""
    frame_count: int = 0
    left_out: list[str] = field(default_factory=list)
    damaged: int = 0

    def add(self, block: Block) -> None:
        """Adds what became of further rows."""
        self.kept += block.kept
        self.image_digests += block.image_digests
        self.failures += block.failures
        self.left_out += block.left_out
        self.damaged += block.damaged


def pack_shard(job: ShardJob, *, threads: int = 1, check: Check = examine) -> ShardRecord:
    """Writes one shard of images and labels, and its record; a finished shard of the same content is used again.

    Args:
        job: what goes into the shard.
        threads: that read and examine pictures.
        check: what says whether a picture can be decoded.

    Raises:
        SchemaError: a row breaks a rule of the schema.
    """
    key, pictures_key = job.key(), job.pictures_key()
    finished = _finished(job, key, pictures_key, threads)
    if finished is not None:
        return finished
    linked = _linked(job, pictures_key, threads)
    pictures = linked if isinstance(linked, _Pictures) else _packed(job, pictures_key, threads, check)
    rows = job.rows.filter(pl.Series(pictures.kept, dtype=pl.Boolean)).with_columns(
        pl.Series("image_digest", pictures.image_digests, dtype=pl.String)
    )
    check_rules(rows.select(column.name for column in LABEL_COLUMNS))
    check_rules(rows, [column.rule() for column in job.layout.declared if column.name in rows.columns])
    fingerprints, labels_kept = _write_labels(job, key, rows, same_pictures=pictures is linked)
    if FRAMES in job.layout.pictures:
        fingerprints[FRAMES] = pictures.frames
    record = ShardRecord(
        job.split, job.index, key, len(rows), pictures.seen.digest, fingerprints, _failures(job, pictures.failures),
        frames=pictures.frame_count, frames_left_out=pictures.left_out, damaged=pictures.damaged, pictures_key=pictures_key,
        files={group: list(facts_of(job.path(group))) for group in job.groups},
        pictures_kept=pictures is linked, labels_kept=labels_kept,
        because=linked if isinstance(linked, str) else "" if labels_kept else job.because,
    )  # fmt: skip
    pictures.seen.write(job.seen_path())
    record.write(job.record_path())
    return record


def _failures(job: ShardJob, failures: Sequence[tuple[int, str, str]]) -> list[dict[str, str | int]]:
    """Rows that are not written, with the columns of `FAILURE_COLUMNS`."""
    places = job.rows.select("database", "source_file", "source_line", "image", "origin")
    return [
        {**places.row(position, named=True), "reason": reason, "detail": detail, "split": job.split, "position": position}
        for position, reason, detail in failures
    ]  # fmt: skip


def _packed(job: ShardJob, pictures_key: str, threads: int, check: Check) -> _Pictures:
    """Reads the pictures, and writes the shards of their groups."""
    packed = _Pictures(SeenPictures.none(pictures_key), [], [], [])
    marks: list[int] = []
    digests: list[bytes] = []
    frame_digests: list[list[str]] = []
    with ExitStack() as files:
        writers = {
            group: files.enter_context(shard_file(job.path(group), job.layout.features(group), _BATCH[group]))
            for group in job.layout.pictures
        }
        for block in packed_blocks(job.rows, job.source(), threads, check):
            for array in block.images:
                writers[IMAGES].append(array)
            if FRAMES in writers:
                for array in block.frames if job.has_clips else [_no_frames(sum(block.kept))]:
                    writers[FRAMES].append(array)
            marks += block.marks
            digests += block.seen
            frame_digests += block.frame_digests
            packed.add(block)
    packed.seen = SeenPictures(pictures_key, np.array(marks, np.uint64), b"".join(digests))
    if not job.has_clips:
        frame_digests = [[]] * sum(packed.kept)
    packed.frames = frames_hash(frame_digests)
    packed.frame_count = sum(map(len, frame_digests))
    return packed


def _no_frames(rows: int) -> pa.ListArray:
    """The frames of rows that are no clips."""
    return pa.ListArray.from_arrays(pa.array([0] * (rows + 1), pa.int32()), pa.array([], PICTURE), pa.list_(PICTURE))


def _linked(job: ShardJob, pictures_key: str, threads: int) -> _Pictures | str:
    """The pictures of the dataset that is replaced as files of the new one too; or why they are not those of the shard."""
    earlier = job.earlier
    if earlier is None:
        return job.because
    if not earlier.is_whole(job.layout.pictures):
        return CHANGED_FILES
    seen = look_again(job.rows, pictures_key, job.source(), SeenPictures.read(earlier.seen), threads)
    if seen.digest != earlier.record.pictures:
        return OTHER_BYTES
    kept = [True] * len(job.rows)
    failures = []
    for failure in earlier.record.failures:
        kept[int(failure["position"])] = False
        failures.append((int(failure["position"]), str(failure["reason"]), str(failure["detail"])))
    record = earlier.record
    image_digests = _digests_of_rows(job, seen, kept, record.frames_left_out)
    for group in job.layout.pictures:
        _link(earlier.files[group], job.path(group))
    return _Pictures(
        seen, kept, image_digests, failures, record.fingerprints.get(FRAMES, ""), record.frames, record.frames_left_out, record.damaged
    )  # fmt: skip


def _digests_of_rows(job: ShardJob, seen: SeenPictures, kept: Sequence[bool], left_out: Sequence[str]) -> list[str]:
    """The sha256 of the picture of each row that is written: of a clip, the middle one of the frames that are not left out."""
    digests = [seen.digests[at : at + DIGEST_BYTES].hex() for at in range(0, len(seen.digests), DIGEST_BYTES)]
    if not job.has_clips:
        return [digest for digest, keeps in zip(digests, kept, strict=True) if keeps]
    found, place, gone = [], 0, 0
    for paths, keeps in zip(job.rows["clip_frames"].to_list(), kept, strict=True):
        own = []
        for path, digest in zip(paths, digests[place : place + len(paths)], strict=True):
            if keeps and gone < len(left_out) and left_out[gone].startswith(f"{path}: "):
                gone += 1
            else:
                own.append(digest)
        place += len(paths)
        if keeps:
            found.append(own[len(own) // 2])
    return found


def _link(existing: Path, target: Path) -> None:
    # Gone first: a name does not take the place of another name of the same file, which an interrupted build may have left.
    target.unlink(missing_ok=True)
    with written_file(target) as partial:
        partial.unlink(missing_ok=True)
        link_file(existing, partial)


def _write_labels(job: ShardJob, key: str, rows: pl.DataFrame, *, same_pictures: bool) -> tuple[dict[str, str], bool]:
    """Writes the labels and what else belongs to the rows, or links them; returns fingerprints, and whether they are linked."""
    found = {IMAGES: shown_hash(rows), PEOPLE: content_hash(rows.select(PEOPLE_COLUMNS).to_arrow())}
    groups = (*job.layout.groups, *job.layout.side_groups)
    earlier = job.earlier
    if (
        same_pictures
        and earlier is not None
        and (earlier.record.key, earlier.same_labels) == (key, True)
        and earlier.is_whole(groups)
    ):
        for group in groups:
            _link(earlier.files[group], job.path(group))
        return found | {group: earlier.record.fingerprints[group] for group in groups}, True
    for group in groups:
        stored = job.layout.stored(rows, group)
        write_shard(job.path(group), stored, job.layout.arrow_schema(group), LABELS_PER_BATCH)
        found[group] = content_hash(stored)
    return found, False


def seen_now(job: ShardJob, *, threads: int = 1) -> SeenPictures:
    """The pictures that the shard names, as their files are now."""
    known = SeenPictures.read(job.earlier.seen) if job.earlier is not None else None
    return look_again(job.rows, job.pictures_key(), job.source(), known, threads)


def _finished(job: ShardJob, key: str, pictures_key: str, threads: int) -> ShardRecord | None:
    """The record of the shard if it was finished with the same rows and the pictures still have the same bytes; otherwise None."""
    record = ShardRecord.read(job.record_path())
    if record is None or (record.key, record.pictures_key) != (key, pictures_key):
        return None
    if not all(job.path(group).is_file() for group in job.groups):
        return None
    known = SeenPictures.read(job.seen_path())
    if known is None:
        return None
    seen = look_again(job.rows, pictures_key, job.source(), known, threads)
    return replace(record, reused=True, because=INTERRUPTED) if seen.digest == record.pictures else None


def shared_out(workers: int, shards: int) -> tuple[int, int]:
    """How many processes pack shards, and how many threads each has: at least two, because a thread starts at once and a process in seconds."""
    processes = max(1, min(workers // 2, shards))
    return processes, workers // processes
