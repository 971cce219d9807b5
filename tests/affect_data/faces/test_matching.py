"""Which face of a picture is a row's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from affect_data.faces.detection import DetectedFace
from affect_data.faces.matching import LEAST_OVERLAP, NONE, Match, match_faces, overlap

Box = tuple[float, float, float, float]
NO_BOX: Box = (np.nan,) * 4
LEFT, RIGHT = (0.0, 0.0, 100.0, 100.0), (200.0, 0.0, 300.0, 100.0)


def faces(*boxes: Box, scores: tuple[float, ...] = ()) -> list[DetectedFace]:
    return [DetectedFace(box, score) for box, score in zip(boxes, scores or (0.9,) * len(boxes), strict=True)]


def matched(boxes: list[Box], found: list[DetectedFace]) -> list[Match]:
    return match_faces(np.array(boxes), found)


def test_each_row_takes_the_face_at_its_own_box_and_not_the_surer_or_larger_one() -> None:
    found = faces((205, 5, 295, 95), (5, 5, 60, 70), scores=(0.7, 0.99))
    assert matched([LEFT, RIGHT], found) == [Match(1, 0), Match(0, 0)]


def test_a_box_that_fits_no_face_has_none_although_there_is_one() -> None:
    assert matched([LEFT], faces(RIGHT)) == [Match(NONE, 0)]
    assert matched([LEFT, NO_BOX], faces()) == [Match(NONE, 0), Match(NONE, 0)]


@pytest.mark.parametrize(("side", "fits"), [(44.0, False), (45.0, True)])
def test_the_least_overlap_is_a_fifth(side: float, fits: bool) -> None:
    assert LEAST_OVERLAP == 0.2
    assert (matched([LEFT], faces((0, 0, side, side)))[0].face == 0) is fits  # 0.44 ** 2 = 0.194


def test_other_faces_that_fit_the_box_are_counted() -> None:
    found = faces((0, 0, 60, 100), (40, 0, 100, 100), (5, 5, 95, 95), (250, 0, 260, 10))
    assert matched([LEFT], found) == [Match(2, 2)]


def test_a_face_nearer_to_another_row_is_not_taken_from_it() -> None:
    crowded = (60.0, 0.0, 160.0, 100.0)
    assert matched([LEFT, crowded], faces((70, 0, 150, 100))) == [Match(NONE, 1), Match(0, 0)]


def test_two_rows_of_one_face_share_it() -> None:
    again = (1.0, 2.0, 101.0, 101.0)
    assert matched([LEFT, again], faces((2, 2, 99, 99))) == [Match(0, 0), Match(0, 0)]


def test_without_a_box_the_largest_face_is_taken_then_the_surer_then_the_first() -> None:
    assert matched([NO_BOX], faces((0, 0, 30, 30), LEFT, scores=(0.99, 0.6))) == [Match(1, 1)]
    assert matched([NO_BOX], faces(LEFT, RIGHT, scores=(0.6, 0.99))) == [Match(1, 1)]
    assert matched([NO_BOX], faces(LEFT, RIGHT)) == [Match(0, 1)]
    assert matched([NO_BOX, RIGHT], faces(LEFT, RIGHT)) == [Match(0, 1), Match(1, 0)]


CORNERS = st.tuples(*(st.integers(0, 30) for _ in range(4))).map(
    lambda c: (min(c[0], c[2]), min(c[1], c[3]), max(c[0], c[2]) + 1, max(c[1], c[3]) + 1)
)


@given(st.lists(CORNERS, max_size=4), st.lists(CORNERS, max_size=6))
def test_the_overlap_is_that_of_counted_pixels(boxes: list[Box], others: list[Box]) -> None:
    def drawn(box: Box) -> np.ndarray:
        canvas = np.zeros((32, 32), bool)
        x0, y0, x1, y1 = map(int, box)
        canvas[y0:y1, x0:x1] = True
        return canvas

    found = overlap(np.array(boxes, float).reshape(-1, 4), np.array(others, float).reshape(-1, 4))
    for row, box in enumerate(boxes):
        for column, other in enumerate(others):
            both = (drawn(box) & drawn(other)).sum() / (drawn(box) | drawn(other)).sum()
            assert found[row, column] == pytest.approx(both)


@given(st.lists(st.one_of(CORNERS, st.just(NO_BOX)), max_size=4), st.lists(CORNERS, max_size=6))
def test_no_match_is_invented(boxes: list[Box], others: list[Box]) -> None:
    found = faces(*others)
    for box, match in zip(boxes, match_faces(np.array(boxes, float).reshape(-1, 4), found), strict=True):
        assert NONE <= match.face < len(found)
        assert 0 <= match.competitors <= len(found)
        if match.face != NONE and not np.isnan(box[0]):
            own = overlap(np.array([box], float), np.array([others[match.face]], float))
            assert own.item() >= LEAST_OVERLAP
