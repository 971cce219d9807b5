"""Reads FER+: the pictures of FER2013, each with the votes of ten annotators."""

import re
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar, Final, Literal

import polars as pl
from pydantic import Field

from affect_data.bounds import PICTURE_BYTES, read_file
from affect_data.databases.base import Database, DatabaseOptions, Licence, Tier
from affect_data.databases.ferplus import fer2013_csv
from affect_data.databases.ferplus.facts import ANNOTATORS, EVIDENCE, MAPPING, NAME_AGAIN, NO_FOLDER, NO_NAME
from affect_data.databases.ferplus.order import refuse_other_order
from affect_data.databases.ferplus.votes import CANDIDATES, EXPRESSIONS, decide, shares
from affect_data.databases.licence import Reading
from affect_data.databases.root import DatabaseRoot
from affect_data.databases.spelling import INDEX_COLUMN, bare, has_index
from affect_data.databases.totals import Totals
from affect_data.databases.voting import VotingOptions

VOTES_FILE: Final = "fer2013new.csv"
VOTES_HEADER: Final = ("Usage", "Image name", *EXPRESSIONS, "unknown", "NF")
VOTES_COLUMNS: Final = ("usage", "name", *CANDIDATES)
PARTS: Final = {"Training": "FER2013Train", "PublicTest": "FER2013Valid", "PrivateTest": "FER2013Test"}
SPLIT_NAMES: Final = {"Training": "train", "PublicTest": "validation", "PrivateTest": "test"}
PICTURES_FILES: Final = (("", "fer2013.csv"), ("fer2013", "fer2013.csv"), ("", "icml_face_data.csv"))
WHOLE_PICTURE: Final = "(0, 0, 48, 48)"
ADDRESS: Final = re.compile(r"(.+\.csv)#(\d+)\.png")

GET_VOTES: Final = "get the file from https://github.com/microsoft/FERPlus"


class FerPlusOptions(VotingOptions):
    """What a data recipe may say of FER+."""

    release: Literal["folders", "csv"] | None = Field(
        None, description="which form to read; by default the folders where they hold pictures, else the CSV files"
    )


