import io

import imagehash
import numpy as np
import pytest
from PIL import Image

from affect_data.audit.pictures.alignment import aligned_correlations
from affect_data.audit.pictures.hashing import (
    decode,
    decode_grey,
    hash_small,
    perceptual_hashes,
    small_picture,
    to_grey,
)
from affect_data.demo.sampler import FaceSampler
from affect_data.demo.style import Style


@pytest.fixture(scope="module")
def faces() -> list[Image.Image]:
    """Eighty drawn faces in colour, 96 to 224 pixels wide."""
    sampler = FaceSampler(7, Style())
    pictures = []
    for number in range(80):
        size = (96, 112, 224)[number % 3]
        pictures.append(sampler.photograph().draw(64).resize((size, size), Image.Resampling.BICUBIC))
    return pictures


def encoded(picture: Image.Image, form: str, **options: int) -> bytes:
    sink = io.BytesIO()
    picture.save(sink, form, **options)
    return sink.getvalue()


@pytest.mark.parametrize("form", ["JPEG", "PNG"])
def test_hashes_agree_with_imagehash_within_two_bits(faces: list[Image.Image], form: str) -> None:
    data = [encoded(face, form) for face in faces]
    theirs = np.array([int(str(imagehash.phash(Image.open(io.BytesIO(d)))), 16) for d in data], np.uint64)
    distance = np.bitwise_count(perceptual_hashes(data) ^ theirs)
    assert np.percentile(distance, 95) <= 2
    assert len(np.unique(theirs)) > 60


def test_grey_is_pillows_grey(faces: list[Image.Image]) -> None:
    assert np.array_equal(to_grey(np.asarray(faces[0])), np.asarray(faces[0].convert("L")))


def test_a_small_picture_is_pillows_lanczos_within_rounding(faces: list[Image.Image]) -> None:
    grey = faces[2].convert("L")
    expected = np.asarray(grey.resize((32, 32), Image.Resampling.LANCZOS)).astype(int)
    assert np.abs(small_picture(np.asarray(grey)).astype(int) - expected).max() <= 1


def test_a_grey_file_stays_grey_and_a_palette_becomes_colour(faces: list[Image.Image]) -> None:
    assert decode(encoded(faces[0].convert("L"), "PNG")).ndim == 2
    assert decode(encoded(faces[0].convert("P"), "PNG")).shape == (96, 96, 3)
    assert decode_grey(encoded(faces[0].convert("RGBA"), "PNG")).shape == (96, 96)


def test_no_picture_gives_no_hash() -> None:
    assert perceptual_hashes([]).shape == (0,)
    assert hash_small(np.zeros((1, 32, 32), np.uint8)).tolist() == [0]


def test_a_cropped_picture_correlates_after_alignment_only(faces: list[Image.Image]) -> None:
    whole = np.stack([small_picture(np.asarray(face.convert("L"))) for face in faces])
    cropped = []
    for face in faces:
        side = face.width
        cropped.append(small_picture(np.asarray(face.convert("L").crop((0, side // 16, side - side // 16, side)))))
    crops = np.stack(cropped)
    plain = np.array([np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(whole, crops, strict=True)])
    aligned = aligned_correlations(whole, crops)
    assert np.median(plain) < 0.9
    assert np.percentile(aligned, 5) > 0.95
    assert (aligned >= plain - 1e-4).all()


def test_a_blank_picture_correlates_with_nothing(faces: list[Image.Image]) -> None:
    face = small_picture(np.asarray(faces[0].convert("L")))[None]
    blank = np.full_like(face, 90)
    assert aligned_correlations(face, blank)[0] == 0.0
    assert aligned_correlations(blank, blank)[0] == 0.0
    assert aligned_correlations(face, face)[0] == pytest.approx(1.0, abs=1e-5)


def test_brightness_and_contrast_cancel(faces: list[Image.Image]) -> None:
    face = small_picture(np.asarray(faces[0].convert("L")))[None]
    darker = (face * 0.5 + 20).astype(np.uint8)
    assert aligned_correlations(face, darker)[0] > 0.999
