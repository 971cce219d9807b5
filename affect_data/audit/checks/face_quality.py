"""Finds pictures that hardly show what they are labelled with: tiny, blurred, blank, of an odd shape, or grey in a colour file."""

from collections.abc import Iterator
from typing import Final

import polars as pl

from affect_data.audit.base import Audit, AuditedDataset, Severity, findings, no_findings
from affect_data.audit.pictures.facts import MEASUREMENTS

TINY: Final = 32
BLANK: Final = 4.0
BLURRED: Final = 0.25
LONGEST_SIDE: Final = 2.0
GREY: Final = 2.0


class FaceQuality(Audit):
    """Face pictures that show little."""

    name = "face_quality"
    title = "quality of pictures"
    severity = Severity.WARNING
    rule = (
        f"the picture (the part within the face box): the box misses it, or its contrast is below {BLANK:g} grey "
        f"levels (blank); a side below {TINY} pixels "
        f"(tiny); one side more than {LONGEST_SIDE:g} times the other; the Laplacian's deviation below {BLURRED} of "
        f"the contrast at 64 pixels (blurred). "
        "Score: 1 for blank, else how far beyond the limit"
    )
    source = "variance of the Laplacian: Pech-Pacheco et al., Diatom autofocusing in brightfield microscopy, ICPR 2000; limits set on FER+"
    example = "a face box of 20 by 22 pixels (tiny, score 0.69); a box outside its picture (blank, score 1)"

    def find(self, dataset: AuditedDataset) -> pl.DataFrame:
        """One finding for every row and defect."""
        return pl.concat([no_findings(), *(part for rows in _measured(dataset, "uid") for part in self._found(rows))])

    def _found(self, rows: pl.DataFrame) -> Iterator[pl.DataFrame]:
        side = pl.min_horizontal("width", "height")
        aspect = pl.max_horizontal("width", "height") / side
        missed = pl.col("width").is_nan()
        blank = missed | (pl.col("contrast") < BLANK)
        checks = {
            "blank": (blank, pl.lit(1.0)),
            "tiny": (side < TINY, 1 - side / TINY * 0.5),
            "aspect": (aspect > LONGEST_SIDE, 1 - LONGEST_SIDE / aspect * 0.5),
            "blurred": (~blank & (pl.col("sharpness") < BLURRED), 1 - pl.col("sharpness") / BLURRED * 0.5),
        }
        for defect, (broken, score) in checks.items():
            alone = broken if defect == "blank" else broken & ~missed
            evidence = {
                "defect": defect,
                **{name: pl.col(name) for name in ("width", "height", "contrast", "sharpness")},
            }
            yield findings(rows.filter(alone), score, self.severity, evidence)


class GreyAsColour(Audit):
    """Grey pictures in colour files."""

    name = "grey_as_colour"
    title = "grey stored as colour"
    severity = Severity.REVIEW
    rule = (
        f"three channels that differ by at most {GREY:g} of 255, in a database that also has pictures in colour. "
        "Score: the share of its pictures that is in colour"
    )
    source = "a model learns which database a picture is from by its colour"
    example = "a grey photograph saved as an RGB JPEG among colour photographs"

    def find(self, dataset: AuditedDataset) -> pl.DataFrame:
        """One finding for every row."""
        coloured = (pl.col("colour") > GREY).sum()
        counts = [
            rows.filter(pl.col("colour").is_not_null())
            .group_by("database")
            .agg(coloured.alias("coloured"), pl.col("colour").len().alias("rows"))
            for rows in _measured(dataset, "database")
        ]
        share = pl.col("coloured").sum() / pl.col("rows").sum()
        shares = pl.concat(counts).group_by("database").agg(share.alias("coloured"))
        grey = (pl.col("channels") == 3) & (pl.col("colour") <= GREY) & (pl.col("coloured") > 0)
        evidence, parts = {"largest_difference": pl.col("colour")}, [no_findings()]
        for rows in _measured(dataset, "uid", "database"):
            found = rows.join(shares, on="database", maintain_order="left").filter(grey)
            parts.append(findings(found, pl.col("coloured"), self.severity, evidence))
        return pl.concat(parts)


def _measured(dataset: AuditedDataset, *columns: str) -> Iterator[pl.DataFrame]:
    pictures = dataset.pictures
    for block in dataset.blocks(*columns):
        values = pictures.measurements[pictures.of_row[block["row"].to_numpy()]]
        yield block.with_columns(pl.Series(name, values[:, i]) for i, name in enumerate(MEASUREMENTS))
