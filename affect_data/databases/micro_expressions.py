"""What databases of micro-expressions have in common: a workbook with a line for each clip, its first and last frame, and a string of FACS codes."""

import re
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import ClassVar, Final

import polars as pl

from affect_data.databases.action_unit_columns import action_unit_columns
from affect_data.databases.action_unit_strings import Coding, read_codes
from affect_data.databases.clips import ClipDatabase, frames_in
from affect_data.databases.facts import labels_of
from affect_data.databases.root import FIX_FILE, FIX_LINE, DatabaseRoot
from affect_data.databases.spelling import numbers, whole_numbers
from affect_data.databases.workbook import filled_sheets

REQUIRED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "subject": "Subject",
        "filename": "Filename",
        "onset_frame": "OnsetFrame",
        "apex_frame": "ApexFrame",
        "offset_frame": "OffsetFrame",
        "action_units": "Action Units",
        "emotion": "Estimated Emotion",
    }
)
"""The columns of the workbook, by the names that they have here."""
OPTIONAL: Final[Mapping[str, str]] = MappingProxyType(
    {"objective_class": "Objective Classes", "duration": "Duration", "micro": "Micro"}
)
ACTION_UNITS: Final = REQUIRED["action_units"]
EMOTION: Final = REQUIRED["emotion"]

OBJECTIVE_CLASSES: Final = range(1, 8)
SCORES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "onset_frame": "number of the frame in which the movement begins",
        "apex_frame": "number of the frame in which the movement is strongest",
        "offset_frame": "number of the frame in which the movement ends",
        "objective_class": "class 1 to 7 that follows from the action units alone (Davison et al., 2018)",
    }
)
NO_APEX: Final = ("", "/")
"""What stands where nobody could tell the apex."""


