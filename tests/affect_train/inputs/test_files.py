from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from cameras import STORED
from numpy.typing import NDArray
from PIL import Image

from affect_data.errors import DataError
from affect_train.inputs.batch import Pick
from affect_train.inputs.files import PictureFiles
from affect_train.inputs.preprocess import Preprocessing


def test_files_are_shown_whole_in_their_order(tmp_path: Path, world: SimpleNamespace) -> None:
    paths, crop = [tmp_path / f"{number}.img" for number in range(5)], Preprocessing(12)
    for number, path in enumerate(paths):
        path.write_bytes(world.face_bytes(number))
    batches = list(PictureFiles(paths, crop).in_order(2))
    assert [uid for batch in batches for uid in batch.uids] == [str(path) for path in paths]
    shown = [face.permute(1, 2, 0).numpy() for batch in batches for face in batch.inputs]
    assert all(np.array_equal(face, crop(world.face_bytes(number))) for number, face in enumerate(shown))


def test_the_first_file_that_cannot_be_read_is_named(tmp_path: Path, world: SimpleNamespace) -> None:
    (tmp_path / "good").write_bytes(world.face_bytes(1))
    (tmp_path / "bad").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"image '.*bad': the image cannot be decoded"):
        list(PictureFiles([tmp_path / "good", tmp_path / "bad", tmp_path / "none"], Preprocessing(12)).in_order(3))


def shown(path: Path, size: int = 48) -> NDArray[np.uint8]:
    batch = PictureFiles([path], Preprocessing(size)).__getitems__([Pick(0)])
    assert not isinstance(batch, DataError)
    pixels: NDArray[np.uint8] = batch.inputs[0].permute(1, 2, 0).numpy()
    return pixels


def pattern(width: int = 90, height: int = 70) -> Image.Image:
    rng = np.random.default_rng(1)
    blocks = Image.fromarray(rng.integers(0, 256, (7, 9, 3), dtype=np.uint8))
    return blocks.resize((width, height), Image.Resampling.BICUBIC)


@pytest.mark.parametrize("kind", ["png", "jpg", "webp", "tiff"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_shows_what_the_upright_picture_shows(tmp_path: Path, orientation: int, kind: str) -> None:
    pattern().save(tmp_path / f"upright.{kind}", quality=98)
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = pattern() if orientation == 1 else pattern().transpose(STORED[orientation])
    stored.save(tmp_path / f"phone.{kind}", exif=exif, quality=98)
    upright, phone = (shown(tmp_path / f"{name}.{kind}").astype(int) for name in ("upright", "phone"))
    assert np.abs(upright - phone).mean() < 2
    if orientation > 1:
        assert (
            np.abs(upright - shown_without_turning(tmp_path / f"phone.{kind}").astype(int)).mean() > 10
            or kind == "tiff"
        )


def shown_without_turning(path: Path) -> NDArray[np.uint8]:
    return Preprocessing(48)(path.read_bytes())


def test_an_orientation_that_is_none_or_damaged_leaves_the_picture_as_it_is(tmp_path: Path) -> None:
    pattern().save(tmp_path / "plain.png")
    exif = Image.Exif()
    exif[0x0112] = 9
    pattern().save(tmp_path / "nine.png", exif=exif)
    pattern().save(tmp_path / "damaged.png", exif=b"Exif\x00\x00II*\x00\xff\xff\xff\x7f")
    for name in ("nine", "damaged"):
        assert np.array_equal(shown(tmp_path / f"{name}.png"), shown(tmp_path / "plain.png"))


def test_animated_grey_deep_and_transparent_pictures_are_shown_as_the_docs_say(tmp_path: Path) -> None:
    first, second = pattern(64, 64), pattern(64, 64).transpose(Image.Transpose.ROTATE_90)
    first.save(tmp_path / "plain.png")
    first.save(tmp_path / "animated.png", save_all=True, append_images=[second])
    transparent = first.copy()
    transparent.putalpha(Image.linear_gradient("L").resize((64, 64)))
    transparent.save(tmp_path / "transparent.png")
    for name in ("animated", "transparent"):
        assert np.array_equal(shown(tmp_path / f"{name}.png"), shown(tmp_path / "plain.png")), name
    grey = first.convert("L")
    grey.save(tmp_path / "grey.png")
    Image.merge("RGB", [grey] * 3).save(tmp_path / "three.png")
    Image.fromarray(np.asarray(grey).astype(np.uint16) * 256 + 77).save(tmp_path / "deep.png")
    for name in ("grey", "deep"):
        assert np.array_equal(shown(tmp_path / f"{name}.png"), shown(tmp_path / "three.png")), name
