"""Counts of what was found of a dataset's faces, from the column group itself."""

from dataclasses import asdict, dataclass, fields
from typing import Any, Self

import numpy as np
import polars as pl

from affect_data.dataset.folder import DatasetFolder
from affect_data.dataset.kinds.faces import UNDECODABLE, FacesProvenance
from affect_data.vocabulary import CLIP_SCOPE, LABEL_SCOPES


@dataclass(frozen=True)
class FaceCounts:
    """Numbers of rows, unless something else is said.

    Attributes:
        rows: all.
        found: with a face.
        matched: of these, those whose face was matched with their own box.
        unmatched: with a box of their own that fits no face.
        without_box: found without a box of their own, so that the largest face was taken.
        not_found: without a face; unmatched ones are among them.
        undecodable: whose picture could not be decoded; they are not found.
        competed: found rows that had competitors.
        competitors: faces, not rows: all that could have been a row's and are not.
        clips: whose face is that of the clip's middle frame.
    """

    rows: int
    found: int
    matched: int
    unmatched: int
    without_box: int
    not_found: int
    undecodable: int
    competed: int
    competitors: int
    clips: int

    def __add__(self, other: Self) -> "FaceCounts":
        return FaceCounts(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(self)))


@dataclass(frozen=True)
class AlignReport:
    """What ``affect-data align`` did.

    Attributes:
        group: the column group.
        provenance: of it.
        kept: rows that were there already, from a run that was killed or that was complete.
        databases: counts by database, alphabetical.
    """

    group: str
    provenance: FacesProvenance
    kept: int
    databases: dict[str, FaceCounts]

    @property
    def total(self) -> FaceCounts:
        """The counts of all databases together."""
        return sum(self.databases.values(), FaceCounts(*(0,) * len(fields(FaceCounts))))

    def to_json(self) -> dict[str, Any]:
        """The report as a JSON document."""
        origin = self.provenance.model_dump(exclude={"made_from"})
        return {
            "group": self.group,
            **origin,
            "kept": self.kept,
            "total": asdict(self.total),
            "databases": {name: asdict(counts) for name, counts in self.databases.items()},
        }


def report_of(folder: DatasetFolder, group: str, provenance: FacesProvenance, kept: int) -> AlignReport:
    """The counts of a group of faces.

    Args:
        folder: the dataset.
        group: the column group.
        provenance: of it.
        kept: rows that were there already.
    """
    counts: dict[str, FaceCounts] = {}
    for split in folder.splits:
        for name, found in _of_split(folder, split, group).items():
            counts[name] = counts[name] + found if name in counts else found
    return AlignReport(group, provenance, kept, dict(sorted(counts.items())))


def _of_split(folder: DatasetFolder, split: str, group: str) -> dict[str, FaceCounts]:
    table = folder.load(split, [group]).data.table
    parts = {name: table.column(f"{group}.{name}").to_numpy() for name in ("found", "orientation", "competitors")}
    labels = folder.labels(split, ("database", "face_box", "label_scope"))
    boxed = ~np.isnan(labels["face_box"].to_numpy()).any(axis=1)
    frame = labels.select("database", clip=pl.col("label_scope") == LABEL_SCOPES.index(CLIP_SCOPE)).with_columns(
        pl.Series("boxed", boxed), *(pl.Series(name, values) for name, values in parts.items())
    )
    found, own = pl.col("found"), pl.col("boxed")
    counted = frame.group_by("database").agg(
        rows=pl.len(),
        found=found.sum(),
        matched=(found & own).sum(),
        unmatched=(~found & own).sum(),
        without_box=(found & ~own).sum(),
        not_found=(~found).sum(),
        undecodable=(pl.col("orientation") == UNDECODABLE).sum(),
        competed=(found & (pl.col("competitors") > 0)).sum(),
        competitors=pl.col("competitors").cast(pl.Int64).sum(),
        clips=pl.col("clip").sum(),
    )
    return {row.pop("database"): FaceCounts(**row) for row in counted.to_dicts()}