class MicroExpressionDatabase(ClipDatabase):
    """A database of clips of micro-expressions, listed in a workbook."""

    counted_as = "clips"
    scores = SCORES
    marks_are_doubts: ClassVar[bool]
    """Whether a question mark behind an action unit puts it in doubt."""
    frame_names: ClassVar[re.Pattern[str]]
    """Names of frames; the first group is the number."""

    @abstractmethod
    def workbook(self, root: DatabaseRoot) -> str:
        """The path of the workbook.

        Raises:
            DatabaseNotFoundError: there is none.
        """

    @abstractmethod
    def subject_name(self, number: int) -> str:
        """The name of a person's folder, from the number in the workbook."""

    @abstractmethod
    def folder_of_clips(self, root: DatabaseRoot) -> str:
        """The folder with a folder of each person; a defect is recorded if there is none."""

    def refuse_more(self, root: DatabaseRoot, clips: pl.DataFrame) -> pl.DataFrame:  # noqa: ARG002 - some have more to check
        """The clips that fit what only this database says."""
        return clips

    def coded_units(self, codings: Sequence[Coding]) -> tuple[int, ...]:  # noqa: ARG002 - where the files do not say it
        """The action units whose absence the strings say by leaving them out."""
        return self.action_units

    def scan_clips(self, root: DatabaseRoot) -> pl.DataFrame:
        """A row for each line of the workbook: subject, track, clip_frames, au_*, side_*, expression, score_*.

        Raises:
            DatabaseNotFoundError: there is no workbook.
        """
        path = self.workbook(root)
        clips = read_clips(root, path)
        root.refuse_empty(path, clips, "no clip", "one line for each clip")
        clips = self._named(root, clips)
        clips = self.refuse_more(root, _with_frame_numbers(root, clips))
        emotions = {word.lower(): name for word, name in labels_of(self.mapping, EMOTION).items()}
        clips = clips.with_columns(word=pl.col("emotion").str.strip_chars().str.to_lowercase())
        clips = root.classes(clips.with_columns(expression="word"), "expression", emotions)
        clips, codings = _codings(root, clips)
        units = action_unit_columns(
            root,
            codings,
            self.coded_units(codings),
            intensities=bool(self.action_unit_intensities),
            doubt_marked=self.marks_are_doubts,
        )
        root.count("people", clips["subject"].n_unique())
        native = [pl.col("word").alias("native_expression")] if self.native_expressions else []
        return clips.with_columns(self._frames(root, clips), *native).select(
            "source_file",
            "source_line",
            "subject",
            "clip_frames",
            "expression",
            *(["native_expression"] if native else []),
            *(pl.col(name).cast(pl.Float64).alias(f"score_{name}") for name in self.scores),
            *units,
            track=pl.format("{}/{}", "subject", "filename"),
        )

    def _named(self, root: DatabaseRoot, clips: pl.DataFrame) -> pl.DataFrame:
        """The clips with the name of each person, and a file name that is a folder's; a clip that stands twice is a defect."""
        clips = clips.with_columns(
            number=whole_numbers(clips["subject"], 1), filename=pl.col("filename").str.strip_chars()
        )
        clips = root.refuse(clips, pl.col("number").is_null(), "Subject = {subject!r}", "the number of a person")
        people = pl.Series([self.subject_name(number) for number in clips["number"]], dtype=pl.String)
        clips = clips.with_columns(subject=people)
        is_name = pl.col("filename").str.contains(r"^\w[\w.-]*$")
        clips = root.refuse(clips, ~is_name, "Filename = {filename!r}", "the name of a clip's folder")
        again = "clip {filename} of {subject} again (first in line {first_line})"
        return root.refuse_repeated(clips, ("subject", "filename"), again, "one line for each clip")

    def _frames(self, root: DatabaseRoot, clips: pl.DataFrame) -> pl.Series:
        """The frames of each clip from its onset to its offset."""
        folder = self.folder_of_clips(root)
        above = f"{folder}/" if folder else ""
        paths = [f"{above}{subject}/{name}" for subject, name in clips.select("subject", "filename").iter_rows()]
        found = frames_in(root, paths, self.frame_names).to_list()
        spans = clips.select("onset_frame", "offset_frame").iter_rows()
        kept = [
            None if frames is None else [frame for frame in frames if first <= self._number(frame) <= last]
            for frames, (first, last) in zip(found, spans, strict=True)
        ]
        return pl.Series("clip_frames", kept, dtype=pl.List(pl.String))

    def _number(self, frame: str) -> int:
        match = self.frame_names.fullmatch(frame.rpartition("/")[2])
        assert match is not None, frame
        return int(match[1])


def read_clips(root: DatabaseRoot, path: str) -> pl.DataFrame:
    """The lines of a workbook below its header, as strings, with the columns of `REQUIRED` and `OPTIONAL` and their places.

    The header is the first row that has the required columns; what stands above it is a preamble. Without a header, which is a defect, it is empty.
    """
    names = {**REQUIRED, **OPTIONAL}
    for cells in filled_sheets(root, path, f"columns {', '.join(REQUIRED.values())}").values():
        for number, row in enumerate(cells.iter_rows()):
            header = [_plain(str(cell)) for cell in row]
            if all(header.count(_plain(title)) == 1 for title in REQUIRED.values()):
                return _below(
                    root,
                    path,
                    cells,
                    number,
                    {name: header.index(_plain(t)) for name, t in names.items() if _plain(t) in header},
                )
    if not any(defect.path == path for defect in root.defects):
        root.defect(
            path, 0, "no row with the names of the columns", f"columns {', '.join(REQUIRED.values())}", FIX_FILE
        )
    return pl.DataFrame(schema={**dict.fromkeys(names, pl.String), "source_file": pl.String, "source_line": pl.Int32})


