"""Rows whose pictures are frames of videos, which stay in the videos: the recipe says so, and the dataset keeps each video once."""

import hashlib
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from affect_data.databases.root import DatabaseRoot
from affect_data.databases.videos import VideoLayout, find_videos
from affect_data.video.completeness import Decoded, judge
from affect_data.video.decoding import Video
from affect_data.video.reference import FrameReference

SEPARATOR: Final = "#"
"""Between a video's path and a label's number, in the name of a row's picture."""

VIDEOS_AT_ONCE: Final = 2


def images_in_videos(root: DatabaseRoot, layout: VideoLayout, rows: pl.DataFrame, video: pl.Expr) -> pl.Series:
    """The name of each row's picture: the path of its video and the number of its label; of a video that is missing, the path has its name alone.

    Args:
        root: of the database.
        layout: of its videos.
        rows: with `frame`.
        video: the name of a row's video.
    """
    paths = find_videos(root, layout)
    named = rows.select(video.alias("video"), "frame")
    path = pl.col("video").str.to_lowercase().replace_strict(paths, default=pl.col("video"), return_dtype=pl.String)
    return named.select(pl.format("{}#{}", path, "frame").alias("image")).to_series()


def missing_videos(root: DatabaseRoot, images: pl.Series) -> pl.Series:
    """Whether the video of each picture is missing; whether it has the frame is found when it is decoded."""
    return root.missing_images(images.str.replace(r"#[^#]*$", ""))


def open_references(root: Path, layout: VideoLayout) -> Callable[[str], bytes]:
    """A function from the name of a picture to the reference that stands for it.

    The function raises FileNotFoundError where the video has no such frame, or none whose number is certain, and `VideoError` where it is no video.
    """

    @lru_cache(maxsize=VIDEOS_AT_ONCE)
    def decoded(path: str) -> tuple[Video, str, int]:
        with Video(root / path) as video, (root / path).open("rb") as file:
            times = video.times
            judgement = judge(
                Decoded(root / path, video.container, times.seconds, video.declared, video.duration, times.broken)
            )
            name = hashlib.file_digest(file, "sha256").hexdigest() + Path(path).suffix.lower()
            return video, name, judgement.certain

    def opened(image: str) -> bytes:
        path, _, label = image.rpartition(SEPARATOR)
        video, name, certain = decoded(path)
        frame = int(layout.clock.frames_of(np.array([int(label)]), video.times.seconds)[0])
        if not 0 <= frame < certain:
            raise FileNotFoundError(image)
        return _reference(video, name, frame).to_bytes()

    return opened


def _reference(video: Video, name: str, frame: int) -> FrameReference:
    times, stamp, start = video.times, None, None
    if times.stamps is not None and (keys := times.keys[times.keys <= frame]).size:
        stamp, start = int(times.stamps[frame]), int(times.stamps[keys[-1]])
    seconds, check = float(times.seconds[frame]), int(times.checks[frame])
    return FrameReference(name, frame, seconds, stamp, start, check, video.width, video.height)
