"""What an earlier build saw: the digests of the pictures of a shard with the marks of their files, so that only changed files are read again."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import numpy as np
import numpy.typing as npt
import polars as pl

from affect_data.build.packing import DIGEST_BYTES, NOTHING, in_threads
from affect_data.build.sources import UNKNOWN, PictureBuffer, PictureSource
from affect_data.files import write_bytes

SEEN: Final = ".seen"
"""Folder in a dataset for the next build; it is no part of the dataset, and can be removed."""

_PICTURES_AT_ONCE: Final = 4000


@dataclass(frozen=True)
class SeenPictures:
    """The pictures that a shard names, in order.

    Attributes:
        key: sha256 of what decides which pictures these are, from `ShardJob.pictures_key`.
        marks: uint64 [pictures], of their files, from `PictureSource`.
        digests: sha256 of their bytes, 32 bytes each; a missing or unreadable one counts as empty.
    """

    key: str
    marks: npt.NDArray[np.uint64]
    digests: bytes

    @classmethod
    def none(cls, key: str) -> Self:
        """No picture."""
        return cls(key, np.empty(0, np.uint64), b"")

    @property
    def digest(self) -> str:
        """sha256 over `digests`."""
        return hashlib.sha256(self.digests).hexdigest()

    @property
    def known(self) -> int:
        """Of how many pictures the files have a mark."""
        return int(np.count_nonzero(self.marks))

    def write(self, path: Path) -> None:
        """Writes it to a file."""
        write_bytes(path, bytes.fromhex(self.key) + self.marks.astype("<u8").tobytes() + self.digests)

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """What a file holds; None if there is no whole file."""
        try:
            data = path.read_bytes()
        except OSError:
            return None
        count, rest = divmod(len(data) - DIGEST_BYTES, DIGEST_BYTES + 8)
        if rest or count < 0:
            return None
        marks = np.frombuffer(data, "<u8", count, DIGEST_BYTES).astype(np.uint64)
        return cls(data[:DIGEST_BYTES].hex(), marks, data[DIGEST_BYTES + 8 * count :])


def look_again(
    rows: pl.DataFrame, key: str, source: PictureSource, known: SeenPictures | None, threads: int = 1
) -> SeenPictures:
    """The pictures that a shard names, as they are now; a file is read only if its mark is not the one that is known.

    Args:
        rows: with `image`; of clips with `clip_frames`.
        key: from `ShardJob.pictures_key`.
        source: of the pictures.
        known: from an earlier build; ignored if it has another key.
        threads: that look.
    """
    images = rows["clip_frames"].explode() if "clip_frames" in rows.columns else rows["image"]
    before = known if known is not None and known.key == key and len(known.marks) == len(images) else None
    marks = np.full(len(images), UNKNOWN, np.uint64)
    digests = bytearray(DIGEST_BYTES * len(images))

    def look(start: int) -> None:
        part = images.slice(start, _PICTURES_AT_ONCE).to_list()
        for place, (mark, digest) in enumerate(_looked(part, start, source, before), start):
            marks[place] = mark
            digests[DIGEST_BYTES * place : DIGEST_BYTES * (place + 1)] = digest

    for _ in in_threads(look, range(0, len(images), _PICTURES_AT_ONCE), threads):
        pass
    return SeenPictures(key, marks, bytes(digests))


def _looked(
    images: list[str], start: int, source: PictureSource, before: SeenPictures | None
) -> Iterator[tuple[int, bytes]]:
    buffer = PictureBuffer()
    last: tuple[str, int, bytes] | None = None
    for place, image in enumerate(images, start):
        if last is None or last[0] != image:
            mark = source.mark(image) if before is not None else UNKNOWN
            if before is not None and mark != UNKNOWN and int(before.marks[place]) == mark:
                last = (image, mark, before.digests[DIGEST_BYTES * place : DIGEST_BYTES * (place + 1)])
            else:
                last = (image, *_read(image, source, buffer))
        yield last[1], last[2]


def _read(image: str, source: PictureSource, buffer: PictureBuffer) -> tuple[int, bytes]:
    found = source.read(image, buffer)
    if found is None or isinstance(found, str):
        return UNKNOWN, NOTHING
    size, mark = found
    return mark, hashlib.sha256(buffer.view(buffer.end, size)).digest()
