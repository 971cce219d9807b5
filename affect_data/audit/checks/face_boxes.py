"""Finds face boxes that do not fit their picture or hold several faces, and databases with several kinds of crops.

No detector is run: the boxes and the sizes of the pictures tell all of this.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Final

import numpy as np
import polars as pl

from affect_data.audit.base import Audit, AuditedDataset, Severity, findings, no_findings
from affect_data.audit.pictures.facts import MEASUREMENTS, distinct_pictures
from affect_data.dataset.kinds.crops import CROPPED, CROPS

OUTSIDE: Final = 0.1
CROWDED: Final = 0.3
SAME_FACE: Final = 0.8
WHOLE: Final = 0.9
COMMON_SIZE: Final = 0.1

CORNERS: Final = ("x0", "y0", "x1", "y1")

_SIDES: Final = ("picture_width", "picture_height")
_SIZE: Final = pl.format("{} x {}", *(pl.col(side).cast(pl.Int32) for side in _SIDES)).alias("size")


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
        return "no row has a face box" if np.isnan(dataset.face_boxes[:, 0]).all() else ""

    def find(self, dataset: AuditedDataset) -> pl.DataFrame:
        """One finding for every box that leaves its picture, and for every pair of a box and another that covers part of it."""
        parts = [no_findings(), *(self._outside(block) for block in _with_picture_size(dataset, "uid"))]
        crowded = _crowded(dataset)
        evidence = {"defect": "crowded", "share": pl.col("covered"), "other": pl.col("uid_other"), **_about()}
        parts.append(findings(crowded, 0.5 + 0.5 * pl.col("covered"), self.severity, evidence))
        return pl.concat(parts)

    def _outside(self, block: pl.DataFrame) -> pl.DataFrame:
        seen = _overlap("x", 0.0, pl.col("picture_width")) * _overlap("y", 0.0, pl.col("picture_height"))
        boxes = _with_area(block).with_columns((1 - seen / pl.col("area")).alias("outside"))
        outside = boxes.filter(pl.col("outside") > OUTSIDE)
        evidence = {"defect": "outside", "share": pl.col("outside"), **_about()}
        return findings(outside, 0.5 + 0.5 * pl.col("outside"), self.severity, evidence)


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
        stored = (partial(_stored_crops, dataset, name) for name in CROPS.names(dataset.folder))
        kinds = [partial(_crops, dataset, _common_sizes(dataset)), *stored]
        return pl.concat([no_findings(), *(part for blocks in kinds for part in self._unusual(blocks))])

    def _unusual(self, blocks: Callable[[], Iterable[pl.DataFrame]]) -> Iterator[pl.DataFrame]:
        """Findings for every row whose `kind` is not the most frequent of its database.

        Args:
            blocks: gives all rows, with `uid`, `split`, `database` and `kind`; called twice.
        """
        counts = pl.concat([block.group_by("database", "kind").agg(pl.len().alias("count")) for block in blocks()])
        counts = counts.group_by("database", "kind").agg(pl.col("count").sum())
        counts = counts.sort("count", "kind", descending=True)
        usual = counts.group_by("database", maintain_order=True).agg(
            pl.col("kind").first().alias("usual"), (pl.col("count").first() / pl.col("count").sum()).alias("share")
        )
        for block in blocks():
            rows = block.join(usual, on="database", maintain_order="left").filter(pl.col("kind") != pl.col("usual"))
            yield findings(rows, pl.col("share"), self.severity, {"kind": pl.col("kind"), "usual": pl.col("usual")})


def _crops(dataset: AuditedDataset, common: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """All rows with their `kind`: how the face is cut out of its picture, in words.

    Args:
        dataset: whose rows these are.
        common: from `_common_sizes`.
    """
    covered = (
        (pl.col("x1") - pl.col("x0"))
        * (pl.col("y1") - pl.col("y0"))
        / (pl.col("picture_width") * pl.col("picture_height"))
    )
    kind = (
        pl.when(pl.col("boxed") & (covered >= WHOLE)).then(pl.lit("the box is the picture"))
        .when("boxed").then(pl.lit("box within the picture"))
        .when("common").then(pl.format("no box, {}", "size"))
        .otherwise(pl.lit("no box, other sizes"))
    )  # fmt: skip
    for block in _with_picture_size(dataset, "uid", "database"):
        known = block.with_columns(_SIZE).join(common, on=["database", "size"], how="left", maintain_order="left")
        yield known.with_columns(kind.alias("kind"))


def _common_sizes(dataset: AuditedDataset) -> pl.DataFrame:
    """The picture sizes of each database, `database, size`, and whether they are `common`."""
    blocks = _with_picture_size(dataset, "database")
    counts = pl.concat([block.group_by("database", _SIZE).agg(pl.len().alias("rows")) for block in blocks])
    counts = counts.group_by("database", "size").agg(pl.col("rows").sum())
    common = pl.col("rows") >= COMMON_SIZE * pl.col("rows").sum().over("database")
    return counts.select("database", "size", common.alias("common"))


def _stored_crops(dataset: AuditedDataset, name: str) -> Iterator[pl.DataFrame]:
    """All rows with their `kind` in a group of stored crops: the crop of a found face, or what is shown in its place."""
    group, column = CROPS.group(name), CROPS.column(name, CROPPED)
    flags = [dataset.folder.load(split, [group]).data.column(column).to_numpy() for split in dataset.folder.splits]
    found = np.concatenate(flags)
    cropped, fallback = f"{name}, a found face", f"{name}, no face: its own box or the whole picture"
    for block in dataset.blocks("uid", "database"):
        kinds = np.where(found[block["row"].to_numpy()], cropped, fallback)
        yield block.with_columns(pl.Series("kind", kinds))


def _about() -> dict[str, pl.Expr]:
    """What a finding says of a box and its picture."""
    return {"box": pl.concat_list(CORNERS), **{name: pl.col(name) for name in _SIDES}}


def _with_picture_size(dataset: AuditedDataset, *columns: str) -> Iterator[pl.DataFrame]:
    """Blocks of rows with the columns, the corners of the box, whether there is one (`boxed`), and the size of the picture."""
    corners = [pl.col("face_box").arr.get(i).alias(name) for i, name in enumerate(CORNERS)]
    places, pictures = [MEASUREMENTS.index(name) for name in _SIDES], dataset.pictures
    for block in dataset.blocks("face_box", *columns):
        values = pictures.measurements[pictures.of_row[block["row"].to_numpy()]].astype(np.float64)
        sizes = [pl.Series(name, values[:, place]) for name, place in zip(_SIDES, places, strict=True)]
        yield block.with_columns(corners).with_columns(pl.col("x0").is_not_nan().alias("boxed"), *sizes)


def _with_area(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows with a box that has an `area`."""
    area = (pl.col("x1") - pl.col("x0")) * (pl.col("y1") - pl.col("y0"))
    return rows.filter("boxed").with_columns(area.alias("area")).filter(pl.col("area") > 0)


def _overlap(axis: str, low: float | pl.Expr, high: pl.Expr) -> pl.Expr:
    """The length of the overlap of a box and a range along an axis."""
    first, last = pl.col(f"{axis}0"), pl.col(f"{axis}1")
    return (
        pl.min_horizontal(last, high) - pl.max_horizontal(first, pl.lit(low) if isinstance(low, float) else low)
    ).clip(0)


def _crowded(dataset: AuditedDataset) -> pl.DataFrame:
    """Boxes that another box of the same picture and frame partly covers, with `uid_other` and the share `covered`."""
    place = ["database", "split", "track", "frame", "image_digest"]
    columns = ("uid", "database", "track", "frame", "image_digest")
    # Only pictures that several rows show can hold several boxes, and in a large dataset few of them are.
    of_row, _ = distinct_pictures(dataset.digests)
    several = (np.bincount(of_row) > 1)[of_row]
    boxes = pl.concat(
        _with_area(block.filter(pl.Series(several[block["row"].to_numpy()])))
        for block in _with_picture_size(dataset, *columns)
    )
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