class FerPlus(Database):
    """FER+: 35,887 small grey faces of FER2013, each with the votes of ten annotators on eight expressions.

    Official layout::

        FER2013Train/fer0000000.png     the pictures of FER2013, as the authors' script extracts them, 48 by 48 pixels
        FER2013Train/label.csv          name,"(0, 0, 48, 48)" and ten columns of votes, without header
        FER2013Valid/...                the same for PublicTest
        FER2013Test/...                 the same for PrivateTest
        fer2013new.csv                  Usage,Image name,neutral,...,contempt,unknown,NF (optional here)

    or, without extracted pictures::

        fer2013.csv                     emotion,pixels,Usage of FER2013 (from Kaggle)
        fer2013new.csv                  the votes, line by line for the same pictures

    Which file accounts for what:
        - Folders: every line of a `label.csv` is a face. `fer2013new.csv`, where it is there, accounts for the lines that no `label.csv` has: those
          without an image name, repeated names, and parts whose folder is missing. So rows and failures add up to its lines.
        - CSV: every line of `fer2013new.csv` is a face; it belongs to the same line of `fer2013.csv`. Names are not used but for the missing ones.
        - A picture of the CSV form is addressed as `fer2013.csv#0000017.png`: its row, counted from 0.

    Traps:
        - The number in an image name is not the row of the picture: it drifts, and a few names are used twice.
        - 173 lines have no image name; all their annotators voted "not a face".
        - One line has nine votes.
        - Identical pictures are common, also between the parts. `label.csv` gives each copy its own votes, `fer2013new.csv` gives all copies those
          of the first, so the two disagree on 1,319 names of the train and validation parts.
        - The box is always the whole picture, so it says nothing: `face_box` stays empty.
    """

    name = "ferplus"
    title = "FER+"
    homepage = "https://github.com/microsoft/FERPlus"
    citation = """@inproceedings{barsoum2016training,
  title = {Training Deep Networks for Facial Expression Recognition with Crowd-Sourced Label Distribution},
  author = {Barsoum, Emad and Zhang, Cha and Canton Ferrer, Cristian and Zhang, Zhengyou},
  booktitle = {ACM International Conference on Multimodal Interaction (ICMI)},
  year = {2016},
  doi = {10.1145/2993148.2993165}
}"""
    licence = Licence(
        "votes: MIT; pictures: FER2013, collected by web search for a public challenge, owners unknown, not to be redistributed",
        publishes=Tier.DERIVED,
        url="https://github.com/microsoft/FERPlus/blob/master/LICENSE.md",
        reading=Reading(
            "2026-11-30", "LICENSE.md of microsoft/FERPlus, which holds for the votes; nothing about the pictures"
        ),
    )
    source_family = "fer2013"
    aliases = ("FER2013+", "FER2013Plus")
    lookalikes = MappingProxyType(
        {"train/angry": "FER2013 in class folders, without votes; an entry of own data with `class_folders` reads it"}
    )
    signs = (VOTES_FILE, f"data/{VOTES_FILE}", *PARTS.values(), *(f"data/{folder}" for folder in PARTS.values()))
    totals = MappingProxyType(
        {
            "csv": Totals(
                {"Training lines": 28_709, "PublicTest lines": 3_589, "PrivateTest lines": 3_589},
                "fer2013new.csv of the authors",
            ),
            "folders": Totals(
                {"Training lines": 28_558, "PublicTest lines": 3_579, "PrivateTest lines": 3_573},
                "label.csv of the authors",
            ),
        }
    )
    releases = ("csv", "folders")
    expressions = EXPRESSIONS
    mapping = MAPPING
    evidence = EVIDENCE
    has_expression_votes = True
    annotators = ANNOTATORS
    Options: ClassVar[type[DatabaseOptions]] = FerPlusOptions
    options: FerPlusOptions

    def release_of(self, root: DatabaseRoot) -> str:
        """The form of the files: "folders" if the folder of a part holds pictures or there is no picture file, otherwise "csv"."""
        if self.options.release:
            return self.options.release
        folders = _part_folders(root)
        has_pictures = any(name.endswith(".png") for folder in folders.values() for name in root.entries(folder))
        return "folders" if has_pictures or (folders and _pictures_file(root) is None) else "csv"

    def scan(self, root: DatabaseRoot) -> pl.DataFrame:
        """A row for each face: image, split, expression, votes_*, and expression_masked if there is no expression.

        Raises:
            DatabaseNotFoundError: there are neither folders of pictures, nor both CSV files.
        """
        faces = self._scan_folders(root) if self.release_of(root) == "folders" else self._scan_csv(root)
        faces = _with_plausible_votes(root, faces)
        faces = faces.with_columns(
            decide(faces, self.options.rule, self.options.minimum_share).get_columns() + shares(faces).get_columns()
        )
        root.note(
            f"{len(faces):,} faces, {faces['expression'].count():,} with an expression by the rule '{self.options.rule}'"
        )
        return faces.drop("usage", "name", "box", *CANDIDATES, strict=False)

    def missing_images(self, root: DatabaseRoot, images: pl.Series) -> pl.Series:
        """Which images should be files and do not exist; pictures in `fer2013.csv` were checked while reading."""
        return ~images.str.contains(rf"\A{ADDRESS.pattern}\z") & root.missing_images(images)

    def open_images(self, path: Path) -> Callable[[str], bytes]:
        """A function from a row's ``image`` to its bytes: the file, or a PNG of the pixels in `fer2013.csv`."""
        openers: dict[str, Callable[[int], bytes]] = {}

        def open_image(image: str) -> bytes:
            address = ADDRESS.fullmatch(image)
            if address is None:
                return read_file(path / image, PICTURE_BYTES, image)
            file, row = address.groups()
            if file not in openers:
                openers[file] = fer2013_csv.picture_opener(path / file)
            return openers[file](int(row))

        return open_image

    def _scan_folders(self, root: DatabaseRoot) -> pl.DataFrame:
        folders = _part_folders(root)
        if not folders:
            raise self.not_found(root, because=f"there is no folder {', '.join(PARTS.values())}")
        for usage in sorted(PARTS.keys() - folders):
            root.count(f"{usage} lines", 0)
        parts = [part for usage, folder in folders.items() if (part := _read_part(root, usage, folder)) is not None]
        if not parts:
            return _no_faces()
        _account_for_votes_file(root, folders)
        return pl.concat(parts)

    def _scan_csv(self, root: DatabaseRoot) -> pl.DataFrame:
        pictures, votes = _pictures_file(root), _votes_file(root)
        if pictures is None and votes is None:
            raise self.not_found(
                root, because=f"there is no folder {PARTS['Training']}, and no {VOTES_FILE} with fer2013.csv"
            )
        if votes is None:
            raise self.not_found(root, because=f"{pictures} is there, but not the votes, {VOTES_FILE}: {GET_VOTES}")
        if pictures is None:
            raise self.not_found(
                root, because=f"{votes} is there, but neither fer2013.csv (from Kaggle) nor folders with the pictures"
            )
        faces = _read_votes_file(root, votes)
        for usage in PARTS:
            root.count(f"{usage} lines", int((faces["usage"] == usage).sum()))
        faces = _aligned_with_pictures(root, faces, votes, pictures)
        unnamed = pl.col("name") == ""
        root.fail(faces.filter(unnamed), NO_NAME)
        return faces.filter(~unnamed)


