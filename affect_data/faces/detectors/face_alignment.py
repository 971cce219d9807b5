"""face-alignment: several face detectors, and 68 landmarks by its network 2DFAN, on the GPU if there is one.

Its weights are not in the package. They are looked up where it puts them itself, and never downloaded here.
"""

import hashlib
import multiprocessing
import os
import shlex
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from affect_data.errors import DataError
from affect_data.faces.detection import LANDMARKS, DetectedFace, FaceDetector, Pixels

_HOST: Final = "https://www.adrianbulat.com/downloads/python-fan"
_BLAZEFACE: Final = "https://github.com/hollance/BlazeFace-PyTorch/raw/master"

LANDMARK_WEIGHTS: Final = ("2DFAN4-11f355bf06.pth.tar", f"{_HOST}/2DFAN4-11f355bf06.pth.tar")

FACES_AT_ONCE: Final = 32
"""Faces of one pass of the network of landmarks."""


@dataclass(frozen=True)
class Backend:
    """One of the face detectors of face-alignment.

    Attributes:
        name: its module in `face_alignment.detection`.
        weights: names of its files of weights, and where they can be had.
        needs: a module besides face-alignment, and how to install it; empty if it needs none.
    """

    name: str
    weights: tuple[tuple[str, str], ...] = ()
    needs: tuple[str, str] = ("", "")


def checkpoints() -> Path:
    """The folder in which torch, and so face-alignment, keeps weights: ``hub/checkpoints`` under ``TORCH_HOME``."""
    cache = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    return Path(os.environ.get("TORCH_HOME", f"{cache}/torch")).expanduser() / "hub" / "checkpoints"


@contextmanager
def _not_compiled() -> Iterator[None]:
    """A context in which numba leaves functions as they are: compiling those of face-alignment takes 8 s a process, and saves 2 ms a face."""
    import numba

    before, numba.config.DISABLE_JIT = numba.config.DISABLE_JIT, True
    try:
        yield
    finally:
        numba.config.DISABLE_JIT = before


class FaceAlignment(FaceDetector):
    """A detector of face-alignment with the landmarks of 2DFAN (BSD); subclasses state its `backend`.

    Nothing is compiled, neither the network (minutes, on the CPU) nor the functions around it.

    Source: Bulat & Tzimiropoulos, How far are we from solving the 2D & 3D Face Alignment problem?, ICCV 2017; https://github.com/1adrianb/face-alignment.
    """

    package = "face_alignment"
    distribution = "face-alignment"
    remedy = "`pip install 'affectkit[faces]'`"
    backend: ClassVar[Backend]

    @classmethod
    def missing(cls) -> str:
        """What to install or to fetch so that the detector can run; empty if it can."""
        module, how = cls.backend.needs
        if because := super().missing():
            return because
        if module and find_spec(module) is None:
            return f"{module} is not installed: {how}"
        absent = [(name, url) for name, url in cls._weights() if not (checkpoints() / name).is_file()]
        if not absent:
            return ""
        files = ", ".join(name for name, _ in absent)
        commands = [f"curl -L --create-dirs -o {shlex.quote(str(checkpoints() / name))} {url}" for name, url in absent]
        return f"the weights {files} are not in '{checkpoints()}' (TORCH_HOME moves it). Fetch them: {' && '.join(commands)}"

    @classmethod
    def _weights(cls) -> tuple[tuple[str, str], ...]:
        return (LANDMARK_WEIGHTS, *cls.backend.weights)

    def __init__(self) -> None:
        if because := self.missing():
            raise DataError(because)
        import torch

        with _not_compiled():
            from face_alignment import FaceAlignment as Aligner
            from face_alignment import LandmarksType

        if multiprocessing.parent_process() is not None:
            # Pictures are spread over processes already.
            torch.set_num_threads(1)
        device = "cuda" if torch.cuda.is_available() else "cpu"
        with warnings.catch_warnings():
            # It calls its own dlib deprecated.
            warnings.simplefilter("ignore")
            self._aligner: Any = Aligner(
                LandmarksType.TWO_D, device=device, face_detector=self.backend.name, compile=False
            )

    @classmethod
    def installed_version(cls) -> str:
        """The installed versions of face-alignment and torch."""
        return f"{super().installed_version()}, torch {version('torch')}"

    @classmethod
    def installed_weights(cls) -> str:
        """sha256 over the sha256 of its files of weights, in the order of `LANDMARK_WEIGHTS` and the backend's."""
        digests = []
        for name, _ in cls._weights():
            with (checkpoints() / name).open("rb") as file:
                digests.append(hashlib.file_digest(file, "sha256").digest())
        return hashlib.sha256(b"".join(digests)).hexdigest()

    def look(self, pixels: Pixels) -> list[DetectedFace]:
        """The boxes of a picture; the backend `dlib` says nothing of how sure it is, so that its score is 1."""
        found = self._aligner.face_detector.detect_from_image(np.ascontiguousarray(pixels))
        rows = [np.asarray(row, np.float64).tolist() for row in found]
        return [DetectedFace((x0, y0, x1, y1), *(score or [1.0])) for x0, y0, x1, y1, *score in rows]

    def landmarked_batch(
        self, pictures: Sequence[Pixels], faces: Sequence[Sequence[DetectedFace]]
    ) -> list[list[DetectedFace]]:
        """The faces with 68 landmarks each; the faces of all pictures pass the network together."""
        framed = [
            (pixels, *self._frame(face))
            for pixels, own in zip(pictures, faces, strict=True)
            for face in own
        ]  # fmt: skip
        found = iter(self._landmarks(framed))
        return [[DetectedFace(face.box, face.score, landmarks=next(found)) for face in own] for own in faces]

    def _frame(self, face: DetectedFace) -> tuple[NDArray[np.float64], float]:
        """Centre and scale of the square that the network is shown, as face-alignment takes them from a box."""
        from face_alignment.utils import CENTER_Y_OFFSET

        x0, y0, x1, y1 = face.box
        centre = np.array([x1 - (x1 - x0) / 2, y1 - (y1 - y0) / 2 - (y1 - y0) * CENTER_Y_OFFSET])
        return centre, (x1 - x0 + y1 - y0) / self._aligner.face_detector.reference_scale

    def _landmarks(self, framed: Sequence[tuple[Pixels, NDArray[np.float64], float]]) -> list[NDArray[np.float32]]:
        """What `FaceAlignment.get_landmarks_from_image` of the package computes, for faces of several pictures at once."""
        import torch
        from face_alignment.utils import crop, get_preds_fromhm

        landmarks = []
        for start in range(0, len(framed), FACES_AT_ONCE):
            part = framed[start : start + FACES_AT_ONCE]
            crops = [crop(pixels, centre, scale).transpose(2, 0, 1) for pixels, centre, scale in part]
            shown = torch.from_numpy(np.stack(crops).astype(np.float32) / 255.0).to(self._aligner.device)
            heatmaps = self._heatmaps(shown)
            for number, (_, centre, scale) in enumerate(part):
                _, points, _ = get_preds_fromhm(heatmaps[number : number + 1], centre, scale)
                landmarks.append(np.asarray(points, np.float32).reshape(LANDMARKS, 2))
        return landmarks

    def _heatmaps(self, shown: Any) -> NDArray[np.float32]:  # noqa: ANN401 - a tensor; torch is not imported here
        import torch
        from face_alignment.utils import flip

        with torch.no_grad():
            found = self._of_last_stage(self._aligner.face_alignment_net(shown))
            mirrored = self._of_last_stage(self._aligner.face_alignment_net(flip(shown)))
            summed = found + flip(mirrored, is_label=True)
        return np.asarray(summed.to("cpu", dtype=torch.float32).numpy())

    @staticmethod
    def _of_last_stage(output: Any) -> Any:  # noqa: ANN401 - a tensor; torch is not imported here
        return output[-1] if isinstance(output, list) else output


