"""Videos in the folder of a dataset, and their frames on the way to a model."""

import hashlib
from collections import OrderedDict
from pathlib import Path
from threading import Lock
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from affect_data.system_errors import reading
from affect_data.video.decoding import Video, VideoError
from affect_data.video.reference import FrameReference

VIDEOS: Final = "videos"
"""Name of the folder of videos in that of a dataset."""

OPEN_AT_MOST: Final = 8
"""Videos that a process holds open."""


class StoredVideos:
    """The videos of a dataset, opened as they are needed; for one process, from any of its threads.

    Args:
        folder: of the videos.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open: OrderedDict[str, Video] = OrderedDict()
        self._lock = Lock()

    def __getstate__(self) -> dict[str, Any]:
        return {"_folder": self._folder}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["_folder"])  # type: ignore[misc]

    def pixels(self, reference: FrameReference) -> NDArray[np.uint8]:
        """The frame, uint8 RGB [height, width, 3], upright: the very frame that the build saw, by its checksum.

        Raises:
            VideoError: the video is gone or has changed, or this decoder gives another picture than the one that the build used.
        """
        with self._lock:
            try:
                video = self._opened(reference.video)
                return video.pixels_of(video.referred(reference))
            except VideoError as error:
                raise self._explained(reference.video, error) from error

    def picture_file(self, reference: FrameReference) -> bytes:
        """The frame as an uncompressed picture file (PPM), which all code that decodes pictures takes; raises what `pixels` raises."""
        pixels = self.pixels(reference)
        return b"P6 %d %d 255\n" % (pixels.shape[1], pixels.shape[0]) + pixels.tobytes()

    @property
    def _remedy(self) -> str:
        return (
            "Copy it from another copy of the dataset, or build the dataset again from its sources: "
            f"`affect-data build RECIPE {self._folder.parent} --overwrite`"
        )

    def _explained(self, name: str, error: VideoError) -> VideoError:
        """The error, or the reason behind it if the file is not the one that the build stored."""
        path = self._folder / name
        because = changed_because(path) if path.is_file() else ""
        return VideoError(path, because, self._remedy, error.frame) if because else error

    def _opened(self, name: str) -> Video:
        if name not in self._open:
            path = self._folder / name
            if not path.is_file():
                raise VideoError(path, "there is no such file", self._remedy)
            # One thread: loader processes share the cores already.
            self._open[name] = Video(path, threads=1)
        self._open.move_to_end(name)
        while len(self._open) > OPEN_AT_MOST:
            self._open.popitem(last=False)[1].close()
        return self._open[name]


def changed_because(path: Path) -> str:
    """How the file of a video differs from the one that the build stored under its name, the sha256; empty if it does not.

    Raises:
        FileAccessError: it cannot be read.
    """
    with reading(path), path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest == path.name.partition(".")[0]:
        return ""
    return f"it was replaced, damaged or cut off after the build: its {path.stat().st_size:,} bytes have the sha256 {digest}"