def _no_faces() -> pl.DataFrame:
    text = ("image", "source_file", "split", *VOTES_COLUMNS[:2])
    return pl.DataFrame(
        schema={**dict.fromkeys(text, pl.String), "source_line": pl.Int32, **dict.fromkeys(CANDIDATES, pl.Int8)}
    )


def _part_folders(root: DatabaseRoot) -> dict[str, str]:
    """The folders of the parts that exist, by Usage."""
    data = root.one_of("data") or ""
    found = {usage: root.one_of(name) or (data and root.one_of(name, under=data)) for usage, name in PARTS.items()}
    return {usage: folder for usage, folder in found.items() if folder and root.entries(folder)}


def _votes_file(root: DatabaseRoot) -> str | None:
    return root.one_of(VOTES_FILE) or root.one_of(VOTES_FILE, under=root.one_of("data") or "")


def _pictures_file(root: DatabaseRoot) -> str | None:
    for folder, name in PICTURES_FILES:
        if not folder or root.one_of(folder):
            found = root.one_of(name, under=root.one_of(folder) or "" if folder else "")
            if found:
                return found
    return None


def _read_part(root: DatabaseRoot, usage: str, folder: str) -> pl.DataFrame | None:
    """The faces of one folder, one for each line of its ``label.csv``; None, and a defect, if that is missing."""
    path = root.one_of("label.csv", under=folder)
    if path is None:
        root.defect(f"{folder}/label.csv", 0, "no such file", "the votes on the pictures of the folder", GET_VOTES)
        return None
    # An older version of the authors' script wrote the file without boxes.
    has_box = '"' in root.first_line(path)
    columns = ["name", *(["box"] if has_box else []), *CANDIDATES]
    faces = root.integers(root.table(path, columns, quoted=True), CANDIDATES, range(ANNOTATORS + 1))
    if has_box:
        other = pl.col("box") != WHOLE_PICTURE
        root.refuse(faces, other, "box = {box!r}", f"the whole picture, '{WHOLE_PICTURE}'")
    faces = faces.with_columns(pl.col("name").str.strip_chars(), split=pl.lit(SPLIT_NAMES[usage]), usage=pl.lit(usage))
    faces = faces.with_columns(image=pl.format("{}/{}", pl.lit(folder), "name"))
    root.count(f"{usage} lines", len(faces))
    root.fail(faces.filter(pl.col("name") == ""), NO_NAME)
    faces = _first_of_each_name(root, faces.filter(pl.col("name") != ""))
    root.note(f"{path}: {len(faces):,} pictures")
    return faces.select(_no_faces().columns)


def _first_of_each_name(root: DatabaseRoot, faces: pl.DataFrame) -> pl.DataFrame:
    """The faces without repeated names, which become failures; a repeated name with other votes is a defect."""
    again = ~pl.col("name").is_first_distinct()
    contradicting = again & pl.struct("name", *CANDIDATES).is_first_distinct()
    root.refuse(faces, contradicting, "{name} again, with other votes", "one line for each picture")
    root.fail(faces.filter(again), NAME_AGAIN)
    return faces.filter(~again)


