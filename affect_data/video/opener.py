"""The file of a picture, from what stands in a row: the file itself, or the name of a frame of a video."""

from pathlib import Path

from affect_data.pictures import is_reference
from affect_data.video.reference import FrameReference
from affect_data.video.stored import StoredVideos


class PictureOpener:
    """Opens what stands in rows; videos stay open between calls, so that rows in order are decoded without a seek.

    For one process, from any of its threads; a copy in another process opens the videos again.

    Args:
        videos: the dataset's folder of videos (`DatasetFolder.videos`); None if no row names a frame.
    """

    def __init__(self, videos: Path | None) -> None:
        self._videos = None if videos is None else StoredVideos(videos)

    def file(self, stored: bytes | memoryview) -> bytes | memoryview:
        """The picture's file: what is stored, or, where that names a frame of a video, the frame as an uncompressed file (PPM).

        Raises:
            VideoError: the video is gone, has changed or cannot be decoded; names it, and says what to do.
        """
        if self._videos is None or not is_reference(stored):
            return stored
        return self._videos.picture_file(FrameReference.from_bytes(stored))
