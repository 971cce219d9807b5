"""All eight EXIF orientations: pixels, points and boxes turn together, and back."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from affect_data.faces.orientation import (
    orientation_of,
    stored_box,
    stored_points,
    upright,
    upright_box,
    upright_pixels,
    upright_points,
    upright_size,
)
from affect_data.pictures import PictureError

ORIENTATIONS = range(1, 9)
WIDTH, HEIGHT = 7, 5


def stored_file(orientation: int, kind: str = "PNG") -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    sink = io.BytesIO()
    Image.fromarray(pixels).save(sink, kind, exif=exif)
    return sink.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_a_picture_is_turned_as_pillow_turns_it(orientation: int, kind: str) -> None:
    data = stored_file(orientation, kind)
    expected = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    assert np.array_equal(upright_pixels(data), np.asarray(expected))


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_every_pixel_lies_where_its_point_says(orientation: int) -> None:
    for row, column in np.ndindex(HEIGHT, WIDTH):
        stored = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        stored[row, column] = 255
        turned = upright(stored, orientation)
        assert turned.shape[1::-1] == upright_size(WIDTH, HEIGHT, orientation)
        (down, across), *_ = np.argwhere(turned[..., 0])
        middle = np.array([column + 0.5, row + 0.5])
        found = upright_points(middle, orientation, (WIDTH, HEIGHT))
        assert found.tolist() == [across + 0.5, down + 0.5]
        assert stored_points(found, orientation, (WIDTH, HEIGHT)).tolist() == middle.tolist()


@given(st.integers(1, 8), st.lists(st.floats(-50, 50), min_size=4, max_size=4))
@settings(max_examples=60)
def test_a_box_comes_back_and_keeps_its_area(orientation: int, ends: list[float]) -> None:
    box = (min(ends[:2]), min(ends[2:]), max(ends[:2]), max(ends[2:]))
    turned = upright_box(box, orientation, (WIDTH, HEIGHT))
    assert turned[0] <= turned[2]
    assert turned[1] <= turned[3]
    area = (turned[2] - turned[0]) * (turned[3] - turned[1])
    assert area == pytest.approx((box[2] - box[0]) * (box[3] - box[1]), abs=1e-9)
    assert stored_box(turned, orientation, (WIDTH, HEIGHT)) == pytest.approx(box, abs=1e-9)


def test_an_orientation_that_does_not_exist_turns_nothing() -> None:
    assert orientation_of(stored_file(9)) == 1
    assert orientation_of(stored_file(0)) == 1


def test_what_is_no_picture_has_no_orientation() -> None:
    with pytest.raises(PictureError):
        orientation_of(b"no picture")


@pytest.mark.parametrize("mode", ["L", "RGBA", "I;16", "P", "1", "CMYK"])
def test_every_kind_of_samples_becomes_three_channels(mode: str) -> None:
    grey = np.arange(35, dtype=np.uint8).reshape(HEIGHT, WIDTH) * 7
    picture = Image.fromarray(grey.astype(np.uint16) * 257) if mode == "I;16" else Image.fromarray(grey).convert(mode)
    sink = io.BytesIO()
    picture.save(sink, "TIFF" if mode == "CMYK" else "PNG")
    pixels = upright_pixels(sink.getvalue())
    assert (pixels.shape, pixels.dtype) == ((HEIGHT, WIDTH, 3), np.uint8)
    if mode in ("L", "RGBA", "I;16"):
        assert np.array_equal(pixels[..., 0], grey)


def test_of_an_animated_picture_the_first_frame_is_taken() -> None:
    frames = [Image.new("RGB", (4, 3), colour) for colour in ("red", "blue")]
    sink = io.BytesIO()
    frames[0].save(sink, "GIF", save_all=True, append_images=frames[1:])
    assert upright_pixels(sink.getvalue()).tolist() == [[[255, 0, 0]] * 4] * 3
