"""dlib: faces by histograms of gradients, compiled into `dlib-bin`, and 68 landmarks by regression trees from `face-recognition-models`."""

import hashlib
from collections.abc import Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from affect_data.errors import DataError
from affect_data.faces.detection import DetectedFace, FaceDetector, Pixels

MODELS: Final = "face_recognition_models"
LANDMARK_FILE: Final = "models/shape_predictor_68_face_landmarks.dat"
MODELS_DISTRIBUTION: Final = "face-recognition-models"


class Dlib(FaceDetector):
    """dlib's frontal face detector (Boost licence, 4 MB) with the 68 landmarks of iBUG (weights CC0, 100 MB), all from packages.

    Faces smaller than about 80 pixels in what it is shown, and faces from the side, are not found, so it is shown more of a
    large picture than others are. Its score has no upper bound; here it is
    ``s / (1 + s)`` of dlib's.

    https://github.com/davisking/dlib-models says of the landmarks that the licence of their training data (300-W) excludes
    commercial use.

    Source: King, Dlib-ml: A Machine Learning Toolkit, JMLR 10 (2009); Kazemi & Sullivan, One Millisecond Face Alignment with
    an Ensemble of Regression Trees, CVPR 2014.
    """

    name = "dlib"
    package = "dlib"
    distribution = "dlib-bin"
    remedy = "`pip install 'affectkit[landmarks]'`"
    threshold = 0.0
    longest = 1280

    @classmethod
    def missing(cls) -> str:
        """What to install so that the detector can run; empty if it can."""
        if find_spec(MODELS) is None:
            return super().missing() or f"{MODELS} is not installed: {cls.remedy}"
        return super().missing()

    def __init__(self) -> None:
        if because := self.missing():
            raise DataError(because)
        import dlib

        self._dlib: Any = dlib
        self._detector = dlib.get_frontal_face_detector()
        self._landmarks = dlib.shape_predictor(str(_landmark_file()))

    @classmethod
    def installed_version(cls) -> str:
        """The installed versions of its two packages."""
        return f"{super().installed_version()}, {MODELS_DISTRIBUTION} {version(MODELS_DISTRIBUTION)}"

    @classmethod
    def installed_weights(cls) -> str:
        """sha256 of the landmarks' weights; those of the detector are in the library, whose version is known."""
        with _landmark_file().open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def look(self, pixels: Pixels) -> list[DetectedFace]:
        """The boxes of the upright faces of a picture."""
        boxes, scores, _ = self._detector.run(np.ascontiguousarray(pixels), 0, 0.0)
        return [
            DetectedFace((box.left(), box.top(), box.right() + 1, box.bottom() + 1), score / (1 + score))
            for box, score in zip(boxes, (max(0.0, score) for score in scores), strict=True)
        ]

    def landmarked_batch(
        self, pictures: Sequence[Pixels], faces: Sequence[Sequence[DetectedFace]]
    ) -> list[list[DetectedFace]]:
        """The faces with 68 landmarks each, in whole pixels."""
        return [
            [DetectedFace(face.box, face.score, landmarks=self._landmarks_of(pixels, face)) for face in own]
            for pixels, own in zip(pictures, faces, strict=True)
        ]

    def _landmarks_of(self, pixels: Pixels, face: DetectedFace) -> NDArray[np.float32]:
        x0, y0, x1, y1 = (round(value) for value in face.box)
        shape = self._landmarks(np.ascontiguousarray(pixels), self._dlib.rectangle(x0, y0, x1 - 1, y1 - 1))
        return np.array([(point.x, point.y) for point in shape.parts()], np.float32)


def _landmark_file() -> Path:
    # Not imported: the package needs pkg_resources, which setuptools no longer has.
    found = find_spec(MODELS)
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent / LANDMARK_FILE
