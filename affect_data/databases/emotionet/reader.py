"""Reads EmotioNet: lists of web photographs with one face each, and the action units that it shows."""

import re
from collections.abc import Sequence
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import ClassVar, Final

import polars as pl
from pydantic import Field

from affect_data.databases.base import Database, DatabaseOptions, Licence, Tier
from affect_data.databases.emotionet.lists import UNITS, URL, sheet_lines, text_lines
from affect_data.databases.facts import Evidence, Grade, NativeValue, occurrences
from affect_data.databases.root import DatabaseRoot
from affect_data.databases.spelling import bare
from affect_data.databases.totals import Totals

SHEET_NAME: Final = re.compile(r"EmotioNet_FACS.*\.(xlsx|csv)", re.IGNORECASE)
SHEET_FOLDERS: Final = ("", "labels")
TEXT_LISTS: Final = ("dataFile_*.txt", "emotioNet_challenge_files*/*.txt")
IMAGE_FOLDERS: Final = ("images", "imgs", "Aligned")
IMAGE_URL: Final = r"^https?://\S+/(N_\d+)/(N_\d+)_(\d+\.jpe?g)$"

UNKNOWN: Final = (999, -1)
UNKNOWN_CODE: Final = "unknown"
PARTLY_UNKNOWN: Final = "some action units unknown"
ALL_UNKNOWN: Final = "no action unit annotated"
BY_HAND: Final = "faces annotated by hand"
BY_HAND_TOO: Final = "annotated by hand too"

CODED: Final = {
    "2018": (1, 2, 4, 5, 6, 9, 12, 17, 20, 25, 26, 43),
    "2020": (1, 2, 4, 5, 6, 9, 10, 12, 15, 17, 18, 20, 24, 25, 26, 28, 43),
}
"""The action units that annotators looked for, by release. 2020 also has six turns and tilts of the head (51 to 56), which are not read."""
CODED_BY_ALGORITHM: Final = CODED["2018"]


class EmotioNetOptions(DatabaseOptions):
    """What a data recipe may say of EmotioNet."""

    automatic: bool = Field(
        default=False,
        description="whether the challenge's text lists, whose action units an algorithm annotated, join the training split",
    )


