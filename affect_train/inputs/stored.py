"""Rows by number, straight from the memory maps of a dataset: image bytes are views, nothing is copied or kept."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa

from affect_data.dataset.kinds.crops import CROPS
from affect_data.faces.policies import CropPolicy
from affect_data.video.opener import PictureOpener

if TYPE_CHECKING:
    from datasets import Dataset


NO_BOX = [math.nan] * 4


class StoredFace(NamedTuple):
    """One row as the dataset stores it.

    Attributes:
        row: number in the split.
        uid: unique name.
        box: x0, y0, x1, y1 in pixels of the image; NaN if there is none.
        data: the image file.
        frames: the image files of a clip's frames, in order; none if the row is no clip.
    """

    row: int
    uid: str
    box: Sequence[float]
    data: memoryview
    frames: "ByteStrings | tuple[()]" = ()


class StoredFaces:
    """Rows by number, straight from the memory maps. A copy in another process opens the maps again.

    Args:
        dataset: one split; at least the columns uid, face_box and image, or the crops of the policy.
        policy: whose crops are read in place of pictures, as a whole; None: the pictures.
        videos: the dataset's folder of videos, where rows name frames of them.
    """

    remedy = (
        "`affect-data build` leaves such a row out and counts it as a failure: the dataset is of an earlier release, or a file was damaged since. "
        "Build it again, or train without the row by `batches.undecodable: skip`"
    )

    def __init__(self, dataset: "Dataset", policy: CropPolicy | None = None, videos: Path | None = None) -> None:
        self._opener = None if videos is None else PictureOpener(videos)
        self._picture = "image" if policy is None else CROPS.group(policy.name)
        wanted = ("uid", "face_box", "image", "frames") if policy is None else ("uid", self._picture)
        names = [name for name in wanted if name in dataset.column_names]
        self.has_clips = "frames" in names
        self._dataset = dataset.select_columns(names).with_format("arrow")
        self._columns: tuple[ChunkedColumn, ...] = ()

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_columns": ()}

    def __len__(self) -> int:
        return len(self._dataset)

    def rows(self, numbers: Sequence[int]) -> list[StoredFace]:
        """The rows with these numbers."""
        if not self._columns:
            table = self._dataset[:]
            boxes = table["face_box"].chunks if "face_box" in table.column_names else [None]
            self._columns = (
                ChunkedColumn([ByteStrings(chunk) for chunk in filter(len, table["uid"].chunks)]),
                ChunkedColumn([Boxes(chunk, len(table)) for chunk in boxes if chunk is None or len(chunk)]),
                ChunkedColumn([self.pictures(chunk) for chunk in filter(len, table[self._picture].chunks)]),
                *(
                    [ChunkedColumn([Clips(chunk) for chunk in filter(len, table["frames"].chunks)])]
                    if self.has_clips
                    else []
                ),
            )
        columns = (column.items(numbers) for column in self._columns)
        return [
            StoredFace(number, str(uid, "utf-8"), *others)
            for number, uid, *others in zip(numbers, *columns, strict=True)
        ]

    def pictures(self, chunk: pa.Array) -> Any:  # noqa: ANN401 - views of bytes by row
        """The image files of a part of the column of pictures, by row."""
        found = ByteStrings(chunk.field("bytes"))
        return found if self._opener is None else OpenedPictures(found, self._opener)


class OpenedPictures:
    """Picture files by row, where some rows name frames of videos: those are decoded when they are asked for.

    Args:
        stored: the bytes in the rows.
        opener: of the dataset.
    """

    def __init__(self, stored: "ByteStrings", opener: PictureOpener) -> None:
        self._stored = stored
        self._opener = opener

    def __len__(self) -> int:
        return len(self._stored)

    def __getitem__(self, item: int) -> memoryview:
        return memoryview(self._opener.file(self._stored[item]))


class Clips:
    """The frames of clips by row; a row that is no clip has none.

    Args:
        array: an Arrow array of lists of structs with ``bytes``.
    """

    def __init__(self, array: pa.ListArray) -> None:
        self._offsets = array.offsets.to_numpy()
        self._bytes = array.values.field("bytes")

    def __len__(self) -> int:
        return len(self._offsets) - 1

    def __getitem__(self, item: int) -> "ByteStrings | tuple[()]":
        start, stop = self._offsets[item], self._offsets[item + 1]
        return ByteStrings(self._bytes.slice(start, stop - start)) if stop > start else ()


class Boxes:
    """Face boxes by row: x0, y0, x1, y1 in pixels; NaN where there is none.

    Args:
        array: an Arrow array of four numbers for each row; four zeros stand for no box. None: no row has a box.
        rows: how many rows there are.
    """

    def __init__(self, array: pa.Array | None, rows: int) -> None:
        self._values = None if array is None else array.flatten().to_numpy().reshape(-1, 4)
        self._rows = rows if array is None else len(array)

    def __len__(self) -> int:
        return self._rows

    def __getitem__(self, item: int) -> list[float]:
        if self._values is None:
            return NO_BOX
        box: list[float] = self._values[item].tolist()
        return box if any(box) else NO_BOX


class ByteStrings:
    """An Arrow array of strings or bytes without nulls, as views of its memory.

    Args:
        array: string, binary or one of their large kinds.
    """

    def __init__(self, array: pa.Array) -> None:
        large = pa.types.is_large_string(array.type) or pa.types.is_large_binary(array.type)
        _, offsets, values = array.buffers()
        self._offsets = np.frombuffer(offsets, np.int64 if large else np.int32)[
            array.offset : array.offset + len(array) + 1
        ]
        # Cast, because decoders take unsigned bytes and Arrow's views declare signed ones.
        self._values = memoryview(values).cast("B") if values is not None else memoryview(b"")

    def __len__(self) -> int:
        return len(self._offsets) - 1

    def __getitem__(self, item: int) -> memoryview:
        return self._values[self._offsets[item] : self._offsets[item + 1]]


class ChunkedColumn:
    """Items, by number, of a column that lies in memory in several pieces.

    Args:
        chunks: the pieces, in order.
    """

    def __init__(self, chunks: Sequence[Any]) -> None:
        self._chunks = chunks
        self._starts = np.cumsum([0, *map(len, chunks)])[:-1]

    def items(self, numbers: Sequence[int]) -> Iterator[Any]:
        """The items with these numbers."""
        chunks = np.searchsorted(self._starts, numbers, side="right") - 1
        for chunk, place in zip(chunks.tolist(), (numbers - self._starts[chunks]).tolist(), strict=True):
            yield self._chunks[chunk][place]
