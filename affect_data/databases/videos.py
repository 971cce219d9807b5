"""What a database says about its videos, and where they are.

A reader declares a `VideoLayout` and gives the labelled frames; `affect-data frames` does the rest.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from affect_data.databases.root import DatabaseRoot
from affect_data.video.clocks import LabelClock


@dataclass(frozen=True)
class VideoLayout:
    """Where the videos of a database lie, how its labels count, and where its reader looks for the frames.

    Attributes:
        folders: that may hold videos, relative to the root, in any case, with ``*``; of two videos with one name, that in the earlier folder counts.
        names: pattern of the whole name of a video file, in any case; its group ``video`` is the name by which labels call the video.
        frames: the folder of a video's frames, relative to the root, from ``{video}``.
        clock: which frame a label belongs to.
        file: the name of a frame's file, from ``{number}``, the label's number.
        parts: how many of the last parts of a video's path `names` is the pattern of, where names alone are not unique.
    """

    folders: tuple[str, ...]
    names: re.Pattern[str]
    frames: str
    clock: LabelClock
    file: str = "{number:05d}.jpg"
    parts: int = 1


def find_videos(root: DatabaseRoot, layout: VideoLayout) -> dict[str, str]:
    """The videos of a database by their name in lower case, relative to the root, as far as they lie inside of it."""
    videos: dict[str, str] = {}
    for pattern in layout.folders:
        for folder in _folders(root, pattern):
            for name in sorted(root.entries(folder)):
                path = str(PurePosixPath(folder) / name)
                match = layout.names.fullmatch("/".join(path.split("/")[-layout.parts :]))
                if match and not root.confined.leaves(path):
                    videos.setdefault(match["video"].lower(), path)
    return videos


def without_frames(root: DatabaseRoot, layout: VideoLayout, name: str) -> str:
    """Why a database of labelled videos cannot be read: there are no extracted frames, and how to extract them if the videos are there.

    Args:
        root: of the database.
        layout: of its videos.
        name: of the database.
    """
    videos = find_videos(root, layout)
    there = (
        f"and {len(videos)} video(s), such as {min(videos.values())}, but no extracted frames"
        if videos
        else "but no videos"
    )
    extract = f". Extract them: `affect-data frames {name} --root {name}=PATH`" if videos else " and no frames"
    return f"it holds label files {there}{extract}"


def _folders(root: DatabaseRoot, pattern: str) -> Iterable[str]:
    """The folders that match a pattern, sorted; an empty pattern is the root."""
    found = [""]
    for part in filter(None, pattern.lower().split("/")):
        found = [
            str(PurePosixPath(folder) / name)
            for folder in found
            for name in sorted(root.entries(folder))
            if fnmatchcase(name.lower(), part)
        ]
    return found