class EmotioNet(Database):
    """EmotioNet: photographs found by web searches, with the action units of one face each.

    Official layout::

        EmotioNet_FACS_aws_2020_24600.xlsx     annotated by hand; header URL, URL orig, 'AU 1', ..., 'AU 60' with the quotes
        EmotioNet_FACS_aws_2020_24600.csv      or its export; one of the two is enough
        images/N_0000000001/N_0000000001_00001.jpg        downloaded from the URLs (or all images directly in images, imgs or Aligned)
        emotioNet_challenge_files_server_challenge_1.2_aws/dataFile_0001.txt
                                               annotated by an algorithm; URL, original URL and 60 action units, separated by tabs,
                                               no header; read where the recipe says `automatic: true`

    Traps:
        - The lists have 60 columns of action units, of which annotators looked for 12 (2018) or 17 (2020). The others are not read: a 0 there does
          not say that the action unit is absent.
        - 999 is an unknown action unit, neither 0 nor 1; -1 is read alike. A cell of a sheet that is empty gives no label either.
        - Literal quotes stand around the names in the header, and at the end of the URLs.
        - An image is named after its URL, not after its line. Many URLs are dead; lines whose image is absent are counted as failures.
        - The emotion categories of the publications are derived from action units. They are in no file, and the reader gives none.
        - There are no subjects, no face boxes and no official split of the images that were annotated by hand.

    Where workbook and export lie together, the workbook is read.
    """

    name = "emotionet"
    title = "EmotioNet"
    homepage = "https://cbcsl.ece.ohio-state.edu/enc-2020/index.html"
    citation = """@inproceedings{benitezquiroz2016emotionet,
  title = {{EmotioNet}: An accurate, real-time algorithm for the automatic annotation of a million facial expressions in the wild},
  author = {Benitez-Quiroz, C. Fabian and Srinivasan, Ramprakash and Martinez, Aleix M.},
  booktitle = {IEEE Conference on Computer Vision and Pattern Recognition},
  pages = {5562--5570},
  year = {2016},
  doi = {10.1109/CVPR.2016.600}
}"""
    licence = Licence(
        "research only, on request; lists of addresses, whose photographs belong to their owners; no redistribution",
        publishes=Tier.RECIPE,
        url="https://cbcsl.ece.ohio-state.edu/enc-2020/index.html",
    )
    source_family = "emotionet"
    signs = (
        "emotionet_facs*.xlsx", "emotionet_facs*.csv", "labels/emotionet_facs*.xlsx", "labels/emotionet_facs*.csv",
        "datafile_*.txt", "emotionet_challenge_files*",
    )  # fmt: skip
    totals = MappingProxyType({"2020": Totals({BY_HAND: 24_598}, "a list made from the official sheet")})
    releases = ("2018", "2020")
    action_units = CODED["2020"]
    mapping = (
        *occurrences("coded action unit", dict.fromkeys(UNKNOWN, UNKNOWN_CODE)),
        NativeValue("coded action unit", "an empty cell of a sheet", masked=UNKNOWN_CODE),
        NativeValue("coded action units of a line", "some unknown", masked=PARTLY_UNKNOWN),
        NativeValue("coded action units of a line", "all unknown", masked=ALL_UNKNOWN),
        NativeValue("the other columns", "any", masked="annotators did not look for it"),
    )
    evidence = (
        Evidence("the header of the sheet, with literal quotes", Grade.CODE, "three loaders"),
        Evidence("an image is named after its address", Grade.SEEN, "24,598 names of a list made from the sheet"),
        Evidence("999 is unknown", Grade.CODE, "three loaders"),
        Evidence("-1 is unknown too", Grade.ASSUMED, "the publications; no file with -1 was seen"),
        Evidence(
            "annotators looked for 12 (2018) or 17 (2020) action units", Grade.CODE, "the loader of EMOCA; papers"
        ),
        Evidence("an algorithm annotated the challenge's text lists", Grade.DOCUMENTED, "the paper"),
    )
    Options: ClassVar[type[DatabaseOptions]] = EmotioNetOptions
    options: EmotioNetOptions

    def release_of(self, root: DatabaseRoot) -> str:
        """The recipe's release; by default 2020 if the sheet's name says so, otherwise 2018."""
        if self.options.release is not None:
            return self.options.release
        return "2020" if any("2020" in path for path in _sheets(root)) else "2018"

    def scan(self, root: DatabaseRoot) -> pl.DataFrame:
        """A row for each listed image with an action unit: image, au_*, why some are unknown, and split if text lists are read.

        Raises:
            DatabaseNotFoundError: there is neither a sheet nor a text list, or the recipe names an unknown release.
        """
        release = self.release_of(root)
        if release not in CODED:
            raise self.not_found(root, because=f"there is no release {release}; known: {', '.join(CODED)}")
        sheet = self._sheet(root, release)
        texts = self._text_lists(root)
        if sheet is None and not texts:
            raise self.not_found(root, because=_nothing_to_read(root))
        folder = _image_folder(root)
        parts = []
        if sheet is not None:
            lines = _with_empty_cells_unknown(root, sheet, sheet_lines(root, sheet))
            root.refuse_empty(sheet, lines, "no face", "one line for each image")
            root.count(BY_HAND, len(lines))
            parts.append(_faces(root, sheet, lines, folder, CODED[release]))
        if texts:
            lines = text_lines(root, texts)
            root.refuse_empty(texts[0], lines, "no face", "one line for each image")
            named = f"{len(texts):,} text list(s), annotated by an algorithm"
            faces = _faces(root, named, lines, folder, CODED_BY_ALGORITHM)
            parts.append(faces.with_columns(split=pl.lit("train")))
        if len(parts) > 1:
            again = pl.col("image").is_in(parts[0]["image"].implode())
            root.fail(parts[1].filter(again), BY_HAND_TOO)
            parts[1] = parts[1].filter(~again)
        return pl.concat(parts, how="diagonal")

    def _sheet(self, root: DatabaseRoot, release: str) -> str | None:
        """The sheet to read: of several sheets the one of the release, and a workbook before its export; the others are noted."""
        found = sorted(
            _sheets(root),
            key=lambda path: (("2020" in path) != (release == "2020"), path.lower().endswith("csv"), path),
        )
        for other in found[1:]:
            root.note(f"{other}: not read, {found[0]} is")
        return found[0] if found else None

    def _text_lists(self, root: DatabaseRoot) -> list[str]:
        """The text lists to read: all if the recipe asks for them, otherwise none."""
        lists = _texts(root)
        if lists and not self.options.automatic:
            root.note(
                f"{len(lists):,} text list(s): not read, an algorithm gave their labels; "
                "`automatic: true` adds them to the training split"
            )
            return []
        if self.options.automatic and not lists:
            root.defect(
                TEXT_LISTS[0],
                0,
                "no such file",
                "the text lists that `automatic: true` asks for",
                "put the official lists there, or leave out `automatic`",
            )
        return lists


def _sheets(root: DatabaseRoot) -> list[str]:
    """The paths of all sheets, workbooks and exports."""
    return [
        str(PurePosixPath(folder) / name)
        for folder in SHEET_FOLDERS
        for name in sorted(root.entries(folder))
        if SHEET_NAME.fullmatch(name)
    ]


