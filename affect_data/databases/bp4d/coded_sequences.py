"""What BP4D and BP4D+ have in common: sequences coded frame by frame, files of occurrences and of intensities, numbered pictures."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar, Final, Literal

import polars as pl
from pydantic import Field

from affect_data.databases.base import Database, DatabaseOptions
from affect_data.databases.bp4d.facts import (
    FACE_OCCLUDED,
    INTENSITY_NOT_CODED,
    NO_COLUMN,
    NO_INTENSITIES,
    NO_INTENSITY,
    NO_LABEL,
    NO_OCCURRENCE,
    NO_OCCURRENCES,
    NOT_CODED_THERE,
    OCCURRENCE_NOT_CODED,
)
from affect_data.databases.bp4d.files import (
    Pictures,
    SequenceNames,
    find_intensity_files,
    find_occurrence_files,
    find_pictures,
    find_videos,
)
from affect_data.databases.bp4d.labels import NOT_CODED, read_intensities, read_occurrences
from affect_data.databases.root import DatabaseRoot
from affect_data.vocabulary import ACTION_UNITS

CODED_UNITS: Final = (
    *(1, 2, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 22, 23, 24, 27),
    *(28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39),
)
"""The action units of BP4D+. BP4D was coded in the same laboratory, and each of its files states which of them it codes."""
CODED_INTENSITIES: Final = (6, 10, 12, 14, 17)
PICTURE_OF: Final = {0: "the number of their frame", -1: "one number less than their frame"}


class CodedSequencesOptions(DatabaseOptions):
    """What a data recipe may say of such a database."""

    release: None = Field(None, description="there is one release only")
    frame_offset: Literal[-1, 0] | None = Field(
        None,
        description="what is added to a frame's number to get its picture's; refused where the other one would fit more frames",
    )


class CodedSequences(Database):
    """A database of sequences such as ``F001_T1``: a person, and the task that elicited an emotion."""

    sequences: ClassVar[SequenceNames]
    containers: ClassVar[tuple[str, ...]]
    """Folders that may hold the pictures, the official one first."""
    usual_offset: ClassVar[Literal[-1, 0]]
    """What is added to a frame's number to get its picture's, unless the recipe says otherwise."""
    counted_as = "coded frames"
    action_units = CODED_UNITS
    action_unit_intensities = CODED_INTENSITIES
    options: CodedSequencesOptions

    @property
    @abstractmethod
    def keeps_occluded(self) -> bool:
        """Whether frames whose face is marked as hidden are used."""

    def scan(self, root: DatabaseRoot) -> pl.DataFrame:
        """A row for each coded frame: image, subject, track, frame, au_*, au_intensity_*, au_masked.

        Raises:
            DatabaseNotFoundError: there are no code files, or no pictures of any sequence.
        """
        occurrence_files = find_occurrence_files(root, self.sequences)
        intensity_files = find_intensity_files(root, self.sequences, self.action_unit_intensities)
        tracks = sorted({*occurrence_files, *(track for track, _ in intensity_files)})
        if not tracks and not root.defects:
            raise self.not_found(root, because="there is no file such as AUCoding/AU_OCC/F001_T1.csv")
        root.count("people", len({track[:4] for track in tracks}))
        root.count("occurrence files", len(occurrence_files))
        root.count("intensity files", len(intensity_files))
        pictures = find_pictures(root, tracks, self.containers)
        if not pictures and not root.defects:
            raise self.not_found(root, because=_without_pictures(root, tracks, self.containers[0]))
        occurrences = read_occurrences(root, occurrence_files)
        intensities = read_intensities(root, intensity_files, self.action_unit_intensities)
        _note_files(root, len(self.sequences.known), occurrence_files, intensity_files)
        frames = _joined(occurrences, intensities)
        offset = self._frame_offset(root, frames, pictures)
        rows = _with_images(root, frames, pictures, offset, self.containers[0])
        rows = rows.with_columns(
            self._masked(occurrences, occurrence_files, intensity_files), subject=pl.col("track").str.slice(0, 4)
        )
        rows = self._labelled(root, rows.with_columns(self._labels()))
        root.note(
            f"{len(rows):,} coded frames in {rows['track'].n_unique()} sequences of {rows['subject'].n_unique()} people"
        )
        return rows.select(
            "image", "source_file", "source_line", "subject", "track", "frame", *self._columns(), "au_masked"
        )

    def _columns(self) -> list[str]:
        occurrence = [f"au_{unit}" for unit in self.action_units]
        return occurrence + [f"au_intensity_{unit}" for unit in self.action_unit_intensities]

    def _labels(self) -> list[pl.Expr]:
        """The codes as labels; null where the code means "not coded"."""
        return [pl.when(pl.col(column) != NOT_CODED).then(pl.col(column)).alias(column) for column in self._columns()]

    def _labelled(self, root: DatabaseRoot, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows with a usable label; the others become failures."""
        if not self.keeps_occluded:
            root.fail(rows.filter("occluded"), FACE_OCCLUDED)
            rows = rows.filter(~pl.col("occluded"))
        unlabelled = pl.all_horizontal(pl.col(self._columns()).is_null())
        root.fail(rows.filter(unlabelled), NO_LABEL)
        return rows.filter(~unlabelled)

    def _masked(
        self,
        occurrences: pl.DataFrame,
        occurrence_files: Mapping[str, str],
        intensity_files: Mapping[tuple[str, int], str],
    ) -> pl.Expr:
        """Why a frame lacks labels that other frames have."""
        coded = [
            unit
            for unit in ACTION_UNITS
            if (occurrences[f"au_{unit}"].is_not_null() & (occurrences[f"au_{unit}"] != NOT_CODED)).any()
        ]
        with_intensity = sorted({unit for _, unit in intensity_files})
        in_occurrences = pl.col("in_occurrences")
        tracks = {unit: [track for track, number in intensity_files if number == unit] for unit in with_intensity}
        listed = {unit: pl.col("track").is_in(tracks[unit]) for unit in with_intensity}
        absent = {unit: pl.col(f"au_intensity_{unit}").is_null() for unit in with_intensity}
        known = [unit for unit in coded if unit in self.action_units]
        reasons = [
            pl.when(~pl.col("track").is_in(list(occurrence_files))).then(pl.lit(NO_OCCURRENCES)),
            pl.when(pl.col("track").is_in(list(occurrence_files)) & ~in_occurrences).then(pl.lit(NO_OCCURRENCE)),
            _where(OCCURRENCE_NOT_CODED, [pl.col(f"au_{n}") == NOT_CODED for n in known]),
            _naming(NO_COLUMN, {n: in_occurrences & pl.col(f"au_{n}").is_null() for n in known}),
            _naming(
                NOT_CODED_THERE,
                {n: pl.col(f"au_{n}") != NOT_CODED for n in coded if n not in self.action_units},
            ),
            _where(INTENSITY_NOT_CODED, [pl.col(f"au_intensity_{n}") == NOT_CODED for n in with_intensity]),
            _naming(NO_INTENSITIES, {n: ~listed[n] for n in with_intensity}),
            _naming(NO_INTENSITY, {n: listed[n] & absent[n] for n in with_intensity}),
        ]
        reason = pl.concat_str(reasons, separator="; ", ignore_nulls=True)
        return pl.when(reason != "").then(reason).alias("au_masked")

    def _frame_offset(self, root: DatabaseRoot, frames: pl.DataFrame, pictures: Mapping[str, Pictures]) -> int:
        """The offset from a frame's number to that of its picture; if the pictures contradict the usual one, a defect is recorded."""
        if self.options.frame_offset is not None:
            return self.options.frame_offset
        numbers = _numbers(pictures).select("track", frame="number")
        known = frames.filter(pl.col("track").is_in(list(pictures)))
        fit = {
            offset: len(known.with_columns(pl.col("frame") + offset).join(numbers, on=["track", "frame"], how="semi"))
            for offset in PICTURE_OF
        }
        usual, other = self.usual_offset, -1 - self.usual_offset
        if fit[other] > fit[usual]:
            root.defect(
                next(iter(pictures.values())).folder.split("/")[0], 0,
                f"pictures of the same number for {fit[0]:,} of {len(known):,} coded frames, of one lower for {fit[-1]:,}",
                f"pictures that have {PICTURE_OF[usual]}",
                f"compare a few with their codes, then say `frame_offset: 0` or `frame_offset: -1` under `databases: {self.name}:` in the recipe",
            )  # fmt: skip
        return usual


