"""The pictures that RAF-ML, RAF-CE and RAF-AU share: web photographs 0001.jpg to 4908.jpg, and the faces cut out of them."""

from typing import Final, Literal

import polars as pl

from affect_data.databases.root import DatabaseRoot

Images = Literal["aligned", "original"]
PICTURE: Final = r"^\d{4}\.jpg$"


def with_pictures(root: DatabaseRoot, faces: pl.DataFrame, images: Images) -> pl.DataFrame:
    """The faces with their `image`; a defect if there is no folder of the pictures.

    Args:
        root: of the database.
        faces: with `picture`, such as 0001.jpg.
        images: ``aligned`` for ``aligned/0001_aligned.jpg``, ``original`` for ``original/0001.jpg``; either in a folder ``Image`` or not.
    """
    above = root.one_of("Image")
    folder = (above and root.one_of(images, under=above)) or root.one_of(images)
    if folder is None:
        remedy = "unpack the archive there, or set `images` in the recipe"
        root.defect(images, 0, "no such folder", f"the {images} pictures", remedy)
    ending = "_aligned.jpg" if images == "aligned" else ".jpg"
    name = pl.col("picture").str.replace(r"\.jpg$", ending)
    return faces.with_columns(image=pl.concat_str(pl.lit(f"{folder or images}/"), name))
