"""face-alignment's own networks and files, offline: weights are random, so that numbers mean nothing, but their way is the real one."""

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from affect_data.demo.sampler import FaceSampler
from affect_data.errors import DataError
from affect_data.faces.detection import DetectedFace, FaceDetector
from affect_data.faces.detectors import face_alignment
from affect_data.faces.detectors.face_alignment import (
    LANDMARK_WEIGHTS,
    AlignedDlib,
    FaceAlignment,
    RetinaFace,
    Sfd,
    checkpoints,
)
from affect_data.faces.detectors.registry import DETECTORS

BACKENDS = [detector.backend for detector in face_alignment.DETECTORS]
BOXES = ((8.0, 12.0, 90.0, 104.0), (40.0, 30.0, 118.0, 120.0))


@pytest.fixture(autouse=True)
def _not_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a test is the first to import face-alignment, its functions stay as they are, as the detector leaves them."""
    pytest.importorskip("numba")
    monkeypatch.setattr("numba.config.DISABLE_JIT", True)


@pytest.fixture
def at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A TORCH_HOME with a file in the place of the weights of the landmarks; returns that file."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    weights = checkpoints() / LANDMARK_WEIGHTS[0]
    weights.parent.mkdir(parents=True)
    weights.touch()
    return weights


@pytest.fixture
def with_weights(at_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Random weights of the package's network, of one of its four stages, for the time that a stage takes."""
    api = pytest.importorskip("face_alignment.api")
    network = api.FAN
    monkeypatch.setattr(api, "FAN", lambda stages: network(1))
    torch.manual_seed(0)
    torch.save(network(1).state_dict(), at_home)


def picture(seed: int) -> np.ndarray:
    return np.asarray(FaceSampler(seed).photograph().draw(128))


@pytest.mark.skipif("dlib" in AlignedDlib.missing(), reason="dlib-bin is not installed")
@pytest.mark.slow
@pytest.mark.writes_pickles
@pytest.mark.usefixtures("with_weights")
def test_faces_of_several_pictures_at_once_have_the_landmarks_of_the_package_picture_by_picture() -> None:
    detector = AlignedDlib()
    pictures = [picture(seed) for seed in (1, 2)]
    faces = [[DetectedFace(BOXES[0], 0.9)], [DetectedFace(BOXES[1], 0.8)]]
    found = detector.complete_batch(pictures, faces)
    for pixels, given, own in zip(pictures, faces, found, strict=True):
        expected = detector._aligner.get_landmarks_from_image(pixels, [list(face.box) for face in given])
        for face, before, landmarks in zip(own, given, expected, strict=True):
            assert (face.box, face.score) == (before.box, before.score)
            assert face.landmarks is not None
            assert np.array_equal(face.landmarks, landmarks)
            assert face.points is not None
    assert detector.complete_batch(pictures, [[], []]) == [[], []]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        boxes = [face.box for face in detector.find_batch([pictures[0]])[0]]
    assert boxes == [tuple(map(float, box)) for box in detector._aligner.face_detector.detect_from_image(pictures[0])]
    assert detector.version.startswith("face-alignment 1.")
    assert len(detector.weights_digest) == 64


@pytest.mark.writes_pickles
@pytest.mark.usefixtures("with_weights")
def test_boxes_and_scores_of_a_network_come_through() -> None:
    from face_alignment.detection.sfd.net_s3fd import s3fd

    torch.manual_seed(0)
    torch.save(s3fd().state_dict(), checkpoints() / Sfd.backend.weights[0][0])
    detector = Sfd()
    noise = np.random.default_rng(0).integers(0, 255, (64, 80, 3)).astype(np.uint8)
    expected = [tuple(row.tolist()) for row in detector._aligner.face_detector.detect_from_image(noise)]
    assert expected
    assert sorted((*face.box, face.score) for face in detector.find_batch([noise])[0]) == sorted(expected)


def test_weights_that_are_not_there_are_named_with_their_place_and_the_command(at_home: Path) -> None:
    assert checkpoints() == Path(torch.hub.get_dir()) / "checkpoints"
    name, url = Sfd.backend.weights[0]
    because = Sfd.missing()
    assert because == (
        f"the weights {name} are not in '{checkpoints()}' (TORCH_HOME moves it). "
        f"Fetch them: curl -L --create-dirs -o {checkpoints() / name} {url}"
    )
    with pytest.raises(DataError, match=r"the weights s3fd-619a316812\.pth are not in"):
        Sfd()


def test_the_place_of_weights_is_that_of_torch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("TORCH_HOME", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert checkpoints() == Path(torch.hub.get_dir()) / "checkpoints"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert checkpoints() == Path(torch.hub.get_dir()) / "checkpoints"


def test_all_detectors_of_the_package_are_known_by_name_with_its_own_addresses_and_files() -> None:
    found = pytest.importorskip("face_alignment")
    package = Path(found.__file__).parent
    modules = {path.name for path in (package / "detection").iterdir() if path.is_dir() and path.name[0] != "_"}
    assert {backend.name for backend in BACKENDS} == modules - {"folder"}
    named = {name for name in DETECTORS if name.startswith("face-alignment.")}
    assert named == {f"face-alignment.{backend.name}" for backend in BACKENDS}
    for backend in BACKENDS:
        source = "".join(path.read_text() for path in (package / "detection" / backend.name).glob("*.py"))
        for name, url in backend.weights:
            assert name in source or Path(url).name in source
    assert f"'{LANDMARK_WEIGHTS[1]}'" in (package / "api.py").read_text()


def test_what_a_backend_needs_besides_is_named(at_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("affect_data.faces.detectors.face_alignment.find_spec", lambda name: None)
    assert RetinaFace.missing().startswith(
        "torchvision is not installed: it needs the torchvision of exactly your torch"
    )
    monkeypatch.setattr("affect_data.faces.detection.find_spec", lambda name: None)
    assert Sfd.missing() == "face_alignment is not installed: `pip install 'affectkit[faces]'`"


@pytest.mark.parametrize("detector", [one for one in DETECTORS.values() if issubclass(one, FaceAlignment)])
def test_every_backend_can_be_described(detector: type[FaceDetector]) -> None:
    assert detector.__doc__
    assert detector.name.partition(".")[2] in {backend.name for backend in BACKENDS}
