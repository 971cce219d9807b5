"""Picture files outside of any dataset as inputs of a model, turned upright."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import torch
from PIL import ExifTags

from affect_data.bounds import PICTURE_BYTES, read_file
from affect_data.errors import DataError
from affect_data.pictures import PictureError, open_picture
from affect_train.inputs.batch import FaceBatch, Pick
from affect_train.inputs.inputs import IndexedInputs
from affect_train.inputs.preprocess import Pixels, Preprocessing

AS_STORED: Final = 1

TURNS: Final[Mapping[int, Callable[[Pixels], Pixels]]] = {
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.swapaxes(0, 1),
    6: lambda pixels: np.rot90(pixels, -1),
    7: lambda pixels: np.rot90(pixels, 2).swapaxes(0, 1),
    8: lambda pixels: np.rot90(pixels),
}
"""The turn that makes a picture upright, by EXIF orientation."""


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


def orientation_of(data: bytes) -> int:
    """The EXIF orientation by which a decoded picture has yet to be turned, 1 to 8; 1 if none is stated.

    Raises:
        PictureError: the bytes are no picture.
    """
    picture = open_picture(data)
    if picture.format == "TIFF":
        # Pillow already turns TIFF files when it decodes them.
        return AS_STORED
    try:
        found = picture.getexif().get(ExifTags.Base.Orientation, AS_STORED)
    except Exception:  # damaged EXIF makes Pillow raise nearly anything
        return AS_STORED
    return found if found in TURNS else AS_STORED


def upright(pixels: Pixels, orientation: int) -> Pixels:
    """Pixels, uint8 [H, W, 3], turned upright by their EXIF orientation, as a view."""
    return TURNS[orientation](pixels) if orientation in TURNS else pixels
