"""The faces of a split as pictures, decoded and augmented a batch at a time.

Loader processes see images alone, as Arrow tables: no row becomes a Python dictionary. The training process adds the labels from arrays
(`labels.LabelArrays`).
"""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from affect_data.errors import DataError, UsageError
from affect_data.faces.detection import Pixels
from affect_data.pictures import PictureError
from affect_train.clips import frame_draws, shown_frames
from affect_train.inputs.augment import Augmentation, augmentation_key
from affect_train.inputs.batch import FaceBatch, Pick, UndecodedPick, drawn_from
from affect_train.inputs.inputs import IndexedInputs
from affect_train.inputs.preprocess import Preprocessing
from affect_train.inputs.stored import StoredFace, StoredFaces
from affect_train.inputs.undecodable import SkippedRows
from affect_train.recipe.model import CLIP_FRAMES

if TYPE_CHECKING:
    from datasets import Dataset

CACHE_LIMIT = 2 * 2**30
"""The most bytes of memory that decoded faces may take."""


class FaceImages(IndexedInputs):
    """The faces of a split, decoded and augmented a batch at a time.

    Args:
        dataset: one split, joined, without an index mapping; at least the columns uid, face_box and image, or uid and the policy's crops.
        preprocessing: how a face becomes the model's input.
        augmentation: None shows every face as it is.
        seed: of the augmentation.
        cache: keep the decoded faces in memory, at most `CACHE_LIMIT` bytes; they are shared with loader processes.
        threads: how many decode, in each loader process.
        faces: the rows, if `dataset` does not come from a dataset folder.
        skipped: notes the rows that cannot be decoded, which are then left out; None: such a row is an error.
        clip_frames: how many frames of a clip are shown: with an augmentation, one at random of each of as many equal parts, else the middle ones.
        videos: the dataset's folder of videos, where rows name frames of them.
        changes_later: draw what is to happen to a picture, but leave that to the device of the model.

    Raises:
        UsageError: the decoded faces do not fit into the cache, or there are clips, which are not kept there.
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
        skipped: SkippedRows | None = None,
        clip_frames: int = CLIP_FRAMES,
        videos: Path | None = None,
        changes_later: bool = False,
    ) -> None:
        self.skipped = skipped
        self.clip_frames = clip_frames
        self._draws_frames = augmentation is not None
        self.preprocessing = preprocessing
        self.augmentation = augmentation or Augmentation()
        self.changes_later = changes_later
        self.seed = seed
        self._stored = StoredFaces(dataset, preprocessing.policy, videos) if faces is None else faces
        if cache and self._stored.has_clips:
            raise UsageError(
                "batches.cache: the dataset has clips, whose frames are not kept in memory; set it to false"
            )
        # What augmentation may move into view has to be decoded as well.
        self._decoding = preprocessing.with_room if self.augmentation.moves else preprocessing
        self._cache = FaceCache(len(dataset), self._decoding.image_size) if cache else None
        self._decoders = Decoders(threads)

    def __len__(self) -> int:
        return len(self._stored)

    def __getitems__(self, picks: Sequence[Pick]) -> FaceBatch | DataError:
        """The picked faces; an error is returned, because one that a loader process raises reaches the user as a traceback."""
        rows = [pick.row for pick in picks]
        size = self._decoding.image_size
        undecoded: dict[int, str] = {}

        def decode(number: int) -> None:
            position, data = pictures[number]
            try:
                self._decode(faces[position], data, pixels[number])
            except PictureError as error:
                if self.skipped is None:
                    face = faces[position]
                    raise DataError(f"row {face.row} ({face.uid}): {error}. {self._stored.remedy}") from error
                undecoded[position], pixels[number] = str(error), 0

        try:
            faces = self._stored.rows(rows)
            keys = [
                augmentation_key(self.seed, pick.epoch, pick.occurrence, face.uid)
                for pick, face in zip(picks, faces, strict=True)
            ]
            shown = [self._shown(face, key) for face, key in zip(faces, keys, strict=True)]
            pictures = [(position, data) for position, own in enumerate(shown) for data in own]
            pixels = np.empty((len(pictures), size, size, 3), dtype=np.uint8)
            self._decoders.run(decode, len(pictures))
        except DataError as error:
            return error
        # All frames of a clip are augmented alike.
        keys_of_pictures = [keys[position] for position, _ in pictures]
        images = torch.from_numpy(pixels).permute(0, 3, 1, 2)
        images, drawn = self.augmentation.shown(
            images, keys_of_pictures, self.preprocessing.image_size, later=self.changes_later
        )
        broken = [
            UndecodedPick(position, picks[position], faces[position].uid, undecoded[position])
            for position in sorted(undecoded)
        ]
        counts = torch.tensor([len(own) for own in shown]) if len(pictures) > len(rows) else None
        uids = [face.uid for face in faces]
        return FaceBatch(
            torch.tensor(rows), uids, images, drawn_from(picks), undecoded=broken, counts=counts, drawn=drawn
        )

    def _shown(self, face: "StoredFace", key: str) -> "Sequence[memoryview]":
        """The picture of a face, or the frames of a clip that are shown."""
        if not face.frames:
            return (face.data,)
        draws = frame_draws(key, self.clip_frames) if self._draws_frames else None
        return [face.frames[number] for number in shown_frames(len(face.frames), self.clip_frames, draws)]

    def _decode(self, face: "StoredFace", data: memoryview, out: Pixels) -> None:
        if self._cache is not None and self._cache.holds(face.row):
            out[...] = self._cache.pixels[face.row]
            return
        self._decoding(data, face.box, out)
        if self._cache is not None:
            self._cache.store(face.row, out)


@dataclass(frozen=True)
class View:
    """How the pictures of a split are shown.

    Attributes:
        preprocessing: how a face becomes the model's input.
        augmentation: None shows every face as it is.
        seed: of the augmentation.
        cache: keep the decoded faces in memory.
        threads: how many decode, in each loader process.
        skipped: notes the rows that cannot be decoded and are left out; None: such a row is an error.
        clip_frames: how many frames of a clip are shown.
        changes_later: leave the changes that are drawn to the device of the model.
    """

    preprocessing: Preprocessing
    augmentation: Augmentation | None = None
    seed: int = 0
    cache: bool = False
    threads: int = 1
    skipped: SkippedRows | None = None
    clip_frames: int = CLIP_FRAMES
    changes_later: bool = False

    def images(self, dataset: "Dataset", faces: StoredFaces | None = None, videos: Path | None = None) -> FaceImages:
        """The pictures of a split.

        Args:
            dataset: its rows.
            faces: its rows, if `dataset` does not come from a dataset folder.
            videos: the folder's videos, if it has any.
        """
        return FaceImages(
            dataset,
            self.preprocessing,
            self.augmentation,
            seed=self.seed,
            cache=self.cache,
            threads=self.threads,
            faces=faces,
            skipped=self.skipped,
            clip_frames=self.clip_frames,
            videos=videos,
            changes_later=self.changes_later,
        )


class Decoders:
    """Threads that share the faces of a batch; the decoder runs outside of the interpreter's lock.

    Args:
        count: how many; 1 works in the calling thread.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._pool: ThreadPoolExecutor | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {"count": self.count, "_pool": None}

    def run(self, work: Callable[[int], None], items: int) -> None:
        """Calls `work` with every number below `items`. Of several errors, that of the lowest number is raised."""
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
        """Whether the face of a row is in the cache."""
        return bool(self._filled[row])

    def store(self, row: int, pixels: Pixels) -> None:
        """Keeps the face of a row; the flag is set last, because another process may be reading."""
        self._pixels[row] = torch.from_numpy(pixels)
        self._filled[row] = True
