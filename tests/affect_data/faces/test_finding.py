"""What a detector is shown of a picture, and whose face is whose."""

from collections.abc import Sequence

import numpy as np
import pytest

from affect_data.faces.detection import DetectedFace, FaceDetector, Pixels
from affect_data.faces.finding import RowsOfPicture, find_faces
from affect_data.faces.views import SHORTEST, around, bordered, whole

LONGEST = FaceDetector.longest

NO_BOX = (np.nan,) * 4


class RedSquares(FaceDetector):
    """Finds red rectangles, each in columns of its own; landmarks, in a second step, lie on the corner of the box."""

    name = "red squares"
    package = "json"
    remedy = "it is part of Python"

    def __init__(self) -> None:
        self.shown: list[tuple[int, ...]] = []
        self.completed = 0

    def look(self, pixels: Pixels) -> list[DetectedFace]:
        self.shown.append(pixels.shape[:2])
        red = (pixels[..., 0] > 150) & (pixels[..., 1] < 60)
        columns = np.flatnonzero(np.diff(np.r_[False, red.any(axis=0), False].astype(int)))
        found = []
        for x0, x1 in columns.reshape(-1, 2).tolist():
            rows = np.flatnonzero(red[:, x0:x1].any(axis=1))
            found.append(DetectedFace((x0, rows[0], x1, rows[-1] + 1), 0.8))
        return found

    def landmarked_batch(
        self, pictures: Sequence[Pixels], faces: Sequence[Sequence[DetectedFace]]
    ) -> list[list[DetectedFace]]:
        self.completed += sum(map(len, faces))
        return [
            [DetectedFace(f.box, f.score, landmarks=np.tile(np.float32(f.box[:2]), (68, 1))) for f in own]
            for own in faces
        ]


def picture(height: int, width: int, *boxes: tuple[int, int, int, int]) -> Pixels:
    pixels = np.full((height, width, 3), 90, np.uint8)
    for x0, y0, x1, y1 in boxes:
        pixels[y0:y1, x0:x1] = (220, 10, 10)
    return pixels


def rows(pixels: Pixels, *boxes: tuple[float, ...]) -> RowsOfPicture:
    return RowsOfPicture(pixels, np.array(boxes, float))


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        ((112, 112), (SHORTEST, SHORTEST)),
        ((300, 400), (300, 400)),
        ((3000, 4000), (480, LONGEST)),
        ((20, 800), (16, LONGEST)),
        ((1, 1), (SHORTEST, SHORTEST)),
    ],
)
def test_a_detector_is_shown_a_size_within_bounds(size: tuple[int, int], shown: tuple[int, int]) -> None:
    assert whole(picture(*size), LONGEST).pixels.shape[:2] == shown
    assert max(bordered(picture(*size), LONGEST).pixels.shape) <= LONGEST


@pytest.mark.parametrize("size", [(96, 120), (300, 400), (1200, 1600)])
def test_boxes_and_landmarks_come_back_in_pixels_of_the_picture(size: tuple[int, int]) -> None:
    height, width = size
    box = (width // 4, height // 4, width // 2, height // 2)
    ((found,),) = find_faces([rows(picture(height, width, box), NO_BOX)], RedSquares())
    assert found.face is not None
    assert np.allclose(found.face.box, box, atol=width / 200)
    assert found.face.landmarks is not None
    assert np.allclose(found.face.landmarks, box[:2], atol=width / 200)


@pytest.mark.parametrize(
    "view",
    [whole, bordered, lambda pixels, longest: around(pixels, (90.0, 60.0, 130.0, 100.0), longest)],
    ids=["whole", "border", "box"],
)
def test_every_view_brings_faces_back(view: object) -> None:
    pixels = picture(150, 200, (100, 70, 120, 90))
    seen = view(pixels, LONGEST)  # type: ignore[operator]
    (face,) = RedSquares().look(seen.pixels)
    assert np.allclose(seen.brought_back(face).box, (100, 70, 120, 90), atol=0.7)
    assert np.allclose(seen.brought_back(DetectedFace((0, 0, 1, 1), 1)).box[:2], (seen.left, seen.top))


def test_a_box_outside_of_the_picture_shows_nothing_and_one_that_reaches_out_shows_what_is_there() -> None:
    pixels = picture(150, 200)
    assert around(pixels, (400.0, 10.0, 420.0, 30.0), LONGEST) is None
    seen = around(pixels, (-50.0, -50.0, 30.0, 30.0), LONGEST)
    assert seen is not None
    assert (seen.left, seen.top) == (0.0, 0.0)
    outside = find_faces([rows(picture(150, 200, (9, 9, 40, 40)), (400.0, 10.0, 420.0, 30.0))], RedSquares())
    assert outside[0][0].face is None


def test_a_small_face_is_looked_for_at_its_own_box() -> None:
    pixels = picture(3000, 4000, (2000, 1500, 2002, 1502))
    detector = RedSquares()
    ((found,),) = find_faces([rows(pixels, (1990.0, 1490.0, 2010.0, 1510.0))], detector)
    assert found.face is None  # 2 of 20 pixels overlap too little
    ((found,),) = find_faces([rows(pixels, (1999.0, 1499.0, 2003.0, 1503.0))], detector)
    assert found.face is not None
    assert np.allclose(found.face.box, (2000, 1500, 2002, 1502), atol=0.5)
    assert detector.shown[0] == (480, LONGEST)
    assert detector.shown[-1] == (SHORTEST, SHORTEST)


def test_forty_faces_give_each_row_its_own_and_landmarks_are_found_for_rows_alone() -> None:
    boxes = [(10 + 15 * i, 20, 20 + 15 * i, 35) for i in range(40)]
    detector = RedSquares()
    (found,) = find_faces([rows(picture(60, 620, *boxes), *boxes[5:8], NO_BOX)], detector)
    for row, box in zip(found[:3], boxes[5:8], strict=True):
        assert row.face is not None
        assert np.allclose(row.face.box, box, atol=1)
        assert row.competitors == 0
    assert found[3].competitors == 39
    assert detector.completed == 4


def test_no_face_leaves_the_row_without_one_after_a_second_look() -> None:
    detector = RedSquares()
    assert [[row.face for row in own] for own in find_faces([rows(picture(50, 50), NO_BOX, NO_BOX)], detector)] == [
        [None, None]
    ]
    assert len(detector.shown) == 2


def test_faces_of_several_pictures_do_not_mix() -> None:
    pictures = [
        rows(picture(60, 60, (5, 5, 5 + 10 * i, 50)), NO_BOX) if i else rows(picture(60, 60), NO_BOX) for i in range(4)
    ]
    found = [own[0].face for own in find_faces(pictures, RedSquares())]
    assert found[0] is None
    assert [round(face.box[2] - face.box[0]) for face in found[1:] if face] == [10, 20, 30]


def test_a_face_below_the_threshold_is_none() -> None:
    detector = RedSquares()
    detector.threshold = 0.81  # type: ignore[misc]
    ((found,),) = find_faces([rows(picture(60, 60, (5, 5, 50, 50)), NO_BOX)], detector)
    assert found.face is None
