"""Reads BP4D-Spontaneous: 41 people in eight tasks, action units and the intensity of five coded frame by frame."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import ClassVar, Final, Literal

import polars as pl
from pydantic import Field

from affect_data.databases.base import Database, DatabaseOptions, Licence, Tier
from affect_data.databases.bp4d.facts import (
    EVIDENCE,
    FACE_OCCLUDED,
    INTENSITY_NOT_CODED,
    MAPPING,
    NO_COLUMN,
    NO_INTENSITIES,
    NO_INTENSITY,
    NO_LABEL,
    NO_OCCURRENCE,
    NO_OCCURRENCES,
    NOT_OF_BP4D,
    OCCURRENCE_NOT_CODED,
)
from affect_data.databases.bp4d.files import (
    Pictures,
    find_intensity_files,
    find_occurrence_files,
    find_pictures,
    find_videos,
)
from affect_data.databases.bp4d.labels import NOT_CODED, read_intensities, read_occurrences
from affect_data.databases.root import DatabaseRoot
from affect_data.databases.totals import Totals
from affect_data.vocabulary import ACTION_UNITS

FOLDS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "part1": (
            "F001", "F002", "F008", "F009", "F010", "F016", "F018", "F023",
            "M001", "M004", "M007", "M008", "M012", "M014",
        ),
        "part2": (
            "F003", "F005", "F011", "F013", "F020", "F022",
            "M002", "M005", "M010", "M011", "M013", "M016", "M017", "M018",
        ),
        "part3": (
            "F004", "F006", "F007", "F012", "F014", "F015", "F017", "F019", "F021",
            "M003", "M006", "M009", "M015",
        ),
    }
)  # fmt: skip
"""The subject-disjoint parts of the literature's threefold cross-validation; which fold tests which part differs between papers."""

SUBJECTS: Final[tuple[str, ...]] = tuple(sorted(subject for part in FOLDS.values() for subject in part))
SEQUENCES: Final[tuple[str, ...]] = tuple(f"{subject}_T{task}" for subject in SUBJECTS for task in range(1, 9))


class Bp4dOptions(DatabaseOptions):
    """What a data recipe may say of BP4D."""

    release: None = Field(None, description="there is one release only")
    frame_offset: Literal[-1, 0] | None = Field(
        None,
        description="what is added to a frame's number to get its picture's; by default 0, refused where -1 would fit more frames",
    )
    keep_occluded: bool = Field(
        default=False, description="use the codes of frames that column 99 marks as occluded; else they are failures"
    )


