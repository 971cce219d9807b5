"""Reads OMG-Emotion: utterances of people on YouTube, with valence, arousal and an expression each."""

import re
from collections.abc import Mapping
from fractions import Fraction
from types import MappingProxyType
from typing import ClassVar, Final, Literal

import polars as pl
from pydantic import Field

from affect_data.databases.base import DatabaseOptions, Licence, Tier
from affect_data.databases.clips import ClipDatabase, ClipOptions, frames_in
from affect_data.databases.facts import Evidence, Grade, NativeValue, labels_of, numbered
from affect_data.databases.licence import Reading
from affect_data.databases.root import FIX_FILE, DatabaseRoot
from affect_data.databases.totals import Totals
from affect_data.databases.videos import VideoLayout, without_frames
from affect_data.video.clocks import RateClock

LISTS: Final = MappingProxyType(
    {
        "train": "omg_TrainVideos.csv",
        "validation": "omg_ValidationVideos.csv",
        "test": "omg_TestVideos_WithLabels.csv",
    }
)
COLUMNS: Final = ("link", "start", "end", "video", "utterance", "arousal", "valence", "EmotionMaxVote")
CLASS: Final = COLUMNS[-1]
TIMES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "utterance_start": "seconds of the YouTube video at which the utterance begins",
        "utterance_end": "seconds of the YouTube video at which the utterance ends",
    }
)
EXPRESSIONS: Final = ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")
RATE: Final = 5
"""Frames a second that `affect-data frames` extracts: the labels hold for whole utterances."""
UTTERANCE: Final = r"^[\w-]+\.mp4$"
LONGEST: Final = 86_400.0
"""Seconds; no video is longer than a day."""

NO_UTTERANCE: Final = "the line names no utterance"
NO_CLASS: Final = "no class has the most votes in the file"
REAL: Final = "the lists of audeering/OMG_Challenge_submission, read whole"

VIDEOS: Final = VideoLayout(
    folders=tuple(f"{split}/*" for split in LISTS),
    names=re.compile(rf"(?P<video>(?:{'|'.join(LISTS)})/[^/]+/[^/]+)\.mp4", re.IGNORECASE),
    frames="frames/{video}",
    clock=RateClock(Fraction(RATE)),
    parts=3,
)


class OmgOptions(ClipOptions):
    """What a data recipe may say of OMG-Emotion."""

    arousal: Literal["as_is", "rescaled"] = Field(
        "as_is",
        description="arousal as the files have it, 0 to 1; or rescaled to -1 to 1 (2a - 1), which takes 0 for as calm as can be",
    )