def _texts(root: DatabaseRoot) -> list[str]:
    return [path for pattern in TEXT_LISTS for path in root.files(pattern)]


def _nothing_to_read(root: DatabaseRoot) -> str:
    if _texts(root):
        return "there are only text lists, whose labels an algorithm gave; `automatic: true` reads them"
    return "there is neither EmotioNet_FACS_*.xlsx nor EmotioNet_FACS_*.csv nor dataFile_*.txt"


def _image_folder(root: DatabaseRoot) -> str:
    """The folder of the images, relative to the root; a defect where there is none."""
    for name in IMAGE_FOLDERS:
        folder = root.one_of(name)
        if folder is not None and (root.path / folder).is_dir():
            return folder
    root.defect(IMAGE_FOLDERS[0], 0, "no such folder", "the folder of the images", "download the images there")
    return IMAGE_FOLDERS[0]


def _with_empty_cells_unknown(root: DatabaseRoot, sheet: str, lines: pl.DataFrame) -> pl.DataFrame:
    """The lines with the code for "unknown" in empty cells of action units; their number is noted."""
    stripped = lines.with_columns(bare(lines[unit]) for unit in UNITS)
    empty = pl.col(UNITS) == ""
    if count := sum(stripped.select(empty.sum()).row(0)):
        root.note(f"{sheet}: {count:,} empty cells, read as unknown")
    return stripped.with_columns(pl.when(empty).then(pl.lit(str(UNKNOWN[0]))).otherwise(pl.col(UNITS)).name.keep())


def _faces(root: DatabaseRoot, named: str, lines: pl.DataFrame, folder: str, coded: Sequence[int]) -> pl.DataFrame:
    """The listed faces, each image once: image, the coded action units as `au_<n>` (null if unknown), and `au_masked`."""
    faces = root.integers(_with_images(root, lines, folder), UNITS, allowed=(0, 1), missing=UNKNOWN)
    root.note(f"{named}: {len(faces):,} faces, {len(coded)} coded action units; images in {folder}")
    _note_columns(root, named, faces, coded)
    again = "{image} again (first at {first_file}:{first_line})"
    faces = root.refuse_repeated(faces, "image", again, "one line for each image").select(
        "image", "source_file", "source_line", *(pl.col(f"AU {number}").alias(f"au_{number}") for number in coded)
    )
    return _labelled(root, faces, [f"au_{number}" for number in coded])


def _with_images(root: DatabaseRoot, lines: pl.DataFrame, folder: str) -> pl.DataFrame:
    """The lines with `image`, the path of the URL's file under the folder; a URL that names no image is a defect."""
    address = pl.col(URL).str.strip_chars(" \t'\"")
    place, stem, ending = (address.str.extract(IMAGE_URL, group) for group in (1, 2, 3))
    lines = lines.with_columns(place=place, file=pl.when(place == stem).then(pl.format("{}_{}", stem, ending)))
    expected = "an address that ends in N_<folder>/N_<folder>_<number>.jpg"
    root.refuse(lines, pl.col("file").is_null(), "URL = '{URL}'", expected)
    nested = pl.col("place").is_in(list(root.entries(folder)))
    under = pl.when(nested).then(pl.format("{}/", "place")).otherwise(pl.lit(""))
    return lines.filter(pl.col("file").is_not_null()).with_columns(
        image=pl.concat_str(pl.lit(f"{folder}/"), under, "file")
    )


def _note_columns(root: DatabaseRoot, named: str, faces: pl.DataFrame, coded: Sequence[int]) -> None:
    """Notes coded action units that are unknown in every line, and other action units that some line marks as present."""
    known = faces.select(pl.col([f"AU {number}" for number in coded]).count()).row(0, named=True)
    never = [unit for unit, count in known.items() if not count]
    if never and len(faces):
        root.note(f"{named}: unknown in every line: {', '.join(never)}")
    others = [unit for unit in UNITS if int(unit[3:]) not in coded]
    present = faces.select(pl.col(others).sum().cast(pl.Int64)).row(0, named=True)
    marked = [f"{unit} ({count:,})" for unit, count in present.items() if count]
    if marked:
        root.note(f"{named}: present in columns that are not coded, not used: {', '.join(marked)}")


def _labelled(root: DatabaseRoot, faces: pl.DataFrame, units: Sequence[str]) -> pl.DataFrame:
    """The faces with a known action unit, and `au_masked` if others are unknown; the rest become failures."""
    unlabelled = pl.all_horizontal(pl.col(units).is_null())
    root.fail(faces.filter(unlabelled), ALL_UNKNOWN)
    partly = pl.any_horizontal(pl.col(units).is_null())
    return faces.filter(~unlabelled).with_columns(au_masked=pl.when(partly).then(pl.lit(PARTLY_UNKNOWN)))
