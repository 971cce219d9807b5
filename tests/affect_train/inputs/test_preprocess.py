import io
import math

import numpy as np
import pytest
import simplejpeg
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from affect_data.pictures import PictureError
from affect_train.inputs.preprocess import Preprocessing


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    sink = io.BytesIO()
    image.save(sink, kind, **options)
    return sink.getvalue()


def gradient(width: int, height: int) -> Image.Image:
    """Red is the column, green the row: a pixel tells where it came from."""
    pixels = np.zeros((height, width, 3), dtype=np.uint8)
    pixels[..., 0] = np.arange(width)[None, :]
    pixels[..., 1] = np.arange(height)[:, None]
    return Image.fromarray(pixels)


def test_an_image_of_the_output_size_is_returned_as_it_is() -> None:
    image = gradient(64, 64)
    assert np.array_equal(Preprocessing(64)(encoded(image)), np.asarray(image))


def test_a_box_without_margin_is_cut_out_pixel_by_pixel() -> None:
    image = gradient(100, 80)
    pixels = Preprocessing(20, margin=0.0)(encoded(image), (30, 40, 50, 60))
    assert np.array_equal(pixels, np.asarray(image)[40:60, 30:50])


def test_the_margin_is_added_on_every_side_of_the_longer_side() -> None:
    # box 20 x 10 centred on (40, 45); the longer side 20 and 0.25 * 20 on both ends make 30: x 25..55, y 30..60
    pixels = Preprocessing(30, margin=0.25)(encoded(gradient(100, 80)), (30, 40, 50, 50))
    assert np.array_equal(pixels, np.asarray(gradient(100, 80))[30:60, 25:55])


def test_what_lies_beyond_the_border_repeats_the_border() -> None:
    pixels = Preprocessing(20, margin=0.0)(encoded(gradient(100, 80)), (-10, 70, 10, 90))
    assert pixels[0, :10, 0].tolist() == [0] * 10
    assert pixels[0, 10:, 0].tolist() == list(range(10))
    assert pixels[:10, 0, 1].tolist() == list(range(70, 80))
    assert pixels[10:, 0, 1].tolist() == [79] * 10


def test_an_oblong_image_without_a_box_is_shown_whole_with_its_proportions() -> None:
    pixels = Preprocessing(40)(encoded(gradient(40, 20)), (math.nan,) * 4)
    assert np.array_equal(pixels[10:30], np.asarray(gradient(40, 20)))
    assert np.array_equal(pixels[:10], np.repeat(pixels[10:11], 10, axis=0))


def test_resizing_agrees_with_pillows_antialiased_bilinear() -> None:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (90, 90, 3), dtype=np.uint8))
    expected = image.crop((9, 9, 81, 81)).resize((24, 24), Image.Resampling.BILINEAR)
    pixels = Preprocessing(24, margin=0.0)(encoded(image), (9, 9, 81, 81))
    # Pillow's resize with a box looks at the pixels around it too; in the middle there is no difference
    assert np.abs(pixels[2:-2, 2:-2].astype(int) - np.asarray(expected)[2:-2, 2:-2].astype(int)).max() <= 1


@pytest.mark.parametrize("box", [None, (40.0, 30.0, 260.0, 250.0)])
def test_jpeg_at_reduced_scale_shows_the_same_region_as_full_decoding(box: tuple[float, ...] | None) -> None:
    smooth = Image.fromarray(np.random.default_rng(1).integers(0, 256, (9, 9, 3), dtype=np.uint8)).resize(
        (301, 299), Image.Resampling.BICUBIC
    )
    data = encoded(smooth, "JPEG", quality=95)
    reduced, full = Preprocessing(56)(data, box), Preprocessing(56, reduced_scale=False)(data, box)
    assert Preprocessing(56)._reduction(299) == 4
    assert np.abs(reduced.astype(int) - full.astype(int)).mean() < 1.0
    shifted = np.abs(np.roll(reduced, 1, axis=1).astype(int) - full.astype(int)).mean()
    assert shifted > 2.0


@pytest.mark.parametrize(("size", "kind"), [(64, "JPEG"), (128, "JPEG"), (129, "JPEG"), (64, "PNG")])
def test_a_face_is_written_to_the_array_that_is_given(size: int, kind: str) -> None:
    data, batch = encoded(gradient(size, size), kind), np.full((3, 64, 64, 3), 7, dtype=np.uint8)
    out = batch[1]
    assert Preprocessing(64)(data, None, out) is out
    assert np.array_equal(out, Preprocessing(64)(data))
    assert (batch[[0, 2]] == 7).all()


def test_a_jpeg_of_twice_the_size_is_what_the_decoder_gives_at_half_scale() -> None:
    data = encoded(gradient(128, 128), "JPEG")
    expected = simplejpeg.decode_jpeg(data, "RGB", min_height=64, min_width=64)
    assert expected.shape == (64, 64, 3)
    assert np.array_equal(Preprocessing(64)(data), expected)


