"""Reads CK+: people who pose expressions from a neutral face to their peak, with the action units and the expression of the peak."""

from types import MappingProxyType
from typing import ClassVar, Final, Literal

import polars as pl
from pydantic import Field

from affect_data.databases.base import Database, DatabaseOptions, Licence, Tier
from affect_data.databases.ck_plus.files import IMAGES, PEAK, find_label_files, folder_of, pictures_of
from affect_data.databases.ck_plus.labels import HIGHEST, NOT_CODED, read_action_units, read_expressions
from affect_data.databases.facts import ABSENT, PRESENT, Evidence, Grade, NativeValue, labels_of, numbered
from affect_data.databases.root import DatabaseRoot
from affect_data.databases.totals import Totals

CODED: Final = (1, 2, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 20, 22, 23, 24, 25, 26, 27, 38, 39)
NO_FACS: Final = "FACS file missing"
NO_EXPRESSION: Final = "the sequence shows none of the expressions"

_NUMBERS: Final = (
    5, 10, 11, 14, 22, 26, 28, 29, 32, 34, 35, 37, 42, 44, 45, 46, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62,
    63, 64, 65, 66, 67, 68, 69, 70, 71, 72, 73, 74, 75, 76, 77, 78, 79, 80, 81, 82, 83, 84, 85, 86, 87, 88, 89, 90, 91,
    92, 93, 94, 95, 96, 97, 98, 99, 100, 101, 102, 105, 106, 107, 108, 109, 110, 111, 112, 113, 114, 115, 116, 117,
    119, 122, 124, 125, 126, 127, 128, 129, 130, 131, 132, 133, 134, 135, 136, 137, 138, 139, 147, 148, 149, 151, 154,
    155, 156, 157, 158, 160, 501, 502, 503, 504, 505, 506, 895, 999,
)  # fmt: skip
SUBJECTS: Final = tuple(f"S{number:03d}" for number in _NUMBERS)
"""The people with a sequence whose expression is labelled."""
FOLDS: Final = 10


class CkPlusOptions(DatabaseOptions):
    """What a data recipe may say of CK+."""

    release: None = Field(None, description="there is one release only")
    sequences: Literal["all", "expression"] = Field(
        "all",
        description="all sequences, or those with an expression alone, whose people the ten folds of the literature part",
    )
    neutral_frames: int = Field(
        0,
        ge=0,
        le=3,
        description="how many first frames of a sequence are rows too, as neutral without action units: a convention, no label",
    )


