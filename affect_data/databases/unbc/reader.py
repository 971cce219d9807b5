"""Reads UNBC-McMaster: videos of people with shoulder pain, ten action units and a pain score coded frame by frame."""

from types import MappingProxyType
from typing import ClassVar

import polars as pl
from pydantic import Field

from affect_data.databases.base import Database, DatabaseOptions, Licence, Tier
from affect_data.databases.root import DatabaseRoot
from affect_data.databases.totals import Totals
from affect_data.databases.unbc.facts import AU27_LISTED, EVIDENCE, HIGHEST, MAPPING, NO_FACS, NOT_USED, THRESHOLD
from affect_data.databases.unbc.files import FRAME, LABELS, SUBJECTS, find_label_files, find_pictures, with_images
from affect_data.databases.unbc.labels import check_scores, read_intensities, read_scores
from affect_data.databases.unbc.sequences import SEQUENCE_SCORES, with_sequence_scores


class UnbcOptions(DatabaseOptions):
    """What a data recipe may say of UNBC-McMaster."""

    release: None = Field(None, description="there is one release only")
    action_unit_threshold: int = Field(
        THRESHOLD,
        ge=1,
        le=5,
        description="the lowest intensity that counts as present; AU43, which has no levels, is present at 1",
    )


class Unbc(Database):
    """UNBC-McMaster Shoulder Pain Expression Archive: 25 people moving a painful shoulder, ten action units with intensity and a pain score a frame.

    Official layout::

        Frame_Labels/FACS/042-ll042/ll042t1aaaff/ll042t1aaaff001_facs.txt   lines of 4 numbers: action unit, intensity, and two that are not read
        Frame_Labels/PSPI/042-ll042/ll042t1aaaff/ll042t1aaaff001_facs.txt   one number, the pain score of the frame, 0 to 16
        Sequence_Labels/VAS/042-ll042/ll042t1aaaff.txt                      one number, of the whole sequence; and OPR, AFF, SEN
        Images/042-ll042/ll042t1aaaff/ll042t1aaaff001.png                   the number is the frame's
        also: Frame_Labels/Frame_Labels/... and Images/Images/..., as mirrors nest them

    Traps:
        - A FACS file without a line says that none of the ten action units is present. A FACS file that is missing says nothing.
          So a copy that broke off, with files of no bytes, would read as faces at rest: a pain score that is not what the action units add up to is
          a defect.
        - Files of both kinds end in `_facs.txt`; only the folder tells them apart.
        - Numbers are written as `4.0000000e+00`. What the third and the fourth of a line mean (onset and offset, or sides) is not documented; they
          are not read.
        - Intensities are 0 to 5, those of AU43 (eyes closed) 0 or 1. Occurrence is derived with a threshold; the literature takes 1.
        - AU27 may be listed beside the ten; it is counted, and gives no label.
        - The pain score is AU4 + max(AU6, AU7) + max(AU9, AU10) + AU43. It is kept as the files have it.
        - A line of a FACS file that a recipe excludes takes its frame along: what the other lines do not list would count as absent.
        - The four kinds of sequence labels are of the whole sequence. Every frame has them as scores; none says how much pain a frame shows.
        - Landmarks (`AAM_landmarks`) are not read.
    """

    name = "unbc"
    title = "UNBC-McMaster Shoulder Pain Expression Archive"
    homepage = "http://www.pitt.edu/~emotion/um-spread.htm"
    citation = """@inproceedings{lucey2011painful,
  title = {Painful Data: The {UNBC-McMaster} Shoulder Pain Expression Archive Database},
  author = {Lucey, Patrick and Cohn, Jeffrey F. and Prkachin, Kenneth M. and Solomon, Patricia E. and Matthews, Iain},
  booktitle = {IEEE International Conference on Automatic Face and Gesture Recognition (FG)},
  pages = {57--64},
  year = {2011},
  doi = {10.1109/FG.2011.5771462}
}"""
    licence = Licence(
        "signed agreement; research only; no redistribution; no longer given out, as reported",
        publishes=Tier.RECIPE,
        url="http://www.pitt.edu/~emotion/um-spread.htm",
    )
    source_family = "unbc"
    aliases = ("UNBC-McMaster", "UNBC Pain", "McMaster")
    signs = (f"{LABELS}/facs", f"{LABELS}/pspi", f"{LABELS}/{LABELS}/facs")
    totals = MappingProxyType(
        {
            "": Totals(
                {"people": len(SUBJECTS), "sequences": 200, "FACS files": 48_398, "PSPI files": 48_398},
                "the owners' description",
            )
        }
    )
    counted_as = "frames"
    action_units = tuple(HIGHEST)
    action_unit_intensities = action_units
    mapping = MAPPING
    evidence = EVIDENCE
    scores = MappingProxyType(
        {"pspi": "pain score (Prkachin and Solomon) as the files have it, 0 to 16", **SEQUENCE_SCORES}
    )
    reader_version = 2
    Options: ClassVar[type[DatabaseOptions]] = UnbcOptions
    options: UnbcOptions

    def scan(self, root: DatabaseRoot) -> pl.DataFrame:
        """A row for each frame with a FACS or a PSPI file: image, subject, track, frame, au_*, au_intensity_*, au_masked, score_*.

        Raises:
            DatabaseNotFoundError: there are no FACS files, or no pictures of any sequence.
        """
        facs, pspi = find_label_files(root, "FACS"), find_label_files(root, "PSPI")
        if facs.is_empty() and not root.defects:
            example = f"{LABELS}/FACS/042-ll042/ll042t1aaaff/ll042t1aaaff001_facs.txt"
            raise self.not_found(root, because=f"there is no file such as {example}")
        _count(root, facs, pspi)
        pictures = find_pictures(root, pl.concat([facs, pspi]))
        if pictures.is_empty() and not root.defects:
            raise self.not_found(root, because=_without_pictures(facs["stem"][0], facs["subject"][0]))
        facs, pspi = with_images(facs, pictures), with_images(pspi, pictures)
        coded = read_intensities(root, facs, HIGHEST, NOT_USED)
        excluded = facs.join(coded, on="source_file", how="anti")
        scored = read_scores(root, pspi).join(excluded, on=FRAME, how="anti", maintain_order="left")
        check_scores(root, coded, scored)
        rows = _joined(coded, scored)
        _note(root, coded, pspi, rows)
        rows = with_sequence_scores(root, rows)
        _note_unlabelled(root, pictures, pl.concat([facs, pspi]))
        return rows.with_columns(*self._occurrence(), self._masked()).drop("stem", "not_used")

    def _occurrence(self) -> list[pl.Expr]:
        return [
            (pl.col(f"au_intensity_{unit}") >= min(self.options.action_unit_threshold, highest))
            .cast(pl.Int8)
            .alias(f"au_{unit}")
            for unit, highest in HIGHEST.items()
        ]

    def _masked(self) -> pl.Expr:
        """Why a frame lacks action units, or a label that its file lists."""
        return (
            pl.when(pl.col("not_used").is_null())
            .then(pl.lit(NO_FACS))
            .when("not_used")
            .then(pl.lit(AU27_LISTED))
            .alias("au_masked")
        )


