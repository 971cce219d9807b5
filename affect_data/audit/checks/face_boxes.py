"""Finds face boxes that do not fit their picture or hold several faces, and databases with several kinds of crops.

No detector is run: the boxes and the sizes of the pictures tell all of this.
"""

from collections.abc import Iterator
from typing import Final

import numpy as np
import polars as pl

from affect_data.audit.base import Audit, AuditedDataset, Severity, findings, no_findings
from affect_data.audit.pictures.facts import MEASUREMENTS
from affect_data.dataset.kinds.crops import CROPPED, CROPS

OUTSIDE: Final = 0.1
CROWDED: Final = 0.3
SAME_FACE: Final = 0.8
WHOLE: Final = 0.9
COMMON_SIZE: Final = 0.1

CORNERS: Final = ("x0", "y0", "x1", "y1")


class FaceBoxes(Audit):
    """Boxes that leave their picture, and boxes with a second face in them."""

    name = "face_boxes"
    title = "face boxes"
    severity = Severity.WARNING
    rule = (
        f"more than {OUTSIDE} of the box's area is outside its picture (outside), or the box of another face of the same picture covers at least "
        f"{CROWDED} of it (crowded; boxes with an intersection over union of {SAME_FACE} are of one face). Score: 0.5 plus half of that share"
    )
    source = "two faces in one crop: the multi-face trackers of the published preprocessing swap them; what is seen is said of one of them"
    example = (
        "a box whose right half lies outside the picture (outside, score 0.75); a face whose box is half "
        "covered by a neighbour's (crowded)"
    )

    def not_applicable(self, dataset: AuditedDataset) -> str:
        """The check needs face boxes."""
        return "" if _boxed(dataset.labels)["boxed"].any() else "no row has a face box"

    def find(self, dataset: AuditedDataset) -> pl.DataFrame:
        """One finding for every box that leaves its picture, and for every pair of a box and another that covers part of it."""
        boxes = _with_picture_size(dataset).filter("boxed")
        area = (pl.col("x1") - pl.col("x0")) * (pl.col("y1") - pl.col("y0"))
        seen = _overlap("x", 0.0, pl.col("picture_width")) * _overlap("y", 0.0, pl.col("picture_height"))
        boxes = boxes.with_columns(area.alias("area"), (1 - seen / area).alias("outside")).filter(pl.col("area") > 0)
        about = {
            "box": pl.concat_list(CORNERS),
            **{f"picture_{side}": pl.col(f"picture_{side}") for side in ("width", "height")},
        }
        outside = boxes.filter(pl.col("outside") > OUTSIDE)
        evidence = {"defect": "outside", "share": pl.col("outside"), **about}
        parts = [no_findings(), findings(outside, 0.5 + 0.5 * pl.col("outside"), self.severity, evidence)]
        crowded = _crowded(boxes)
        evidence = {"defect": "crowded", "share": pl.col("covered"), "other": pl.col("uid_other"), **about}
        parts.append(findings(crowded, 0.5 + 0.5 * pl.col("covered"), self.severity, evidence))
        return pl.concat(parts)


class MixedCrops(Audit):
    """Rows whose faces are cropped in another way than most of their database."""

    name = "mixed_crops"
    title = "crops of several kinds in one database"
    severity = Severity.REVIEW
    rule = (
        f"a database's crops are of these kinds: a box that is the picture (at least {WHOLE} of it), a box within the picture, and without a box "
        f"each picture size that at least {COMMON_SIZE} of the database's rows have, and all others together. Found are the rows of all kinds but "
        "the most frequent. The same in each group of stored crops, whose two kinds are the crop of a found face, and what is shown where none was "
        "found. Score: the share of the most frequent kind"
    )
    source = "a folder that mixed aligned and unaligned crops cost a published model its accuracy (sb-ai-lab/EmotiEffLib, issue 32)"
    example = (
        "a row of AffectNet for which no face was detected: it has no box, so the whole photograph is taken "
        "where all others are crops"
    )

    def find(self, dataset: AuditedDataset) -> pl.DataFrame:
        """One finding for every row whose kind of crop is not the most frequent: by its picture and box, and in each group of stored crops."""
        rows = _with_picture_size(dataset).with_columns(_kind_of_crop().alias("kind"))
        return pl.concat([self._unusual(rows), *(self._unusual(rows) for rows in _stored_crops(dataset))])

    def _unusual(self, rows: pl.DataFrame) -> pl.DataFrame:
        """A finding for every row whose `kind` is not the most frequent of its database."""
        counts = rows.group_by("database", "kind").agg(pl.len().alias("count")).sort("count", "kind", descending=True)
        usual = counts.group_by("database", maintain_order=True).agg(
            pl.col("kind").first().alias("usual"), (pl.col("count").first() / pl.col("count").sum()).alias("share")
        )
        rows = rows.join(usual, on="database", maintain_order="left").filter(pl.col("kind") != pl.col("usual"))
        return findings(rows, pl.col("share"), self.severity, {"kind": pl.col("kind"), "usual": pl.col("usual")})


