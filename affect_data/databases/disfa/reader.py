"""Reads DISFA: videos of 27 people who watch a film, twelve action units coded in every frame."""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar, Final, Literal

import polars as pl
from pydantic import Field

from affect_data.databases.base import Database, DatabaseOptions, Licence, Tier
from affect_data.databases.disfa.dense import STRONGEST, dense_frames
from affect_data.databases.disfa.facts import EVIDENCE, MAPPING, NO_FILE, NO_LINE, THRESHOLD
from affect_data.databases.disfa.frames import VIDEOS, FrameFolder, find_frame_folders
from affect_data.databases.root import DatabaseRoot
from affect_data.databases.spelling import whole_numbers
from affect_data.databases.totals import Totals
from affect_data.databases.typed import UnusualError
from affect_data.databases.video_rows import images_in_videos
from affect_data.databases.videos import find_videos

FOLDS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "part1": ("SN001", "SN002", "SN009", "SN010", "SN016", "SN026", "SN027", "SN030", "SN032"),
        "part2": ("SN006", "SN011", "SN012", "SN013", "SN018", "SN021", "SN024", "SN028", "SN031"),
        "part3": ("SN003", "SN004", "SN005", "SN007", "SN008", "SN017", "SN023", "SN025", "SN029"),
    }
)
"""The subject-disjoint parts of the literature's threefold cross-validation; which fold tests which part differs between papers."""

SUBJECTS: Final[tuple[str, ...]] = tuple(sorted(subject for part in FOLDS.values() for subject in part))
LABEL_FILE: Final = re.compile(r"(SN\d{3})_au(\d{1,2})\.txt", re.IGNORECASE)
LABELS: Final = "ActionUnit_Labels"
EXTRACT: Final = "`affect-data frames disfa --root disfa=PATH`"


class DisfaOptions(DatabaseOptions):
    """What a data recipe may say of DISFA."""

    release: None = Field(None, description="there is one release only")
    action_unit_threshold: int = Field(THRESHOLD, ge=1, le=5, description="the lowest intensity that counts as present")
    frames: Literal["files", "video"] = Field(
        "files",
        description="whether rows hold extracted frames, or name frames of the videos, which the dataset then keeps once (docs/faces.md)",
    )
    first_frame: Literal[0, 1] | None = Field(
        None, description="the file number of a video's first frame; by default 0 where a file number 0 exists, else 1"
    )