def _where(reason: str, conditions: Sequence[pl.Expr]) -> pl.Expr:
    """The reason where any of the conditions holds, otherwise null."""
    # Action units are not named here: single codes of 9 are frequent, and every combination would become a reason of its own.
    return pl.when(pl.any_horizontal(conditions) if conditions else False).then(pl.lit(reason))


def _naming(template: str, holds: Mapping[int, pl.Expr]) -> pl.Expr:
    """The template with the action units whose condition holds; null if none does."""
    units = [pl.when(condition).then(pl.lit(f"AU{unit}")) for unit, condition in holds.items()]
    if not units:
        return pl.lit(None, dtype=pl.String)
    named = pl.concat_str(units, separator=", ", ignore_nulls=True)
    return pl.when(named != "").then(pl.format(template, named))


def _joined(occurrences: pl.DataFrame, intensities: pl.DataFrame) -> pl.DataFrame:
    """A row for each frame in an occurrence or an intensity file; its source is the occurrence line if there is one."""
    frames = occurrences.with_columns(in_occurrences=pl.lit(value=True)).join(
        intensities, on=["track", "frame"], how="full", coalesce=True
    )
    return frames.with_columns(
        pl.coalesce("source_file", "source_file_right").alias("source_file"),
        pl.coalesce("source_line", "source_line_right").alias("source_line"),
        pl.col("in_occurrences", "occluded").fill_null(value=False),
    ).sort("track", "frame")


