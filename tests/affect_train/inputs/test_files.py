from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from affect_data.errors import DataError
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