def _read_votes_file(root: DatabaseRoot, path: str) -> pl.DataFrame:
    """The lines of ``fer2013new.csv``: usage, name (empty if there is none), split, and the votes."""
    header = [name.strip() for name in root.first_line(path).split(",")]
    index = [INDEX_COLUMN] if has_index(header) else []
    header = header[len(index) :]
    if header != list(VOTES_HEADER):
        root.defect(path, 1, f"the header {','.join(header)!r}", ",".join(VOTES_HEADER), GET_VOTES)
        return _no_faces()
    lines = root.table(path, (*index, *VOTES_COLUMNS), skip_lines=1).drop(index)
    lines = lines.with_columns(bare(lines["usage"]), bare(lines["name"]))
    faces = root.integers(lines, CANDIDATES, range(ANNOTATORS + 1))
    return root.classes(faces.with_columns(split="usage"), "split", dict(SPLIT_NAMES))


def _account_for_votes_file(root: DatabaseRoot, folders: dict[str, str]) -> None:
    """Records lines of ``fer2013new.csv`` that no ``label.csv`` has as failures; a name that only one of the two has is a defect."""
    path = _votes_file(root)
    if path is None:
        root.note(f"no {VOTES_FILE}: the 173 pictures without a name are not accounted for")
        return
    lines = _read_votes_file(root, path)
    root.fail(lines.filter(pl.col("name") == ""), NO_NAME)
    lines = lines.filter(pl.col("name") != "")
    has_folder = pl.col("usage").is_in(list(folders))
    root.fail(lines.filter(~has_folder & pl.col("usage").is_in(list(PARTS))), NO_FOLDER)
    lines = lines.filter(has_folder)
    for (usage,), part in lines.group_by("usage", maintain_order=True):
        _account_for_part(root, path, folders[str(usage)], part)


def _account_for_part(root: DatabaseRoot, path: str, folder: str, lines: pl.DataFrame) -> None:
    label = root.one_of("label.csv", under=folder)
    if label is None:
        return
    listed = _names_and_votes(root, label).with_columns(again=pl.int_range(pl.len()).over("name"))
    lines = lines.with_columns(again=pl.int_range(pl.len()).over("name"))
    beyond = lines.join(listed, on=["name", "again"], how="anti", maintain_order="left")
    root.fail(beyond.filter(pl.col("again") > 0), NAME_AGAIN)
    unlisted = beyond.filter(pl.col("again") == 0)
    unknown = listed.join(lines, on="name", how="anti", maintain_order="left").filter(pl.col("name") != "")
    for file, names, other in ((label, unlisted, path), (path, unknown, label)):
        if len(names):
            root.defect(
                file, 0, f"no line for {names['name'][0]}" + (f" and {len(names) - 1:,} more" if len(names) > 1 else ""),
                f"a line for each picture of {other}", f"{GET_VOTES}, or remove {path}, which may be missing in this layout",
            )  # fmt: skip
    votes = pl.concat_str(pl.col(CANDIDATES), separator=",").alias("votes_there")
    differing = (
        lines.select("name", "again", votes)
        .join(listed, on=["name", "again"])
        .filter(pl.col("votes_there") != pl.col("votes"))
    )
    if len(differing):
        root.note(
            f"{len(differing):,} pictures of {label} have other votes in {path} (copies of other pictures); {label} is used"
        )


def _names_and_votes(root: DatabaseRoot, label: str) -> pl.DataFrame:
    """Name and votes (as text) of every line of a ``label.csv``, lines that the recipe excludes included."""
    lines = pl.Series("line", root.read_text(label).split("\n"), dtype=pl.String)
    lines = lines.filter(lines.str.contains(","))
    return pl.DataFrame(
        {
            "name": lines.str.extract(r"^([^,]*)", 1).str.strip_chars(),
            "votes": lines.str.extract(rf"((?:\d+,){{{len(CANDIDATES) - 1}}}\d+)\s*$", 1),
        }
    )


