"""Reads DISFA+: nine people of DISFA who pose and smile again, twelve action units with intensity in every frame."""

import re
from types import MappingProxyType
from typing import ClassVar, Final

import polars as pl
from pydantic import Field

from affect_data.databases.base import Database, DatabaseOptions, Licence, Tier
from affect_data.databases.facts import Evidence, Grade, NativeValue, intensities
from affect_data.databases.root import DatabaseRoot
from affect_data.databases.totals import Totals

SUBJECTS: Final = ("SN001", "SN003", "SN004", "SN007", "SN009", "SN010", "SN013", "SN025", "SN027")
LABEL_FILE: Final = re.compile(r"AU(\d{1,2})\.txt", re.IGNORECASE)
LINE: Final = r"^(\d{1,9}\.(?:jpg|jpeg|png))\s+(\S+)$"
HIGHEST: Final = 5
THRESHOLD: Final = 2
NOT_LISTED: Final = "the file of {} does not list the frame"
FRAME: Final = ("subject", "trial", "file")
LOADERS: Final = "py-feat and another loader"


class DisfaPlusOptions(DatabaseOptions):
    """What a data recipe may say of DISFA+."""

    release: None = Field(None, description="there is one release only")
    action_unit_threshold: int = Field(
        THRESHOLD, ge=1, le=HIGHEST, description="the lowest intensity that counts as present"
    )