class Disfa(Database):
    """Denver Intensity of Spontaneous Facial Action: 27 people watching a film, twelve action units with intensity in every frame.

    Official layout::

        ActionUnit_Labels/SN001/SN001_au1.txt      frame,intensity (no header; frames from 1, intensities 0 to 5)
        ActionUnit_Labels/SN001/SN001_au2.txt      and 4 5 6 9 12 15 17 20 25 26: twelve files a subject
        Images/SN001/00001.jpg                     frames extracted from the videos, numbered from 1 or from 0 (also in image or img); or
        Videos_LeftCamera/LeftVideoSN001_comp/     such a folder beside each video
        Videos_LeftCamera/LeftVideoSN001_comp.avi  the official videos; frames are not part of the release

    Traps:
        - Intensity is coded, occurrence is not: it is derived with a threshold, 2 in nearly all of the literature.
        - Label frames count from 1. Programs that extract frames count from 0 or from 1: label frame 1 is `0.png` or `00001.jpg`.
        - A label file that is missing says nothing about its action unit; it does not say absent.
        - SN010 has 4,844 label rows, all others have 4,845.
        - The nine subjects of DISFA+ are subjects of DISFA.
    """

    name = "disfa"
    title = "DISFA"
    homepage = "http://mohammadmahoor.com/disfa/"
    citation = """@article{mavadati2013disfa,
  title = {{DISFA}: A Spontaneous Facial Action Intensity Database},
  author = {Mavadati, S. Mohammad and Mahoor, Mohammad H. and Bartlett, Kevin and Trinh, Philip and Cohn, Jeffrey F.},
  journal = {IEEE Transactions on Affective Computing},
  volume = {4},
  number = {2},
  pages = {151--160},
  year = {2013},
  doi = {10.1109/T-AFFC.2013.4}
}"""
    licence = Licence(
        "signed agreement; academic, non-commercial research only; no redistribution",
        publishes=Tier.RECIPE,
        url="http://mohammadmahoor.com/disfa/",
    )
    source_family = "disfa"
    lookalikes = MappingProxyType(
        {
            "labels/sn[0-9][0-9][0-9]/*/au[0-9]*.txt": "DISFA+",
            f"{LABELS.lower()}/sn[0-9][0-9][0-9]/*/au[0-9]*.txt": "DISFA+",
            "*.output/*.auw": "FEAFA+",
            "*/*.output/*.auw": "FEAFA+",
        }
    )
    signs = (f"{LABELS}/sn[0-9][0-9][0-9]", f"{LABELS}/{LABELS}/sn[0-9][0-9][0-9]")
    totals = MappingProxyType(
        {
            "": Totals(
                {"subjects": len(SUBJECTS), "label files": 12 * len(SUBJECTS), "frames": 130_814},
                "lists made from the official files: 26 subjects of 4,845 frames, SN010 of 4,844",
            )
        }
    )
    counted_as = "frames"
    action_units = (1, 2, 4, 5, 6, 9, 12, 15, 17, 20, 25, 26)
    action_unit_intensities = action_units
    mapping = MAPPING
    evidence = EVIDENCE
    literature_folds = FOLDS
    videos = VIDEOS
    Options: ClassVar[type[DatabaseOptions]] = DisfaOptions
    options: DisfaOptions

    def scan(self, root: DatabaseRoot) -> pl.DataFrame:
        """A row for each labelled frame: image, subject, track, frame, au_*, au_intensity_*, au_masked.

        Raises:
            DatabaseNotFoundError: there are no label files, or no extracted frames of any subject.
        """
        files = self._label_files(root)
        root.count("subjects", files["subject"].n_unique())
        root.count("label files", len(files))
        folders = {} if self.reads_videos else find_frame_folders(root, self.options.first_frame)
        if not folders and not root.defects and not self.reads_videos:
            raise self.not_found(root, because=_without_frames(root))
        try:
            frames = dense_frames(root, files, self.action_units)
        except UnusualError:
            frames = self._frames(_read_intensities(root, files))
        frames = frames.with_columns(self._masked(files))
        occurrence = [
            (pl.col(f"au_intensity_{unit}") >= self.options.action_unit_threshold).cast(pl.Int8).alias(f"au_{unit}")
            for unit in self.action_units
        ]
        frames = frames.with_columns(occurrence)
        in_videos = images_in_videos(root, VIDEOS, frames, pl.col("subject")) if self.reads_videos else None
        rows = _with_images(root, frames, folders) if in_videos is None else frames.with_columns(in_videos)
        root.note(f"{len(files)} label files, {len(rows):,} labelled frames of {rows['subject'].n_unique()} subjects")
        return rows.with_columns(track="subject")

    @property
    def reads_videos(self) -> bool:
        """Whether rows name frames of the videos."""
        return self.options.frames == "video"

    def labelled_frames(self, root: DatabaseRoot) -> pl.DataFrame:
        """The frames that any label file lists: `video` (the subject), `frame` from 1."""
        lines = _read_intensities(root, self._label_files(root))
        return lines.select(pl.col("subject").alias("video"), "frame").unique(maintain_order=True)

    def _label_files(self, root: DatabaseRoot) -> pl.DataFrame:
        """The label files: source_file, subject, action_unit; sorted by subject, then by action unit."""
        labels = root.one_of(LABELS)
        if labels is None:
            raise self.not_found(root, because=f"there is no folder {LABELS}")
        labels = root.one_of(LABELS, under=labels) or labels
        found: list[tuple[str, str, int]] = []
        for folder in sorted(root.entries(labels)):
            if re.fullmatch(r"SN\d{3}", folder.upper()):
                found += self._label_files_of(root, f"{labels}/{folder}", folder.upper())
        if not found and not root.defects:
            raise self.not_found(root, because=f"{labels} holds no file such as SN001/SN001_au1.txt")
        schema = {"source_file": pl.String, "subject": pl.String, "action_unit": pl.Int16}
        return pl.DataFrame(found, schema, orient="row").sort("subject", "action_unit")

    def _label_files_of(self, root: DatabaseRoot, folder: str, subject: str) -> list[tuple[str, str, int]]:
        if subject not in SUBJECTS:
            root.defect(
                folder, 0, f"subject {subject}", f"one of the {len(SUBJECTS)} subjects of DISFA", "remove the folder"
            )
            return []
        found: dict[int, str] = {}
        unread: list[str] = []
        for name in sorted(root.entries(folder)):
            match = LABEL_FILE.fullmatch(name)
            if match is None:
                unread += [name] if name.lower().endswith(".txt") else []
                continue
            unit = int(match[2])
            if match[1].upper() != subject or unit not in self.action_units or unit in found:
                root.defect(
                    f"{folder}/{name}", 0, f"a label file of AU{unit} of {match[1].upper()}",
                    f"one file of {subject} for each of AU {', '.join(map(str, self.action_units))}",
                    "remove the file, or give it its official name",
                )  # fmt: skip
                continue
            found[unit] = f"{folder}/{name}"
        root.lose_unread(folder, unread, f"{subject}_au1.txt")
        absent = [unit for unit in self.action_units if unit not in found]
        if not found:
            root.defect(folder, 0, "no label file", f"{subject}_au1.txt and eleven more", f"unpack {LABELS}.zip again")
        elif absent:
            names = ", ".join(f"{folder}/{subject}_au{unit}.txt" for unit in absent)
            root.note(
                f"missing label file: {names}; {_units(absent)} of {subject} counts as not labelled, not as absent. "
                f"Unpack {LABELS}.zip again if the archive has it."
            )
        return [(path, subject, unit) for unit, path in found.items()]

    def _frames(self, intensities: pl.DataFrame) -> pl.DataFrame:
        """A row for each subject and frame: au_intensity_* (null if no file lists the frame), and the first line that lists it."""
        frame = ["subject", "frame"]
        first = intensities.unique(frame, keep="first", maintain_order=True)
        frames = first.select(*frame, "source_file", "source_line")
        for unit in self.action_units:
            coded = intensities.filter(pl.col("action_unit") == unit)
            coded = coded.select(*frame, pl.col("intensity").alias(f"au_intensity_{unit}"))
            frames = frames.join(coded, on=frame, how="left")
        return frames.sort(frame)

    def _masked(self, files: pl.DataFrame) -> pl.Expr:
        """Why a frame lacks intensities: its action unit's label file is missing, or does not list it."""
        no_file, no_line = [], []
        for unit in self.action_units:
            absent = pl.col(f"au_intensity_{unit}").is_null()
            has_file = pl.col("subject").is_in(files.filter(pl.col("action_unit") == unit)["subject"].to_list())
            no_file.append(pl.when(absent & ~has_file).then(pl.lit(f"AU{unit}")))
            no_line.append(pl.when(absent & has_file).then(pl.lit(f"AU{unit}")))
        reasons = []
        for template, units in ((NO_FILE, no_file), (NO_LINE, no_line)):
            named = pl.concat_str(units, separator=", ", ignore_nulls=True)
            reasons.append(pl.when(named != "").then(pl.format(template, named)))
        reason = pl.concat_str(reasons, separator="; ", ignore_nulls=True)
        return pl.when(reason != "").then(reason).alias("au_masked")


