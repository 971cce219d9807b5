"""Annotated pictures: words leave the face to be seen, in pictures of any size."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from affect_train.predicting.annotating import MOST_SIDE, annotated, enlargement

UNITS = ("AU01", "AU04", "AU06", "AU12", "AU25", "AU26")
COLUMNS: Any = SimpleNamespace(expressions=("neutral", "happiness"), has_valence=True, units=UNITS)


def row(left: float, top: float, right: float, bottom: float) -> dict[str, Any]:
    box = dict(zip(("box_left", "box_top", "box_right", "box_bottom"), (left, top, right, bottom), strict=True))
    said = {"expression": "happiness", "expression_happiness": 0.9, "valence": 0.4, "arousal": -0.2}
    return {"face": 0, "track": None, **box, **said, **{f"{unit}_present": 1 for unit in UNITS}}


@pytest.mark.parametrize("side", [24, 48, 64, 100, 240])
def test_words_leave_most_of_the_face_of_a_small_photograph(side: int) -> None:
    grey = np.full((side, side, 3), 200, np.uint8)
    share = (0.2, 0.25, 0.8, 0.95)
    drawn = annotated(grey, [row(*(edge * side for edge in share))], COLUMNS)
    assert drawn.shape[0] >= 240
    x0, y0, x1, y1 = (round(edge * drawn.shape[0]) for edge in share)
    # Within the box's line, whose width is no part of the face.
    face = drawn[y0 + 4 : y1 - 4, x0 + 4 : x1 - 4].astype(int)
    assert (np.abs(face - 200).max(axis=2) > 20).mean() < 0.1


def test_large_pictures_keep_their_size_and_no_strip_grows_without_end() -> None:
    assert enlargement((1024, 768)) == enlargement((320, 240)) == 1
    assert [enlargement(size) for size in ((160, 120), (64, 64), (24, 24))] == [2, 4, 10]
    assert enlargement((1000, 10)) == 1
    assert 300 * enlargement((300, 10)) <= MOST_SIDE
    assert annotated(np.zeros((60, 80, 3), np.uint8), [], COLUMNS).shape == (240, 320, 3)