def _kind_of_crop() -> pl.Expr:
    """How the face of a row is cut out of its picture, in words; takes the columns of `_with_picture_size`."""
    covered = (
        (pl.col("x1") - pl.col("x0"))
        * (pl.col("y1") - pl.col("y0"))
        / (pl.col("picture_width") * pl.col("picture_height"))
    )
    size = pl.format("{} x {}", *(pl.col(f"picture_{side}").cast(pl.Int32) for side in ("width", "height")))
    common = pl.len().over("database", size) >= COMMON_SIZE * pl.len().over("database")
    return (
        pl.when(pl.col("boxed") & (covered >= WHOLE)).then(pl.lit("the box is the picture"))
        .when("boxed").then(pl.lit("box within the picture"))
        .when(common).then(pl.format("no box, {}", size))
        .otherwise(pl.lit("no box, other sizes"))
    )  # fmt: skip


def _stored_crops(dataset: AuditedDataset) -> Iterator[pl.DataFrame]:
    """For each group of stored crops all rows with their `kind`: the crop of a found face, or what is shown in its place."""
    for name in CROPS.names(dataset.folder):
        group, column = CROPS.group(name), CROPS.column(name, CROPPED)
        flags = [dataset.folder.load(split, [group]).data.column(column).to_numpy() for split in dataset.folder.splits]
        cropped, fallback = f"{name}, a found face", f"{name}, no face: its own box or the whole picture"
        kinds = np.where(np.concatenate(flags), cropped, fallback)
        yield dataset.labels.with_columns(pl.Series("kind", kinds))


def _boxed(labels: pl.DataFrame) -> pl.DataFrame:
    corners = [pl.col("face_box").arr.get(i).alias(name) for i, name in enumerate(CORNERS)]
    return labels.with_columns(corners).with_columns(pl.col("x0").is_not_nan().alias("boxed"))


def _with_picture_size(dataset: AuditedDataset) -> pl.DataFrame:
    values = dataset.pictures.measurements[dataset.pictures.of_row]
    sizes = [
        pl.Series(name, values[:, MEASUREMENTS.index(name)].astype(np.float64))
        for name in ("picture_width", "picture_height")
    ]
    return _boxed(dataset.labels).with_columns(sizes)


def _overlap(axis: str, low: float | pl.Expr, high: pl.Expr) -> pl.Expr:
    """The length of the overlap of a box and a range along an axis."""
    first, last = pl.col(f"{axis}0"), pl.col(f"{axis}1")
    return (
        pl.min_horizontal(last, high) - pl.max_horizontal(first, pl.lit(low) if isinstance(low, float) else low)
    ).clip(0)


def _crowded(boxes: pl.DataFrame) -> pl.DataFrame:
    """Boxes that another box of the same picture and frame partly covers, with `uid_other` and the share `covered`."""
    place = ["database", "split", "track", "frame", "image_digest"]
    boxes = boxes.filter(pl.len().over(place) > 1)
    pairs = boxes.join(
        boxes.select(*place, "uid", "area", *CORNERS), on=place, suffix="_other", maintain_order="left_right"
    )
    pairs = pairs.filter(pl.col("uid") != pl.col("uid_other"))
    shared = [_overlap(axis, pl.col(f"{axis}0_other"), pl.col(f"{axis}1_other")) for axis in "xy"]
    pairs = pairs.with_columns((shared[0] * shared[1]).alias("shared"))
    union = pl.col("area") + pl.col("area_other") - pl.col("shared")
    pairs = pairs.with_columns((pl.col("shared") / pl.col("area")).alias("covered"))
    return pairs.filter((pl.col("covered") >= CROWDED) & (pl.col("shared") / union < SAME_FACE))
