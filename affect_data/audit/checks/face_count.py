"""Finds pictures without a face, and pictures with several, by a face detector."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np
import numpy.typing as npt
import polars as pl
from PIL import Image

from affect_data.audit.base import Audit, AuditedDataset, Severity, findings
from affect_data.audit.pictures.facts import PictureJob, decoded_pictures, distinct_pictures, picture_jobs
from affect_data.faces.detection import DetectedFace, FaceDetector, Pixels
from affect_data.faces.detectors.libfacedetection import LibFaceDetection
from affect_data.processes import map_jobs

FOUND_FROM: Final = 0.6
LEAST_SIDE: Final = 20
"""In pixels. Faces of FER+ that are reduced to this size are found as well as at their full 48 pixels."""

MARGIN: Final = 0.25
SECOND_AREA: Final = 0.25
SAME_FACE: Final = 0.5
"""Two boxes belong to one face if at least this share of the smaller lies in the other: a wide-open mouth can pass for a face of its own."""

FRAMES_APART: Final = 10

SIDE: Final = 160
"""The shorter side of what the detector looks at is resized to this many pixels."""

LARGE: Final = 480
_LONGEST: Final = 960
_MORE_LOOKS: Final = ((96, 0), (128, -30), (128, 30), (128, -60), (128, 60), (128, -90), (128, 90))


@dataclass(frozen=True)
class Suspicion:
    """The defect of a picture: no face, or several.

    Attributes:
        defect: "no face" or "several faces".
        score: in [0, 1]; 1 is certain.
        confidence: of the detector in the best face; 0 if there is none.
        faces: upright faces with a confidence of at least `FOUND_FROM`, best first.
    """

    defect: str
    score: float
    confidence: float
    faces: tuple[DetectedFace, ...]


@dataclass(frozen=True)
class _Job:
    pictures: PictureJob
    detector: type[FaceDetector]


class FaceCount(Audit):
    """Pictures with no face, and with more than one."""

    name = "face_count"
    title = "faces in a picture"
    severity = Severity.REVIEW
    rule = (
        f"the face box and {MARGIN} of it on each side (without a box the whole picture), its shorter side resized to {SIDE} pixels: no face within "
        f"the box of a confidence of at least {FOUND_FROM}, neither in other sizes nor turned by 30, 60 and 90 degrees (no face), or a second "
        f"one of at least {SECOND_AREA} of the largest's area (several faces). Sides below {LEAST_SIDE} pixels are not looked at; of a track every "
        f"{FRAMES_APART}th frame is. Score: 1 minus the best face's confidence; the second's confidence"
    )
    source = (
        "Wu, Peng & Yu, YuNet: A Tiny Millisecond-level Face Detector, 2023 (libfacedetection); thresholds set on FER+"
    )
    example = (
        "a box on the wall beside a head (no face, score 1); a crop with a second head in it: "
        '`{"boxes":[[2,9,44,60],[55,8,99,61]],"confidence":0.92,"defect":"several faces",...}`'
    )

    detector: ClassVar[type[FaceDetector]] = LibFaceDetection

    def not_applicable(self, dataset: AuditedDataset) -> str:  # noqa: ARG002
        """The check needs the detector."""
        return self.detector.missing()

    def find(self, dataset: AuditedDataset) -> pl.DataFrame:
        """One finding for every row of a suspicious picture."""
        rows = _looked_at(dataset.rows("database", "track", "frame", "face")).select("row")
        looked_at, boxes = rows["row"].cast(pl.Int64).to_numpy(), dataset.face_boxes
        of_row, first_row = distinct_pictures(dataset.digests[looked_at], boxes[looked_at])
        jobs = [_Job(job, self.detector) for job in picture_jobs(dataset.folder, looked_at[first_row], boxes)]
        begins = np.cumsum([0, *(len(job.pictures.rows) for job in jobs)])
        found: dict[int, Suspicion] = {}
        for done, (order, part) in enumerate(map_jobs(_look, jobs, dataset.workers), start=1):
            found.update((int(begins[order]) + position, suspicion) for position, suspicion in part.items())
            dataset.progress("looking for faces", done, len(jobs))
        suspicious = rows.with_columns(pl.Series("picture", of_row)).join(
            _table(found), on="picture", how="inner", maintain_order="left"
        )
        suspicious = dataset.identified(suspicious)
        names = ("defect", "confidence", "faces", "boxes")
        evidence = {"detector": self.detector.name, **{name: pl.col(name) for name in names}}
        return findings(suspicious, pl.col("score"), self.severity, evidence)


def suspicion_of(pixels: Pixels, box: npt.NDArray[np.float32], detector: FaceDetector) -> Suspicion | None:
    """The defect of a picture; None if it shows one face.

    Args:
        pixels: uint8 [height, width] or [height, width, 3], RGB.
        box: x0, y0, x1, y1 of the face in question; NaN for the whole picture.
        detector: finds the faces.
    """
    height, width = pixels.shape[:2]
    whole = (0.0, 0.0, float(width), float(height))
    inner = whole if np.isnan(box).any() else _clipped([float(value) for value in box], whole)
    across, down = inner[2] - inner[0], inner[3] - inner[1]
    if min(across, down) < LEAST_SIDE:
        return None
    outer = _clipped(
        (inner[0] - MARGIN * across, inner[1] - MARGIN * down, inner[2] + MARGIN * across, inner[3] + MARGIN * down),
        whole,
    )
    x0, y0, x1, y1 = (round(value) for value in outer)
    picture = Image.fromarray(pixels[y0:y1, x0:x1]).convert("RGB")
    confidence = 0.0
    upright: tuple[DetectedFace, ...] = ()
    for number, faces in enumerate(_looks(picture, (x0, y0), detector)):
        own = tuple(face for face in faces if _within(face.centre, inner))
        if number == 0:
            upright = tuple(face for face in own if face.score >= FOUND_FROM)
        confidence = max([confidence, *(face.score for face in own)])
        if confidence >= FOUND_FROM:
            break
    if confidence < FOUND_FROM:
        return Suspicion("no face", 1 - confidence, confidence, ())
    second = _second(upright)
    return Suspicion("several faces", second, confidence, upright) if second >= FOUND_FROM else None


def _looks(picture: Image.Image, corner: tuple[int, int], detector: FaceDetector) -> Iterator[list[DetectedFace]]:
    """The faces in each view of a part of a picture, in pixels of the whole picture; `corner` is where the part begins."""
    looks = [(SIDE, 0), *_MORE_LOOKS]
    if min(picture.size) >= LARGE:
        looks.append((LARGE, 0))
    for side, angle in looks:
        scale = min(side / min(picture.size), _LONGEST / max(picture.size))
        size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
        seen = picture.resize(size, Image.Resampling.BICUBIC, reducing_gap=3.0)
        if angle:
            grey = tuple(int(value) for value in np.asarray(seen).mean(axis=(0, 1)))
            seen = seen.rotate(angle, Image.Resampling.BICUBIC, expand=True, fillcolor=grey)
        yield [_turned_back(face, seen.size, size, angle, scale, corner) for face in detector.detect(np.asarray(seen))]


def _turned_back(
    face: DetectedFace, seen: tuple[int, int], size: tuple[int, int], angle: int, scale: float, corner: tuple[int, int]
) -> DetectedFace:
    """A face found in a view, in pixels of the picture; if the view is turned, the centre is exact and the box upright with the same size."""
    turn = math.radians(angle)
    x, y = face.centre[0] - seen[0] / 2, face.centre[1] - seen[1] / 2
    x, y = math.cos(turn) * x - math.sin(turn) * y, math.sin(turn) * x + math.cos(turn) * y
    x, y = (x + size[0] / 2) / scale + corner[0], (y + size[1] / 2) / scale + corner[1]
    across, down = (face.box[2] - face.box[0]) / scale / 2, (face.box[3] - face.box[1]) / scale / 2
    return DetectedFace((x - across, y - down, x + across, y + down), face.score)


def _second(faces: tuple[DetectedFace, ...]) -> float:
    """The score of the best face besides the first, among faces of a size that counts; 0 if there is none."""
    counted = [face for face in faces if face.area >= SECOND_AREA * max(other.area for other in faces)]
    return max((face.score for face in counted[1:] if _shared(face, counted[0]) < SAME_FACE), default=0.0)


def _shared(face: DetectedFace, other: DetectedFace) -> float:
    """The share of the smaller box that lies in the other."""
    sides = [
        max(0.0, min(face.box[axis + 2], other.box[axis + 2]) - max(face.box[axis], other.box[axis])) for axis in (0, 1)
    ]
    return sides[0] * sides[1] / min(face.area, other.area)


def _clipped(box: "tuple[float, ...] | list[float]", whole: tuple[float, ...]) -> tuple[float, ...]:
    return (*(max(box[i], whole[i]) for i in (0, 1)), *(min(box[i], whole[i]) for i in (2, 3)))


def _within(point: tuple[float, float], box: tuple[float, ...]) -> bool:
    return box[0] <= point[0] <= box[2] and box[1] <= point[1] <= box[3]


def _looked_at(labels: pl.DataFrame) -> pl.DataFrame:
    """All rows, but only every `FRAMES_APART`th frame of a face in a track."""
    place = pl.col("frame").rank("dense").over("database", "track", "face") - 1
    return labels.filter((pl.col("track") == "") | (pl.col("frame") < 0) | (place % FRAMES_APART == 0))


def _look(job: _Job) -> tuple[int, dict[int, Suspicion]]:
    detector, found = job.detector(), {}
    for position, (pixels, box) in enumerate(zip(decoded_pictures(job.pictures), job.pictures.boxes, strict=True)):
        suspicion = suspicion_of(pixels, box, detector)
        if suspicion is not None:
            found[position] = suspicion
    return job.pictures.order, found


def _table(found: dict[int, Suspicion]) -> pl.DataFrame:
    kinds: dict[str, pl.DataType | type[pl.DataType]] = {
        "picture": pl.Int64,
        "defect": pl.String,
        "score": pl.Float64,
        "confidence": pl.Float64,
        "faces": pl.Int64,
        "boxes": pl.List(pl.List(pl.Int64)),
    }
    rows = [
        (
            number,
            s.defect,
            s.score,
            s.confidence,
            len(s.faces),
            [[round(value) for value in face.box] for face in s.faces],
        )
        for number, s in found.items()
    ]
    return pl.DataFrame(rows, schema=kinds, orient="row")
