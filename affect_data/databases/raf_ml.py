"""Reads RAF-ML: web photographs that show several expressions at once, with the shares of the annotators for each."""

from types import MappingProxyType
from typing import ClassVar, Final

import polars as pl
from pydantic import Field

from affect_data.databases.base import Database, DatabaseOptions, Licence, Tier
from affect_data.databases.facts import Evidence, Grade, NativeValue
from affect_data.databases.licence import Reading
from affect_data.databases.raf_pictures import PICTURE, Images, with_pictures
from affect_data.databases.root import DatabaseRoot
from affect_data.databases.totals import Totals
from affect_data.databases.voting import VotingOptions, decide, decision_rows, shares

LIST: Final = "distribution.txt"
ORDER: Final = ("surprise", "fear", "disgust", "happiness", "sadness", "anger")
ROUNDING: Final = 1e-4
"""How far the six shares of a line may be from 1; official ones are as near as six decimals allow."""


class RafMlOptions(VotingOptions):
    """What a data recipe may say of RAF-ML."""

    images: Images = Field("aligned", description="the aligned faces, or the original photographs")


class RafMl(Database):
    """RAF-ML: web photographs of faces that show several expressions at once, with the annotators' shares for six.

    Official layout::

        EmoLabel/distribution.txt     0001.jpg 0.080000 0.000000 0.280000 0.000000 0.640000 0.000000   (blanks, also at the end; no header)
        aligned/0001_aligned.jpg      the aligned faces (also in a folder Image)
        original/0001.jpg             the photographs (recipe option images: original)

    Traps:
        - The shares are of surprise, fear, disgust, happiness, sadness and anger, in this order. There is no neutral.
        - Most faces show more than one expression, so that no class has the majority: they have votes, and the class is masked. The recipe's `rule`
          says how many votes decide.
        - There is no official split, and who is shown is in no file.
        - The pictures are those of RAF-AU and RAF-CE of the same name: one name is one face. Near copies stand in a row.
        - How many people voted on a picture is not in the file. Six decimals do not always sum to 1: shares are divided by their sum.
    """

    name = "raf_ml"
    title = "RAF-ML"
    homepage = "http://www.whdeng.cn/raf/model2.html"
    citation = """@article{li2019blended,
  title = {Blended Emotion in-the-Wild: Multi-label Facial Expression Recognition Using Crowdsourced Annotations and Deep Locality Feature Learning},
  author = {Li, Shan and Deng, Weihong},
  journal = {International Journal of Computer Vision},
  volume = {127},
  number = {6},
  pages = {884--906},
  year = {2019},
  doi = {10.1007/s11263-018-1131-1}
}"""
    licence = Licence(
        "on request from an academic address; non-commercial research only; neither pictures nor derived data may be passed on",
        publishes=Tier.RECIPE,
        url="http://www.whdeng.cn/raf/model2.html",
        reading=Reading("2026-11-30", "the terms of RAF-CE, whose owners are the same (whdeng.cn/RAF/model4.html)"),
    )
    source_family = "raf"
    signs = (LIST, f"emolabel/{LIST}")
    totals = MappingProxyType({"2018": Totals({"faces": 4_908}, "the lines of the official list")})
    releases = ("2018",)
    mapping = (
        *(NativeValue(f"column {place}", "0..1", f"votes for {name}") for place, name in enumerate(ORDER, start=2)),
        *decision_rows("columns 2 to 7"),
    )
    expressions = ORDER
    has_expression_votes = True
    evidence = (
        Evidence(
            "a line is a picture and six shares with six decimals that sum to 1",
            Grade.SEEN,
            "all 4,908 lines of a real distribution.txt; another sum is a defect",
        ),
        Evidence(
            "the shares are of surprise, fear, disgust, happiness, sadness, anger",
            Grade.SEEN,
            "action units of faces with one clear expression, and RAF-CE's classes of the same pictures, fit no other order",
        ),
        Evidence(
            "pictures lie in the folders aligned and original, by the names of the list",
            Grade.CODE,
            "loaders of RAF-AU and RAF-CE, whose pictures these are",
        ),
    )
    Options: ClassVar[type[DatabaseOptions]] = RafMlOptions
    options: RafMlOptions

    def scan(self, root: DatabaseRoot) -> pl.DataFrame:
        """A row for each line of the list: image, the annotators' shares, expression.

        Raises:
            DatabaseNotFoundError: there is no list.
        """
        listed = root.one_of(LIST, under=root.one_of("EmoLabel") or "") or root.one_of(LIST)
        if listed is None:
            raise self.not_found(root, because=f"there is no EmoLabel/{LIST}")
        faces = root.table(listed, ("picture", *ORDER), separator=" ")
        root.refuse_empty(listed, faces, "no face", "one line for each face")
        faces = root.refuse(faces, ~faces["picture"].str.contains(PICTURE), "picture = {picture!r}", "such as 0001.jpg")
        again = "{picture} again (first in line {first_line})"
        faces = root.refuse_repeated(faces, "picture", again, "one line for each picture")
        faces = root.numbers(faces, ORDER, 0, 1).with_columns(sum=pl.sum_horizontal(ORDER).round(6))
        whole = faces.select(pl.all_horizontal(pl.col(ORDER).is_not_null())).to_series()
        wrong = whole & ((faces["sum"] - 1).abs() > ROUNDING)
        faces = root.refuse(faces.filter(whole), wrong.filter(whole), "shares that sum to {sum:g}", "a sum of 1")
        faces = with_pictures(root, faces, self.options.images)
        decided = decide(faces, ORDER, rule=self.options.rule, minimum_share=self.options.minimum_share)
        root.note(
            f"{len(faces):,} faces, {decided['expression'].count():,} of them with a class by {self.options.rule}"
        )
        votes = [*shares(faces, ORDER), *decided]
        return faces.select("image", "source_file", "source_line").with_columns(votes)
