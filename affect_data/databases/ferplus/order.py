"""Whether the votes of FER+ stand in the order of FER2013's pictures, to which they belong by their line alone."""

from typing import Final

import polars as pl

from affect_data.databases.ferplus.fer2013_csv import EMOTIONS
from affect_data.databases.ferplus.votes import decide
from affect_data.databases.root import DatabaseRoot

BLOCK: Final = 500
"""Lines that are judged together: few enough that votes which were moved in a part of the file stand out."""
LEAST_COMPARED: Final = 30
LEAST_AGREEMENT: Final = 0.45
"""The two labels are of the same seven classes and agree in most faces; of faces in another order in about one of four."""


def refuse_other_order(root: DatabaseRoot, faces: pl.DataFrame, remedy: str) -> None:
    """Records blocks of lines in which FER2013's own label contradicts the votes too often for them to be of the same pictures.

    Args:
        root: takes the defects.
        faces: by line: the votes, FER2013's own label as `emotion`, `source_file`, `source_line`, and the file of `pictures`.
        remedy: what to do.
    """
    voted = faces.with_columns(decide(faces, "majority")["expression"].alias("voted"))
    compared = voted.filter(pl.col("voted").is_in(list(EMOTIONS)) & pl.col("emotion").is_not_null())
    compared = compared.sort("source_line").with_row_index("row")
    last = max(0, len(compared) // BLOCK - 1)
    blocks = compared.group_by((pl.col("row") // BLOCK).clip(0, last).alias("block"), maintain_order=True).agg(
        pl.col("source_file", "source_line", "pictures").first(),
        last_line=pl.col("source_line").last(),
        compared=pl.len(),
        alike=(pl.col("voted") == pl.col("emotion")).sum(),
    )
    another = (pl.col("compared") >= LEAST_COMPARED) & (pl.col("alike") < LEAST_AGREEMENT * pl.col("compared"))
    found = "votes to line {last_line} that agree with the column emotion of {pictures} in {alike} of {compared} faces"
    root.refuse(blocks, another, found, "most faces to agree, as those of one picture do", remedy)