class CkPlus(Database):
    """CK+, the Extended Cohn-Kanade Dataset: 123 people pose expressions; action units with intensity, and the expression, of the last frame.

    Official layout::

        cohn-kanade-images/S005/001/S005_001_00000011.png     frames from a neutral face to the peak, numbered from 1
        FACS/S005/001/S005_001_00000011_facs.txt              lines of 2 numbers: action unit, intensity
        Emotion/S005/001/S005_001_00000011_emotion.txt        one number, 0..7; of 593 sequences, 327 have such a file
        also: in folders with the archives' names, FACS_labels/FACS/...

    Traps:
        - Labels hold for the last frame, the peak. The other frames have none. The option `neutral_frames` adds the first ones as neutral faces.
        - Numbers are written as `9.0000000e+00`, with blanks before them; there may be blank lines.
        - An intensity of 0 says that it was not given: the action unit is present, its intensity is missing.
        - An action unit that the file does not list is absent. A FACS file that is missing says nothing.
        - Which action units were looked for is published as no list: those that public code reads are labelled. Others, and codes of heads and eyes,
          are counted and give no label; nothing is said of them where they are not listed.
        - A frame of which a line is excluded is left out: what the other lines do not list would count as absent.
        - Folders without a file of the expression are sequences that show none of them; they have action units.
        - 0 is neutral, but no sequence has it. Classes are CK+'s own order, with contempt.
        - There is no official split. The folds are of the 118 people with an expression (`sequences: expression`).
        - Landmarks are not read.
    """

    name = "ck_plus"
    title = "CK+"
    homepage = "http://www.jeffcohn.net/Resources/"
    citation = """@inproceedings{lucey2010extended,
  title = {The Extended {Cohn-Kanade} Dataset ({CK+}): A complete dataset for action unit and emotion-specified expression},
  author = {Lucey, Patrick and Cohn, Jeffrey F. and Kanade, Takeo and Saragih, Jason and Ambadar, Zara and Matthews, Iain},
  booktitle = {IEEE Computer Society Conference on Computer Vision and Pattern Recognition Workshops},
  pages = {94--101},
  year = {2010},
  doi = {10.1109/CVPRW.2010.5543262}
}"""
    licence = Licence(
        "signed agreement; research only; no redistribution",
        publishes=Tier.RECIPE,
        url="http://www.jeffcohn.net/Resources/",
    )
    source_family = "ck_plus"
    aliases = ("Extended Cohn-Kanade", "Cohn-Kanade", "CK")
    signs = (
        IMAGES, f"*/{IMAGES}", *(f"{folder}/s[0-9][0-9][0-9]" for folder in ("facs", "emotion", "*/facs", "*/emotion"))
    )  # fmt: skip
    totals = MappingProxyType(
        {
            "": Totals(
                {"people": 123, "sequences": 593, "FACS files": 593, "Emotion files": 327}, "the paper and its ReadMe"
            )
        }
    )
    counted_as = ""
    expressions = ("neutral", "anger", "contempt", "disgust", "fear", "happiness", "sadness", "surprise")
    action_units = CODED
    action_unit_intensities = CODED
    literature_folds = MappingProxyType({f"fold{fold + 1}": SUBJECTS[fold::FOLDS] for fold in range(FOLDS)})
    mapping = (
        *numbered("emotion", expressions),
        NativeValue("emotion", "no file", masked=NO_EXPRESSION),
        *(NativeValue("intensity", str(level), f"intensity {level}, present") for level in range(1, HIGHEST + 1)),
        NativeValue("intensity", "0, not given", PRESENT),
        NativeValue("action unit", ", ".join(map(str, CODED)), PRESENT),
        NativeValue("action unit", "a coded one that is not listed", f"intensity 0, {ABSENT}"),
        NativeValue("action unit", "another number", masked=NOT_CODED),
        NativeValue("FACS file", "missing", masked=NO_FACS),
    )
    evidence = (
        Evidence(
            "FACS files list the action units of the last frame; intensity 0 says that it was not given",
            Grade.DOCUMENTED,
            "the ReadMe of the distribution",
        ),
        Evidence("0 neutral, 1 anger, ... 7 surprise", Grade.DOCUMENTED, "the ReadMe of the distribution"),
        Evidence(
            "327 sequences have an expression: 45, 18, 59, 25, 69, 28, 83 of anger ... surprise",
            Grade.SEEN,
            "lists and pictures of other people's copies",
        ),
        Evidence(
            "the coded action units",
            Grade.CODE,
            "the list of OpenGraphAU, which reads the official files; others occur",
        ),
        Evidence(
            "the ten folds: people with an expression in ascending order, each tenth",
            Grade.SEEN,
            "the list of Open-Debin/Emotion-FAN",
        ),
    )
    Options: ClassVar[type[DatabaseOptions]] = CkPlusOptions
    options: CkPlusOptions

    def scan(self, root: DatabaseRoot) -> pl.DataFrame:
        """A row for each labelled frame: image, subject, track, frame, au_*, au_intensity_*, expression and why they are masked.

        Raises:
            DatabaseNotFoundError: there are no label files.
        """
        facs, emotion = find_label_files(root, "FACS"), find_label_files(root, "Emotion")
        if facs.is_empty() and emotion.is_empty() and not root.defects:
            example = "FACS/S005/001/S005_001_00000011_facs.txt"
            raise self.not_found(root, because=f"there is no file such as {example}")
        rows = self._labelled(root, facs, emotion)
        images = folder_of(root, IMAGES)
        if images is None:
            remedy = "unpack the archive of the pictures there"
            root.defect(IMAGES, 0, "no such folder", "the pictures of the sequences", remedy)
        pictures = {track: pictures_of(root, images or IMAGES, track) for track in rows["track"].unique().sort()}
        _note_later_frames(root, rows, pictures)
        return pl.concat([_with_images(rows, pictures), *self._neutral(root, rows, pictures)], how="diagonal_relaxed")

    def _labelled(self, root: DatabaseRoot, facs: pl.DataFrame, emotion: pl.DataFrame) -> pl.DataFrame:
        """A row for each frame with a label file: its source is the FACS file if there is one."""
        both = pl.concat([facs, emotion])
        root.count("people", both["subject"].n_unique())
        root.count("sequences", both["track"].n_unique())
        root.count("FACS files", len(facs))
        root.count("Emotion files", len(emotion))
        coded = read_action_units(root, facs, CODED)
        named = read_expressions(root, emotion, labels_of(self.mapping[:8], "emotion"))
        rows = coded.join(named, on=PEAK, how="full", coalesce=True)
        rows = rows.with_columns(
            source_file=pl.coalesce("source_file", "source_file_right"),
            source_line=pl.lit(1, pl.Int32),
            au_masked=pl.when(pl.col("source_file").is_null()).then(pl.lit(NO_FACS)).otherwise("au_masked"),
            expression_masked=pl.when(pl.col("expression").is_null()).then(pl.lit(NO_EXPRESSION)),
        ).drop("source_file_right")
        excluded = pl.concat([facs.join(coded, on=PEAK, how="anti"), emotion.join(named, on=PEAK, how="anti")])
        rows = rows.join(excluded, on=PEAK, how="anti").sort(PEAK)
        if self.options.sequences == "expression":
            root.note(f"{rows['expression'].null_count():,} sequences without an expression are left out by the recipe")
            rows = rows.drop_nulls("expression")
        root.note(
            f"{len(rows):,} sequences of {rows['subject'].n_unique()} people, {rows['expression'].count():,} named"
        )
        return rows

    def _neutral(
        self, root: DatabaseRoot, rows: pl.DataFrame, pictures: dict[str, dict[int, str]]
    ) -> list[pl.DataFrame]:
        """The first frames of the sequences as neutral faces, if the recipe wants them."""
        if not self.options.neutral_frames:
            return []
        found = [
            (subject, track, number, place, source)
            for subject, track, frame, source in rows.select(*PEAK, "source_file").iter_rows()
            for number, place in sorted(pictures[track].items())[: self.options.neutral_frames]
            if number < frame
        ]
        root.note(f"{len(found):,} first frames are read as neutral faces, by a convention and not by a label")
        first = pl.DataFrame(found, schema=[*PEAK, "image", "source_file"], orient="row")
        return [
            first.with_columns(
                pl.lit("neutral").alias("expression"),
                pl.lit(1, pl.Int32).alias("source_line"),
                *(pl.lit(0, pl.Int8).alias(f"au_{unit}") for unit in CODED),
                *(pl.lit(0.0, pl.Float32).alias(f"au_intensity_{unit}") for unit in CODED),
            )
        ]


def _with_images(rows: pl.DataFrame, pictures: dict[str, dict[int, str]]) -> pl.DataFrame:
    """The rows with their `image`: the picture of the frame, or the path at which it is missing."""
    images = [
        pictures[track].get(frame, f"{IMAGES}/{subject}/{track[-3:]}/{track}_{frame:08d}.png")
        for subject, track, frame in rows.select(PEAK).iter_rows()
    ]
    return rows.with_columns(image=pl.Series(images, dtype=pl.String))


def _note_later_frames(root: DatabaseRoot, rows: pl.DataFrame, pictures: dict[str, dict[int, str]]) -> None:
    """Notes the sequences that go on after the labelled frame, which is the last one of an official copy."""
    later = [
        track for track, frame in rows.select("track", "frame").iter_rows() if max(pictures[track], default=0) > frame
    ]
    if later:
        root.note(f"{len(later):,} sequences go on after the labelled frame, such as {later[0]}")