def _count(root: DatabaseRoot, facs: pl.DataFrame, pspi: pl.DataFrame) -> None:
    frames = pl.concat([facs, pspi])
    root.count("people", frames["subject"].n_unique())
    root.count("sequences", len(frames.select("subject", "track").unique()))
    root.count("FACS files", len(facs))
    root.count("PSPI files", len(pspi))


def _joined(coded: pl.DataFrame, scored: pl.DataFrame) -> pl.DataFrame:
    """A row for each frame with a FACS or a PSPI file; its source is the FACS file if there is one."""
    rows = coded.join(scored, on=FRAME, how="full", coalesce=True).with_columns(
        pl.coalesce(name, f"{name}_right").alias(name) for name in ("stem", "source_file", "image")
    )
    # An empty file has no line; line 1 stands for it.
    rows = rows.drop("stem_right", "source_file_right", "image_right").with_columns(source_line=pl.lit(1, pl.Int32))
    return rows.sort(FRAME)


def _note(root: DatabaseRoot, coded: pl.DataFrame, pspi: pl.DataFrame, rows: pl.DataFrame) -> None:
    intensities = [pl.col(f"au_intensity_{unit}") for unit in HIGHEST]
    at_rest = len(coded.filter(pl.all_horizontal(intensity == 0 for intensity in intensities)))
    root.note(f"{len(coded):,} FACS files, {at_rest:,} of them without an action unit; {len(pspi):,} PSPI files")
    if pspi.is_empty():
        root.note(f"there is no folder {LABELS}/PSPI with pain scores: the audit `pspi` will have nothing to compare")
    without_score = rows["score_pspi"].null_count()
    if without_score and not pspi.is_empty():
        root.note(f"{without_score:,} frame(s) have no pain score, because their PSPI file is missing or excluded")
    root.note(f"{len(rows):,} frames in {rows['track'].n_unique()} sequences of {rows['subject'].n_unique()} people")


def _note_unlabelled(root: DatabaseRoot, pictures: pl.DataFrame, files: pl.DataFrame) -> None:
    unlabelled = len(pictures.join(files, on=FRAME, how="anti"))
    if unlabelled:
        root.note(f"{unlabelled:,} picture(s) have no label file and are not read")


def _without_pictures(stem: str, subject: str) -> str:
    sequence = stem.rstrip("0123456789")
    return f"it holds label files, but no pictures such as Images/{subject}/{sequence}/{stem}.png"
