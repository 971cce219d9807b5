"""Reads RAF-AU: web photographs with the action units that experts saw, and on which side of the face."""

from types import MappingProxyType
from typing import ClassVar, Final

import polars as pl
from pydantic import Field

from affect_data.databases.base import Database, DatabaseOptions, Licence, Tier
from affect_data.databases.facts import Evidence, Grade
from affect_data.databases.licence import Reading
from affect_data.databases.raf_pictures import Images, with_pictures
from affect_data.databases.raf_units import list_mapping, listed_action_units
from affect_data.databases.root import DatabaseRoot
from affect_data.databases.totals import Totals

LIST: Final = "RAFAU_label.txt"
CODED: Final = (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 16, 17, 18, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 39, 43)


class RafAuOptions(DatabaseOptions):
    """What a data recipe may say of RAF-AU."""

    images: Images = Field("aligned", description="the aligned faces, or the original photographs")


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
    mapping = list_mapping(CODED)
    evidence = (
        Evidence(
            "a picture and its action units, joined by plus signs",
            Grade.SEEN,
            "907 of 4,601 lines of a real RAFAU_label.txt",
        ),
        Evidence("`null` says that no action unit is active", Grade.CODE, "public loaders; the paper codes every face"),
        Evidence(
            "letters before or after a number, in capitals or not, are sides",
            Grade.SEEN,
            "the real list, and all 4,549 lines of RAF-CE's, which has the same pictures",
        ),
        Evidence(
            "L, R, T, B are left, right, top, bottom",
            Grade.ASSUMED,
            "the convention of FACS; another letter is a defect",
        ),
        Evidence(
            "pictures are those of RAF-ML and RAF-CE of the same name",
            Grade.SEEN,
            "the names and strings of both lists",
        ),
    )
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
        faces = listed_action_units(root, listed, CODED)
        return with_pictures(root, faces, self.options.images).drop("picture", "tokens")
