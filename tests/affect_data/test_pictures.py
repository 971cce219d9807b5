"""Whether the bytes of a picture decode, and what is said where they do not."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from affect_data.pictures import undecodable_because

FORMATS = ("JPEG", "PNG", "TIFF", "GIF", "BMP", "WEBP", "DDS", "ICO", "TGA")


def encoded(kind: str) -> bytes:
    sink = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (24, 24, 3), dtype=np.uint8)).save(sink, kind)
    return sink.getvalue()


ENCODED = {kind: encoded(kind) for kind in FORMATS}


@pytest.mark.parametrize("kind", FORMATS)
def test_a_whole_picture_decodes(kind: str) -> None:
    assert undecodable_because(ENCODED[kind]) == ""


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP"])
def test_a_truncated_picture_does_not_though_it_opens(kind: str) -> None:
    data = ENCODED[kind][: len(ENCODED[kind]) * 2 // 3]
    Image.open(io.BytesIO(data)).close()
    assert "truncated" in undecodable_because(data)


@pytest.mark.parametrize("data", [b"", b"\0" * 500, b"<html>Not found</html>"])
def test_what_is_no_picture_is_said_to_be_none(data: bytes) -> None:
    assert undecodable_because(data) == "not an image file"


def test_a_decompression_bomb_is_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    assert "decompression bomb" in undecodable_because(ENCODED["PNG"])


def test_a_layout_that_pillow_does_not_know_is_no_crash() -> None:
    data = bytearray(ENCODED["DDS"])
    data[80:84] = (0).to_bytes(4, "little")
    assert undecodable_because(bytes(data))


@given(
    st.sampled_from(FORMATS),
    st.integers(0, 5000),
    st.lists(st.tuples(st.integers(0, 199), st.integers(0, 255)), max_size=6),
)
def test_no_damage_to_a_file_ends_in_a_crash(kind: str, length: int, damage: list[tuple[int, int]]) -> None:
    data = bytearray(ENCODED[kind])
    for place, value in damage:
        data[place] = value
    assert isinstance(undecodable_because(bytes(data[:length])), str)