def test_reduced_scale_never_decodes_below_the_output_size() -> None:
    preprocessing = Preprocessing(112)
    assert [preprocessing._reduction(side) for side in (111, 223, 224, 447, 448, 896)] == [1, 1, 2, 2, 4, 8]


def test_grey_palette_alpha_cmyk_and_16_bit_become_rgb() -> None:
    grey = Image.new("L", (8, 8), 100)
    assert Preprocessing(8)(encoded(grey))[0, 0].tolist() == [100, 100, 100]
    assert Preprocessing(8)(encoded(grey, "JPEG"))[0, 0].tolist() == [100, 100, 100]
    palette = Image.new("RGB", (8, 8), (200, 10, 30)).convert("P", palette=Image.Palette.ADAPTIVE)
    assert Preprocessing(8)(encoded(palette))[0, 0].tolist() == [200, 10, 30]
    transparent = Image.new("RGBA", (8, 8), (200, 10, 30, 0))
    assert Preprocessing(8)(encoded(transparent))[0, 0].tolist() == [200, 10, 30]
    deep = Image.fromarray(np.full((8, 8), 100 * 256 + 77, dtype=np.uint16))
    assert Preprocessing(8)(encoded(deep))[0, 0].tolist() == [100, 100, 100]
    printed = Image.new("RGB", (8, 8), (255, 0, 0)).convert("CMYK")
    assert np.abs(Preprocessing(8)(encoded(printed, "JPEG", quality=100))[0, 0].astype(int) - [255, 0, 0]).max() <= 3


def test_exif_orientation_is_not_applied_because_boxes_are_in_stored_pixels() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(gradient(40, 40), "JPEG", exif=exif, quality=100, subsampling=0)
    assert np.abs(Preprocessing(40)(data).astype(int) - np.asarray(gradient(40, 40))).max() <= 4


def test_bytes_that_are_no_image_are_an_error() -> None:
    with pytest.raises(PictureError, match=r"the image cannot be decoded: not an image file"):
        Preprocessing(8)(b"not an image")
    with pytest.raises(PictureError, match=r"the image cannot be decoded"):
        Preprocessing(8)(b"")


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_truncated_image_is_an_error(kind: str) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    data = encoded(noise, kind)
    with pytest.raises(PictureError, match=r"the image cannot be decoded"):
        Preprocessing(8)(data[: len(data) // 2])


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_box_outside_the_image_is_an_error(kind: str) -> None:
    with pytest.raises(PictureError, match=r"the face box 50 10 70 30 does not lie in the 40x40 image"):
        Preprocessing(8)(encoded(gradient(40, 40), kind), (50, 10, 70, 30))


def test_floating_point_samples_are_refused() -> None:
    with pytest.raises(PictureError, match=r"floating-point samples"):
        Preprocessing(8)(encoded(Image.fromarray(np.ones((8, 8), dtype=np.float32)), "TIFF"))


def test_the_description_round_trips_and_the_digest_tells_preprocessings_apart() -> None:
    preprocessing = Preprocessing(112, margin=0.3)
    assert Preprocessing.from_dict(preprocessing.to_dict()) == preprocessing
    digests = {Preprocessing(112, 0.3).digest(), Preprocessing(112, 0.2).digest(), Preprocessing(96, 0.3).digest()}
    assert len(digests) == 3
    assert preprocessing.digest() == Preprocessing(112, margin=0.3).digest()


def test_a_description_of_another_version_is_refused() -> None:
    with pytest.raises(ValueError, match=r"format version 99; this release makes version 1"):
        Preprocessing.from_dict({"format_version": 99, "image_size": 8, "margin": 0.0})


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(ValueError, match=r"image_size is 0"):
        Preprocessing(0)
    with pytest.raises(ValueError, match=r"margin is -0.1"):
        Preprocessing(8, margin=-0.1)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 60),
    st.integers(1, 60),
    st.tuples(st.floats(-30, 59), st.floats(-30, 59), st.floats(0.5, 60), st.floats(0.5, 60)),
    st.floats(0, 1),
)
def test_any_box_gives_the_output_size_or_a_clear_error(
    width: int, height: int, box: tuple[float, ...], margin: float
) -> None:
    left, top, across, down = box
    lies_in = left < width and top < height and left + across > 0 and top + down > 0
    arguments = (encoded(gradient(width, height), "BMP"), (left, top, left + across, top + down))
    if lies_in:
        pixels = Preprocessing(16, margin)(*arguments)
        assert pixels.shape == (16, 16, 3)
        assert pixels[..., 0].max() < width
        assert pixels[..., 1].max() < height
    else:
        with pytest.raises(PictureError, match=r"does not lie in"):
            Preprocessing(16, margin)(*arguments)