class DisfaPlus(Database):
    """Extended DISFA: posed and spontaneous expressions of nine people of DISFA, twelve action units with intensity in every frame.

    Official layout::

        Labels/SN001/<trial>/AU1.txt     two lines of comment (#); then the name of a picture, blanks, an intensity from 0 to 5; and
                                         2 4 5 6 9 12 15 17 20 25 26: twelve files a trial
        Images/SN001/<trial>/000.jpg

    Traps:
        - Its nine people are people of DISFA: they must be on one side of any split together.
        - Intensity is coded, occurrence is not: it is derived with a threshold, 2 as for DISFA.
        - A line names a picture, not a number of a frame.
        - A label file that is missing says nothing about its action unit; it does not say absent.
        - Folders of aligned pictures and landmarks are not read.
    """

    name = "disfa_plus"
    title = "DISFA+"
    homepage = "http://mohammadmahoor.com/disfa-database/"
    citation = """@inproceedings{mavadati2016extended,
  title = {Extended {DISFA} Dataset: Investigating Posed and Spontaneous Facial Expressions},
  author = {Mavadati, Mohammad and Sanger, Peyten and Mahoor, Mohammad H.},
  booktitle = {IEEE Conference on Computer Vision and Pattern Recognition Workshops (CVPRW)},
  year = {2016}
}"""
    licence = Licence(
        "signed agreement; academic, non-commercial research only; no redistribution, as for DISFA",
        publishes=Tier.RECIPE,
        url="http://mohammadmahoor.com/disfa-database/",
    )
    source_family = "disfa"
    aliases = ("Extended DISFA",)
    signs = ("labels/sn[0-9][0-9][0-9]/*/au[0-9]*.txt", "labels/labels/sn[0-9][0-9][0-9]/*/au[0-9]*.txt")
    counted_as = "frames"
    totals = MappingProxyType({"": Totals({"people": len(SUBJECTS)}, LOADERS)})
    action_units = (1, 2, 4, 5, 6, 9, 12, 15, 17, 20, 25, 26)
    action_unit_intensities = action_units
    mapping = (
        *intensities("intensity", HIGHEST, THRESHOLD),
        NativeValue("intensity", "no line of the frame, or no file", masked=NOT_LISTED.format("AU<n>")),
    )
    evidence = (
        Evidence(
            "one file for each action unit, comments, the name of a picture and an intensity", Grade.CODE, LOADERS
        ),
        Evidence("nine people, all of them in DISFA under the same names", Grade.CODE, LOADERS),
        Evidence("pictures lie under Images as labels lie under Labels", Grade.CODE, "the loader of py-feat"),
        Evidence("the names of trials are whatever the folders say", Grade.ASSUMED, "no name is relied on"),
        Evidence("an intensity of 2 or more counts as present", Grade.CODE, "the threshold of DISFA's papers"),
    )
    Options: ClassVar[type[DatabaseOptions]] = DisfaPlusOptions
    options: DisfaPlusOptions

    def scan(self, root: DatabaseRoot) -> pl.DataFrame:
        """A row for each labelled picture: image, subject, track (the trial), frame, au_*, au_intensity_*, au_masked.

        Raises:
            DatabaseNotFoundError: there are no label files, or no folder of pictures.
        """
        files = self._label_files(root)
        images = root.one_of("Images")
        if images is None and not root.defects:
            raise self.not_found(root, because="it holds label files, but no folder Images")
        root.count("people", files["subject"].n_unique())
        lines = _read_lines(root, files)
        rows = lines.unique(FRAME, keep="first", maintain_order=True).select(*FRAME, "source_file", "source_line")
        for unit in self.action_units:
            own = lines.filter(pl.col("action_unit") == unit).select(
                *FRAME, pl.col("intensity").alias(f"au_intensity_{unit}")
            )
            rows = rows.join(own, on=FRAME, how="left", maintain_order="left")
        root.note(f"{len(files):,} label files, {len(rows):,} labelled pictures of {rows['subject'].n_unique()} people")
        levels = {unit: pl.col(f"au_intensity_{unit}") for unit in self.action_units}
        present = [
            (level >= self.options.action_unit_threshold).cast(pl.Int8).alias(f"au_{unit}")
            for unit, level in levels.items()
        ]
        absent = [pl.when(level.is_null()).then(pl.lit(f"AU{unit}")) for unit, level in levels.items()]
        named = pl.concat_str(absent, separator=", ", ignore_nulls=True)
        return rows.with_columns(
            *present,
            image=pl.format(f"{images or 'Images'}/{{}}/{{}}/{{}}", *FRAME),
            track=pl.format("{}/{}", "subject", "trial"),
            frame=pl.col("file").str.extract(r"^(\d+)").cast(pl.Int32),
            au_masked=pl.when(named != "").then(pl.format(NOT_LISTED, named)),
        ).drop("trial", "file")

    def _label_files(self, root: DatabaseRoot) -> pl.DataFrame:
        """The label files: source_file, subject, trial, action_unit; a person that is none of the nine, and another action unit, are defects."""
        labels = root.one_of("Labels")
        found: list[tuple[str, str, str, int]] = []
        for person in sorted(root.entries(labels)) if labels else ():
            if not re.fullmatch(r"SN\d{3}", person.upper()):
                continue
            if person.upper() not in SUBJECTS:
                root.defect(
                    f"{labels}/{person}", 0, f"a person {person}", f"one of {', '.join(SUBJECTS)}", "remove the folder"
                )
                continue
            for trial in sorted(root.entries(f"{labels}/{person}")):
                found += self._of_trial(root, f"{labels}/{person}/{trial}", person.upper(), trial)
        if not found and not root.defects:
            raise self.not_found(root, because="there is no file such as Labels/SN001/<trial>/AU1.txt")
        schema = {"source_file": pl.String, "subject": pl.String, "trial": pl.String, "action_unit": pl.Int16}
        return pl.DataFrame(found, schema, orient="row").sort("subject", "trial", "action_unit")

    def _of_trial(self, root: DatabaseRoot, folder: str, person: str, trial: str) -> list[tuple[str, str, str, int]]:
        names = root.label_files(folder)
        root.lose_unread(folder, [name for name in names if not LABEL_FILE.fullmatch(name)], "AU1.txt")
        found = []
        for name in names:
            match = LABEL_FILE.fullmatch(name)
            if match and int(match[1]) in self.action_units:
                found.append((f"{folder}/{name}", person, trial, int(match[1])))
            elif match:
                root.defect(
                    f"{folder}/{name}",
                    0,
                    f"a file of AU{match[1]}",
                    f"files of AU {', '.join(map(str, self.action_units))}",
                    "remove the file",
                )
        return found


def _read_lines(root: DatabaseRoot, files: pl.DataFrame) -> pl.DataFrame:
    """All lines of the label files but comments: subject, trial, file, action_unit, intensity; a picture that stands twice in a file is a defect."""
    lines = root.table(files["source_file"].to_list(), ("line",), separator="\n")
    lines = lines.with_columns(pl.col("line").str.strip_chars())
    lines = lines.filter(~pl.col("line").str.starts_with("#"), pl.col("line") != "")
    lines = lines.with_columns(file=pl.col("line").str.extract(LINE, 1), intensity=pl.col("line").str.extract(LINE, 2))
    lines = root.refuse(
        lines, pl.col("file").is_null(), "{line!r}", "the name of a picture and an intensity, such as 000.jpg 3"
    )
    lines = root.integers(lines, ["intensity"], range(HIGHEST + 1))
    lines = root.refuse_repeated(
        lines, ("source_file", "file"), "{file} again (first in line {first_line})", "one line for each picture"
    )
    return lines.join(files, on="source_file", how="left", maintain_order="left")
