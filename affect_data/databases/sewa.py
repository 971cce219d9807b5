"""Reads SEWA in the form of the AVEC challenges: people in video chats, with valence and arousal ten times a second."""

import re
from collections.abc import Sequence
from fractions import Fraction
from types import MappingProxyType
from typing import Final

import polars as pl

from affect_data.databases.base import Database, Licence, Tier
from affect_data.databases.facts import Evidence, Grade, NativeValue
from affect_data.databases.root import DatabaseRoot
from affect_data.databases.spelling import bare, numbers
from affect_data.databases.totals import Totals
from affect_data.databases.videos import VideoLayout, without_frames
from affect_data.video.clocks import RateClock

RECORDING: Final = re.compile(r"(?P<video>(?P<part>Train|Devel|Test)_(?:DE|HU|CN)_\d{2})", re.IGNORECASE)
COLUMNS: Final = ("name", "timestamp", "arousal", "valence", "liking")
SPLITS_OF: Final = MappingProxyType({"Train": "train", "Devel": "validation", "Test": "test"})
RATE: Final = 10
"""Labels a second."""
EARLY: Final = 0.05
"""By how many steps a time may be beside its tenth of a second."""
LONGEST: Final = 3_600.0
CODE: Final = "CES_data.py of AVEC 2019"

VIDEOS: Final = VideoLayout(
    folders=("video", "videos", "*"),
    names=re.compile(RECORDING.pattern + r"\.(?:avi|mp4)", re.IGNORECASE),
    frames="frames/{video}",
    clock=RateClock(Fraction(RATE)),
)


class Sewa(Database):
    """SEWA (AVEC 2017 to 2019): German, Hungarian and Chinese people in video chats, valence, arousal and liking ten times a second.

    Official layout::

        labels/Train_DE_01.csv      name;timestamp;arousal;valence;liking (AVEC 2018: without this header), a line for each tenth of a second
        video/Train_DE_01.avi       20 to 30 frames a second, or whatever the camera gave
        frames/Train_DE_01/         made by `affect-data frames sewa`: the frame that is shown at each label, named by the label's number

    Traps:
        - Labels have a clock of their own: the label at 1.2 s belongs to the frame that is shown then, not to the twelfth.
        - The name in each line is in single quotes, and is that of the file.
        - Train, Devel and Test are the official splits; no label of the test recordings was given out.
        - Each recording shows one person. Both people of a chat have a recording, so that their talk is the same.
        - The whole SEWA database (db.sewaproject.eu) has other files, whose columns are not known; they are not read.
    """

    name = "sewa"
    title = "SEWA (AVEC)"
    homepage = "https://db.sewaproject.eu/"
    citation = """@article{kossaifi2021sewa,
  title = {{SEWA DB}: A Rich Database for Audio-Visual Emotion and Sentiment Research in the Wild},
  author = {Kossaifi, Jean and Walecki, Robert and Panagakis, Yannis and Shen, Jie and Schmitt, Maximilian and Ringeval, Fabien and others},
  journal = {IEEE Transactions on Pattern Analysis and Machine Intelligence},
  volume = {43},
  number = {3},
  pages = {1022--1040},
  year = {2021},
  doi = {10.1109/TPAMI.2019.2944808}
}"""
    licence = Licence(
        "signed agreement of each user; research only; no redistribution, as reported",
        publishes=Tier.RECIPE,
        url="https://db.sewaproject.eu/",
    )
    source_family = "sewa"
    aliases = ("SEWA",)
    signs = ("labels/train_[dh][eu]_[0-9][0-9].csv", "labels/devel_[dh][eu]_[0-9][0-9].csv")
    counted_as = "labels"
    totals = MappingProxyType(
        {"": Totals({"train recordings": 68, "validation recordings": 28}, f"the numbers in {CODE}")}
    )
    valence_arousal = "-1..1"
    has_timestamps = True
    scores = MappingProxyType({"liking": "how much the person likes what is talked of, -1 to 1"})
    mapping = (
        NativeValue("arousal", "-1..1", "arousal"),
        NativeValue("valence", "-1..1", "valence"),
        NativeValue("liking", "-1..1", "kept in group liking"),
    )
    evidence = (
        Evidence(
            "names of files, the separator, the numbers of recordings, at most 1,768 labels each", Grade.CODE, CODE
        ),
        Evidence(
            "the columns, names in single quotes, times from 0 in steps of 0.1 s",
            Grade.SEEN,
            "predictions in the form of the labels, AVEC 2019 (Devel_DE_01.csv); another time is a defect",
        ),
        Evidence("labels of AVEC 2018 have no header", Grade.CODE, "its baseline"),
        Evidence("labels are between -1 and 1", Grade.ASSUMED, "another value is a defect"),
        Evidence(
            "videos are named like the labels",
            Grade.ASSUMED,
            "no real folder was seen; `affect-data frames` lists recordings without a video",
        ),
    )
    videos = VIDEOS

    def scan(self, root: DatabaseRoot) -> pl.DataFrame:
        """A row for each label: image, subject, track, frame, timestamp, split, valence, arousal, score_liking.

        Raises:
            DatabaseNotFoundError: there are no label files, or no extracted frames of any recording.
        """
        files = self._files(root)
        for part, split in SPLITS_OF.items():
            root.count(f"{split} recordings", sum(track.startswith(part) for track in files.values()))
        rows = _read_labels(root, files)
        frames = root.one_of("frames")
        if frames is None and not root.defects:
            raise self.not_found(root, because=without_frames(root, VIDEOS, self.name))
        root.note(f"{len(files)} recordings, {len(rows):,} labels")
        words = pl.col("track").str.split("_").list.first()
        return rows.with_columns(
            pl.format(
                f"{frames or 'frames'}/{{}}/{{}}.jpg", "track", pl.col("frame").cast(pl.String).str.zfill(5)
            ).alias("image"),
            words.replace_strict(dict(SPLITS_OF), return_dtype=pl.String).alias("split"),
            subject="track",
        )

    def labelled_frames(self, root: DatabaseRoot) -> pl.DataFrame:
        """The labels of each recording: `video`, `frame` from 0, ten a second."""
        return _read_labels(root, self._files(root)).select(pl.col("track").alias("video"), "frame")

    def _files(self, root: DatabaseRoot) -> dict[str, str]:
        """The recording of each label file, by path."""
        folder = root.one_of("labels")
        names = root.label_files(folder) if folder else []
        found = {name: match for name in names if (match := RECORDING.fullmatch(name.removesuffix(".csv")))}
        if folder is None or not found:
            raise self.not_found(root, because="there is no file such as labels/Train_DE_01.csv")
        root.lose_unread(folder, [name for name in names if name not in found], "Train_DE_01.csv")
        return {f"{folder}/{name}": _official(match["video"]) for name, match in sorted(found.items())}


