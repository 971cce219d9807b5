"""The face of each row of a picture: looked for in copies of a known size, matched with the row's own box."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from affect_data.faces.detection import DetectedFace, FaceDetector, Pixels
from affect_data.faces.matching import NONE, Match, match_faces
from affect_data.faces.views import View, around, bordered, whole


@dataclass(frozen=True)
class RowsOfPicture:
    """A picture and the boxes of the rows that show it.

    Attributes:
        pixels: uint8 [height, width, 3], RGB, upright.
        boxes: float [rows, 4], x0 y0 x1 y1 in pixels of the picture; NaN for rows without a box.
    """

    pixels: Pixels
    boxes: NDArray[np.floating]


@dataclass(frozen=True)
class RowFace:
    """What was found of a row's face.

    Attributes:
        face: in pixels of the picture; None if no face was found that is the row's.
        competitors: how many other faces could have been the row's and are not.
    """

    face: DetectedFace | None
    competitors: int


@dataclass(frozen=True)
class _Chosen:
    """A row's match among the faces of a view."""

    view: View
    faces: list[DetectedFace]
    match: Match


def find_faces(pictures: Sequence[RowsOfPicture], detector: FaceDetector) -> list[list[RowFace]]:
    """The faces of the rows of several pictures.

    Each picture is looked at once as a whole. Then, for each row whose own box fits none of the faces, at the box and its
    surroundings; and a picture of rows without boxes in which nothing was found, within a border. Landmarks are looked for
    in the rows' faces alone.

    Args:
        pictures: with their rows; a few at a time, because all are held in memory.
        detector: finds the faces.

    Returns:
        For each picture, a face for each of its rows.
    """
    views = [whole(picture.pixels, detector.longest) for picture in pictures]
    chosen = [
        _all_chosen(picture, view, faces, detector)
        for picture, view, faces in zip(pictures, views, detector.find_batch([v.pixels for v in views]), strict=True)
    ]
    found = [row for rows in chosen for row in rows if row.match.face != NONE]
    complete = detector.complete_batch(
        [row.view.pixels for row in found], [[row.faces[row.match.face]] for row in found]
    )
    done = iter(complete)
    return [
        [
            RowFace(None if row.match.face == NONE else row.view.brought_back(next(done)[0]), row.match.competitors)
            for row in rows
        ]
        for rows in chosen
    ]


def _all_chosen(picture: RowsOfPicture, view: View, faces: list[DetectedFace], detector: FaceDetector) -> list[_Chosen]:
    """The match of each row of a picture, of whose whole the faces are known."""
    rows = _chosen(picture, view, faces, detector)
    boxed = ~np.isnan(picture.boxes).any(axis=1)
    if not boxed.any() and all(row.match.face == NONE for row in rows):
        again = bordered(picture.pixels, detector.longest)
        return _chosen(picture, again, detector.find_batch([again.pixels])[0], detector)
    for number in np.flatnonzero(boxed):
        if rows[number].match.face == NONE:
            x0, y0, x1, y1 = picture.boxes[number].tolist()
            nearer = around(picture.pixels, (x0, y0, x1, y1), detector.longest)
            if nearer is not None:
                rows[number] = _chosen(picture, nearer, detector.find_batch([nearer.pixels])[0], detector)[number]
    return rows


def _chosen(picture: RowsOfPicture, view: View, faces: list[DetectedFace], detector: FaceDetector) -> list[_Chosen]:
    sure = [face for face in faces if face.score >= detector.threshold]
    matches = match_faces(picture.boxes, [view.brought_back(face) for face in sure])
    return [_Chosen(view, sure, match) for match in matches]
