"""Reads ExpW: a list of faces in web photographs, one expression each."""

from types import MappingProxyType
from typing import ClassVar, Final

import polars as pl
from pydantic import Field

from affect_data.databases.base import Database, DatabaseOptions, Licence, Tier
from affect_data.databases.facts import Evidence, Grade, NativeValue, labels_of, numbered
from affect_data.databases.root import BOX, DatabaseRoot
from affect_data.databases.spelling import whole_numbers
from affect_data.databases.totals import Totals

LABEL_COLUMNS: Final = ("photograph", "face", "top", "left", "right", "bottom", "confidence", "expression")
IMAGE_FOLDERS: Final = (("image", "origin"), ("origin",), ("image",))
HIGHEST_CONFIDENCE: Final = 1e9


class ExpWOptions(DatabaseOptions):
    """What a data recipe may say of ExpW."""

    minimum_confidence: float = Field(
        0.0, ge=0.0, description="faces that the detector found with a lower confidence are dropped, and counted"
    )


class ExpW(Database):
    """Expression in-the-Wild: faces in photographs that web searches found, one of seven expressions each.

    Official layout::

        image/origin/<photograph>.jpg      for example angry_actor_104.jpg
        label/label.lst                    photograph face top left right bottom confidence expression
                                           (separated by single spaces, no header)

    Traps:
        - A photograph may hold several faces, each with its own line and expression. Face number and photograph name a face; the name
          of the photograph alone does not.
        - A photograph is named after the words that were searched for. They are not its label.
        - The box is listed as top, left, right, bottom, and may exceed the photograph.
        - The confidence of the face detector has no upper bound (0.23 to 137.6 were seen).
        - There are no subjects and no official split.
        - Some photographs of the list are not in the archive.
    """

    name = "expw"
    title = "ExpW"
    homepage = "http://mmlab.ie.cuhk.edu.hk/projects/socialrelation/index.html"
    citation = """@article{zhang2018facial,
  title = {From Facial Expression Recognition to Interpersonal Relation Prediction},
  author = {Zhang, Zhanpeng and Luo, Ping and Loy, Chen Change and Tang, Xiaoou},
  journal = {International Journal of Computer Vision},
  volume = {126},
  number = {5},
  pages = {550--569},
  year = {2018},
  doi = {10.1007/s11263-017-1055-1}
}"""
    licence = Licence(
        "non-commercial research only; the photographs come from web searches and belong to their owners; no redistribution",
        publishes=Tier.RECIPE,
        url="http://mmlab.ie.cuhk.edu.hk/projects/socialrelation/index.html",
    )
    source_family = "expw"
    aliases = ("Expression in the Wild",)
    signs = ("label/label.lst", "label.lst", "image/origin")
    totals = MappingProxyType({"2018": Totals({"faces": 91_793}, "the paper")})
    releases = ("2018",)
    expressions = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
    mapping = (
        *numbered("expression", expressions),
        NativeValue("confidence", "below `minimum_confidence`", masked="face confidence below the minimum"),
    )
    evidence = (
        Evidence(
            "one line a face: photograph, face, top, left, right, bottom, confidence, expression, split by single spaces",
            Grade.DOCUMENTED,
            "readme.txt beside label.lst",
        ),
        Evidence("the expressions 0..6 are in this order", Grade.DOCUMENTED, "readme.txt beside label.lst"),
        Evidence(
            "boxes may exceed the photograph, and several faces share one",
            Grade.SEEN,
            "5,705 lines of a real label.lst",
        ),
    )
    Options: ClassVar[type[DatabaseOptions]] = ExpWOptions
    options: ExpWOptions

    def scan(self, root: DatabaseRoot) -> pl.DataFrame:
        """A row for each line of ``label.lst``: image, face, face_box, expression.

        Raises:
            DatabaseNotFoundError: there is no ``label.lst``.
        """
        listed = root.one_of("label.lst", under=root.one_of("label") or "") or root.one_of("label.lst")
        if listed is None:
            raise self.not_found(root, because="there is no label/label.lst")
        folder = _image_folder(root)
        faces = root.table(listed, LABEL_COLUMNS, separator=" ")
        root.refuse_empty(listed, faces, "no face", "one line for each face")
        faces = faces.with_columns(image=pl.format("{}/{}", pl.lit(folder), "photograph"))
        faces = root.boxes(_checked_names(root, faces))
        faces = root.classes(faces, "expression", labels_of(self.mapping, "expression"))
        faces = root.numbers(faces, ["confidence"], 0, HIGHEST_CONFIDENCE)
        again = "face {face} of {photograph} again (first in line {first_line})"
        faces = root.refuse_repeated(faces, ("photograph", "face"), again, "one line for each face")
        for name in self.expressions:
            root.count(f"faces of {name}", int((faces["expression"] == name).sum()))
        root.note(f"{listed}: {len(faces):,} faces in {faces['image'].n_unique():,} photographs of {folder}")
        return self._confident(root, faces).select(
            "image",
            "source_file",
            "source_line",
            "face",
            face_box=pl.concat_list(BOX).list.to_array(4),
            expression="expression",
        )

    def _confident(self, root: DatabaseRoot, faces: pl.DataFrame) -> pl.DataFrame:
        """The faces whose confidence reaches the option's minimum; the others become failures."""
        minimum = self.options.minimum_confidence
        doubtful = (pl.col("confidence") < minimum).fill_null(value=False)
        root.fail(faces.filter(doubtful), f"face confidence below {minimum:g}")
        return faces.filter(~doubtful)


def _image_folder(root: DatabaseRoot) -> str:
    """The folder of the photographs, relative to the root; a defect if there is none."""
    for parts in IMAGE_FOLDERS:
        folder: str | None = ""
        for part in parts:
            folder = root.one_of(part, under=folder) if folder is not None else None
        if folder and (root.path / folder).is_dir():
            return folder
    root.defect(
        "image/origin",
        0,
        "no such folder",
        "the folder of the photographs",
        "unpack the archive of the photographs there",
    )
    return "image/origin"


def _checked_names(root: DatabaseRoot, faces: pl.DataFrame) -> pl.DataFrame:
    """The faces with `face` as an integer; a photograph that is no file name, and a face that is no integer, are defects."""
    is_name = pl.col("photograph").str.contains(r"^[^/\\]+\.\w+$")
    root.refuse(faces, ~is_name, "photograph = {photograph!r}", "a file name with its extension")
    number = whole_numbers(faces["face"])
    fits = number.is_between(0, 9999).fill_null(value=False)
    root.refuse(faces, ~fits, "face = {face!r}", "a whole number from 0 to 9999")
    return faces.with_columns(number.set(~fits, None).alias("face"))
