"""The pictures of a dataset that is not ours: bytes among its rows, or files that it names."""

from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from affect_data.errors import DataError
from affect_train.inputs.foreign.values import is_text
from affect_train.inputs.stored import StoredFaces

if TYPE_CHECKING:
    from datasets import Dataset

Picture = bytes | str
"""The bytes of a picture, or the path of its file."""


class Pictures:
    """The pictures of a column.

    Args:
        column: structs with the fields bytes and path, file bytes, or paths.
        folder: that relative paths start from; None on the Hub.
    """

    def __init__(self, column: pa.Array, folder: Path | None) -> None:
        self._bytes = self._paths = None
        if pa.types.is_struct(column.type):
            self._bytes, self._paths = column.field("bytes"), column.field("path")
        elif is_text(column.type):
            self._paths = column
        else:
            self._bytes = column
        self._column = column
        self._folder = folder

    def __len__(self) -> int:
        return len(self._column)

    def __getitem__(self, row: int) -> memoryview:
        """The bytes of a picture; a view of the column where it holds them.

        Raises:
            DataError: there is no picture, or its file cannot be read.
        """
        held = self._held(row)
        return (
            memoryview(read_picture(str(self._path(row)), self._folder)) if held is None else memoryview(held).cast("B")
        )

    def stored(self, row: int) -> Picture:
        """A copy of the bytes of a picture, or its path: what can be kept when the column is gone.

        Raises:
            DataError: there is no picture.
        """
        held = self._held(row)
        return self._path(row) if held is None else held.to_pybytes()

    def _held(self, row: int) -> pa.Buffer | None:
        if self._bytes is None or not (self._column[row].is_valid and self._bytes[row].is_valid):
            return None
        return self._bytes[row].as_buffer()

    def _path(self, row: int) -> str:
        path = self._paths[row].as_py() if self._paths is not None and self._column[row].is_valid else None
        if not path:
            raise DataError("there is no picture, neither bytes nor a path; leave the row out of the dataset")
        return str(path)


def read_picture(picture: Picture, folder: Path | None) -> bytes:
    """The bytes of a picture; of a file on this machine, or of any place that fsspec knows (``hf://...``).

    Raises:
        DataError: the file cannot be read.
    """
    if isinstance(picture, bytes):
        return picture
    import fsspec

    try:
        if "://" in picture:
            with fsspec.open(picture) as file:
                return bytes(file.read())
        if folder is None and not Path(picture).is_absolute():
            remedy = "publish the dataset with its bytes, as `Dataset.push_to_hub` does"
            raise DataError(f"the picture '{picture}' is a file beside a dataset of the Hub; {remedy}")
        return Path(picture).read_bytes() if folder is None else (folder / picture).read_bytes()
    except FileNotFoundError:
        where = "" if folder is None else f" in '{folder}'"
        raise DataError(f"the picture '{picture}' does not exist{where}") from None
    except (OSError, ValueError) as error:
        raise DataError(f"the picture '{picture}' cannot be read: {error}") from error


class ForeignFaces(StoredFaces):
    """Rows by their numbers, whose pictures are bytes or files.

    Args:
        dataset: one split; at least the columns uid, face_box and image.
        folder: that relative paths start from; None on the Hub.
    """

    remedy = "Mend the picture or its box, leave the row out of the dataset, or train without it by `batches.undecodable: skip`"

    def __init__(self, dataset: "Dataset", folder: Path | None) -> None:
        super().__init__(dataset)
        self._folder = folder

    def pictures(self, chunk: pa.Array) -> Pictures:
        """The pictures of a part of the column ``image``."""
        return Pictures(chunk, self._folder)

    def __getstate__(self) -> dict[str, object]:
        return {**super().__getstate__(), "_folder": self._folder}
