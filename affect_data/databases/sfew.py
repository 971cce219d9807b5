"""Reads SFEW 2.0: frames of films, one of seven expressions each."""

from types import MappingProxyType
from typing import Final

import polars as pl

from affect_data.databases.base import Database, Licence, Tier
from affect_data.databases.facts import Evidence, Grade
from affect_data.databases.labelled_folders import SEVEN, files_by_class
from affect_data.databases.root import DatabaseRoot

PARTS: Final = MappingProxyType(
    {
        "train": ("Train", ("Train_Aligned_Faces",)),
        "validation": ("Val", ("Val_Aligned_Faces_new", "Val_Aligned_Faces")),
        "test": ("Test", ("Test_Aligned_Faces",)),
    }
)
"""The folder of each part, and those of its aligned faces; the names of the archives are those of the inner ones."""
PICTURES: Final = (".png", ".jpg", ".jpeg")
NAME: Final = r"([^/]+_\d+)_(\d+)\.[^.]+$"
"""Film and time, and the number of the frame: ``Airheads_000519240_00000005.png``."""


class Sfew(Database):
    """SFEW 2.0, Static Facial Expressions in the Wild: frames of films with one of seven expressions each.

    Official layout::

        Train/Train_Aligned_Faces/Angry/Airheads_000519240_00000005.png             a folder for each expression
        Val/Val_Aligned_Faces_new/Val_Aligned_Faces/Angry/Airheads_000519240_00000005.png
        Test/Test_Aligned_Faces/*.png                                               without labels: not read
        also: without the folders Train, Val and Test

    Traps:
        - The class is the name of the folder; there is no list of labels, and folders are never read by their order.
        - The official validation part serves as the test in most papers, because labels of the test part were not given out.
        - A name is film, time in it and frame. The track is the first two: frames of one clip belong together. Names of another form have no track.
        - Frames are from the clips of AFEW.
        - The aligned faces are read, not the whole frames.
    """

    name = "sfew"
    title = "SFEW"
    homepage = "https://users.cecs.anu.edu.au/~few_group/AFEW.html"
    citation = """@inproceedings{dhall2011static,
  title = {Static Facial Expression Analysis in Tough Conditions: Data, Evaluation Protocol and Benchmark},
  author = {Dhall, Abhinav and Goecke, Roland and Lucey, Simon and Gedeon, Tom},
  booktitle = {IEEE International Conference on Computer Vision Workshops},
  pages = {2106--2112},
  year = {2011},
  doi = {10.1109/ICCVW.2011.6130508}
}"""
    licence = Licence(
        "signed agreement; non-commercial research only; no redistribution",
        publishes=Tier.RECIPE,
        url="https://users.cecs.anu.edu.au/~few_group/AFEW.html",
    )
    source_family = "afew"
    aliases = ("SFEW 2.0", "Static Facial Expressions in the Wild")
    signs = (
        "train/train_aligned_faces/angry",
        "train_aligned_faces/angry",
        "val/val_aligned_faces*",
        "val_aligned_faces*",
    )
    releases = ("2.0",)
    mapping = SEVEN
    expressions = tuple(row.unified for row in SEVEN)
    evidence = (
        Evidence(
            "the class of an aligned face is the name of its folder, below Train/Train_Aligned_Faces and Val/Val_Aligned_Faces(_new)",
            Grade.CODE,
            "six independent loaders of the official archives",
        ),
        Evidence(
            "labels of the test part are not given out", Grade.DOCUMENTED, "the challenge that the parts were made for"
        ),
        Evidence(
            "a name is film, time and frame",
            Grade.CODE,
            "a path in a loader, Airheads_000519240_00000005.png; a name of another form gives a row without a track",
        ),
    )

    def scan(self, root: DatabaseRoot) -> pl.DataFrame:
        """A row for each aligned face of the labelled parts: image, split, expression, track, frame.

        Raises:
            DatabaseNotFoundError: there are no aligned faces of any labelled part.
        """
        folders = {part: _folder(root, *names) for part, names in PARTS.items()}
        labelled = {part: folder for part, folder in folders.items() if folder and part != "test"}
        if not labelled:
            raise self.not_found(root, because="there is no folder Train/Train_Aligned_Faces")
        rows = []
        for part in ("train", "validation"):
            if part not in labelled:
                root.lose(f"no {part} part")
                continue
            faces = files_by_class(root, labelled[part], self.expressions, PICTURES)
            root.refuse_empty(labelled[part], faces, "no picture", "pictures in class folders")
            root.count(f"{part} faces", len(faces))
            rows.append(faces.with_columns(split=pl.lit(part)))
        if folders["test"]:
            unlabelled = [name for name in root.entries(folders["test"]) if name.lower().endswith(PICTURES)]
            root.note(f"{len(unlabelled):,} pictures of the test part have no label and are not read")
        faces = pl.concat(rows).rename({"file": "image"})
        return faces.with_columns(
            track=pl.col("image").str.extract(NAME, 1),
            frame=pl.col("image").str.extract(NAME, 2).cast(pl.Int32, strict=False),
        )


def _folder(root: DatabaseRoot, above: str, names: tuple[str, ...]) -> str | None:
    """The folder of a part's aligned faces, where archives may have been unpacked into folders of their names; None if there is none."""
    places = [root.one_of(above), ""]
    found = next((path for place in places if place is not None if (path := root.one_of(*names, under=place))), None)
    return (root.one_of(names[-1], under=found) or found) if found else None