class Bp4d(Database):
    """BP4D-Spontaneous: 41 people in eight tasks that elicit emotions, those action units coded that each file says, five of them with intensity.

    Official layout::

        AUCoding/AU_OCC/F001_T1.csv              header 0,1,...,99; then frame, and column n is action unit n: 0, 1, or 9 (not coded)
        AU Intensity Codes3.0/AU06/F001_T1.csv   frame,intensity (no header; 0 to 5, or 9: not coded); and AU10 AU12 AU14 AU17
        Sequences(2D+3D)/F001/T1/2440.jpg        the number is the frame's; 4 digits, 3 for M009 to M018
        also: AUCoding/F001_T1.csv; AUCoding/AU_INT/AU06/F001_T1_AU06.csv; Sequences_2D+3D or BP4D-training for the pictures

    Traps:
        - 9 is neither absent nor present: the action unit is not coded there. AU25 and AU26 are 9 in every file.
        - Occurrence and intensity were coded apart. Neither is derived from the other, so they may contradict each other.
        - Some releases name the action units in the header and have no other columns: ``1,1,2,4,5,...``, the first cell being the frame's.
        - OpenFace's loader takes 1 in column 99 for an occluded face; such frames are failures unless the recipe keeps them.
        - Only the most expressive 20 seconds or so of a sequence are coded; all other pictures have no label.
        - The task says which emotion was elicited (T1 happiness, T2 sadness, T3 surprise, T4 embarrassment, T5 fear, T6 pain, T7 anger,
          T8 disgust), not which expression a frame shows: it is no label.
        - BP4D+ gives the same names, F001 and so on, to other people, and counts its pictures from 0.
    """

    name = "bp4d"
    title = "BP4D-Spontaneous"
    homepage = "https://www.cs.binghamton.edu/~lijun/Research/3DFE/3DFE_Analysis.html"
    citation = """@article{zhang2014bp4d,
  title = {{BP4D}-Spontaneous: A High-Resolution Spontaneous {3D} Dynamic Facial Expression Database},
  author = {Zhang, Xing and Yin, Lijun and Cohn, Jeffrey and Canavan, Shaun and Reale, Michael and Horowitz, Andy and Liu, Peng and Girard, Jeffrey},
  journal = {Image and Vision Computing},
  volume = {32},
  number = {10},
  pages = {692--706},
  year = {2014},
  doi = {10.1016/j.imavis.2014.06.002}
}"""
    licence = Licence(
        "signed agreement with Binghamton University; research only; no redistribution",
        publishes=Tier.RECIPE,
        url="https://www.cs.binghamton.edu/~lijun/Research/3DFE/3DFE_Analysis.html",
    )
    source_family = "bp4d"
    aliases = ("BP4D",)
    lookalikes = MappingProxyType(
        {
            f"{folder}/{person}_t*.csv": "BP4D+"
            for folder in ("aucoding/au_occ", "au_occ")
            for person in ("f0[3-9]?", "m0[2-5]?")
        }
    )
    signs = ("aucoding/au_occ/[fm][0-9][0-9][0-9]_t*.csv", "aucoding/[fm][0-9][0-9][0-9]_t*.csv", "au?intensity?codes*")
    totals = MappingProxyType(
        {
            "": Totals(
                {"people": len(SUBJECTS), "occurrence files": len(SEQUENCES), "coded frames": 146_847},
                "lists made from the official files",
            )
        }
    )
    counted_as = "coded frames"
    # The action units of BP4D+, which was coded in the same laboratory; each file of BP4D states which of them it codes.
    action_units = (
        *(1, 2, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 22, 23, 24, 27),
        *(28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39),
    )
    action_unit_intensities = (6, 10, 12, 14, 17)
    mapping = MAPPING
    evidence = EVIDENCE
    literature_folds = FOLDS
    Options: ClassVar[type[DatabaseOptions]] = Bp4dOptions
    options: Bp4dOptions

    def scan(self, root: DatabaseRoot) -> pl.DataFrame:
        """A row for each coded frame: image, subject, track, frame, au_*, au_intensity_*, au_masked.

        Raises:
            DatabaseNotFoundError: there are no code files, or no pictures of any sequence.
        """
        occurrence_files = find_occurrence_files(root, SEQUENCES)
        intensity_files = find_intensity_files(root, SEQUENCES, self.action_unit_intensities)
        tracks = sorted({*occurrence_files, *(track for track, _ in intensity_files)})
        if not tracks and not root.defects:
            raise self.not_found(root, because="there is no file such as AUCoding/AU_OCC/F001_T1.csv")
        root.count("people", len({track[:4] for track in tracks}))
        root.count("occurrence files", len(occurrence_files))
        root.count("intensity files", len(intensity_files))
        pictures = find_pictures(root, tracks)
        if not pictures and not root.defects:
            raise self.not_found(root, because=_without_pictures(root, tracks))
        occurrences = read_occurrences(root, occurrence_files)
        intensities = read_intensities(root, intensity_files, self.action_unit_intensities)
        _note_files(root, occurrence_files, intensity_files)
        frames = _joined(occurrences, intensities)
        rows = _with_images(root, frames, pictures, self._frame_offset(root, frames, pictures))
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
        if not self.options.keep_occluded:
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
                NOT_OF_BP4D,
                {n: pl.col(f"au_{n}") != NOT_CODED for n in coded if n not in self.action_units},
            ),
            _where(INTENSITY_NOT_CODED, [pl.col(f"au_intensity_{n}") == NOT_CODED for n in with_intensity]),
            _naming(NO_INTENSITIES, {n: ~listed[n] for n in with_intensity}),
            _naming(NO_INTENSITY, {n: listed[n] & absent[n] for n in with_intensity}),
        ]
        reason = pl.concat_str(reasons, separator="; ", ignore_nulls=True)
        return pl.when(reason != "").then(reason).alias("au_masked")

    def _frame_offset(self, root: DatabaseRoot, frames: pl.DataFrame, pictures: Mapping[str, Pictures]) -> int:
        """The offset from a frame's number to that of its picture; if the pictures contradict the default, a defect is recorded."""
        if self.options.frame_offset is not None:
            return self.options.frame_offset
        numbers = _numbers(pictures).select("track", frame="number")
        known = frames.filter(pl.col("track").is_in(list(pictures)))
        same, one_lower = (
            len(known.with_columns(pl.col("frame") + offset).join(numbers, on=["track", "frame"], how="semi"))
            for offset in (0, -1)
        )
        if one_lower > same:
            root.defect(
                next(iter(pictures.values())).folder.split("/")[0], 0,
                f"pictures of the same number for {same:,} of {len(known):,} coded frames, of one lower for {one_lower:,}",
                "pictures that have the number of their frame",
                "compare a few with their codes, then say `frame_offset: 0` or `frame_offset: -1` under `databases: bp4d:` in the recipe",
            )  # fmt: skip
        return 0


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
    root: DatabaseRoot, frames: pl.DataFrame, pictures: Mapping[str, Pictures], offset: int
) -> pl.DataFrame:
    """The frames with `image`: the picture of that number, or the path at which it is missing."""
    tracks = frames["track"].unique().sort().to_list()
    places = [
        (track, pictures[track].folder, pictures[track].digits)
        if track in pictures
        else (track, f"Sequences(2D+3D)/{track.replace('_', '/')}", 4)
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


def _note_files(root: DatabaseRoot, occurrences: Mapping[str, str], intensities: Mapping[tuple[str, int], str]) -> None:
    root.note(f"{len(occurrences)} of {len(SEQUENCES)} occurrence files, {len(intensities)} intensity files")
    tracks = {track for track, _ in intensities}
    without = sorted(tracks - set(occurrences))
    if without:
        root.note(f"{len(without)} sequence(s) have intensities alone, no occurrence file: {_shown(without)}")
    for unit in sorted({unit for _, unit in intensities}):
        lacking = sorted(track for track in occurrences if (track, unit) not in intensities)
        if lacking:
            root.note(f"{len(lacking)} sequence(s) have no intensity file of AU{unit:02d}: {_shown(lacking)}")


def _without_pictures(root: DatabaseRoot, tracks: Sequence[str]) -> str:
    subject, _, task = tracks[0].partition("_")
    because = f"it holds code files, but no pictures such as Sequences(2D+3D)/{subject}/{task}/0001.jpg"
    videos = find_videos(root)
    return because + (f" (the {len(videos)} videos, such as {videos[0]}, are not read)" if videos else "")


def _shown(names: Sequence[str], count: int = 5) -> str:
    return ", ".join(names[:count]) + (f" and {len(names) - count} more" if len(names) > count else "")
