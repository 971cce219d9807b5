"""Reads AFEW: clips of films, one of seven expressions each, as the aligned faces that are given out with them."""

from types import MappingProxyType
from typing import Final

import polars as pl

from affect_data.databases.base import Licence, Tier
from affect_data.databases.clips import NUMBERED_FRAME, ClipDatabase, frames_in
from affect_data.databases.facts import Evidence, Grade, NativeValue
from affect_data.databases.labelled_folders import SEVEN, files_by_class
from affect_data.databases.root import DatabaseRoot

PARTS: Final = MappingProxyType(
    {
        "train": (("Train_AFEW", "Train"), ("AlignedFaces_LBPTOP_Points",)),
        "validation": (("Val_AFEW", "Val"), ("AlignedFaces_LBPTOP_Points_Val", "AlignedFaces_LBPTOP_Points")),
    }
)
"""The folder of each labelled part, and the archive with the aligned faces in it."""
FACES: Final = "Faces"
CLIPS: Final = (".avi", ".mp4")
TWICE: Final = "two clips of one name in a part: whose faces these are is not known"


class Afew(ClipDatabase):
    """AFEW, Acted Facial Expressions in the Wild: clips of films with one of seven expressions each.

    Official layout::

        Train_AFEW/Angry/000046280.avi                                        the clips, a folder for each expression
        Train_AFEW/AlignedFaces_LBPTOP_Points/Faces/000046280/*.jpg           the aligned faces of a clip
        Val_AFEW/Angry/000149120.avi
        Val_AFEW/AlignedFaces_LBPTOP_Points_Val/Faces/000149120/*.jpg

    Traps:
        - The class is the name of the folder of a clip's video; folders are never read by their order. The videos themselves are not read.
        - The same name stands in both parts for different clips: the track is part and name. Two clips of one name in one part share a folder of
          faces, so that neither is read.
        - The official validation part serves as the test in most papers, because labels of the test part were not given out; that is not read.
        - Copies differ by a few clips: 771 or 773 of them for training.
        - Faces are in the order of the last number in their names: a list by name would put 10 before 9. A clip in which no face was found has none.
        - Which film a clip is from, and who is shown, is in xml files that are not read.
    """

    name = "afew"
    title = "AFEW"
    homepage = "https://users.cecs.anu.edu.au/~few_group/AFEW.html"
    citation = """@article{dhall2012collecting,
  title = {Collecting Large, Richly Annotated Facial-Expression Databases from Movies},
  author = {Dhall, Abhinav and Goecke, Roland and Lucey, Simon and Gedeon, Tom},
  journal = {IEEE MultiMedia},
  volume = {19},
  number = {3},
  pages = {34--41},
  year = {2012},
  doi = {10.1109/MMUL.2012.26}
}"""
    licence = Licence(
        "signed agreement; non-commercial research only; no redistribution",
        publishes=Tier.RECIPE,
        url="https://users.cecs.anu.edu.au/~few_group/AFEW.html",
    )
    source_family = "afew"
    aliases = ("Acted Facial Expressions in the Wild", "EmotiW AFEW")
    signs = (
        "train_afew/angry", "val_afew/angry", "train_afew/alignedfaces_lbptop_points", "train/alignedfaces_lbptop_points"
    )  # fmt: skip
    counted_as = "clips"
    tolerated_missing_pictures = 0.03
    mapping = (*SEVEN, NativeValue("folder", "two clips of one name in a part", masked=TWICE))
    expressions = tuple(row.unified for row in SEVEN)
    evidence = (
        Evidence(
            "the class of a clip is the folder of its video; its faces are in AlignedFaces_LBPTOP_Points/Faces, a folder with its name",
            Grade.CODE,
            "five independent loaders of the official archives",
        ),
        Evidence("the same names stand in both parts for different clips", Grade.CODE, "getAfewImdb.m of mcnDatasets"),
        Evidence(
            "faces are in the order of the last number in their names",
            Grade.ASSUMED,
            "two faces of a clip with one number are a defect",
        ),
    )

    def scan_clips(self, root: DatabaseRoot) -> pl.DataFrame:
        """One row for each video of the labelled parts: track, frames, expression, split.

        Raises:
            DatabaseNotFoundError: there are no class folders of any part.
        """
        clips = []
        for part, (folders, archives) in PARTS.items():
            folder = root.one_of(*folders)
            if folder is None:
                root.lose(f"no {part} part")
                continue
            known = {name.lower() for name in archives}
            listed = files_by_class(root, folder, self.expressions, CLIPS, known)
            root.count(f"{part} clips", len(listed))
            clips.append(self._with_faces(root, listed, part, folder, archives))
        if not clips or not sum(map(len, clips)):
            raise self.not_found(root, because="there is no clip such as Train_AFEW/Angry/000046280.avi")
        return pl.concat(clips)

    def _with_faces(
        self, root: DatabaseRoot, clips: pl.DataFrame, part: str, folder: str, archives: tuple[str, ...]
    ) -> pl.DataFrame:
        """The clips of a part with their track and frames; a defect if there is no folder of faces."""
        clips = clips.with_columns(name=pl.col("file").str.extract(r"([^/]+)\.[^./]+$"), split=pl.lit(part))
        twice = pl.col("name").is_duplicated()
        root.fail(clips.filter(twice), TWICE)
        clips = clips.filter(~twice)
        above = root.one_of(*archives, under=folder)
        faces = root.one_of(FACES, under=above) if above else None
        if faces is None and len(clips):
            place = f"{folder}/{archives[0]}/{FACES}"
            root.defect(place, 0, "no such folder", "the aligned faces of the clips", f"unpack {archives[0]}.zip there")
        folders = [f"{faces or folder}/{name}" for name in clips["name"]]
        return clips.select(
            "source_file", "source_line", "expression", "split", track=pl.format("{}/{}", "split", "name")
        ).with_columns(frames_in(root, folders, NUMBERED_FRAME))