def _below(root: DatabaseRoot, path: str, cells: pl.DataFrame, header: int, places: Mapping[str, int]) -> pl.DataFrame:
    lines = cells.select(
        *(cells.to_series(place).alias(name) for name, place in places.items()),
        *(pl.lit(None, dtype=pl.String).alias(name) for name in OPTIONAL if name not in places),
        source_file=pl.lit(path),
        source_line=pl.int_range(1, pl.len() + 1, dtype=pl.Int32),
    )
    is_blank = pl.all_horizontal(pl.col(list(REQUIRED)).str.strip_chars() == "")
    return root.drop_excluded(lines.slice(header + 1).filter(~is_blank))


def _with_frame_numbers(root: DatabaseRoot, clips: pl.DataFrame) -> pl.DataFrame:
    """The clips with onset, apex and offset as numbers; an apex that is not between the two others is left out and noted."""
    for name, title in (("onset_frame", "OnsetFrame"), ("offset_frame", "OffsetFrame")):
        clips = clips.with_columns(whole_numbers(clips[name]).alias("number"))
        clips = root.refuse(clips, pl.col("number").is_null(), f"{title} = {{{name}!r}}", "the number of a frame")
        clips = clips.drop(name).rename({"number": name})
    backwards = pl.col("offset_frame") < pl.col("onset_frame")
    found = "OnsetFrame = {onset_frame} and OffsetFrame = {offset_frame}"
    clips = root.refuse(clips, backwards, found, "an offset that is not before the onset")
    clips = clips.with_columns(apex=whole_numbers(clips["apex_frame"]))
    unknown = pl.col("apex").is_null() & ~pl.col("apex_frame").str.strip_chars().is_in(NO_APEX)
    clips = root.refuse(
        clips, unknown, "ApexFrame = {apex_frame!r}", "the number of a frame, or / where nobody could tell it"
    )
    outside = ~pl.col("apex").is_between("onset_frame", "offset_frame")
    wrong = clips.filter(outside)["filename"].to_list()
    if wrong:
        root.note(
            f"apex left out in {len(wrong)} clip(s), whose onset and offset do not enclose it: {', '.join(wrong[:5])}"
        )
    clips = clips.with_columns(apex_frame=pl.when(~outside).then("apex")).drop("apex")
    return _with_classes(root, _refuse_duration(root, clips))


def _refuse_duration(root: DatabaseRoot, clips: pl.DataFrame) -> pl.DataFrame:
    """The clips whose duration is that from onset to offset; a formula without its value is not compared."""
    clips = clips.with_columns(said=numbers(clips["duration"]))
    wrong = pl.col("said") != pl.col("offset_frame") - pl.col("onset_frame") + 1
    found = "Duration = {duration}, but frames {onset_frame} to {offset_frame}"
    return root.refuse(clips, wrong, found, "the number of frames from onset to offset", FIX_LINE).drop("said")


def _with_classes(root: DatabaseRoot, clips: pl.DataFrame) -> pl.DataFrame:
    """The clips with their objective class, null in files without such a column."""
    if clips["objective_class"].null_count() == len(clips):
        return clips.with_columns(pl.col("objective_class").cast(pl.Int8))
    return root.integers(clips, ["objective_class"], OBJECTIVE_CLASSES)


def _codings(root: DatabaseRoot, clips: pl.DataFrame) -> tuple[pl.DataFrame, list[Coding]]:
    """The clips whose action units can be read, and what they say; where none stand, nothing was coded."""
    texts = clips["action_units"].str.strip_chars().str.replace(r"^(\d+)\.0+$", "$1")
    read = [read_codes(text) if text else Coding(is_complete=False) for text in texts]
    expected = "action units joined by +, such as 4+L12, or alternatives such as L12 or L14"
    clips = root.refuse(
        clips, pl.Series([coding is None for coding in read]), "Action Units = {action_units!r}", expected
    )
    return clips, [coding for coding in read if coding is not None]


def _plain(title: str) -> str:
    """A column's title in small letters without blanks."""
    return re.sub(r"[\s_]", "", title).lower()
