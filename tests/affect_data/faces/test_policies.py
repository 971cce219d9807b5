"""Crop policies: which pixels each shows, what it refuses, and what identifies it."""

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from affect_data.errors import UnknownNameError
from affect_data.faces.detection import DetectedFace
from affect_data.faces.pages import PAGE, faces_page
from affect_data.faces.policies import ARCFACE_112, LONGEST, POLICIES, STORED, CropPolicy, NoCropError, policy_named

PICTURE = np.random.default_rng(0).integers(0, 256, (200, 300, 3), dtype=np.uint8)
TEMPLATE = np.array(ARCFACE_112, np.float32)


def face(box: tuple[float, float, float, float], points: np.ndarray | None = None) -> DetectedFace:
    return DetectedFace(box, 0.9, points)


def test_fmae_5_is_the_box_and_five_per_cent_of_each_side_unturned() -> None:
    crop = policy_named("fmae-5").cut(PICTURE, face((100, 50, 140, 110)))
    assert np.array_equal(crop, PICTURE[47:113, 98:142])


def test_loose_is_a_square_of_1_3_times_the_longer_side() -> None:
    crop = policy_named("loose-1.3").cut(PICTURE, face((100, 50, 140, 110)))
    assert np.array_equal(crop, PICTURE[41:119, 81:159])


def test_aligned_crops_have_the_points_in_the_places_of_the_template() -> None:
    black = np.zeros((400, 400, 3), np.uint8)
    points = (TEMPLATE * 2 + (60, 80)).round()
    for x, y in points.astype(int):
        black[y - 3 : y + 4, x - 3 : x + 4] = 255
    crop = policy_named("affwild2-112").cut(black, face((60, 80, 284, 304), points.astype(np.float32)))
    assert crop.shape == (112, 112, 3)
    for x, y in TEMPLATE.round().astype(int):
        assert crop[y, x, 0] > 200
    assert (crop > 50).any(axis=2).sum() < 5 * 6 * 6


def test_beyond_the_picture_its_border_is_repeated() -> None:
    crop = policy_named("fmae-5").cut(PICTURE, face((-20, 180, 20, 220)))
    assert crop.shape == (44, 44, 3)
    assert np.array_equal(crop[:22, 22:], PICTURE[178:200, :22])
    assert (crop[:22, :22] == PICTURE[178:200, :1]).all()
    assert (crop[22:] == crop[21]).all()


def test_a_large_face_is_reduced_and_keeps_its_shape() -> None:
    large = np.zeros((1000, 2000, 3), np.uint8)
    assert policy_named("fmae-5").cut(large, face((0, 0, 1800, 900))).shape == (LONGEST // 2, LONGEST, 3)


@pytest.mark.parametrize("name", POLICIES)
@pytest.mark.parametrize(
    ("box", "points"),
    [
        ((400, 50, 440, 110), TEMPLATE + np.float32([400, 50])),
        ((100, -90, 140, -50), TEMPLATE - (0, 300)),
        ((np.nan, 0, 10, 10), TEMPLATE * np.float32(np.nan)),
        ((50, 50, 50, 90), TEMPLATE * 0 + 50),
    ],
    ids=["right of it", "above it", "NaN", "no area"],
)
def test_a_face_that_is_not_in_the_picture_is_refused(name: str, box: tuple, points: np.ndarray) -> None:
    with pytest.raises(NoCropError, match=name):
        POLICIES[name].cut(PICTURE, face(box, points))


def test_a_face_without_points_is_refused_by_the_policy_that_needs_them() -> None:
    with pytest.raises(NoCropError, match="affwild2-112 takes five points, and the detector gave none"):
        policy_named("affwild2-112").cut(PICTURE, face((100, 50, 140, 110)))


@pytest.mark.parametrize("name", STORED)
def test_without_a_face_the_rows_own_box_is_shown_or_else_the_whole_picture(name: str) -> None:
    policy = policy_named(name)
    whole, own = policy.fallback(PICTURE), policy.fallback(PICTURE, (100, 50, 140, 110))
    assert not np.array_equal(whole, own)
    assert np.array_equal(policy.fallback(PICTURE, [np.nan] * 4), whole)
    assert np.array_equal(policy.fallback(PICTURE, (900, 50, 940, 110)), whole)
    if name == "affwild2-112":
        assert whole.shape == own.shape == (112, 112, 3)
    else:
        assert np.array_equal(whole, PICTURE)
        assert np.array_equal(own, policy.cut(PICTURE, face((100, 50, 140, 110))))


@given(
    st.sampled_from(STORED),
    st.tuples(st.floats(-1e4, 1e4), st.floats(-1e4, 1e4), st.floats(1e-3, 1e5), st.floats(1e-3, 1e5)),
)
@settings(max_examples=80, deadline=None)
def test_any_box_is_cut_or_refused_and_never_takes_much_memory(name: str, place: tuple[float, ...]) -> None:
    x, y, width, height = place
    try:
        crop = POLICIES[name].cut(
            PICTURE, face((x, y, x + width, y + height), TEMPLATE * np.float32(width / 112) + (x, y))
        )
    except NoCropError:
        return
    assert crop.dtype == np.uint8
    assert 1 <= min(crop.shape[:2]) <= max(crop.shape[:2]) <= LONGEST


@pytest.mark.parametrize("name", STORED)
def test_stored_crops_are_jpeg_files_of_the_same_bytes_each_time(name: str) -> None:
    policy, found = policy_named(name), face((100, 50, 140, 110), TEMPLATE / 2 + (100, 50))
    data = policy.crop_bytes(PICTURE, found)
    assert data == policy.crop_bytes(PICTURE.copy(), found) == policy.encoded(policy.cut(PICTURE, found))
    decoded = Image.open(io.BytesIO(data))
    assert (decoded.format, decoded.size) == ("JPEG", policy.cut(PICTURE, found).shape[1::-1])


@pytest.mark.parametrize("name", POLICIES)
def test_a_policy_comes_back_from_json(name: str) -> None:
    policy = policy_named(name)
    assert CropPolicy.from_dict(json.loads(json.dumps(policy.to_dict()))) == policy


def test_every_policy_has_a_digest_of_its_own_and_the_box_one_for_each_margin() -> None:
    digests = {policy.digest() for policy in (*POLICIES.values(), replace(POLICIES["box"], margin=0.3))}
    assert len(digests) == len(POLICIES) + 1
    assert CropPolicy.from_dict(replace(POLICIES["box"], margin=0.3).to_dict()).margin == 0.3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"name": "tight"},
            "the crop policy 'tight' is not known; this release has box, affwild2-112, fmae-5, loose-1.3",
        ),
        ({"version": 2}, "the crop policy fmae-5 differs in version from that of this release \\(version 1\\)"),
        ({"margin": 0.1, "quality": 90}, "the crop policy fmae-5 differs in margin, quality"),
        ({"name": None}, "the crop policy None is not known"),
    ],
)
def test_a_policy_of_other_pixels_is_refused(change: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CropPolicy.from_dict(policy_named("fmae-5").to_dict() | change)


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match="unknown crop policy 'fmae5'; did you mean 'fmae-5'"):
        policy_named("fmae5")


def test_the_page_has_the_table_of_the_code() -> None:
    page = (Path(__file__).parents[3] / PAGE).read_text(encoding="utf-8")
    assert faces_page(page) == page, "write it again: python -m affect_data.faces.pages"
