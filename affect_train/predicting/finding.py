"""Finds the faces of pictures, several pictures at once."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from affect_data.errors import DataError
from affect_data.faces.detection import DetectedFace, FaceDetector, Pixels
from affect_data.faces.detectors.registry import DEFAULT, detector_named
from affect_data.faces.views import whole
from affect_data.pictures import box_misses

LEAST_SCORE: Final = 0.6
"""The least score of a face that counts, as in the audit of faces."""

Item = TypeVar("Item")


class FaceFinder:
    """Finds the faces of pictures with one detector or several alike, each looking at pictures of its own.

    Args:
        detector: its name.
        least_score: of a face.
        workers: how many detectors look at once.

    Raises:
        UnknownNameError: there is no such detector.
        DataError: it is not installed.
    """

    def __init__(self, detector: str = DEFAULT, least_score: float = LEAST_SCORE, workers: int = 1) -> None:
        kind = detector_named(detector)
        if because := kind.missing():
            raise DataError(f"to find faces, a detector is needed, and {because}")
        self.least_score = least_score
        self._detectors: list[FaceDetector] = [kind() for _ in range(max(1, workers))]
        self._threads = ThreadPoolExecutor(len(self._detectors))

    @property
    def detector(self) -> FaceDetector:
        """One of the detectors; all are alike."""
        return self._detectors[0]

    def find(self, pictures: Sequence[Pixels]) -> list[list[DetectedFace]]:
        """The faces of each picture, uint8 [height, width, 3], best first, in pixels of the picture.

        Raises:
            NonsenseError: the detector returned what no face can be.
        """
        many = len(self._detectors)
        shares = [list(pictures[number::many]) for number in range(many)]
        found: list[list[DetectedFace]] = [[] for _ in pictures]
        for number, part in enumerate(self._threads.map(self._looked, self._detectors, shares)):
            found[number::many] = part
        return found

    def _looked(self, detector: FaceDetector, pictures: list[Pixels]) -> list[list[DetectedFace]]:
        views = [whole(pixels, detector.longest) for pixels in pictures]
        found = detector.detect_batch([view.pixels for view in views])
        return [
            [face for face in map(view.brought_back, faces) if self._counts(face, pixels)]
            for view, pixels, faces in zip(views, pictures, found, strict=True)
        ]

    def _counts(self, face: DetectedFace, pixels: Pixels) -> bool:
        height, width = pixels.shape[:2]
        return face.score >= self.least_score and not box_misses(face.box, width, height)


def ahead(items: Callable[[], Iterator[Item]]) -> Iterator[Item]:
    """The items of an iterator, each made in another thread while the one before is in use."""
    with ThreadPoolExecutor(1) as thread:
        made = items()
        coming = thread.submit(next, made, None)
        while (item := coming.result()) is not None:
            coming = thread.submit(next, made, None)
            yield item