def _units(units: list[int]) -> str:
    return ", ".join(f"AU{unit}" for unit in units)


def _read_intensities(root: DatabaseRoot, files: pl.DataFrame) -> pl.DataFrame:
    """All lines of the label files: subject, action_unit, frame, intensity; a value that is no frame, and a repeated frame, are defects."""
    lines = root.table(files["source_file"].to_list(), ["frame", "intensity"])
    lines = root.integers(lines, ["intensity"], range(STRONGEST + 1))
    lines = lines.with_columns(number=whole_numbers(lines["frame"], 1))
    lines = root.refuse(lines, pl.col("number").is_null(), "frame = {frame!r}", "a frame number from 1")
    lines = root.refuse_repeated(lines, ("source_file", "number"), "frame {number} again", "one line for each frame")
    return lines.join(files, on="source_file", how="left", maintain_order="left").select(
        "source_file", "source_line", "subject", "action_unit", pl.col("number").alias("frame"), "intensity"
    )


def _with_images(root: DatabaseRoot, frames: pl.DataFrame, folders: Mapping[str, FrameFolder]) -> pl.DataFrame:
    """The frames with `image`: the file of that number, or the path at which it is missing."""
    found = pl.DataFrame(
        [(subject, number, name) for subject, folder in folders.items() for number, name in folder.files.items()],
        {"subject": pl.String, "number": pl.Int32, "name": pl.String},
        orient="row",
    )
    subjects = frames["subject"].unique().sort().to_list()
    named = [(s, folder.path, folder.first, *folder.pattern()) for s, folder in sorted(folders.items())]
    named += [(s, f"Images/{s}", 1, "", 5, ".jpg") for s in subjects if s not in folders]
    columns = {"subject": pl.String, "folder": pl.String, "first": pl.Int32}
    columns |= {"prefix": pl.String, "width": pl.UInt32, "suffix": pl.String}
    rows = frames.join(pl.DataFrame(named, columns, orient="row"), on="subject", how="left", maintain_order="left")
    rows = rows.with_columns(number=pl.col("frame") - 1 + pl.col("first"))
    unlabelled = len(found.join(rows, on=["subject", "number"], how="anti"))
    if unlabelled:
        root.note(f"{unlabelled:,} extracted frame(s) have no label and are not read")
    for subject in subjects:
        if subject not in folders:
            root.note(f"no extracted frames of {subject}" + _extraction(root, subject))
    rows = rows.join(found, on=["subject", "number"], how="left", maintain_order="left")
    missed = pl.concat_str("prefix", pl.col("number").cast(pl.String).str.zfill(pl.col("width")), "suffix")
    image = pl.format("{}/{}", "folder", pl.coalesce("name", missed))
    return rows.with_columns(image=image).drop(*list(columns)[1:], "number", "name")


def _extraction(root: DatabaseRoot, subject: str) -> str:
    """How to extract the frames of a subject; empty if its video is missing."""
    return f"; extract them: {EXTRACT}" if subject.lower() in find_videos(root, VIDEOS) else ""


def _without_frames(root: DatabaseRoot) -> str:
    videos = find_videos(root, VIDEOS)
    if not videos:
        return "it holds label files, but neither extracted frames (Images/SN001/00001.jpg) nor videos"
    return (
        f"it holds label files and {len(videos)} video(s) ({', '.join(sorted(videos.values()))}), but no extracted frames. "
        f"Extract them: {EXTRACT}"
    )
