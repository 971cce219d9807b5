from collections.abc import Iterator
from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from affect_data.demo.canvas import Muscles
from affect_data.demo.faces import View, draw_face
from affect_data.demo.identity import HAIRCUTS, Identity, draw_identity
from affect_data.demo.mouth import shape_mouth
from affect_data.demo.sampler import DEMO_ACTION_UNITS

STILL = View()
UPPER = {1, 2, 4, 5, 7}
LOWER = {12, 14, 15, 17, 20, 23, 24, 25, 26}


def person(number: int) -> Identity:
    return draw_identity(np.random.default_rng(number))


def pixels(identity: Identity, strengths: dict[int, float], size: int = 64) -> np.ndarray:
    return np.asarray(draw_face(identity, strengths, STILL, size), dtype=int)


def people() -> Iterator[Identity]:
    return (person(number) for number in range(8))


def test_the_same_face_is_drawn_twice_with_the_same_bytes():
    view = replace(STILL, noise=6.0, grain=3, rotation=5.0, gradient=0.3, blur=0.004)
    first, second = (draw_face(person(1), {12: 0.7, 25: 0.5}, view) for _ in range(2))
    assert first.tobytes() == second.tobytes()


def test_the_grain_alone_makes_another_picture():
    first, second = (draw_face(person(1), {}, replace(STILL, noise=6.0, grain=grain)) for grain in (1, 2))
    assert first.tobytes() != second.tobytes()


@pytest.mark.parametrize("number", DEMO_ACTION_UNITS)
def test_every_action_unit_changes_the_picture(number):
    for identity in people():
        change = np.abs(pixels(identity, {number: 1.0}) - pixels(identity, {}))
        # At least 25 of 4096 pixels differ by more than twice the noise of an ordinary photograph.
        assert (change.max(axis=2) > 10).sum() >= 25


@pytest.mark.parametrize("number", DEMO_ACTION_UNITS)
def test_every_action_unit_moves_only_its_part_of_the_face(number):
    plain = replace(person(1), glasses=False)
    rows = np.flatnonzero((pixels(plain, {number: 1.0}) != pixels(plain, {})).any(axis=(1, 2)))
    if number in UPPER:
        assert rows.max() < 34
    if number in LOWER:
        assert rows.min() > 30


@pytest.mark.parametrize("number", DEMO_ACTION_UNITS)
def test_a_weak_action_unit_looks_weaker_than_a_strong_one(number):
    changes = np.zeros(3)
    for identity in people():
        rest = pixels(identity, {})
        changes += [np.abs(pixels(identity, {number: strength}) - rest).mean() for strength in (0.2, 0.6, 1.0)]
    assert 0 < changes[0] < changes[1] < changes[2]


def test_no_two_action_units_look_alike():
    size = 64
    pictures = {number: pixels(person(1), {number: 1.0}, size) for number in DEMO_ACTION_UNITS}
    for first, second in product(DEMO_ACTION_UNITS, repeat=2):
        if first < second:
            assert (np.abs(pictures[first] - pictures[second]).max(axis=2) > 10).sum() >= 25, (first, second)


def test_a_smile_lifts_the_corners_of_the_mouth_and_a_frown_lowers_them():
    def corner(strengths: dict[int, float]) -> tuple[float, float]:
        return shape_mouth(person(0), Muscles(strengths)).corner(1)

    rest, smile, frown = corner({}), corner({12: 1.0}), corner({15: 1.0})
    assert smile[1] < rest[1] < frown[1]  # y points down
    assert smile[0] > rest[0]


def test_lips_part_with_25_and_a_dropped_jaw_shows_between_parted_lips_only():
    def opening(strengths: dict[int, float]) -> float:
        return shape_mouth(person(0), Muscles(strengths)).opening

    assert opening({}) == 0.0
    assert opening({26: 1.0}) == 0.0
    assert 0.0 < opening({25: 1.0}) < opening({25: 1.0, 26: 1.0})


def test_a_one_sided_smile_moves_one_corner():
    one_sided = shape_mouth(person(0), Muscles({12: 1.0}, only_side=-1))
    both = shape_mouth(person(0), Muscles({12: 1.0}))
    assert one_sided.corner(-1)[0] == both.corner(-1)[0]
    assert abs(one_sided.corner(1)[0]) < abs(both.corner(1)[0])


def test_a_face_that_is_still_and_alike_on_both_sides_is_drawn_symmetrically():
    grey = replace(person(1), haircut="bald", glasses=False)
    image = np.asarray(draw_face(grey, {1: 1.0, 12: 1.0}, STILL, 128, colour=False), dtype=int)
    assert np.abs(image - image[:, ::-1]).mean() < 3.0


@pytest.mark.parametrize("size", [16, 64, 96, 224, 256])
def test_a_picture_has_the_size_that_was_asked_for(size):
    assert draw_face(person(0), {}, STILL, size).size == (size, size)


@pytest.mark.parametrize("size", [0, 15, 1025, -64])
def test_a_size_out_of_range_is_refused_with_the_range(size):
    with pytest.raises(ValueError, match=f"size is {size} pixels; a face is drawn with 16 to 1024"):
        draw_face(person(0), {}, STILL, size)


def test_pictures_are_in_colour_unless_asked_for_in_grey():
    coloured, grey = draw_face(person(0), {}, STILL), draw_face(person(0), {}, STILL, colour=False)
    assert (coloured.mode, grey.mode) == ("RGB", "L")
    channels = np.asarray(coloured, dtype=int)
    assert np.abs(channels[..., 0] - channels[..., 2]).max() > 40
    assert coloured.convert("L").tobytes() == grey.tobytes()


def test_people_differ_and_every_haircut_can_be_drawn():
    seen = {draw_face(replace(person(0), haircut=haircut), {}, STILL).tobytes() for haircut in HAIRCUTS}
    seen |= {draw_face(identity, {}, STILL).tobytes() for identity in people()}
    assert len(seen) >= len(HAIRCUTS) + 7


def test_a_face_stays_in_the_picture_even_with_its_jaw_dropped():
    for identity in people():
        changed = pixels(identity, {25: 1.0, 26: 1.0}) != pixels(identity, {})
        assert not changed[-1].any()
