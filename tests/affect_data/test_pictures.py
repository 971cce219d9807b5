"""Pictures: which formats are opened, how large, what is damaged."""

import io
import subprocess

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from affect_data.pictures import (
    FORMATS,
    PictureError,
    box_misses,
    decode_rgb,
    examine,
    open_picture,
)

REFUSED = ("DDS", "ICO", "TGA", "EPS", "PDF", "PCX", "SGI")
POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 100 100\nshowpage\n"


def encoded(kind: str, size: int = 24) -> bytes:
    sink = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 255, (size, size, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(sink, kind)
    return sink.getvalue()


ENCODED = {kind: encoded(kind) for kind in FORMATS}


@pytest.mark.parametrize("kind", FORMATS)
def test_a_whole_picture_decodes(kind: str) -> None:
    assert examine(ENCODED[kind]).because == ""
    assert (examine(ENCODED[kind]).width, examine(ENCODED[kind]).height) == (24, 24)
    assert decode_rgb(ENCODED[kind]).size == (24, 24)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP"])
def test_a_truncated_picture_does_not_though_it_opens(kind: str) -> None:
    data = ENCODED[kind][: len(ENCODED[kind]) * 2 // 3]
    open_picture(data).close()
    assert "truncated" in examine(data).because


@pytest.mark.parametrize("data", [b"\0" * 500, b"<html>Not found</html>"])
def test_what_is_no_picture_is_said_to_be_none(data: bytes) -> None:
    assert examine(data).because.startswith("not an image file")
    assert examine(b"").because == "the file is empty"


@pytest.mark.parametrize("data", [POSTSCRIPT, *map(encoded, REFUSED)], ids=["postscript", *REFUSED])
def test_other_formats_are_refused_and_start_no_program(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: pytest.fail("a program was started"))
    assert examine(data).because == f"not an image file of a format that is read ({', '.join(FORMATS)})"
    with pytest.raises(PictureError, match="not an image file"):
        open_picture(data)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_picture_of_too_many_pixels_is_not_decoded_and_its_limit_is_named(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AFFECT_MAX_PIXELS", "575")
    expected = "24 x 24 pixels are more than 575; set the environment variable AFFECT_MAX_PIXELS to accept it"
    assert examine(ENCODED[kind]).because == expected
    monkeypatch.setenv("AFFECT_MAX_PIXELS", "576")
    assert examine(ENCODED[kind]).because == ""


def test_what_pillow_calls_a_bomb_is_none_where_the_limit_accepts_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    assert "decompression bomb" in examine(ENCODED["PNG"]).because
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 400)
    assert examine(ENCODED["PNG"]).because == ""


@pytest.mark.parametrize(("mode", "kind"), [("F", "TIFF"), ("I", "TIFF")])
def test_samples_without_a_known_range_are_refused(mode: str, kind: str) -> None:
    sink = io.BytesIO()
    Image.fromarray(np.full((4, 4), 70_000, np.float32 if mode == "F" else np.int32), mode).save(sink, kind)
    assert "whose range is unknown" in examine(sink.getvalue()).because


@given(
    st.sampled_from(FORMATS),
    st.integers(0, 5000),
    st.lists(st.tuples(st.integers(0, 199), st.integers(0, 255)), max_size=6),
)
def test_no_damage_to_a_file_ends_in_a_crash_and_what_is_found_usable_decodes(
    kind: str, length: int, damage: list[tuple[int, int]]
) -> None:
    data = bytearray(ENCODED[kind])
    for place, value in damage:
        data[place] = value
    found = examine(bytes(data[:length]))
    if not found.because:
        assert decode_rgb(bytes(data[:length])).size == (found.width, found.height)


def test_a_box_misses_its_picture_where_no_pixel_is_in_it() -> None:
    nan = float("nan")
    assert not box_misses((nan, nan, nan, nan), 10, 10)
    assert not box_misses((-5, -5, 0.5, 0.5), 10, 10)
    assert box_misses((-5, -5, 0, 5), 10, 10)
    assert box_misses((10, 0, 12, 5), 10, 10)
    assert box_misses((4, 4, 4, 8), 10, 10)
