"""The interface of face detectors, and what it refuses."""

import pickle
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from affect_data.errors import DataError
from affect_data.faces.detection import DetectedFace, FaceDetector, NonsenseError, Pixels, points_from

PICTURE = np.zeros((30, 40, 3), np.uint8)
BOX = (1.0, 2.0, 11.0, 22.0)


class Told(FaceDetector):
    """Gives the faces that it was told."""

    name = "told"
    package = "json"
    remedy = "it is part of Python"

    def __init__(self, *faces: DetectedFace) -> None:
        self.faces = faces

    def look(self, pixels: Pixels) -> list[DetectedFace]:
        return list(self.faces)


class Forgetful(Told):
    """Forgets the last picture of a batch."""

    def look_batch(self, pictures: Sequence[Pixels]) -> list[list[DetectedFace]]:
        return [[] for _ in pictures[1:]]


def points(value: float, rows: int = 5) -> NDArray[np.float32]:
    return np.full((rows, 2), value, np.float32)


@pytest.mark.parametrize(
    ("face", "said"),
    [
        (DetectedFace((1, 2, float("nan"), 4), 0.5), r"a box that is not finite, \[1, 2, nan, 4\]"),
        (DetectedFace((1, 2, float("inf"), 4), 0.5), r"a box that is not finite, \[1, 2, inf, 4\]"),
        (DetectedFace((5, 2, 3, 4), 0.5), r"a box without an area, \[5, 2, 3, 4\]"),
        (DetectedFace((1, 4, 3, 4), 0.5), r"a box without an area, \[1, 4, 3, 4\]"),
        (DetectedFace(BOX, 93.0), "a score of 93, not between 0 and 1"),
        (DetectedFace(BOX, -0.1), "a score of -0.1, not between 0 and 1"),
        (DetectedFace(BOX, float("nan")), "a score of nan, not between 0 and 1"),
        (DetectedFace(BOX, 0.5, points(1, 4)), r"points of shape \[4, 2\], not \[5, 2\]"),
        (DetectedFace(BOX, 0.5, points(np.nan)), "points that are not finite"),
        (DetectedFace(BOX, 0.5, points(1), points(1, 66)), r"landmarks of shape \[66, 2\], not \[68, 2\]"),
        (DetectedFace(BOX, 0.5, points(1), points(np.inf, 68)), "landmarks that are not finite"),
    ],
)
def test_nonsense_is_refused_by_the_name_of_the_detector(face: DetectedFace, said: str) -> None:
    refused = f"the face detector 'told' returned {said} for a picture of 40 by 30 pixels; .*`--detector`"
    with pytest.raises(DataError, match=refused):
        Told(face).detect(PICTURE)
    with pytest.raises(DataError, match=refused):
        Told(face).detect_batch([PICTURE])


def test_an_answer_for_another_number_of_pictures_is_refused() -> None:
    with pytest.raises(NonsenseError, match="the face detector 'told' returned 1 lists of faces for 2 pictures"):
        Forgetful().detect_batch([PICTURE, PICTURE])


def test_the_refusal_survives_the_way_from_another_process() -> None:
    with pytest.raises(NonsenseError) as caught:
        Told(DetectedFace((1, 4, 3, 4), 0.5)).detect(PICTURE)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_the_best_face_comes_first_and_a_box_may_reach_beyond_the_picture() -> None:
    outside = DetectedFace((-5.0, -5.0, 50.0, 40.0), 1.0)
    found = Told(DetectedFace(BOX, 0.0), DetectedFace(BOX, 0.7), outside).detect(PICTURE)
    assert [face.score for face in found] == [1.0, 0.7, 0.0]
    assert (found[0].area, found[0].centre) == (55 * 45, (22.5, 17.5))
    assert Told().detect_batch([PICTURE, PICTURE]) == [[], []]


def test_five_points_come_from_the_landmarks_of_the_ibug_order() -> None:
    landmarks = np.zeros((68, 2), np.float32)
    landmarks[36:42] = [(0, 1), (1, 0), (3, 0), (4, 1), (3, 2), (1, 2)]
    landmarks[42:48] = [(10, 1), (11, 0), (13, 0), (14, 1), (13, 2), (11, 2)]
    landmarks[30], landmarks[48], landmarks[54] = (7, 6), (3, 9), (11, 10)
    expected = [(2, 1), (12, 1), (7, 6), (3, 9), (11, 10)]
    assert points_from(landmarks).tolist() == [list(map(float, point)) for point in expected]
    found = DetectedFace(BOX, 0.9, landmarks=landmarks).points
    assert found is not None
    assert found.tolist() == points_from(landmarks).tolist()
    assert DetectedFace(BOX, 0.9).points is None