class Sfd(FaceAlignment):
    """S3FD, the detector that face-alignment takes by itself."""

    name = "face-alignment.sfd"
    backend = Backend("sfd", (("s3fd-619a316812.pth", f"{_HOST}/s3fd-619a316812.pth"),))


class BlazeFace(FaceAlignment):
    """BlazeFace (short range): fast, for faces that are large in their picture."""

    name = "face-alignment.blazeface"
    backend = Backend("blazeface", tuple((name, f"{_BLAZEFACE}/{name}") for name in ("blazeface.pth", "anchors.npy")))


class YuNet(FaceAlignment):
    """YuNet by OpenCV, on the CPU."""

    name = "face-alignment.yunet"
    backend = Backend(
        "yunet",
        (
            (
                "face_detection_yunet_2023mar.onnx",
                "https://github.com/opencv/opencv_zoo/raw/main/models/face_detection_yunet/face_detection_yunet_2023mar.onnx",
            ),
        ),
    )


class Scrfd(FaceAlignment):
    """SCRFD 2.5g by onnxruntime."""

    name = "face-alignment.scrfd"
    backend = Backend(
        "scrfd",
        (
            (
                "scrfd_2.5g_bnkps.onnx",
                "https://github.com/yakhyo/facial-analysis/releases/download/v0.0.1/det_2.5g.onnx",
            ),
        ),
        ("onnxruntime", "`pip install onnxruntime`"),
    )


class RetinaFace(FaceAlignment):
    """RetinaFace with MobileNet 0.25; needs torchvision."""

    name = "face-alignment.retinaface"
    backend = Backend(
        "retinaface",
        (("retinaface_mobilenet0.25.pth", f"{_HOST}/retinaface_mobilenet0.25.pth"),),
        ("torchvision", "it needs the torchvision of exactly your torch: `pip install torchvision`"),
    )


class AlignedDlib(FaceAlignment):
    """dlib's frontal face detector with the landmarks of 2DFAN."""

    name = "face-alignment.dlib"
    backend = Backend("dlib", needs=("dlib", "`pip install dlib-bin`"))


DETECTORS: Final = (Sfd, BlazeFace, YuNet, Scrfd, RetinaFace, AlignedDlib)
"""All of its detectors but `folder`, which reads boxes from files beside a picture and never looks at the picture."""
