"""Packs pictures into arrays of Arrow without an object for each row: read, hashed and checked in blocks of rows, by several threads.

A block reads into a buffer of its own, and what the buffer holds becomes an array without being copied. Reading, hashing and decoding leave Python's
lock to other threads, so that blocks overlap; they are written in their order.
"""

import hashlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Final, TypeVar

import numpy as np
import polars as pl
import pyarrow as pa

from affect_data.build.sources import UNKNOWN, PictureBuffer, PictureSource
from affect_data.databases.base import IMAGE_MISSING
from affect_data.databases.clips import NO_FRAMES
from affect_data.dataset.schema import PICTURE
from affect_data.dataset.writing import CLIPS_PER_BATCH, ROWS_PER_BATCH
from affect_data.pictures import Examined, box_misses, examine

UNDECODABLE: Final = "image cannot be decoded"
BOX_OUTSIDE: Final = "face box outside its image"

DIGEST_BYTES: Final = 32
NOTHING: Final = hashlib.sha256(b"").digest()
"""What a missing or unreadable picture counts as."""

_BLOCKS: Final = 16
"""A shard has at least so many blocks, if it has enough rows, so that the pictures of a block are few megabytes."""
_ROWS_AT_LEAST: Final = 50
_ROOM: Final = 1 << 24
"""Bytes for the pictures of a block; what is not filled takes no memory."""

Check = Callable[[memoryview], Examined]
Result = TypeVar("Result")


@dataclass
class Block:
    """What became of some consecutive rows of a shard.

    Attributes:
        start: position of the first row in the shard.
        seen: sha256 of every named picture, in order; of a missing one, that of nothing.
        marks: of their files, from `PictureSource`.
        kept: whether each row is written.
        image_digests: of the rows that are written.
        images: their pictures.
        frames: the frames of clips, a list for each row that is written.
        frame_digests: their digests.
        failures: position in the shard, reason and detail of each row that is not written.
        left_out: the frames of clips that cannot be decoded, and why.
        damaged: number of pictures that are written although the strict decoder found them damaged.
    """

    start: int
    seen: list[bytes] = field(default_factory=list)
    marks: list[int] = field(default_factory=list)
    kept: list[bool] = field(default_factory=list)
    image_digests: list[str] = field(default_factory=list)
    images: list[pa.Array] = field(default_factory=list)
    frames: list[pa.Array] = field(default_factory=list)
    frame_digests: list[list[str]] = field(default_factory=list)
    failures: list[tuple[int, str, str]] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    damaged: int = 0

    def fail(self, reason: str, detail: str) -> None:
        """Counts a row that is not written."""
        self.failures.append((self.start + len(self.kept), reason, detail))
        self.kept.append(False)

    def keep(self, digest: bytes) -> None:
        """Counts a row that is written."""
        self.image_digests.append(digest.hex())
        self.kept.append(True)


