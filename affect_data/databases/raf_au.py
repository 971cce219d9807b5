"""Reads RAF-AU: web photographs with the action units that experts saw, and on which side of the face."""

import re
from collections import Counter
from collections.abc import Iterable
from types import MappingProxyType
from typing import ClassVar, Final, Literal

import polars as pl
from pydantic import Field

from affect_data.databases.base import Database, DatabaseOptions, Licence, Tier
from affect_data.databases.licence import Reading
from affect_data.databases.root import DatabaseRoot
from affect_data.databases.totals import Totals

LIST: Final = "RAFAU_label.txt"
CODED: Final = (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 16, 17, 18, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 39, 43)
NOTHING: Final = "null"
TOKEN: Final = r"(?:[LRTBlrtb]{0,2}\d{1,2}[LR]?|AD\d{1,2})"
LINE: Final = rf"^\d{{4}}\.jpg (?:{NOTHING}|{TOKEN}(?:\+{TOKEN})*)$"
PARTS: Final = re.compile(r"(?P<before>[LRTBlrtb]*)(?P<number>\d+)(?P<after>[LR]?)")
SIDE_OF: Final = {"L": "left", "R": "right", "LR": "both", "T": "top", "B": "bottom"}

NOT_CODED: Final = "an action descriptor, or an action unit that is not coded"


class RafAuOptions(DatabaseOptions):
    """What a data recipe may say of RAF-AU."""

    images: Literal["aligned", "original"] = Field(
        "aligned", description="the aligned faces, or the original photographs"
    )


class RafAu(Database):
    """RAF-AU: web photographs of faces, twenty-six action units each, and the side of the face where one is not on both.

    Official layout::

        RAFAU_label.txt               a line for each picture, for example 0001.jpg 1+4+25
        aligned/0001_aligned.jpg      the aligned faces
        original/0001.jpg             the photographs (recipe option images: original)

    Traps:
        - ``null`` says that no action unit is active. It does not say that nothing was coded, nor that the face is neutral.
        - A letter says where an action unit is: L left, R right, T top, B bottom, in capitals or not (``t23``), before the number or after it
          (``L12L``). An action unit with a side counts as present like any other.
        - Two letters of another kind (``BL18``: bottom and left) fit no side; the action unit is present, and its side is left out and noted.
        - A line with one action unit without a side ends in a blank. Numbers are in no order, and some stand twice.
        - ``AD19`` and the like are action descriptors. They and numbers that are not coded are counted, and give no label.
        - The numbers of pictures have gaps. There are no subjects, no official split and no expressions.
        - The pictures are those of RAF-ML and RAF-CE of the same name.
        - Landmarks (``RAFAU_landmark.txt``) are not read.
    """

    name = "raf_au"
    title = "RAF-AU"
    homepage = "http://www.whdeng.cn/raf/model3.html"
    citation = """@inproceedings{yan2020rafau,
  title = {{RAF-AU} Database: In-the-Wild Facial Expressions with Subjective Emotion Judgement and Objective {AU} Annotations},
  author = {Yan, Wenjing and Li, Shan and Que, Chengtao and Pei, Jiquan and Deng, Weihong},
  booktitle = {Asian Conference on Computer Vision (ACCV)},
  year = {2020}
}"""
    licence = Licence(
        "on request from an academic address; non-commercial research only; neither pictures nor derived data may be passed on",
        publishes=Tier.RECIPE,
        url="http://www.whdeng.cn/raf/model3.html",
        reading=Reading("2026-11-30", "the terms of RAF-CE, whose owners are the same (whdeng.cn/RAF/model4.html)"),
    )
    source_family = "raf"
    lookalikes = MappingProxyType({"*rafce*label.txt": "RAF-CE", "*/*rafce*label.txt": "RAF-CE"})
    signs = (LIST,)
    totals = MappingProxyType({"2020": Totals({"faces": 4_601}, "the lines of the official list")})
    releases = ("2020",)
    action_units = CODED
    action_unit_sides = CODED
    Options: ClassVar[type[DatabaseOptions]] = RafAuOptions
    options: RafAuOptions

    def scan(self, root: DatabaseRoot) -> pl.DataFrame:
        """A row for each line of the list: image, au_*, side_* and au_masked.

        Raises:
            DatabaseNotFoundError: there is no list.
        """
        listed = root.one_of(LIST)
        if listed is None:
            raise self.not_found(root, because=f"there is no {LIST}")
        # Not by a separator: some lines end in one.
        faces = root.table(listed, ("line",), separator="\n")
        line = pl.col("line").str.strip_chars().str.replace_all(r"\s+", " ").str.replace_all(r"(\d)\.0+\b", "$1")
        faces = faces.with_columns(line)
        root.refuse_empty(listed, faces, "no face", "one line for each face")
        expected = f"a picture and its action units, such as 0003.jpg L12+24, or {NOTHING}"
        faces = root.refuse(faces, ~pl.col("line").str.contains(LINE), "{line!r}", expected)
        faces = faces.with_columns(picture=pl.col("line").str.slice(0, 8), tokens=pl.col("line").str.slice(9))
        again = "{picture} again (first in line {first_line})"
        faces = root.refuse_repeated(faces, "picture", again, "one line for each picture")
        return self._with_images(root, faces).with_columns(_coded(root, faces["tokens"])).drop("tokens")

    def _with_images(self, root: DatabaseRoot, faces: pl.DataFrame) -> pl.DataFrame:
        """The faces with their `image`; a defect if there is no folder of the pictures."""
        images = self.options.images
        folder = root.one_of(images)
        if folder is None:
            remedy = "unpack the archive there, or set `images` in the recipe"
            root.defect(images, 0, "no such folder", f"the {images} pictures", remedy)
        ending = "_aligned.jpg" if images == "aligned" else ".jpg"
        name = pl.col("picture").str.replace(r"\.jpg$", ending)
        root.note(f"{len(faces):,} faces, {(faces['tokens'] == NOTHING).sum():,} of them without an action unit")
        return faces.select(
            "source_file", "source_line", "tokens", image=pl.concat_str(pl.lit(f"{folder or images}/"), name)
        )