def _numbers(pictures: Mapping[str, Pictures]) -> pl.DataFrame:
    """Every picture: track, number, name."""
    found = [(track, number, name) for track, one in pictures.items() for number, name in one.files.items()]
    return pl.DataFrame(found, {"track": pl.String, "number": pl.Int32, "name": pl.String}, orient="row")


def _with_images(
    root: DatabaseRoot, frames: pl.DataFrame, pictures: Mapping[str, Pictures], offset: int, container: str
) -> pl.DataFrame:
    """The frames with `image`: the picture of that number, or the path at which it is missing."""
    tracks = frames["track"].unique().sort().to_list()
    places = [
        (track, pictures[track].folder, pictures[track].digits)
        if track in pictures
        else (track, f"{container}/{track.replace('_', '/')}", 4)
        for track in tracks
    ]
    folders = pl.DataFrame(places, {"track": pl.String, "folder": pl.String, "digits": pl.UInt32}, orient="row")
    rows = frames.join(folders, on="track", how="left", maintain_order="left").with_columns(
        number=pl.col("frame") + offset
    )
    found = _numbers(pictures)
    without_label = len(found.join(rows, on=["track", "number"], how="anti"))
    root.note(f"pictures of {len(pictures)} sequences; {without_label:,} of them are not coded and not read")
    absent = [track for track in tracks if track not in pictures]
    if absent:
        root.note(f"no pictures of {len(absent)} coded sequence(s): {_shown(absent)}")
    rows = rows.join(found, on=["track", "number"], how="left", maintain_order="left")
    missed = pl.format("{}.jpg", pl.col("number").cast(pl.String).str.zfill(pl.col("digits")))
    return rows.with_columns(image=pl.format("{}/{}", "folder", pl.coalesce("name", missed)))


def _note_files(
    root: DatabaseRoot, official: int, occurrences: Mapping[str, str], intensities: Mapping[tuple[str, int], str]
) -> None:
    root.note(f"{len(occurrences)} of {official} occurrence files, {len(intensities)} intensity files")
    tracks = {track for track, _ in intensities}
    without = sorted(tracks - set(occurrences))
    if without:
        root.note(f"{len(without)} sequence(s) have intensities alone, no occurrence file: {_shown(without)}")
    for unit in sorted({unit for _, unit in intensities}):
        lacking = sorted(track for track in occurrences if (track, unit) not in intensities)
        if lacking:
            root.note(f"{len(lacking)} sequence(s) have no intensity file of AU{unit:02d}: {_shown(lacking)}")


def _without_pictures(root: DatabaseRoot, tracks: Sequence[str], container: str) -> str:
    subject, _, task = tracks[0].partition("_")
    because = f"it holds code files, but no pictures such as {container}/{subject}/{task}/0001.jpg"
    videos = find_videos(root)
    return because + (f" (the {len(videos)} videos, such as {videos[0]}, are not read)" if videos else "")


def _shown(names: Sequence[str], count: int = 5) -> str:
    return ", ".join(names[:count]) + (f" and {len(names) - count} more" if len(names) > count else "")
