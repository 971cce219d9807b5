"""Small faces in the user's cache: made once, mended where damaged, gone with the people who are erased."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from affect_data.build.build import BuildReport
from affect_data.dataset.folder import DatasetFolder, open_dataset
from affect_data.dataset.thumbnail_cache import CACHE, SIZE, ThumbnailCache, forget_thumbnails, thumbnails_of
from affect_data.dataset.thumbnails import face_picture, image_bytes


@pytest.fixture
def folder(demo_report: BuildReport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DatasetFolder:
    monkeypatch.setenv(CACHE, str(tmp_path / "cache"))
    return open_dataset(demo_report.dataset.path)


def cache_of(folder: DatasetFolder) -> ThumbnailCache:
    boxes = {
        split: folder.view.table(folder.stored_labels(split, ("face_box",)), ("face_box",)).column("face_box")
        for split in folder.splits
    }
    return ThumbnailCache(folder, boxes)


def pixels(jpeg: bytes) -> "np.ndarray[tuple[int, ...], np.dtype[np.float32]]":
    return np.asarray(Image.open(io.BytesIO(jpeg)).convert("RGB"), np.float32)


def test_a_strip_shows_the_faces_that_were_named_in_their_order(folder: DatasetFolder) -> None:
    places = [("train", 100), ("train", 3), ("validation", 0)]
    strip = pixels(cache_of(folder).strip(places))
    for i, (split, number) in enumerate(places):
        box = folder.labels(split, ["face_box"])["face_box"][number].to_list()
        data = image_bytes(folder, split, number)
        assert data is not None
        alone = pixels(face_picture(data, box, SIZE))
        height, width = alone.shape[:2]
        top, left = (SIZE - height) // 2, SIZE * i + (SIZE - width) // 2
        assert np.abs(strip[top : top + height, left : left + width] - alone).mean() < 4


def test_faces_are_kept_in_the_cache_and_nothing_beside_the_pictures(folder: DatasetFolder, tmp_path: Path) -> None:
    before = sorted(folder.path.rglob("*"))
    first = cache_of(folder).strip([("train", 0), ("train", 64)])
    files = sorted((tmp_path / "cache").rglob("*.faces"))
    assert [file.name for file in files] == ["0.faces", "1.faces"]
    assert folder.manifest.fingerprints.pictures.startswith(files[0].parent.parent.name)
    assert sorted(folder.path.rglob("*")) == before
    # A damaged file is made again.
    files[0].write_bytes(files[0].read_bytes()[:-5])
    files[1].write_bytes(b"")
    assert cache_of(folder).strip([("train", 0), ("train", 64)]) == first


def test_faces_of_earlier_pictures_and_of_erased_people_do_not_stay(folder: DatasetFolder) -> None:
    earlier = thumbnails_of(folder.path) / "earlier" / "train" / "0.faces"
    earlier.parent.mkdir(parents=True)
    earlier.write_bytes(b"")
    cache_of(folder).strip([("train", 0)])
    assert not earlier.exists()
    assert list(thumbnails_of(folder.path).rglob("*.faces"))
    forget_thumbnails(folder.path)
    assert not thumbnails_of(folder.path).exists()


def test_a_cache_that_cannot_be_written_costs_time_and_nothing_else(folder: DatasetFolder, tmp_path: Path) -> None:
    first = cache_of(folder).strip([("train", 0)])
    forget_thumbnails(folder.path)
    thumbnails_of(folder.path).parent.mkdir(parents=True, exist_ok=True)
    thumbnails_of(folder.path).write_text("a file where the folder would be")
    assert cache_of(folder).strip([("train", 0)]) == first
