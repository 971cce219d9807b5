"""Decoded, augmented, collated batches of faces with partial labels.

Loader processes see images alone: the rows come as Arrow tables, no row becomes a Python dictionary. The training process adds the labels from arrays
(`labels.LabelArrays`).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field, fields, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from affect_data.errors import DataError, UsageError
from affect_train.inputs.augment import Augmentation, augmentation_key
from affect_train.inputs.preprocess import ImageDecodeError, Pixels, Preprocessing

if TYPE_CHECKING:
    from datasets import Dataset

CACHE_LIMIT = 2 * 2**30
"""Bytes that decoded faces may take in memory, one process."""


def _tensors_on(device: torch.device | str, values: "SoftTargets | AffectBatch") -> dict[str, Any]:
    found = {item.name: getattr(values, item.name) for item in fields(values)}
    return {name: value.to(device, non_blocking=True) for name, value in found.items() if isinstance(value, Tensor)}


@dataclass(frozen=True)
class SoftTargets:
    """A teacher's logits for the rows of a batch, in the order of the student's heads.

    Attributes:
        au: float32 [N, A], or None where teacher or student has no AU head. 0 in columns that `au_mask` leaves out.
        au_mask: bool [A], the student's AUs which the teacher has.
        expression: float32 [N, C], or None.
        valence: float32 [N, B] over the student's bins, or None.
        arousal: float32 [N, B], or None.
    """

    au: Tensor | None = None
    au_mask: Tensor | None = None
    expression: Tensor | None = None
    valence: Tensor | None = None
    arousal: Tensor | None = None

    def to(self, device: torch.device | str) -> "SoftTargets":
        """The same targets on `device`."""
        return replace(self, **_tensors_on(device, self))


@dataclass(frozen=True)
class AffectBatch:
    """N faces, their labels in the order of the model's heads, and a mask for every label.

    Attributes:
        pixels: uint8 [N, 3, S, S], RGB, in memory as decoders write them: channels last.
        uids: N unique row names.
        rows: int64 [N], row numbers in the split.
        au: float32 [N, A], 0 or 1; 0 where masked.
        au_mask: bool [N, A].
        expression: int64 [N], the head's class; -1 where masked.
        expression_mask: bool [N].
        valence: float32 [N] in [-1, 1]; 0 where masked.
        arousal: float32 [N] in [-1, 1]; 0 where masked.
        va_mask: bool [N].
        soft: teacher outputs by the name of their column group.
    """

    pixels: Tensor
    uids: list[str]
    rows: Tensor
    au: Tensor
    au_mask: Tensor
    expression: Tensor
    expression_mask: Tensor
    valence: Tensor
    arousal: Tensor
    va_mask: Tensor
    soft: Mapping[str, SoftTargets] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.uids)

    def to(self, device: torch.device | str) -> "AffectBatch":
        """The same batch on `device`."""
        if self.pixels.device == torch.device(device):
            return self
        soft = {name: targets.to(device) for name, targets in self.soft.items()}
        return replace(self, **_tensors_on(device, self), soft=soft)

    def valid_counts(self) -> dict[str, Tensor]:
        """The number of valid labels by task, int64 scalars: AU entries, rows with an expression, rows with valence and arousal."""
        masks = {"au": self.au_mask, "expression": self.expression_mask, "va": self.va_mask}
        return {task: mask.sum(dtype=torch.int64) for task, mask in masks.items()}


class Pick(NamedTuple):
    """One row of a planned batch.

    Attributes:
        row: its number in the split.
        epoch: 0-based.
        occurrence: tells the views of a row apart that is seen more than once in an epoch.
        pool: the number of the pool that it was drawn from.
    """

    row: int
    epoch: int = 0
    occurrence: int = 0
    pool: int = 0


class FaceBatch(NamedTuple):
    """Decoded faces, before their labels.

    Attributes:
        rows: int64 [N], row numbers in the split.
        uids: N unique row names.
        pixels: uint8 [N, 3, S, S], RGB, in memory as decoders write them: channels last.
        pools: int64 [N], the number of the pool that each was drawn from; None where nothing was drawn.
    """

    rows: Tensor
    uids: list[str]
    pixels: Tensor
    pools: Tensor | None = None


def drawn_from(picks: Sequence[Pick]) -> Tensor:
    """int64 [N]: the number of each pick's pool."""
    return torch.tensor([pick.pool for pick in picks])


