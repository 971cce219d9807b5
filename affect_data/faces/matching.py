"""Which of the faces in a picture is a row's."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from affect_data.faces.detection import DetectedFace

LEAST_OVERLAP: Final = 0.2
"""Least intersection over union of a row's own box and its face: boxes around landmarks are tighter, boxes around heads looser than a detector's."""

ONE_FACE: Final = 0.8
"""Least intersection over union of two rows' boxes that are of one face."""

NONE: Final = -1


@dataclass(frozen=True)
class Match:
    """The face of a row.

    Attributes:
        face: its position among the faces of the picture; `NONE` if no face is the row's.
        competitors: how many other faces could have been the row's and are not.
    """

    face: int
    competitors: int


def match_faces(boxes: NDArray[np.floating], faces: Sequence[DetectedFace]) -> list[Match]:
    """The face of each row that shows a picture.

    A row with a box of its own takes the face that overlaps most with the box, by intersection over union, if that is at
    least `LEAST_OVERLAP`. A face that overlaps more with the box of another row is that row's, unless the two boxes are of
    one face (`ONE_FACE`). A row without a box takes the largest face; of equally large ones the surer, then the first.
    Nothing else is tried: a row whose box fits no face has none.

    Args:
        boxes: float [rows, 4], x0 y0 x1 y1 of each row's own box in pixels of the picture; NaN where there is none.
        faces: of the picture.
    """
    found = np.array([face.box for face in faces], np.float64).reshape(-1, 4)
    own = np.asarray(boxes, np.float64).reshape(-1, 4)
    boxed = np.asarray(~np.isnan(own).any(axis=1))
    overlaps = overlap(own, found)
    same: NDArray[np.bool_] = np.asarray(overlap(own, own) >= ONE_FACE)
    return [
        _by_box(row, overlaps, same) if boxed[row] else _largest(faces) for row in range(len(own))
    ]  # fmt: skip


def overlap(boxes: NDArray[np.floating], others: NDArray[np.floating]) -> NDArray[np.float64]:
    """Intersection over union of each box with each other one, float64 [boxes, others]; 0 where one is NaN or has no area."""
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    return _shares(low, high, boxes[:, None], others[None])


def overlap_of_pairs(boxes: NDArray[np.floating], others: NDArray[np.floating]) -> NDArray[np.float64]:
    """Intersection over union of each box with the other one of its row, float64 [rows]; 0 where one is NaN or has no area."""
    low, high = np.maximum(boxes[:, :2], others[:, :2]), np.minimum(boxes[:, 2:], others[:, 2:])
    return _shares(low, high, boxes, others)


def _shares(
    low: NDArray[np.floating], high: NDArray[np.floating], boxes: NDArray[np.floating], others: NDArray[np.floating]
) -> NDArray[np.float64]:
    """The shares of the parts from `low` to `high` of the unions of boxes that can be broadcast against each other."""
    shared: NDArray[np.float64] = np.clip(high - low, 0, None).prod(axis=-1)
    areas = [np.clip(one[..., 2:] - one[..., :2], 0, None).prod(axis=-1) for one in (boxes, others)]
    union = areas[0] + areas[1] - shared
    share: NDArray[np.float64] = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return share


def _by_box(row: int, overlaps: NDArray[np.float64], same: NDArray[np.bool_]) -> Match:
    candidates = np.flatnonzero(overlaps[row] >= LEAST_OVERLAP)
    nearest = overlaps.argmax(axis=0)
    free = [face for face in candidates if nearest[face] == row or same[row, nearest[face]]]
    if not free:
        return Match(NONE, len(candidates))
    return Match(int(max(free, key=lambda face: overlaps[row, face])), len(candidates) - 1)


def _largest(faces: Sequence[DetectedFace]) -> Match:
    if not faces:
        return Match(NONE, 0)
    largest = max(range(len(faces)), key=lambda face: (faces[face].area, faces[face].score, -face))
    return Match(largest, len(faces) - 1)
