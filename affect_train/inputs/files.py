"""Picture files outside of any dataset as inputs of a model, turned upright."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from affect_data.bounds import PICTURE_BYTES, read_file
from affect_data.errors import DataError
from affect_data.faces.detection import Pixels
from affect_data.faces.orientation import orientation_of, upright
from affect_data.pictures import PictureError
from affect_train.inputs.batch import FaceBatch, Pick
from affect_train.inputs.inputs import IndexedInputs
from affect_train.inputs.preprocess import Preprocessing


class PictureFiles(IndexedInputs):
    """Picture files, each taken as the crop of one face, upright by its EXIF orientation.

    Args:
        paths: files of any format that `affect_data.pictures` opens.
        preprocessing: how a face becomes the model's input.
    """

    def __init__(self, paths: Sequence[Path], preprocessing: Preprocessing) -> None:
        self.paths = list(paths)
        self._preprocessing = preprocessing

    def __len__(self) -> int:
        return len(self.paths)

    def __getitems__(self, picks: Sequence[Pick]) -> FaceBatch | DataError:
        """The picked pictures; the error of the first that is missing or cannot be decoded."""
        size, rows = self._preprocessing.image_size, [pick.row for pick in picks]
        pixels = np.empty((len(rows), size, size, 3), dtype=np.uint8)
        try:
            for position, row in enumerate(rows):
                pixels[position] = self._decoded(self.paths[row])
        except DataError as error:
            return error
        uids = [str(self.paths[row]) for row in rows]
        return FaceBatch(torch.tensor(rows), uids, torch.from_numpy(pixels).permute(0, 3, 1, 2))

    def _decoded(self, path: Path) -> Pixels:
        data = picture_bytes(path)
        try:
            # Turned after preprocessing: the whole picture becomes a square, so that the order does not matter.
            return upright(self._preprocessing(data), orientation_of(data))
        except PictureError as error:
            raise DataError(f"image '{path}': {error}") from error


def picture_bytes(path: Path) -> bytes:
    """The bytes of a picture file.

    Raises:
        DataError: the file is missing, too large or cannot be read.
    """
    try:
        return read_file(path, PICTURE_BYTES, f"image '{path}'")
    except FileNotFoundError:
        raise DataError(f"image '{path}' does not exist") from None
    except OSError as error:
        raise DataError(f"image '{path}' cannot be read: {error.strerror}") from error