def packed_blocks(
    rows: pl.DataFrame, source: PictureSource, threads: int = 1, check: Check = examine
) -> Iterator[Block]:
    """The rows of a shard of one database, block by block in their order.

    Args:
        rows: with `image`, `face_box` and `database`; of clips with `clip_frames`.
        source: of the pictures.
        threads: how many blocks are worked on at the same time.
        check: what says whether a picture can be decoded.
    """
    clips = "clip_frames" in rows.columns
    length = CLIPS_PER_BATCH if clips else min(ROWS_PER_BATCH, max(_ROWS_AT_LEAST, len(rows) // _BLOCKS))
    pack = partial(_clips if clips else _pictures, rows, source, check, length)
    starts = range(0, len(rows), length)
    return in_threads(pack, starts, threads)


def in_threads(function: Callable[[int], Result], numbers: Sequence[int], threads: int) -> Iterator[Result]:
    """The results of a function of numbers, in their order; several are worked on at the same time."""
    if threads == 1 or len(numbers) < 2:
        yield from map(function, numbers)
        return
    pool = ThreadPoolExecutor(threads)
    waiting: deque[Future[Result]] = deque()
    try:
        for number in numbers:
            waiting.append(pool.submit(function, number))
            # One more than there are threads, so that none is idle while a result is used.
            if len(waiting) > threads + 1:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


@dataclass
class _Seen:
    """A picture that was read: its path, where it lies, and what is known of it."""

    image: str
    start: int
    size: int
    digest: bytes
    mark: int
    examined: Examined


def _pictures(rows: pl.DataFrame, source: PictureSource, check: Check, length: int, start: int) -> Block:
    """The rows from `start` on, with one picture each; a picture of several faces is read and examined only once."""
    part, block, buffer = rows.slice(start, length), Block(start), PictureBuffer(_ROOM)
    prefix = f"{part['database'][0]}/" if len(part) else ""
    last: _Seen | str | None = None
    of: str | None = None
    for image, box in zip(part["image"].to_list(), _boxes(part), strict=True):
        if of != image:
            last, of = _seen(image, source, buffer, check), image
        block.seen.append(last.digest if isinstance(last, _Seen) else NOTHING)
        block.marks.append(last.mark if isinstance(last, _Seen) else UNKNOWN)
        if not isinstance(last, _Seen):
            block.fail(*((IMAGE_MISSING, "") if last is None else (UNDECODABLE, last)))
        elif last.examined.because:
            block.fail(UNDECODABLE, last.examined.because)
        elif box is not None and box_misses(box, last.examined.width, last.examined.height):
            sides, size = " ".join(f"{side:g}" for side in box), f"{last.examined.width}x{last.examined.height}"
            block.fail(BOX_OUTSIDE, f"{sides} in {size} pixels")
        else:
            buffer = _with_room(buffer, last, block)
            if last.start == buffer.end:
                buffer.keep(last.size, prefix + image)
            else:
                buffer.copy(buffer.view(last.start, last.size), prefix + image)
            block.damaged += bool(last.examined.damage)
            block.keep(last.digest)
    if len(buffer):
        block.images.append(buffer.pictures(PICTURE))
    return block


def _seen(image: str, source: PictureSource, buffer: PictureBuffer, check: Check) -> _Seen | str | None:
    """A picture, read into the room of the buffer; why its file cannot be read; or None if there is none."""
    found = source.read(image, buffer)
    if found is None or isinstance(found, str):
        return found
    size, mark = found
    data = buffer.view(buffer.end, size)
    return _Seen(image, buffer.end, size, hashlib.sha256(data).digest(), mark, check(data))


def _with_room(buffer: PictureBuffer, seen: _Seen, block: Block) -> PictureBuffer:
    """The buffer, or a new one that begins with the picture if an array cannot hold it together with the others."""
    if buffer.has_room(seen.size):
        return buffer
    following = PictureBuffer()
    following.room(seen.size)[:] = buffer.view(seen.start, seen.size)
    block.images.append(buffer.pictures(PICTURE))
    seen.start = following.end
    return following


def _boxes(rows: pl.DataFrame) -> Iterator[list[float] | None]:
    """The face box of each row; None where there is none."""
    boxes = rows["face_box"].to_numpy()
    without = np.isnan(boxes).any(axis=1)
    return (None if none else box.tolist() for none, box in zip(without, boxes, strict=True))


def _clips(rows: pl.DataFrame, source: PictureSource, check: Check, length: int, start: int) -> Block:
    """The clips from `start` on: each is written with the frames that can be decoded, if there are any; the middle one is its picture."""
    part, block = rows.slice(start, length), Block(start)
    prefix = f"{part['database'][0]}/" if len(part) else ""
    for paths in part["clip_frames"].to_list():
        frames, images = PictureBuffer(), PictureBuffer()
        places, digests, left_out = [], [], []
        for path in paths:
            seen = _seen(path, source, frames, check)
            block.seen.append(seen.digest if isinstance(seen, _Seen) else NOTHING)
            block.marks.append(seen.mark if isinstance(seen, _Seen) else UNKNOWN)
            because = seen.examined.because if isinstance(seen, _Seen) else seen or "there is no such file"
            if because or not isinstance(seen, _Seen):
                left_out.append(f"{path}: {because}")
                continue
            frames.keep(seen.size, prefix + path)
            places.append((seen.start, seen.size, prefix + path))
            digests.append(seen.digest)
            block.damaged += bool(seen.examined.damage)
        if not places:
            block.fail(NO_FRAMES, f"none of {len(left_out):,} can be decoded; {left_out[0]}")
            continue
        begin, size, name = places[len(places) // 2]
        images.copy(frames.view(begin, size), name)
        block.images.append(images.pictures(PICTURE))
        kept = frames.pictures(PICTURE)
        block.frames.append(pa.ListArray.from_arrays(pa.array([0, len(kept)], pa.int32()), kept, pa.list_(PICTURE)))
        block.frame_digests.append([digest.hex() for digest in digests])
        block.left_out += left_out
        block.keep(digests[len(digests) // 2])
    return block
