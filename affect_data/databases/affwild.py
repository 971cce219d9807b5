"""Reads Aff-Wild, the first one: videos of YouTube with valence and arousal in every frame."""

import re
from types import MappingProxyType
from typing import Final

import polars as pl

from affect_data.databases.base import Database, Licence, Tier
from affect_data.databases.facts import Evidence, Grade, NativeValue
from affect_data.databases.ratings import ONLY_ONE, RATED, read_ratings, with_numbered_frames
from affect_data.databases.root import DatabaseRoot
from affect_data.databases.totals import Totals
from affect_data.databases.videos import VideoLayout, without_frames
from affect_data.video.clocks import FrameClock

RATING: Final = re.compile(r"(\d{1,4})\.txt", re.IGNORECASE)
FRAME_FILE: Final = re.compile(r"(\d{1,9})\.(?:jpe?g|png)", re.IGNORECASE)
SCRIPTS: Final = "five public scripts"

VIDEOS: Final = VideoLayout(
    folders=("videos/train", "videos/*", "videos"),
    names=re.compile(r"(?P<video>\d{1,4})\.(?:mp4|avi)", re.IGNORECASE),
    frames="frames/{video}",
    clock=FrameClock(first=1),
)


class AffWild(Database):
    """Aff-Wild: 298 videos of YouTube, 252 of them with valence and arousal in every frame.

    Official layout::

        annotations/train/valence/105.txt    a number for each frame (no header)
        annotations/train/arousal/105.txt    the same
        videos/train/105.mp4                 or .avi
        frames/105/00001.jpg                 made by `affect-data frames affwild`, numbered from 1

    Traps:
        - The two files of a video may differ by a few lines. Frames that only one of them rates have neither label.
        - The labels of the test videos were not given out, so there is no official split of what is labelled.
        - All videos are in Aff-Wild2, under the same numbers: whoever is in train of one must not be in test of the other.
        - Whole frames are read. Face boxes and landmarks (bboxes, landmarks) are not; `affect-data align` finds the faces.
    """

    name = "affwild"
    title = "Aff-Wild"
    homepage = "https://ibug.doc.ic.ac.uk/resources/first-affect-wild-challenge/"
    citation = """@article{kollias2019deep,
  title = {Deep Affect Prediction in-the-Wild: {Aff-Wild} Database and Challenge, Deep Architectures, and Beyond},
  author = {Kollias, Dimitrios and Tzirakis, Panagiotis and Nicolaou, Mihalis A. and Papaioannou, Athanasios and Zhao, Guoying and others},
  journal = {International Journal of Computer Vision},
  volume = {127},
  pages = {907--929},
  year = {2019},
  doi = {10.1007/s11263-019-01158-4}
}"""
    licence = Licence(
        "signed agreement; academic, non-commercial research only; no redistribution, as reported",
        publishes=Tier.RECIPE,
        url="https://ibug.doc.ic.ac.uk/resources/first-affect-wild-challenge/",
    )
    source_family = "affwild"
    aliases = ("Aff-Wild 1", "Aff-Wild1")
    signs = ("annotations/train/valence/*.txt", "annotations/train/arousal/*.txt")
    counted_as = "frames"
    valence_arousal = "-1..1"
    totals = MappingProxyType({"": Totals({"videos": 252}, "the paper, as reported")})
    mapping = (
        NativeValue("line", "-1..1", "valence or arousal, by the folder of the file"),
        NativeValue("line", "a line of one of the two files alone", masked=ONLY_ONE),
    )
    evidence = (
        Evidence("folders of annotations, names of files, one number in a line without a header", Grade.CODE, SCRIPTS),
        Evidence(
            "the two files differ by a few lines, and begin together", Grade.CODE, f"{SCRIPTS} cut to the shorter one"
        ),
        Evidence("line n rates frame n, from 1", Grade.CODE, SCRIPTS),
        Evidence("252 videos are labelled", Grade.ASSUMED, "reported of the paper; fewer are noticed"),
        Evidence("values are between -1 and 1", Grade.DOCUMENTED, "the owners' page; another value is a defect"),
    )
    videos = VIDEOS

    def scan(self, root: DatabaseRoot) -> pl.DataFrame:
        """A row for each labelled frame: image, subject and track (the video), frame, valence, arousal.

        Raises:
            DatabaseNotFoundError: there are no annotations, or no extracted frames of any video.
        """
        rows = self._ratings(root)
        folder = root.one_of("frames")
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
        missed = pl.format("{}.jpg", pl.col("frame").cast(pl.String).str.zfill(5))
        root.note(f"{len(tracks)} videos, {len(rows):,} labelled frames")
        return with_numbered_frames(root, rows, found, folder or "frames", missed).with_columns(subject="track")

    def labelled_frames(self, root: DatabaseRoot) -> pl.DataFrame:
        """The labels of each video: `video`, `frame` from 1."""
        return self._ratings(root).select(pl.col("track").alias("video"), "frame")

    def _ratings(self, root: DatabaseRoot) -> pl.DataFrame:
        annotations = root.one_of("annotations")
        train = root.one_of("train", under=annotations) if annotations else None
        files = {label: _files(root, train, label) if train else {} for label in RATED}
        if not any(files.values()):
            raise self.not_found(root, because="there is no file such as annotations/train/valence/105.txt")
        for label, other in (RATED, RATED[::-1]):
            if lone := sorted(set(files[label].values()) - set(files[other].values())):
                root.lose(f"no {other} of {len(lone)} video(s), such as {lone[0]}")
        return read_ratings(root, files, first=1)


def _files(root: DatabaseRoot, train: str, label: str) -> dict[str, str]:
    """The video of each file of one kind of label, by path."""
    folder = root.one_of(label, under=train)
    names = root.label_files(folder) if folder else []
    if folder:
        root.lose_unread(folder, [name for name in names if not RATING.fullmatch(name)], "105.txt")
    return {f"{folder}/{name}": str(int(match[1])) for name in names if (match := RATING.fullmatch(name))}
