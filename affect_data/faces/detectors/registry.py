"""All face detectors by name; a new one is added here."""

from typing import Final

from affect_data.errors import UnknownNameError
from affect_data.faces.detection import FaceDetector
from affect_data.faces.detectors import face_alignment
from affect_data.faces.detectors.dlib import Dlib
from affect_data.faces.detectors.libfacedetection import LibFaceDetection

DETECTORS: Final[dict[str, type[FaceDetector]]] = {
    detector.name: detector for detector in (LibFaceDetection, Dlib, *face_alignment.DETECTORS)
}

DEFAULT: Final = LibFaceDetection.name
"""Its weights are in its package, which weighs half a megabyte, so that it runs offline on a new machine."""


def detector_named(name: str) -> type[FaceDetector]:
    """The detector of a name, whether it can run here or not.

    Raises:
        UnknownNameError: there is none of this name.
    """
    if name not in DETECTORS:
        raise UnknownNameError("face detector", name, tuple(DETECTORS))
    return DETECTORS[name]
