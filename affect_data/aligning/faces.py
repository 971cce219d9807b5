"""Finds the face of every row of a dataset and writes what it found as a column group; range by range, in processes, resumable."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from affect_data.aligning.report import AlignReport, report_of
from affect_data.dataset.folder import DatasetFolder, open_dataset
from affect_data.dataset.kinds.base import GroupKind
from affect_data.dataset.kinds.faces import (
    FACES,
    NAME_OF_FACES,
    RULE_VERSION,
    SECOND_FACES,
    UNDECODABLE,
    FacesProvenance,
)
from affect_data.dataset.pictures import SplitPictures
from affect_data.dataset.ranges import RangeWriter, RowRange
from affect_data.errors import DataError
from affect_data.faces.detection import LANDMARKS, DetectedFace, FaceDetector
from affect_data.faces.finding import RowFace, RowsOfPicture, find_faces
from affect_data.faces.orientation import AS_STORED, orientation_of, upright, upright_box
from affect_data.faces.pose import pose_of
from affect_data.pictures import PictureError, decode_rgb
from affect_data.processes import map_jobs

if TYPE_CHECKING:
    from datasets import Features

Progress = Callable[[str, int, int], None]

FEWEST_ROWS: Final = 64
"""Rows of a file, at least: a kill loses what was found in so many, and processes share few rows evenly."""

MOST_FILES: Final = 2048
"""Files of a split, about."""

PICTURES_AT_ONCE: Final = 16
"""Decoded pictures that are held in memory, at most."""

BYTES_AT_ONCE: Final = 256 << 20
"""Of decoded pictures that are held in memory; one more than these may be."""

NEIGHBOURS: Final = 64
"""Rows before and after a range whose boxes are known to it: the rows of a photograph stand together, and each takes its own face."""

LISTS: Final = {"box": 4, "points": 10, "landmarks": 2 * LANDMARKS}
"""Columns of lists of numbers, and their lengths; x and y of each point follow each other."""

NUMBERS: Final = ("score", "roll", "yaw", "pitch")


class FaceWriter(RangeWriter[FacesProvenance]):
    """Writes faces range by range, and makes them a column group once all ranges exist."""

    def __init__(self, path: Path, provenance: FacesProvenance, *, second: bool, rows_per_range: int) -> None:
        self.kind, self.name = group_of(provenance.detector, second=second)
        super().__init__(path, self.kind, self.name, provenance, rows_per_range)

    def features(self) -> "Features":
        """The columns of faces; coordinates are in upright pixels."""
        from datasets import Features, List, Value

        columns: dict[str, Any] = {"found": Value("bool")}
        columns |= {name: List(Value("float32"), length=length) for name, length in LISTS.items()}
        columns |= {name: Value("float32") for name in NUMBERS}
        columns |= {"orientation": Value("int8"), "competitors": Value("int16")}
        return Features({self.kind.column(self.name, name): column for name, column in columns.items()})


@dataclass(frozen=True)
class _Job:
    path: Path
    part: RowRange
    detector: type[FaceDetector]
    writer: FaceWriter


def group_of(detector: str, *, second: bool) -> tuple[GroupKind[FacesProvenance], str]:
    """The kind and the name of the column group of a detector's faces."""
    return (SECOND_FACES, detector.replace(".", "-")) if second else (FACES, NAME_OF_FACES)