def _coded(root: DatabaseRoot, lines: Iterable[str]) -> list[pl.Series]:
    """The columns au_<number>, side_<number> and au_masked of lines such as ``1+L12+25``."""
    units: dict[int, list[int]] = {unit: [] for unit in CODED}
    sides: dict[int, list[str | None]] = {unit: [] for unit in CODED}
    masked: list[str | None] = []
    odd: Counter[str] = Counter()
    for line in lines:
        found, others = _letters(line)
        for unit in CODED:
            letters = found.get(unit, "")
            units[unit].append(int(unit in found))
            sides[unit].append(SIDE_OF.get(letters))
            if letters and letters not in SIDE_OF:
                odd[f"{letters}{unit}"] += 1
        masked.append(NOT_CODED if others else None)
    if odd:
        root.note(f"{odd.total():,} side(s) left out that are of two kinds, such as {min(odd)}")
    return [
        *(pl.Series(f"au_{unit}", values, dtype=pl.Int8) for unit, values in units.items()),
        *(pl.Series(f"side_{unit}", values, dtype=pl.String) for unit, values in sides.items()),
        pl.Series("au_masked", masked, dtype=pl.String),
    ]


def _letters(line: str) -> tuple[dict[int, str], bool]:
    """The letters of each coded action unit of a line, in capitals and alphabetical, and whether the line has anything else.

    An action unit that is also listed without a letter has none: it is on both sides.
    """
    found: dict[int, set[str]] = {}
    plain: set[int] = set()
    others = False
    for token in [] if line == NOTHING else line.split("+"):
        parts = PARTS.fullmatch(token)
        number = int(parts["number"]) if parts else -1
        if parts is None or number not in CODED:
            others = True
            continue
        letters = set((parts["before"] + parts["after"]).upper())
        found.setdefault(number, set()).update(letters)
        if not letters:
            plain.add(number)
    return {unit: "" if unit in plain else "".join(sorted(letters)) for unit, letters in found.items()}, others