def _aligned_with_pictures(root: DatabaseRoot, faces: pl.DataFrame, votes: str, pictures: str) -> pl.DataFrame:
    """The faces with the address of their picture, which is in the same line of the file of pictures."""
    lines = _read_pictures(root, pictures, set(faces["source_line"].to_list()), votes)
    if lines is None:
        return _no_faces()
    listed = len(root.read_text(votes).rstrip("\n").split("\n")) - 1
    if len(lines) != listed:
        root.defect(
            votes, 0, f"{listed:,} lines of votes", f"as many as {pictures} has pictures, {len(lines):,}",
            "restore both files: they belong together line by line",
        )  # fmt: skip
        return _no_faces()
    faces = faces.join(lines, on="source_line", how="left", maintain_order="left")
    faces = faces.with_columns(pictures=pl.lit(pictures))
    expected = "{picture_usage!r}, as in line {source_line} of {pictures}"
    remedy = "restore both files: they belong together line by line"
    root.refuse(faces, pl.col("usage") != pl.col("picture_usage"), "Usage = {usage!r}", expected, remedy)
    refuse_other_order(root, faces, remedy)
    row = (pl.col("source_line") - 2).cast(pl.String).str.zfill(7)
    return faces.with_columns(image=pl.format("{}#{}.png", pl.lit(pictures), row)).select(_no_faces().columns)


def _read_pictures(root: DatabaseRoot, path: str, used: set[int], votes: str) -> pl.DataFrame | None:
    """The lines of the file of pictures: source_line, picture_usage, and `emotion`, FER2013's own label.

    The pixels of used lines are checked, and not kept.
    """
    root.confined.check(path)
    file = root.path / path
    root.annotation_files.add(path)
    header = fer2013_csv.header_of(file)
    if sorted(header[1:] if has_index(header) else header) != sorted(fer2013_csv.FIELDS):
        root.defect(
            path, 1, f"the header {','.join(header)[:60]!r}", "emotion,pixels,Usage", "restore the file from Kaggle"
        )
        return None
    lines: list[tuple[int, str, str | None]] = []
    for line in fer2013_csv.read_lines(file):
        lines.append((line.number, line.usage, fer2013_csv.emotion_named(line.emotion)))
        if line.number in used:
            problem = _problem_of(line)
            if problem:
                remedy = f"restore the line, or name `{votes}:{line.number}` under `exclude` in the recipe"
                root.defect(path, line.number, problem[0], problem[1], remedy)
    columns = {"source_line": pl.Int32, "picture_usage": pl.String, "emotion": pl.String}
    return pl.DataFrame(lines, columns, orient="row")


def _problem_of(line: fer2013_csv.FerLine) -> tuple[str, str] | None:
    """What was found and what was expected if a line of the file of pictures is invalid; None if it is valid."""
    if not line.fits:
        return f"{line.count} field(s)", "3 field(s): emotion,pixels,Usage"
    if fer2013_csv.emotion_named(line.emotion) is None:
        return f"emotion = {line.emotion[:60]!r}", "one of the codes 0, 1, 2, 3, 4, 5, 6"
    try:
        fer2013_csv.decode_pixels(line.pixels)
    except fer2013_csv.PixelError as error:
        return str(error), f"{fer2013_csv.SIDE**2:,} whole numbers from 0 to 255"
    return None


def _with_plausible_votes(root: DatabaseRoot, faces: pl.DataFrame) -> pl.DataFrame:
    """The faces with their votes; a line without votes, or with more votes than annotators, is a defect."""
    total = pl.sum_horizontal(pl.col(name).cast(pl.Int32) for name in CANDIDATES)
    faces = faces.with_columns(total=total).filter(pl.all_horizontal(pl.col(CANDIDATES).is_not_null()))
    wrong = ~pl.col("total").is_between(1, ANNOTATORS)
    faces = root.refuse(faces, wrong, "{total} votes", f"1 to {ANNOTATORS} votes")
    fewer = faces.filter(pl.col("total") < ANNOTATORS)
    if len(fewer):
        root.note(
            f"{len(fewer):,} line(s) with fewer than {ANNOTATORS} votes, first {fewer['source_file'][0]}:{fewer['source_line'][0]}"
        )
    return faces.drop("total")
