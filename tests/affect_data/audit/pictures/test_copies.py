"""Copies of drawn faces that somebody turned, moved or brightened are found, and other faces are not taken for them."""

from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from affect_data.audit.pictures.copies import CHANGED, near_pairs
from affect_data.audit.pictures.hashing import SIDE, hash_resampled, hash_small, small_picture
from affect_data.audit.pictures.variants import MIDDLE, Resampled
from affect_data.demo.sampler import FaceSampler

FACES = 60

Change = Callable[[Image.Image], Image.Image]


@pytest.fixture(scope="module")
def faces() -> list[Image.Image]:
    sampler = FaceSampler(3)
    return [sampler.photograph().draw(64, colour=False) for _ in range(FACES)]


def turned(degrees: float) -> Change:
    return lambda face: face.rotate(degrees, Image.Resampling.BICUBIC)


def moved(right: float, down: float) -> Change:
    def change(face: Image.Image) -> Image.Image:
        offsets = (1, 0, -right * face.width, 0, 1, -down * face.height)
        return face.transform(face.size, Image.Transform.AFFINE, offsets)

    return change


def brighter(gain: float) -> Change:
    return lambda face: face.point(lambda value: min(255, int(value * gain)))


@pytest.mark.parametrize(
    "change",
    [
        *(turned(degrees) for degrees in (-20, -17.5, -12.5, -10, 10, 12.5, 17.5, 20)),
        *(moved(*by) for by in ((0.08, 0), (0, -0.08), (0.08, 0.08), (0.04, 0.04), (-0.06, 0.06))),
        brighter(1.3),
    ],
)  # fmt: skip
def test_a_changed_copy_is_found_and_no_other_face_is_taken_for_it(faces: list[Image.Image], change: Change) -> None:
    small = np.stack([small_picture(np.asarray(face)) for face in [*faces, *map(change, faces)]])
    first, second, correlation = near_pairs(small, hash_small(small))
    right = second - first == FACES
    assert right.sum() >= 0.95 * FACES
    # Drawn faces are more alike than people; what is black beside moved ones makes some of them more so.
    assert (~right).sum() <= 6
    assert (correlation[right] >= 0.95).all()
    assert len(set(zip(first.tolist(), second.tolist(), strict=True))) == len(first)


@pytest.mark.parametrize("change", [turned(-15), moved(0.06, 0), brighter(1.3)])
def test_changed_copies_are_looked_for_in_large_datasets_too(
    faces: list[Image.Image], change: Change, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("affect_data.audit.pictures.copies.LARGE", FACES)
    small = np.stack([small_picture(np.asarray(face)) for face in [*faces, *map(change, faces)]])
    first, second, _ = near_pairs(small, hash_small(small))
    assert (second - first == FACES).sum() >= 0.9 * FACES


def test_a_middle_is_what_cropping_and_resizing_give() -> None:
    picture = np.tile(np.linspace(20, 230, SIDE), (SIDE, 1))
    margin = (1 - MIDDLE) / 2 * SIDE
    box = (margin, margin, SIDE - margin, SIDE - margin)
    wanted = Image.fromarray(picture.astype(np.float32)).resize((SIDE, SIDE), Image.Resampling.BILINEAR, box)
    assert np.abs(Resampled()(np.rint(picture).astype(np.uint8)[None])[0] - np.asarray(wanted)).max() <= 1.5


def test_a_quarter_of_a_turn_is_that_of_numpy() -> None:
    small = np.random.default_rng(0).integers(0, 256, (4, SIDE, SIDE), dtype=np.uint8)
    quarter = Resampled(90.0)(small)
    assert np.abs(quarter.astype(int) - np.rot90(Resampled()(small), k=-1, axes=(1, 2)).astype(int)).max() <= 1


def test_hashes_of_changed_pictures_are_those_of_the_pictures_that_are_made() -> None:
    small = np.random.default_rng(1).integers(0, 256, (50, SIDE, SIDE), dtype=np.uint8)
    change = Resampled(15.0, 0.08, 0.0)
    apart = np.bitwise_count(hash_resampled(small, change.matrix) ^ hash_small(change(small)))
    assert apart.max() <= 4
    assert 0.95 < CHANGED < 1


def test_no_pictures_have_no_hashes() -> None:
    none = np.zeros((0, SIDE, SIDE), dtype=np.uint8)
    assert len(hash_resampled(none, np.eye(SIDE * SIDE, dtype=np.float32))) == 0
