"""The similarity onto a template: against least squares solved otherwise, and against OpenCV's picture."""

import importlib.util

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from affect_data.faces.alignment import aligned, similarity
from affect_data.faces.policies import ARCFACE_112

TEMPLATE = np.array(ARCFACE_112)


def by_normal_equations(points: np.ndarray, template: np.ndarray) -> np.ndarray:
    """The same least squares over (a, b, x, y) in u = a x - b y + x0, v = b x + a y + y0."""
    rows, values = [], []
    for (x, y), (u, v) in zip(points, template, strict=True):
        rows += [[x, -y, 1, 0], [y, x, 0, 1]]
        values += [u, v]
    a, b, x0, y0 = np.linalg.lstsq(np.array(rows), np.array(values), rcond=None)[0]
    return np.array([[a, -b, x0], [b, a, y0]])


@given(st.floats(0.2, 20), st.floats(-180, 180), st.floats(-500, 500), st.floats(-500, 500), st.integers(0, 99))
@settings(max_examples=60)
def test_it_is_the_least_squares_solution(scale: float, degrees: float, x: float, y: float, seed: int) -> None:
    turn = np.deg2rad(degrees)
    axes = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    noise = np.random.default_rng(seed).normal(0, 2 * scale, (5, 2))
    points = TEMPLATE @ axes.T + (x, y) + noise
    assert similarity(points, TEMPLATE) == pytest.approx(by_normal_equations(points, TEMPLATE), rel=1e-6, abs=1e-6)


def test_points_that_are_the_template_stay_where_they_are() -> None:
    assert similarity(TEMPLATE, TEMPLATE) == pytest.approx(np.eye(3)[:2], abs=1e-12)


@pytest.mark.parametrize(
    ("points", "because"),
    [
        (TEMPLATE[[1, 0, 2, 4, 3]], "do not lie like those of a face"),
        (np.tile([[30.0, 40.0]], (5, 1)), "lie in one place"),
        (TEMPLATE / 1e4, "lie in one place"),
        (np.full((5, 2), np.nan), "not finite"),
    ],
    ids=["sides exchanged", "one point", "a thousandth of a pixel", "NaN"],
)
def test_degenerate_points_are_refused(points: np.ndarray, because: str) -> None:
    with pytest.raises(ValueError, match=because):
        similarity(points, TEMPLATE)


def test_a_profile_is_accepted() -> None:
    profile = np.column_stack([56 + 0.1 * (TEMPLATE[:, 0] - 56), TEMPLATE[:, 1]])
    profile[2, 0] = 75
    assert np.isfinite(similarity(profile, TEMPLATE)).all()


@pytest.mark.skipif(importlib.util.find_spec("cv2") is None, reason="opencv-python is not installed")
@pytest.mark.parametrize("scale", [0.5, 1.0, 1.7])
def test_the_picture_is_opencvs_to_one_grey_level(scale: float) -> None:
    import cv2

    rng = np.random.default_rng(0)
    pixels = np.kron(rng.integers(0, 256, (30, 40, 3), dtype=np.uint8), np.ones((10, 10, 1), np.uint8))
    turn = np.deg2rad(20)
    axes = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    matrix = similarity(TEMPLATE @ axes.T + (110, 30), TEMPLATE)
    expected = cv2.warpAffine(pixels, matrix, (112, 112), flags=cv2.INTER_LINEAR)
    inside = cv2.warpAffine(np.full_like(pixels, 255), matrix, (112, 112), flags=cv2.INTER_NEAREST)[..., 0] == 255
    inside = cv2.erode(inside.astype(np.uint8), np.ones((3, 3))) == 1
    difference = np.abs(aligned(pixels, matrix, 112).astype(int) - expected)[inside]
    # OpenCV places a pixel to 1/32 of its side, which shows at edges of the pattern.
    assert np.quantile(difference, 0.99) <= 6
    assert difference.mean() < 1


def test_a_large_face_is_averaged_not_skipped_over() -> None:
    lines = np.zeros((1120, 1120, 3), np.uint8)
    lines[::2] = 255
    shown = aligned(lines, similarity(TEMPLATE * 10, TEMPLATE), 112)
    assert shown[2:-2, 2:-2].min() >= 120
    assert shown[2:-2, 2:-2].max() <= 135


def test_what_lies_beyond_the_picture_is_black() -> None:
    white = np.full((112, 112, 3), 255, np.uint8)
    shown = aligned(white, similarity(TEMPLATE - (50, 0), TEMPLATE), 112)
    assert (shown[:, 52:-52] == 255).all()
    assert (shown[:, :49] == 0).all()