def _official(name: str) -> str:
    """The name of a recording in its official spelling."""
    part, culture, number = name.split("_")
    return f"{part.capitalize()}_{culture.upper()}_{number}"


def _read_labels(root: DatabaseRoot, files: dict[str, str]) -> pl.DataFrame:
    """The lines of the label files: track, frame, timestamp, arousal, valence, score_liking and their places."""
    titled = [path for path in files if root.first_line(path).startswith("name")]
    untitled = [path for path in files if path not in titled]
    lines = pl.concat([_table(root, titled, skip_lines=1), _table(root, untitled, skip_lines=0)])
    lines = lines.with_columns(track=pl.col("source_file").replace_strict(files, return_dtype=pl.String))
    other = bare(lines["name"]).str.to_lowercase() != lines["track"].str.to_lowercase()
    lines = root.refuse(lines, other, "name = {name!r}", "the name of the file, '{track}'")
    steps = numbers(lines["timestamp"]) * RATE
    lines = lines.with_columns(frame=steps.round().cast(pl.Int32, strict=False), off=(steps - steps.round()).abs())
    fits = pl.col("off").le(EARLY) & pl.col("frame").is_between(0, int(LONGEST * RATE))
    lines = root.refuse(
        lines, ~fits.fill_null(value=False), "timestamp = {timestamp!r}", "a time in tenths of a second, from 0"
    )
    again = "the time {timestamp} again (first in line {first_line})"
    lines = root.refuse_repeated(lines, ("track", "frame"), again, "one line for each tenth of a second")
    lines = root.numbers(lines, ["arousal", "valence", "liking"], -1, 1)
    return lines.select(
        "source_file",
        "source_line",
        "track",
        "frame",
        "arousal",
        "valence",
        timestamp=pl.col("frame") / RATE,
        score_liking="liking",
    )


def _table(root: DatabaseRoot, paths: Sequence[str], skip_lines: int) -> pl.DataFrame:
    return root.table(list(paths), COLUMNS, separator=";", skip_lines=skip_lines)
