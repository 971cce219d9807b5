"""Clips: databases whose labels hold for whole clips. A clip is one row, which names its frames in order.

A reader only gives the frames of each clip. The rest is the same for all such databases: a clip without frames is a failure, the recipe may keep only
some frames, and the middle frame is the picture of the clip.
"""

import re
from abc import abstractmethod
from collections.abc import Sequence
from itertools import pairwise
from typing import ClassVar, Final

import polars as pl
from pydantic import Field

from affect_data.databases.base import IMAGE_MISSING, Database, DatabaseOptions
from affect_data.databases.root import DatabaseRoot
from affect_data.frames import evenly
from affect_data.vocabulary import CLIP_SCOPE

FRAME_NAME: Final = re.compile(r"(\d+)\.(?:jpe?g|png|bmp)", re.IGNORECASE)
"""A file that is a frame: its number is its name."""
NUMBERED_FRAME: Final = re.compile(r"(?:.*\D)?(\d+)\.(?:jpe?g|png|bmp)", re.IGNORECASE)
"""A file that is a frame, of a database whose names of frames are not known: its number is the last in its name."""

FOLDER_MISSING: Final = "clip folder missing"
NO_FRAMES: Final = "clip without frames"


class ClipOptions(DatabaseOptions):
    """What a data recipe may say of a database of clips."""

    frames: int | None = Field(
        None, ge=1, description="how many frames of a longer clip are kept, evenly spaced; by default all of them"
    )


class ClipDatabase(Database):
    """A database whose labels hold for whole clips."""

    has_clips = True
    picture_reasons = (IMAGE_MISSING, FOLDER_MISSING, NO_FRAMES)
    Options: ClassVar[type[DatabaseOptions]] = ClipOptions
    options: ClipOptions

    @abstractmethod
    def scan_clips(self, root: DatabaseRoot) -> pl.DataFrame:
        """The listed clips, with columns of `ROW_COLUMNS`: a track, `clip_frames` (null if the clip has no folder), but no image.

        Raises:
            DatabaseNotFoundError: nothing under the root looks like this database.
        """

    def scan(self, root: DatabaseRoot) -> pl.DataFrame:
        """A row for each clip that has a frame: the columns of `scan_clips`, the kept frames, and the middle one as its image."""
        clips = _refuse_frames_outside(root, _with_some_frame(root, self.scan_clips(root)))
        most, listed = self.options.frames, clips["clip_frames"]
        kept = [evenly(frames, most) for frames in listed.to_list()]
        lengths = [len(frames) for frames in kept]
        if kept:
            root.note(f"{len(kept):,} clips of {min(lengths)} to {max(lengths)} frames, {sum(lengths):,} in all")
        if left := int(listed.list.len().sum()) - sum(lengths):
            root.note(f"{left:,} more frames are not kept: `frames: {most}` keeps that many of a clip")
        return clips.with_columns(
            pl.Series("clip_frames", kept, pl.List(pl.String)),
            pl.Series("image", [frames[len(frames) // 2] for frames in kept], pl.String),
            label_scope=pl.lit(CLIP_SCOPE),
        )


def frames_in(root: DatabaseRoot, folders: Sequence[str], pattern: re.Pattern[str] = FRAME_NAME) -> pl.Series:
    """The frames in each folder, as paths in the order of their numbers; null if there is no such folder.

    Two frames with one number are a defect. Missing numbers are noted; the other frames keep their order.

    Args:
        root: of the database.
        folders: relative to the root.
        pattern: of the names of frames; its first group is the number.
    """
    found: list[list[str] | None] = []
    broken: list[str] = []
    for folder in folders:
        above, _, name = folder.rpartition("/")
        if name not in root.entries(above):
            found.append(None)
            continue
        names = root.numbered(folder, pattern, "frame")
        numbers = sorted(names)
        broken += [folder] if any(later - number > 1 for number, later in pairwise(numbers)) else []
        found.append([f"{folder}/{names[number]}" for number in numbers])
    if broken:
        root.note(
            f"{len(broken):,} clips leave out some frame numbers, such as {broken[0]}; their frames are kept in order"
        )
    return pl.Series("clip_frames", found, dtype=pl.List(pl.String))


def _with_some_frame(root: DatabaseRoot, clips: pl.DataFrame) -> pl.DataFrame:
    """The clips that have a frame; the others are failures."""
    is_missing, is_empty = clips["clip_frames"].is_null(), clips["clip_frames"].list.len() == 0
    root.fail(clips.filter(is_missing), FOLDER_MISSING)
    root.fail(clips.filter(is_empty), NO_FRAMES)
    return clips.filter(~is_missing & ~is_empty)


def _refuse_frames_outside(root: DatabaseRoot, clips: pl.DataFrame) -> pl.DataFrame:
    """The clips whose frames all stay inside the root; a clip with another frame is a defect."""
    outside = [
        next((f"{frame!r}, which {because}" for frame in frames if (because := root.confined.leaves(frame))), None)
        for frames in clips["clip_frames"].to_list()
    ]
    clips = clips.with_columns(outside=pl.Series(outside, dtype=pl.String))
    expected, remedy = (
        "frames inside the folder",
        "put copies there, or add --follow-links where the links are your own",
    )
    return root.refuse(clips, pl.col("outside").is_not_null(), "{outside}", expected, remedy).drop("outside")