def align(
    path: Path | str,
    detector: type[FaceDetector],
    *,
    second: bool = False,
    workers: int = 1,
    progress: Progress = lambda *_: None,
) -> AlignReport:
    """Finds the face of every row, writes the column group, and counts what was found.

    After a kill, the same call goes on where it stopped. If the dataset has the same faces already, nothing is looked at.

    Args:
        path: dataset folder.
        detector: finds the faces.
        second: whether its faces go into a group of their own, to be compared with those that crops are cut by.
        workers: processes that look for faces, each with a detector of its own.
        progress: is told how many rows are done.

    Raises:
        DataError: the detector is not installed or returned nonsense, another process writes the group, or a video is gone or has changed.
    """
    if because := detector.missing():
        raise DataError(because)
    folder = open_dataset(path)
    kind, _ = group_of(detector.name, second=second)
    provenance = FacesProvenance(
        made_from=kind.made_from(folder),
        detector=detector.name,
        version=detector.installed_version(),
        weights_digest=detector.installed_weights(),
        rule_version=RULE_VERSION,
    )
    most = max(folder.rows(split) for split in folder.splits)
    writer = FaceWriter(folder.path, provenance, second=second, rows_per_range=max(FEWEST_ROWS, -(-most // MOST_FILES)))
    rows = sum(folder.rows(split) for split in folder.splits)
    try:
        with writer.owned():
            if writer.is_committed():
                return report_of(open_dataset(path), writer.group, provenance, kept=rows)
            kept = _write_missing(writer, detector, workers, rows, progress)
            return report_of(writer.commit(), writer.group, provenance, kept=kept)
    finally:
        _detector.cache_clear()


def _write_missing(
    writer: FaceWriter, detector: type[FaceDetector], workers: int, rows: int, progress: Progress
) -> int:
    """Writes the ranges that are missing; returns how many rows were there from a run that was killed."""
    jobs = [_Job(writer.folder.path, part, detector, writer) for part in writer.missing()]
    kept = done = rows - sum(len(job.part) for job in jobs)
    for written in map_jobs(_write_range, jobs, workers):
        done += written
        progress("looking for faces", done, rows)
    return kept


@cache
def _detector(detector: type[FaceDetector]) -> FaceDetector:
    """The detector of this process: loading one takes longer than looking at many pictures."""
    return detector()


def _write_range(job: _Job) -> int:
    folder, part = open_dataset(job.path), job.part
    found: list[RowFace] = [RowFace(None, 0)] * len(part)
    orientations = np.full(len(part), AS_STORED, np.int8)
    for pictures in _several(_pictures(folder, part, orientations)):
        faces = find_faces([rows for _, rows in pictures], _detector(job.detector))
        for (positions, _), own in zip(pictures, faces, strict=True):
            for position, face in zip(positions, own, strict=True):
                if 0 <= position < len(part):
                    found[position] = face
    job.writer.write_table(part, table_of(found, orientations, job.writer.features()))
    return len(part)


def _several(
    pictures: Iterator[tuple[NDArray[np.int64], RowsOfPicture]],
) -> Iterator[list[tuple[NDArray[np.int64], RowsOfPicture]]]:
    some = []
    for picture in pictures:
        some.append(picture)
        held = sum(rows.pixels.nbytes for _, rows in some)
        if len(some) == PICTURES_AT_ONCE or held >= BYTES_AT_ONCE:
            yield some
            some = []
    if some:
        yield some


def _pictures(
    folder: DatasetFolder, part: RowRange, orientations: NDArray[np.int8]
) -> Iterator[tuple[NDArray[np.int64], RowsOfPicture]]:
    """Each distinct picture of a range, upright, and the positions of its rows; notes the orientation of every row of the range.

    Positions count from the first row of the range; `NEIGHBOURS` that show the same picture have positions outside of it. A picture that cannot be
    decoded is left out and noted as `UNDECODABLE`.
    """
    names, first = ("image_digest", "face_box"), max(0, part.start - NEIGHBOURS)
    known = folder.stored_labels(part.split, names).slice(first, part.stop + NEIGHBOURS - first)
    labels = folder.view.frame(known, names)
    boxes = labels["face_box"].to_numpy()
    pictures = SplitPictures(folder, part.split)
    for _, shown in labels.with_row_index("place").group_by("image_digest", maintain_order=True):
        places = shown["place"].to_numpy().astype(np.int64)
        positions = places + first - part.start
        own = positions[(positions >= 0) & (positions < len(part))]
        if not len(own):
            continue
        data = pictures[part.start + int(own[0])]
        try:
            orientation = orientation_of(data)
            stored = np.asarray(decode_rgb(data))
        except PictureError:
            orientations[own] = UNDECODABLE
            continue
        orientations[own] = orientation
        size = stored.shape[1], stored.shape[0]
        turned = [upright_box(box, orientation, size) for box in boxes[places].tolist()]
        pixels = np.ascontiguousarray(upright(stored, orientation))
        yield positions, RowsOfPicture(pixels, np.array(turned, np.float64).reshape(-1, 4))


def table_of(found: Sequence[RowFace], orientations: NDArray[np.int8], features: "Features") -> pa.Table:
    """Rows of a group of faces, with the columns of `features`; NaN for what is missing."""
    missing = DetectedFace((np.nan,) * 4, np.nan)
    faces = [row.face or missing for row in found]
    poses = [pose_of(face.points) for face in faces]
    lists: dict[str, Sequence[Any]] = {
        "box": [face.box for face in faces],
        "points": [face.points for face in faces],
        "landmarks": [face.landmarks for face in faces],
    }
    most = np.iinfo(np.int16).max
    columns: dict[str, pa.Array] = {"found": pa.array([row.face is not None for row in found])}
    columns |= {name: _lists(values, LISTS[name]) for name, values in lists.items()}
    columns["score"] = pa.array([face.score for face in faces], pa.float32())
    for name in NUMBERS[1:]:
        columns[name] = pa.array([getattr(pose, name) for pose in poses], pa.float32())
    columns["orientation"] = pa.array(orientations, pa.int8())
    columns["competitors"] = pa.array([min(row.competitors, most) for row in found], pa.int16())
    return pa.table(list(columns.values()), names=list(features))


def _lists(values: Sequence[Any], length: int) -> pa.Array:
    filled = np.full((len(values), length), np.nan, np.float32)
    for row, value in enumerate(values):
        if value is not None:
            filled[row] = np.asarray(value, np.float32).reshape(-1)
    return pa.FixedSizeListArray.from_arrays(pa.array(filled.reshape(-1)), length)
