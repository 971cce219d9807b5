"""The picture of a row, whether its file stands in the row or it is a frame of a video of the dataset; whatever needs pictures gets them here."""

from functools import cached_property
from typing import TYPE_CHECKING

from affect_data.dataset.folder import DatasetFolder
from affect_data.dataset.schema import IMAGES
from affect_data.pictures import is_reference
from affect_data.video.opener import PictureOpener
from affect_data.video.reference import FrameReference

if TYPE_CHECKING:
    import pyarrow as pa


class SplitPictures:
    """The pictures of a split by row, over memory maps; what is written in a row is in `stored`, and its name in `path`.

    Args:
        folder: the dataset.
        split: of it.

    Raises:
        UnknownNameError: the dataset has no such split.
        NotADatasetError: the pictures on disk are not those that the manifest names.
    """

    def __init__(self, folder: DatasetFolder, split: str) -> None:
        self._column: pa.ChunkedArray = folder.load(split, [IMAGES]).data.table.column("image")
        self._videos = folder.videos

    @cached_property
    def _opener(self) -> PictureOpener:
        return PictureOpener(self._videos)

    def __len__(self) -> int:
        return len(self._column)

    def __getitem__(self, row: int) -> bytes | memoryview:
        """The picture's file, from `PictureOpener.file`."""
        return self._opener.file(self.stored(row))

    def stored(self, row: int) -> memoryview:
        """What stands in the row: the picture as found, or the reference to a frame."""
        # Cast, because Arrow's views declare signed bytes, which compare as others than those of a picture.
        return memoryview(self._column[row]["bytes"].as_buffer()).cast("B")

    def path(self, row: int) -> str:
        """The name of the picture in its database."""
        return self._column[row]["path"].as_py() or ""

    def video(self, row: int) -> str:
        """The name of the video, in the dataset's folder of videos, of which the row shows a frame; empty if the picture stands in the row."""
        stored = self.stored(row)
        return FrameReference.from_bytes(stored).video if is_reference(stored) else ""
