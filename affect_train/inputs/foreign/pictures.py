"""The pictures of a dataset that is not ours: bytes in its rows, or files that its rows name."""

from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from affect_data.bounds import PICTURE_BYTES, read_file, read_stream
from affect_data.confinement import ConfinedFolder, OutsideError
from affect_data.errors import DataError
from affect_train.inputs.foreign.values import is_text
from affect_train.inputs.stored import StoredFaces

if TYPE_CHECKING:
    from datasets import Dataset

Picture = bytes | str
"""The bytes of a picture, or the path of its file."""


ARCHIVES = ("zip", "tar", "gzip", "bz2", "xz", "lz4", "zstd")
REMOTE = ("hf", "http", "https", "s3", "gs", "gcs", "az", "abfs")
"""URL schemes that pictures are read from, besides files: none of them leads to this machine."""


class PictureFiles:
    """The files that a dataset names as its pictures. They lie in its folder, in the caches of the Hub, or at a remote place.

    Args:
        folder: of the dataset; None for a dataset of the Hub.
        follow_links: whether symbolic links may lead out of the folder.
    """

    def __init__(self, folder: Path | None, *, follow_links: bool = False) -> None:
        self.folder = folder
        self._option = "`follow_links: true` under `dataset`"
        places = [] if folder is None else [folder.absolute(), folder.resolve()]
        self._places = [ConfinedFolder(place, follow_links, self._option) for place in dict.fromkeys(places)]
        self._caches: list[ConfinedFolder] | None = None

    def read(self, picture: Picture) -> bytes:
        """The bytes of a picture: the given bytes, those of a file, or those at a remote place that fsspec knows (``hf://...``).

        Raises:
            DataError: the file cannot be read.
            OutsideError: the file lies outside of the folder.
            BoundError: the file is too large.
        """
        if isinstance(picture, bytes):
            return picture
        name = f"the picture '{picture}'"
        try:
            if "://" in picture:
                return self._remote(picture, name)
            if self.folder is None and not Path(picture).is_absolute():
                remedy = "publish the dataset with its bytes, as `Dataset.push_to_hub` does"
                raise DataError(f"{name} is a file beside a dataset of the Hub; {remedy}")
            self.check(picture)
            return read_file(Path(picture) if self.folder is None else self.folder / picture, PICTURE_BYTES, name)
        except FileNotFoundError:
            where = "" if self.folder is None else f" in '{self.folder}'"
            raise DataError(f"{name} does not exist{where}") from None
        except (OSError, ValueError) as error:
            raise DataError(f"{name} cannot be read: {error}") from error

    def check(self, path: str) -> None:
        """Refuses the path of a file that may not be read.

        Raises:
            OutsideError: the file lies neither in the dataset's folder nor in a cache of the Hub.
        """
        if not Path(path).is_absolute():
            self._places[0].check(path)
            return
        for place in (*self._places, *self._cached()):
            if path.startswith(f"{place.path}/"):
                place.check(path[len(str(place.path)) + 1 :])
                return
        raise OutsideError(
            path, "lies outside of the dataset", "put the picture into its folder, or its bytes into its rows"
        )

    def _cached(self) -> list[ConfinedFolder]:
        """The folders where `datasets` keeps downloaded and unpacked files."""
        if self._caches is None:
            import datasets
            from huggingface_hub.constants import HF_HUB_CACHE

            config = datasets.config
            caches = (
                config.HF_DATASETS_CACHE,
                config.DOWNLOADED_DATASETS_PATH,
                config.EXTRACTED_DATASETS_PATH,
                HF_HUB_CACHE,
            )
            self._caches = [ConfinedFolder(Path(cache).absolute()) for cache in caches]
        return self._caches

    def _remote(self, picture: str, name: str) -> bytes:
        import fsspec

        # As in zip://0.jpg::hf://datasets/owner/name/faces.zip: the last part is the place, the earlier parts lie inside it.
        parts = picture.split("::")
        for number, part in enumerate(parts, start=1):
            kind, is_url, place = part.partition("://")
            is_place = number == len(parts)
            if is_place and (not is_url or kind in ("file", *ARCHIVES)):
                self.check(place if is_url else part)
            elif kind not in (REMOTE if is_place else ARCHIVES):
                raise OutsideError(picture, f"is a place of the kind '{kind}'", "put its bytes into the rows")
        with fsspec.open(picture) as file:
            return read_stream(file, PICTURE_BYTES, name)


class Pictures:
    """The pictures of a column.

    Args:
        column: structs with the fields bytes and path, file bytes, or paths.
        files: reads the files that paths name.
    """

    def __init__(self, column: pa.Array, files: PictureFiles) -> None:
        self._bytes = self._paths = None
        if pa.types.is_struct(column.type):
            self._bytes, self._paths = column.field("bytes"), column.field("path")
        elif is_text(column.type):
            self._paths = column
        else:
            self._bytes = column
        self._column = column
        self._files = files

    def __len__(self) -> int:
        return len(self._column)

    def __getitem__(self, row: int) -> memoryview:
        """The bytes of a picture; a view if the column holds them.

        Raises:
            DataError: there is no picture, or its file cannot be read.
        """
        held = self._held(row)
        return memoryview(self._files.read(self._path(row)) if held is None else held).cast("B")

    def stored(self, row: int) -> Picture:
        """A copy of the bytes of a picture, or its path: it can be kept without the column.

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


class ForeignFaces(StoredFaces):
    """Rows by number, whose pictures are bytes or files.

    Args:
        dataset: one split; at least the columns uid, face_box and image.
        files: reads the files that paths name.
    """

    remedy = "Mend the picture or its box, leave the row out of the dataset, or train without it by `batches.undecodable: skip`"

    def __init__(self, dataset: "Dataset", files: PictureFiles) -> None:
        super().__init__(dataset)
        self._files = files

    def pictures(self, chunk: pa.Array) -> Pictures:
        """The pictures of a part of the column ``image``."""
        return Pictures(chunk, self._files)

    def __getstate__(self) -> dict[str, object]:
        return {**super().__getstate__(), "_files": self._files}