class FaceImages(TorchDataset[FaceBatch]):
    """The faces of a split, decoded and augmented a batch at a time.

    Args:
        dataset: one split, joined, without an index mapping; at least the columns uid, face_box and image.
        preprocessing: how a face becomes the model's input.
        augmentation: None shows every face as it is.
        seed: of the augmentation.
        cache: keep the decoded faces in memory, at most `CACHE_LIMIT` bytes; they are shared with loader processes.
        threads: that decode, in each loader process.
        faces: the rows, where `dataset` is no dataset folder's.

    Raises:
        UsageError: the decoded faces do not fit.
    """

    def __init__(
        self,
        dataset: "Dataset",
        preprocessing: Preprocessing,
        augmentation: Augmentation | None = None,
        *,
        seed: int = 0,
        cache: bool = False,
        threads: int = 1,
        faces: "StoredFaces | None" = None,
    ) -> None:
        self.preprocessing = preprocessing
        self.augmentation = augmentation or Augmentation()
        self.seed = seed
        self._stored = StoredFaces(dataset) if faces is None else faces
        self._cache = FaceCache(len(dataset), preprocessing.image_size) if cache else None
        self._decoders = Decoders(threads)

    def __len__(self) -> int:
        return len(self._stored)

    def __getitems__(self, picks: Sequence[Pick]) -> FaceBatch | DataError:
        """The picked faces; an error is returned, because one that a loader process raises reaches the user as a traceback."""
        rows = [pick.row for pick in picks]
        size = self.preprocessing.image_size
        pixels = np.empty((len(rows), size, size, 3), dtype=np.uint8)
        try:
            faces = self._stored.rows(rows)
            self._decoders.run(lambda position: self._decode(faces[position], pixels[position]), len(rows))
        except DataError as error:
            return error
        keys = [
            augmentation_key(self.seed, pick.epoch, pick.occurrence, face.uid)
            for pick, face in zip(picks, faces, strict=True)
        ]
        images = self.augmentation(torch.from_numpy(pixels).permute(0, 3, 1, 2), keys)
        return FaceBatch(torch.tensor(rows), [face.uid for face in faces], images, drawn_from(picks))

    def _decode(self, face: "StoredFace", out: Pixels) -> None:
        if self._cache is not None and self._cache.holds(face.row):
            out[...] = self._cache.pixels[face.row]
            return
        try:
            self.preprocessing(face.data, face.box, out)
        except ImageDecodeError as error:
            raise DataError(f"row {face.row} ({face.uid}): {error}. {self._stored.remedy}") from error
        if self._cache is not None:
            self._cache.store(face.row, out)


class StoredFace(NamedTuple):
    """One row as the dataset stores it.

    Attributes:
        row: its number in the split.
        uid: its unique name.
        box: x0, y0, x1, y1 in pixels of the image; NaN where there is none.
        data: the image file.
    """

    row: int
    uid: str
    box: Sequence[float]
    data: memoryview


class StoredFaces:
    """Rows by their numbers, straight from the memory maps: image bytes are views, nothing is kept.

    A copy in another process opens the maps anew.

    Args:
        dataset: one split; at least the columns uid, face_box and image.
    """

    remedy = "The dataset was built from other bytes or by another version: build it again"

    def __init__(self, dataset: "Dataset") -> None:
        self._dataset = dataset.select_columns(["uid", "face_box", "image"]).with_format("arrow")
        self._columns: tuple[ChunkedColumn, ...] = ()

    def __getstate__(self) -> dict[str, Any]:
        return {"_dataset": self._dataset, "_columns": ()}

    def __len__(self) -> int:
        return len(self._dataset)

    def rows(self, numbers: Sequence[int]) -> list[StoredFace]:
        """The rows with these numbers."""
        if not self._columns:
            table = self._dataset[:]
            uids, boxes, images = (filter(len, table[name].chunks) for name in ("uid", "face_box", "image"))
            self._columns = (
                ChunkedColumn([ByteStrings(chunk) for chunk in uids]),
                ChunkedColumn([chunk.flatten().to_numpy().reshape(-1, 4) for chunk in boxes]),
                ChunkedColumn([self.pictures(chunk) for chunk in images]),
            )
        columns = (column.items(numbers) for column in self._columns)
        return [
            StoredFace(number, str(uid, "utf-8"), box.tolist(), data)
            for number, uid, box, data in zip(numbers, *columns, strict=True)
        ]

    def pictures(self, chunk: pa.Array) -> Any:  # noqa: ANN401 - views of bytes by row
        """The image files of a part of the column ``image``, by row."""
        return ByteStrings(chunk.field("bytes"))


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
        # Decoders take bytes, and Arrow's view of a buffer says that they are signed.
        self._values = memoryview(values).cast("B") if values is not None else memoryview(b"")

    def __len__(self) -> int:
        return len(self._offsets) - 1

    def __getitem__(self, item: int) -> memoryview:
        return self._values[self._offsets[item] : self._offsets[item + 1]]