class Omg(ClipDatabase):
    """OMG-Emotion: 5,290 utterances of monologues on YouTube, with valence, arousal and one of seven expressions.

    Official layout::

        omg_TrainVideos.csv                      link,start,end,video,utterance,arousal,valence,EmotionMaxVote (header); the class is 0 to 6
        omg_ValidationVideos.csv                 the same
        omg_TestVideos_WithLabels.csv            the same
        train/04899849f_1/utterance_1.mp4        made by prepare_data.py of the owners: --target-dir train, validation, test
        frames/train/04899849f_1/utterance_1/    made by `affect-data frames omg`: five frames a second

    Traps:
        - Labels hold for the whole utterance.
        - Arousal comes before valence, and runs from 0 (calm) to 1 (excited); valence from -1 to 1. By default both are as in the files.
        - Two lines of the training list name no utterance. They are failures.
        - Many videos are no longer on YouTube. Their utterances are failures, counted.
        - All utterances of a video have one subject, the video's name. Who is shown is in no file.
        - The annotators' own labels (DetailedAnnotation) and the transcripts are not read.
    """

    name = "omg"
    title = "OMG-Emotion"
    homepage = "https://www2.informatik.uni-hamburg.de/wtm/omgchallenges/omg_emotion.html"
    citation = """@inproceedings{barros2018omg,
  title = {The {OMG}-Emotion Behavior Dataset},
  author = {Barros, Pablo and Churamani, Nikhil and Lakomkin, Egor and Siqueira, Henrique and Sutherland, Alexander and Wermter, Stefan},
  booktitle = {International Joint Conference on Neural Networks (IJCNN)},
  year = {2018},
  doi = {10.1109/IJCNN.2018.8489099}
}"""
    licence = Licence(
        "CC BY-NC-SA 3.0 DE; the corpus may not be passed on to third parties",
        publishes=Tier.RECIPE,
        url="https://github.com/knowledgetechnologyuhh/OMGEmotionChallenge",
        reading=Reading("2026-11-30", "the README of knowledgetechnologyuhh/OMGEmotionChallenge"),
    )
    source_family = "omg"
    aliases = ("OMG", "One-Minute-Gradual Emotion")
    signs = ("omg_*videos*.csv",)
    counted_as = "utterances"
    reader_version = 2
    scores = TIMES
    releases = ("2018",)
    totals = MappingProxyType(
        {"2018": Totals({"train utterances": 2_444, "validation utterances": 617, "test utterances": 2_229}, REAL)}
    )
    expressions = EXPRESSIONS
    valence_arousal = "arousal 0..1, valence -1..1"
    tolerated_missing_pictures = 0.5
    mapping = (
        *numbered(CLASS, EXPRESSIONS),
        NativeValue(CLASS, "(empty)", masked=NO_CLASS),
        NativeValue("valence", "-1..1", "valence as it is"),
        NativeValue("arousal", "0..1", "arousal as it is; 2a - 1 where the recipe says so"),
    )
    evidence = (
        Evidence(
            "the columns, their order and ranges, the number of lines, two lines without an utterance", Grade.SEEN, REAL
        ),
        Evidence("classes 0 to 6 are in this order", Grade.DOCUMENTED, "the owners' page; public loaders agree"),
        Evidence(
            "folders train and test, a folder for each video, and files named as `utterance` says",
            Grade.DOCUMENTED,
            "README and prepare_data.py of the owners",
        ),
        Evidence(
            "the folder of the validation videos is named alike",
            Grade.ASSUMED,
            "another name: every utterance is a failure",
        ),
        Evidence("the people of different videos are different", Grade.ASSUMED, "no file says who is shown"),
    )
    videos = VIDEOS
    Options: ClassVar[type[DatabaseOptions]] = OmgOptions
    options: OmgOptions

    def scan_clips(self, root: DatabaseRoot) -> pl.DataFrame:
        """A row for each utterance: subject, track, clip_frames, split, expression, valence, arousal, score_*.

        Raises:
            DatabaseNotFoundError: there is no list, or no frames of any utterance.
        """
        lists = self._lists(root)
        for split in LISTS:
            if split not in lists:
                root.lose(f"no list of the {split} utterances ({LISTS[split]})")
        clips = pl.concat([self._listed(root, split, path) for split, path in lists.items()])
        again = "utterance {utterance} of {video} again (first in line {first_line})"
        clips = root.refuse_repeated(clips, ("split", "video", "utterance"), again, "one line for each utterance")
        above = root.one_of("frames") or "frames"
        frames = frames_in(root, [f"{above}/{utterance}" for utterance in clips.select(_utterance()).to_series()])
        if frames.null_count() == len(frames) > 0 and not root.defects:
            raise self.not_found(root, because=without_frames(root, VIDEOS, self.name))
        rescaled = pl.col("arousal") * 2 - 1 if self.options.arousal == "rescaled" else pl.col("arousal")
        return clips.select(
            "source_file",
            "source_line",
            "split",
            "valence",
            frames,
            expression=CLASS,
            arousal=rescaled,
            expression_masked=pl.when(pl.col(CLASS).is_null()).then(pl.lit(NO_CLASS)),
            score_utterance_start="start",
            score_utterance_end="end",
            subject="video",
            track=pl.format("{}/{}", "video", "utterance"),
        )

    def labelled_frames(self, root: DatabaseRoot) -> pl.DataFrame:
        """The numbers of the frames that `RATE` a second give for each utterance: `video`, `frame` from 0."""
        listed = [self._listed(root, split, path) for split, path in self._lists(root).items()]
        clips = pl.concat(listed).with_columns(video=_utterance())
        count = ((pl.col("end") - pl.col("start")) * RATE).floor().cast(pl.Int64) + 1
        numbers = pl.int_ranges(0, count, dtype=pl.Int32).alias("frame")
        return clips.select("video", numbers).explode("frame").unique(maintain_order=True)

    def _lists(self, root: DatabaseRoot) -> dict[str, str]:
        """The lists that are there, by split."""
        lists = {split: path for split, name in LISTS.items() if (path := root.one_of(name))}
        if not lists:
            raise self.not_found(root, because=f"there is no {LISTS['train']}")
        return lists

    def _listed(self, root: DatabaseRoot, split: str, path: str) -> pl.DataFrame:
        """The lines of a list that name an utterance, with their labels; the others are failures."""
        header = root.first_line(path)
        if tuple(name.strip() for name in header.split(",")) != COLUMNS:
            root.defect(path, 1, f"the header {header[:80]!r}", ",".join(COLUMNS), FIX_FILE)
        clips = root.table(path, COLUMNS, skip_lines=1).with_columns(
            pl.col(COLUMNS).str.strip_chars(), split=pl.lit(split)
        )
        root.count(f"{split} utterances", len(clips))
        nameless = (pl.col("video") == "") & (pl.col("utterance") == "")
        root.fail(clips.filter(nameless), NO_UTTERANCE)
        clips = clips.filter(~nameless)
        is_name = pl.col("utterance").str.contains(UTTERANCE) & pl.col("video").str.contains(r"^[\w-]+$")
        clips = root.refuse(
            clips,
            ~is_name,
            "video = {video!r}, utterance = {utterance!r}",
            "names such as 04899849f_1 and utterance_1.mp4",
        )
        clips = root.numbers(root.numbers(clips, ["valence"], -1, 1), ["arousal"], 0, 1)
        clips = root.numbers(clips, ["start", "end"], 0, LONGEST)
        clips = root.refuse(
            clips, pl.col("end") <= pl.col("start"), "start = {start} and end = {end}", "an end after the start"
        )
        codes = {**labels_of(self.mapping, CLASS), "": None}
        return root.classes(clips, CLASS, codes)


def _utterance() -> pl.Expr:
    """An utterance as `VIDEOS` names its video, and the folder of its frames."""
    return pl.format("{}/{}/{}", "split", "video", pl.col("utterance").str.strip_suffix(".mp4"))
