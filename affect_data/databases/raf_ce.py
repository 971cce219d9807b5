"""Reads RAF-CE: web photographs with one of fourteen compound expressions, and their action units."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar, Final

import polars as pl
from pydantic import Field

from affect_data.databases.action_unit_columns import NOT_CODED
from affect_data.databases.base import Database, DatabaseOptions, Licence, Tier
from affect_data.databases.facts import Evidence, Grade, labels_of, numbered
from affect_data.databases.licence import Reading
from affect_data.databases.raf_au import CODED as CODED_IN_RAF_AU
from affect_data.databases.raf_pictures import PICTURE, Images, with_pictures
from affect_data.databases.raf_units import NOTHING, list_mapping, listed_action_units
from affect_data.databases.root import DatabaseRoot
from affect_data.databases.totals import Totals

LIST: Final = "RAFCE_emolabel.txt"
PARTITION: Final = "RAFCE_partition.txt"
ACTION_UNITS: Final = "RAFCE_AUlabel.txt"
FOLDERS: Final = ("EmoLabel", "label", "labels")
CODED: Final = tuple(sorted({*CODED_IN_RAF_AU, 19, 30, 32, 33, 34, 35}))
COMPOUND: Final = (
    "happily surprised",
    "happily disgusted",
    "sadly fearful",
    "sadly angry",
    "sadly surprised",
    "sadly disgusted",
    "fearfully angry",
    "fearfully surprised",
    "fearfully disgusted",
    "angrily surprised",
    "angrily disgusted",
    "disgustedly surprised",
    "happily fearful",
    "happily sad",
)
LABEL, PART = "compound_expression", "split"
SHORTEST_BURST: Final = 3
"""How many pictures in a row with one class and the same action units count as near copies of each other."""


class RafCeOptions(DatabaseOptions):
    """What a data recipe may say of RAF-CE."""

    images: Images = Field("aligned", description="the aligned faces, or the original photographs")


class RafCe(Database):
    """RAF-CE: web photographs of faces, one of fourteen compound expressions each, and their action units with the side of the face.

    Official layout::

        RAFCE_emolabel.txt            0001.jpg 5            (a blank, no header; 0..13)
        RAFCE_partition.txt           0001.jpg 0            0 train, 1 test, 2 validation
        RAFCE_AUlabel.txt             0001.jpg 1+4+25       or null
        aligned/0001_aligned.jpg      the aligned faces (also in a folder Image)
        original/0001.jpg             the photographs (recipe option images: original)

    Traps:
        - Part 1 is for testing and part 2 for validation, not the other way round.
        - ``null`` says that no action unit is active. It does not say that nothing was coded.
        - Letters say where an action unit is, as in RAF-AU: ``L12``, ``t23``, ``L12L``; those of two kinds (``BL18``) are left out and noted.
        - The official partition tears bursts apart: 2240 to 2255 are sixteen pictures with one class and the same action units, in all three parts.
          How many such rows of pictures a copy has is noted.
        - The pictures are those of RAF-AU and RAF-ML of the same name: one name is one face. Their lists may split them otherwise.
        - The three lists have the same pictures. A picture that one of them lacks is a defect.
        - Numbers of pictures have gaps. Who is shown is in no file.
    """

    name = "raf_ce"
    title = "RAF-CE"
    homepage = "http://www.whdeng.cn/RAF/model4.html"
    citation = """@inproceedings{li2023compound,
  title = {Compound Expression Recognition In-the-Wild With {AU}-Assisted Meta Multi-Task Learning},
  author = {Li, Ximan and Deng, Weihong and Li, Shan and Li, Yong},
  booktitle = {IEEE/CVF Conference on Computer Vision and Pattern Recognition Workshops},
  year = {2023}
}"""
    licence = Licence(
        "on request from an academic address; non-commercial research only; neither pictures nor derived data may be passed on",
        publishes=Tier.RECIPE,
        url="http://www.whdeng.cn/RAF/model4.html",
        reading=Reading("2026-11-30", "the terms on the owners' page (whdeng.cn/RAF/model4.html)"),
    )
    source_family = "raf"
    signs = (LIST, f"*/{LIST}")
    totals = MappingProxyType(
        {
            "2023": Totals(
                {"faces": 4_549, "train faces": 2_709, "validation faces": 931, "test faces": 909}, "the official lists"
            )
        }
    )
    releases = ("2023",)
    mapping = (
        *numbered(LABEL, COMPOUND),
        *numbered(PART, ("train", "test", "validation")),
        *list_mapping(CODED),
    )
    compound_expressions = COMPOUND
    action_units = CODED
    action_unit_sides = CODED
    evidence = (
        Evidence(
            "three lists with the same 4,549 pictures: class, part, action units", Grade.SEEN, "real lists, complete"
        ),
        Evidence(
            "the classes 0..13 are in this order",
            Grade.SEEN,
            "the two words of each class are the two highest shares that RAF-ML gives its pictures, in 670 of 676 down to 29 of 29",
        ),
        Evidence(
            "0 is train, 1 test, 2 validation",
            Grade.SEEN,
            "the numbers of test faces that a public README gives for two classes are those of part 1",
        ),
        Evidence(
            "the coded action units are those that the list names",
            Grade.SEEN,
            f"all tokens of the real list; {NOT_CODED} is masked",
        ),
        Evidence(
            "pictures lie in the folders aligned and original, by the names of the lists", Grade.CODE, "three loaders"
        ),
    )
    Options: ClassVar[type[DatabaseOptions]] = RafCeOptions
    options: RafCeOptions

    def scan(self, root: DatabaseRoot) -> pl.DataFrame:
        """A row for each line of the list of classes: image, compound_expression, split, au_*, side_* and au_masked.

        Raises:
            DatabaseNotFoundError: there is no list of classes.
        """
        listed = _list(root, LIST)
        if listed is None:
            raise self.not_found(root, because=f"there is no {LIST}")
        faces = _coded(root, listed, LABEL, labels_of(self.mapping, LABEL))
        parts, units = _list(root, PARTITION), _list(root, ACTION_UNITS)
        if parts is None:
            root.lose(f"no official split (no {PARTITION})")
        else:
            partition = _coded(root, parts, PART, labels_of(self.mapping, PART))
            faces = _joined(root, faces, partition, listed, parts)
            for name, number in faces[PART].value_counts().sort(PART).drop_nulls().iter_rows():
                root.count(f"{name} faces", number)
        if units is None:
            root.lose(f"no action units (no {ACTION_UNITS})")
        else:
            faces = _joined(root, faces, listed_action_units(root, units, CODED), listed, units)
        if parts is not None and units is not None:
            _note_torn_bursts(root, faces)
        return with_pictures(root, faces, self.options.images).drop("picture", "tokens", strict=False)


def _list(root: DatabaseRoot, name: str) -> str | None:
    """The path of one of the three lists; None if there is none."""
    folder = root.one_of(*FOLDERS)
    return root.one_of(name) or (root.one_of(name, under=folder) if folder else None)


def _coded(root: DatabaseRoot, path: str, column: str, codes: Mapping[str, str | None]) -> pl.DataFrame:
    """The lines of a list: picture, the name of its code, source_file and source_line."""
    faces = root.table(path, ("picture", column), separator=" ")
    root.refuse_empty(path, faces, "no face", "one line for each face")
    faces = root.refuse(faces, ~faces["picture"].str.contains(PICTURE), "picture = {picture!r}", "such as 0001.jpg")
    again = "{picture} again (first in line {first_line})"
    faces = root.refuse_repeated(faces, "picture", again, "one line for each picture")
    return root.classes(faces, column, codes)


def _joined(root: DatabaseRoot, faces: pl.DataFrame, other: pl.DataFrame, listed: str, path: str) -> pl.DataFrame:
    """The faces with what another list says of them; a picture that one of the two lists lacks is a defect."""
    both = (faces, other, path), (other, faces, listed)
    for here, there, name in both if not root.defects else ():
        lacking = here.join(there, on="picture", how="anti")
        remedy = "restore the official lists, or name the line under `exclude` in the recipe"
        root.refuse(
            lacking, pl.lit(value=True), "{picture}, which " + name + " lacks", "the same pictures in all lists", remedy
        )
    return faces.join(other.drop("source_file", "source_line"), on="picture", how="left", maintain_order="left")


def _note_torn_bursts(root: DatabaseRoot, faces: pl.DataFrame) -> None:
    """Notes the rows of pictures with one class and the same action units that lie in several parts of the official split."""
    number = pl.col("picture").str.slice(0, 4).cast(pl.Int32, strict=False)
    alike = pl.struct(LABEL, "tokens").rle_id()
    ordered = faces.filter(pl.col("tokens") != NOTHING).sort("picture").with_columns(number=number)
    apart = (pl.col("number").diff().fill_null(1) != 1).cum_sum()
    runs = ordered.group_by(alike.alias("alike"), apart.alias("apart"), maintain_order=True).agg(
        pl.len().alias("length"), pl.col(PART).n_unique().alias("parts"), pl.col("picture").first()
    )
    torn = runs.filter((pl.col("length") >= SHORTEST_BURST) & (pl.col("parts") > 1)).sort("length", descending=True)
    if len(torn):
        longest = f"such as the {torn['length'][0]} from {torn['picture'][0]} on"
        root.note(
            f"the official split tears {len(torn):,} rows of near copies apart (consecutive pictures with one class and the "
            f"same action units), {longest}: figures on it are too high"
        )