class ChunkedColumn:
    """Items by number of a column that lies in memory in several pieces.

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


class Decoders:
    """Threads of this process that share the faces of a batch; the decoder runs outside of the interpreter's lock.

    Args:
        count: how many; 1 works in the calling thread.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._pool: ThreadPoolExecutor | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {"count": self.count, "_pool": None}

    def run(self, work: Callable[[int], None], items: int) -> None:
        """Calls `work` with every number below `items`; an error of the lowest number that has one is raised."""
        if self.count == 1:
            _run(work, range(items))
            return
        self._pool = self._pool or ThreadPoolExecutor(self.count)
        bounds = np.linspace(0, items, self.count + 1).astype(int).tolist()
        parts = [self._pool.submit(_run, work, range(*ends)) for ends in pairwise(bounds)]
        wait(parts)
        for part in parts:
            part.result()


def _run(work: Callable[[int], None], numbers: Iterable[int]) -> None:
    for number in numbers:
        work(number)


class FaceCache:
    """Decoded faces in memory that loader processes share.

    Args:
        rows: number of faces.
        size: their side, pixels.
    """

    def __init__(self, rows: int, size: int) -> None:
        needed = rows * size * size * 3
        if needed > CACHE_LIMIT:
            raise UsageError(
                f"batches.cache: {rows:,} faces of {size} px take {needed / 2**30:.1f} GiB decoded, the limit is {CACHE_LIMIT / 2**30:.0f} GiB; "
                "set it to false"
            )
        self._pixels = torch.empty((rows, size, size, 3), dtype=torch.uint8).share_memory_()  # type: ignore[no-untyped-call]
        self._filled = torch.zeros(rows, dtype=torch.bool).share_memory_()  # type: ignore[no-untyped-call]

    @property
    def pixels(self) -> Pixels:
        """uint8 [rows, S, S, 3]; undefined where `holds` is false."""
        pixels: Pixels = self._pixels.numpy()
        return pixels

    def holds(self, row: int) -> bool:
        """Whether the face of a row is there."""
        return bool(self._filled[row])

    def store(self, row: int, pixels: Pixels) -> None:
        """Keeps the face of a row; the flag is set last, because another process may be reading."""
        self._pixels[row] = torch.from_numpy(pixels)
        self._filled[row] = True


def _as_fetched(fetched: Any) -> Any:  # noqa: ANN401 - what __getitems__ returned, a list by torch's types
    return fetched


class FaceLoader:
    """Batches of decoded faces in a planned order.

    Args:
        images: the split.
        batches: lists of picks; iterated anew for every pass.
        workers: loader processes, started by spawn; 0 decodes in this process.
    """

    def __init__(self, images: FaceImages, batches: Iterable[list[Pick]], workers: int = 0) -> None:
        self._loader: DataLoader[FaceBatch] = DataLoader(
            images,
            batch_sampler=batches,
            num_workers=workers,
            collate_fn=_as_fetched,
            multiprocessing_context="spawn" if workers else None,
            persistent_workers=workers > 0,
            pin_memory=torch.cuda.is_available(),
            # Without a generator of its own each pass would draw from the global one, and a resumed run would see other random numbers.
            generator=torch.Generator(),
        )

    def __iter__(self) -> Iterator[FaceBatch]:
        for fetched in self._loader:
            if isinstance(fetched, DataError):
                raise fetched
            yield fetched
