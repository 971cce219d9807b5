"""One pass over the pictures of a dataset, for all that audits of duplicates and face quality need."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from affect_data.audit.pictures.hashing import SIDE, decode, hash_small, small_picture, to_grey
from affect_data.audit.pictures.scratch import Rows, ScratchArray
from affect_data.dataset.folder import DatasetFolder, open_dataset
from affect_data.dataset.pictures import SplitPictures
from affect_data.leaks.connected import numbered
from affect_data.processes import map_jobs

MEASUREMENTS: Final = (
    "width",
    "height",
    "contrast",
    "sharpness",
    "colour",
    "channels",
    "picture_width",
    "picture_height",
)

_ROWS_A_JOB: Final = 4000
_SHARPNESS_AT: Final = 64

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Pictures:
    """Every distinct face picture of a dataset; a photograph with several face boxes counts as one picture for each.

    Attributes:
        of_row: int32 [rows], the picture of each row.
        first_row: int32 [pictures], the first row of each picture, ascending.
        pixels: uint64 [pictures, 2], the first half of the sha256 of size and decoded pixels; three equal channels count as grey.
        small: uint8 [pictures, SIDE, SIDE], from `hashing.small_picture`.
        hashes: uint64 [pictures], perceptual hashes.
        measurements: float32 [pictures, 8], from `measure`, and the size of the whole picture; NaN if the face box misses the picture.
    """

    of_row: npt.NDArray[np.int32]
    first_row: npt.NDArray[np.int32]
    pixels: Rows[np.uint64]
    small: Rows[np.uint8]
    hashes: npt.NDArray[np.uint64]
    measurements: Rows[np.float32]


@dataclass(frozen=True)
class PictureJob:
    """Rows of one split whose pictures are read together.

    Attributes:
        folder: the dataset.
        split: of the rows.
        rows: int64 [rows], positions within the split, ascending.
        boxes: float32 [rows, 4], face boxes; NaN where there is none.
        order: position of the job among all jobs.
    """

    folder: Path
    split: str
    rows: npt.NDArray[np.int64]
    boxes: npt.NDArray[np.float32]
    order: int


@dataclass(frozen=True)
class _Read:
    order: int
    pixels: npt.NDArray[np.uint64]
    small: npt.NDArray[np.uint8]
    measurements: npt.NDArray[np.float32]


def read_pictures(
    folder: DatasetFolder,
    digests: npt.NDArray[np.uint64],
    boxes: npt.NDArray[np.float32],
    workers: int = 1,
    progress: Progress = lambda *_: None,
) -> Pictures:
    """The distinct pictures of a dataset; each is decoded once.

    Args:
        folder: the dataset.
        digests: uint64 [rows, 2], of the pictures of all splits, in the order of `DatasetFolder.splits`.
        boxes: float32 [rows, 4], face boxes; NaN where there is none.
        workers: processes that decode.
        progress: is called every few thousand pictures.
    """
    of_row, first_row = distinct_pictures(digests, boxes)
    jobs = list(picture_jobs(folder, first_row, boxes))
    begins = np.cumsum([0, *(len(job.rows) for job in jobs)])
    count = len(first_row)
    pixels, small = ScratchArray(count, (2,), np.uint64), ScratchArray(count, (SIDE, SIDE), np.uint8)
    measurements, hashes = ScratchArray(count, (len(MEASUREMENTS),), np.float32), np.empty(count, np.uint64)
    for done, part in enumerate(map_jobs(_read, jobs, workers), start=1):
        own = slice(begins[part.order], begins[part.order + 1])
        pixels[own], small[own], measurements[own] = part.pixels, part.small, part.measurements
        hashes[own] = hash_small(part.small)
        progress("reading pictures", done, len(jobs))
    return Pictures(of_row, first_row, pixels, small, hashes, measurements)


def measure(pixels: npt.NDArray[np.uint8], grey: npt.NDArray[np.uint8]) -> tuple[float, ...]:
    """Measurements of a picture.

    Args:
        pixels: uint8 as stored, [height, width] or [height, width, 3].
        grey: uint8 [height, width], its luminance.

    Returns:
        width and height; contrast, the standard deviation of the luminance, 0..127; sharpness, the standard deviation of the Laplacian divided by the
        contrast, at about 64 pixels; colour, the largest difference of two channels; channels, 1 or 3.
    """
    height, width = grey.shape
    contrast = float(grey.std())
    factor = max(1, min(height, width) // _SHARPNESS_AT)
    reduced = grey[: height // factor * factor, : width // factor * factor].astype(np.float32)
    reduced = reduced.reshape(height // factor, factor, width // factor, factor).mean(axis=(1, 3))
    sharpness = 0.0
    if min(reduced.shape) > 2 and contrast > 0:
        centre = reduced[1:-1, 1:-1]
        laplacian = reduced[:-2, 1:-1] + reduced[2:, 1:-1] + reduced[1:-1, :-2] + reduced[1:-1, 2:] - 4 * centre
        sharpness = float(laplacian.std()) / contrast
    colour = 0.0
    if pixels.ndim == 3:
        channels = pixels.astype(np.int16)
        colour = float(
            max(np.abs(channels[..., a] - channels[..., b]).max(initial=0) for a, b in ((0, 1), (1, 2), (0, 2)))
        )
    return float(width), float(height), contrast, sharpness, colour, 1.0 if pixels.ndim == 2 else 3.0


def crop(pixels: npt.NDArray[np.uint8], box: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """The part of a picture within a box `x0 y0 x1 y1`; the whole picture if the box is NaN, empty if the box misses the picture."""
    if np.isnan(box).any():
        return pixels
    x0, y0, x1, y1 = np.rint(box).astype(int).clip(0)
    return pixels[y0:y1, x0:x1]


def distinct_pictures(
    digests: npt.NDArray[np.uint64], boxes: npt.NDArray[np.float32] | None = None
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """The picture of every row, int32 [rows], and the first row of every picture, int32 [pictures], ascending.

    Args:
        digests: uint64 [rows, 2].
        boxes: float32 [rows, 4], face boxes; NaN where there is none. Rows with different boxes have different pictures, unless this is None.
    """
    keys = [digests[:, 0], digests[:, 1]]
    if boxes is not None:
        keys += [np.where(np.isnan(side), np.float32(np.inf), side) for side in boxes.T]
    # Numbered in the order of their rows, so that images are read from front to back.
    return numbered(keys)


def picture_jobs(
    folder: DatasetFolder, rows: npt.NDArray[np.integer], boxes: npt.NDArray[np.float32]
) -> Iterator[PictureJob]:
    """Jobs that read the pictures of rows, a few thousand rows each.

    Args:
        folder: the dataset.
        rows: ascending positions over all splits.
        boxes: float32 [rows of all splits, 4].
    """
    begin, order = 0, 0
    for split in folder.splits:
        own = rows[(rows >= begin) & (rows < begin + folder.rows(split))]
        for start in range(0, len(own), _ROWS_A_JOB):
            part = own[start : start + _ROWS_A_JOB]
            yield PictureJob(folder.path, split, part.astype(np.int64) - begin, boxes[part], order)
            order += 1
        begin += folder.rows(split)


def decoded_pictures(job: PictureJob) -> Iterator[npt.NDArray[np.uint8]]:
    """The whole picture of each row of a job, from `decode`; neighbouring rows that share a picture decode it once."""
    pictures = SplitPictures(open_dataset(job.folder), job.split)
    last: tuple[memoryview, npt.NDArray[np.uint8]] | None = None
    for row in job.rows.tolist():
        stored = pictures.stored(row)
        if last is None or last[0] != stored:
            last = (stored, decode(pictures[row]))
        yield last[1]


def stored_pictures(job: PictureJob) -> Iterator[memoryview]:
    """What stands in each row of a job, as found: a picture's file, or a reference to a frame of a video."""
    pictures = SplitPictures(open_dataset(job.folder), job.split)
    return map(pictures.stored, job.rows.tolist())


def _read(job: PictureJob) -> _Read:
    digests, smalls, measured = [], [], []
    for row, box, picture in zip(job.rows, job.boxes, decoded_pictures(job), strict=True):
        face, size = crop(picture, box), (float(picture.shape[1]), float(picture.shape[0]))
        if face.size == 0:
            smalls.append(np.zeros((SIDE, SIDE), np.uint8))
            digests.append(hashlib.sha256(f"{job.split} {row}".encode()).digest()[:16])
            measured.append((*(np.nan,) * (len(MEASUREMENTS) - 2), *size))
            continue
        grey = to_grey(face)
        measurements = measure(face, grey)
        shown = grey if measurements[4] == 0 else face
        digests.append(hashlib.sha256(f"{shown.shape}".encode() + np.ascontiguousarray(shown).data).digest()[:16])
        smalls.append(small_picture(grey))
        measured.append((*measurements, *size))
    return _Read(
        job.order,
        np.frombuffer(b"".join(digests), np.uint64).reshape(-1, 2),
        np.stack(smalls),
        np.array(measured, np.float32),
    )
