"""Reads VEATIC: scenes of films and home videos, with valence and arousal of one character in every frame."""

import re
from types import MappingProxyType
from typing import ClassVar, Final

import polars as pl
from pydantic import Field

from affect_data.databases.base import Database, DatabaseOptions, Licence, Tier
from affect_data.databases.facts import Evidence, Grade, NativeValue
from affect_data.databases.ratings import ONLY_ONE, RATED, read_ratings, with_numbered_frames
from affect_data.databases.root import DatabaseRoot
from affect_data.databases.totals import Totals
from affect_data.databases.videos import VideoLayout, without_frames
from affect_data.video.clocks import FrameClock

RATING: Final = re.compile(r"(?P<video>\d{1,4})_(?P<label>valence|arousal)\.csv", re.IGNORECASE)
FRAME_FILE: Final = re.compile(r"(\d{1,9})\.(?:jpe?g|png)", re.IGNORECASE)
TRAINED: Final = 0.7
"""The share of each video's frames, from its beginning, that the owners train on."""
CODE: Final = "dataset.py and video_frame.py of the owners (AlbusPeter/VEATIC)"

VIDEOS: Final = VideoLayout(
    folders=("video", "videos"),
    names=re.compile(r"(?P<video>\d{1,4})\.mp4", re.IGNORECASE),
    frames="frames/{video}",
    clock=FrameClock(first=0),
    file="{number}.jpg",
)


class VeaticOptions(DatabaseOptions):
    """What a data recipe may say of VEATIC."""

    official_split: bool = Field(
        default=False,
        description="train on the first 70 % of each video and test on its rest, as the owners do; the same people are then in both",
    )


class Veatic(Database):
    """VEATIC: 124 scenes of films, documentaries and home videos, with valence and arousal of one character in every frame.

    Official layout::

        rating_averaged/0_valence.csv    two columns, no header: line n belongs to frame n - 1; the second column is the value
        rating_averaged/0_arousal.csv    the same
        video/0.mp4
        frames/0/0.jpg                   made by the owners' video_frame.py, or by `affect-data frames veatic`; numbered from 0 (also frame/)

    Traps:
        - Frames count from 0, and their numbers have no leading zeros: a list by name would put 10 before 9.
        - Labels are of one character, who is not marked; others may be in the picture, and the whole scene was to be seen.
        - The owners train on the beginning and test on the end of each video, so the same people are in both. The recipe has to ask for that split.
        - What the first column says is not documented; it is not read.
    """

    name = "veatic"
    title = "VEATIC"
    homepage = "https://veatic.github.io/"
    citation = """@inproceedings{ren2024veatic,
  title = {{VEATIC}: Video-based Emotion and Affect Tracking in Context Dataset},
  author = {Ren, Zhihang and Ortega, Jefferson and Wang, Yifan and Chen, Zhimin and Guo, Yunhui and Yu, Stella X. and Whitney, David},
  booktitle = {IEEE/CVF Winter Conference on Applications of Computer Vision (WACV)},
  year = {2024}
}"""
    licence = Licence(
        "no terms were found beside the public download; nothing may be passed on until the owners say so",
        publishes=Tier.RECIPE,
        url="https://veatic.github.io/",
    )
    source_family = "veatic"
    signs = ("rating_averaged/*_valence.csv", "rating_averaged/*_arousal.csv")
    counted_as = "frames"
    totals = MappingProxyType({"": Totals({"videos": 124}, "the owners' README")})
    valence_arousal = "-1..1"
    mapping = (
        NativeValue("second column", "-1..1", "valence or arousal, by the name of the file"),
        NativeValue("second column", "a line of one of the two files alone", masked=ONLY_ONE),
    )
    evidence = (
        Evidence("names of files, the value in the second column, line n - 1 for frame n", Grade.CODE, CODE),
        Evidence("frames are numbered from 0", Grade.CODE, CODE),
        Evidence("124 videos, folders video and rating_averaged", Grade.DOCUMENTED, "the owners' README"),
        Evidence("the first 70 % of each video train", Grade.CODE, CODE),
        Evidence("values are between -1 and 1", Grade.ASSUMED, "the paper's figures; another value is a defect"),
    )
    videos = VIDEOS
    Options: ClassVar[type[DatabaseOptions]] = VeaticOptions
    options: VeaticOptions

    def scan(self, root: DatabaseRoot) -> pl.DataFrame:
        """A row for each labelled frame: image, track (the video), frame, valence, arousal.

        Raises:
            DatabaseNotFoundError: there are no ratings, or no extracted frames of any video.
        """
        rows = self._ratings(root)
        folder = root.one_of("frames", "frame")
        if folder is None and not root.defects:
            raise self.not_found(root, because=without_frames(root, VIDEOS, self.name))
        tracks = rows["track"].unique().sort().to_list()
        root.count("videos", len(tracks))
        names = [
            (track, number, name)
            for track in tracks
            for number, name in root.numbered(f"{folder}/{track}", FRAME_FILE, "frame").items()
        ]
        found = pl.DataFrame(names, {"track": pl.String, "frame": pl.Int32, "file": pl.String}, orient="row")
        root.note(f"{len(tracks)} videos, {len(rows):,} labelled frames")
        rows = with_numbered_frames(root, rows, found, folder or "frames", pl.format("{}.jpg", "frame"))
        return self._with_split(rows)

    def labelled_frames(self, root: DatabaseRoot) -> pl.DataFrame:
        """The labels of each video: `video`, `frame` from 0."""
        return self._ratings(root).select(pl.col("track").alias("video"), "frame")

    def _with_split(self, rows: pl.DataFrame) -> pl.DataFrame:
        if not self.options.official_split:
            return rows
        last = (pl.col("frame").max().over("track") + 1) * TRAINED
        return rows.with_columns(
            pl.when(pl.col("frame") < last.floor()).then(pl.lit("train")).otherwise(pl.lit("test")).alias("split")
        )

    def _ratings(self, root: DatabaseRoot) -> pl.DataFrame:
        """The labels of each frame; its line is that of the valence, or of the arousal where that is all there is."""
        folder = root.one_of("rating_averaged")
        names = root.label_files(folder) if folder else []
        matches = {f"{folder}/{name}": match for name in names if (match := RATING.fullmatch(name))}
        if folder is None or not matches:
            raise self.not_found(root, because="there is no file such as rating_averaged/0_valence.csv")
        root.lose_unread(folder, [name for name in names if f"{folder}/{name}" not in matches], "0_valence.csv")
        files = {
            label: {
                path: str(int(match["video"])) for path, match in matches.items() if match["label"].lower() == label
            }
            for label in RATED
        }
        return read_ratings(root, files, first=0, before=("first",))
