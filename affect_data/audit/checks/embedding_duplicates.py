"""Finds copies of pictures that hashes miss: neighbours among a backbone's stored features."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from affect_data.audit.base import Audit, AuditedDataset, Severity, findings, no_findings
from affect_data.dataset.kinds.features import FEATURES

COSINE: Final = 0.7
"""From this cosine on, two whitened features count as copies; docs/audits.md says what it finds on FER+."""

COMPONENTS: Final = 256
ROWS_A_COMPONENT: Final = 32
LEAST_ROWS: Final = 4096
MOST_ROWS: Final = 200_000

_PRODUCTS_AT_ONCE: Final = 1 << 24

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Neighbours:
    """The neighbours of every row.

    Attributes:
        nearest: int64 [rows], the nearest row; undefined where `count` is 0.
        cosine: float32 [rows], of the nearest row.
        count: int64 [rows], how many rows are near enough.
        elsewhere: bool [rows], whether one of these is in another part.
    """

    nearest: Rows
    cosine: Floats
    count: Rows
    elsewhere: npt.NDArray[np.bool_]


class EmbeddingDuplicates(Audit):
    """Pictures whose stored features are almost those of another picture."""

    name = "embedding_duplicates"
    title = "copies by embedding"
    severity = Severity.REVIEW
    rule = (
        f"a cosine of at least {COSINE} with another row, not of its own track, of stored features (`affect-train features`), "
        f"centred and whitened in their {COMPONENTS} leading components; exact, for {LEAST_ROWS:,} to {MOST_ROWS:,} rows; "
        "warning where a neighbour is in another split. Score: the cosine"
    )
    source = (
        "the second look of Schlett et al., Double Trouble?, 2024, is a network too; threshold set on FER+ with DINOv2"
    )
    example = (
        "another shot of the same session in train and in validation: "
        '`{"features":"dinov2","nearest":"...","nearest_split":"train","neighbours":1,...}`'
    )

    def not_applicable(self, dataset: AuditedDataset) -> str:
        """The check needs stored features, enough rows to whiten them, and few enough to compare every pair."""
        if not dataset.feature_names():
            return "no stored features of this dataset (`affect-train features` writes them)"
        if not LEAST_ROWS <= len(dataset) <= MOST_ROWS:
            return f"{len(dataset):,} rows; neighbours are looked for among {LEAST_ROWS:,} to {MOST_ROWS:,}"
        return ""

    def find(self, dataset: AuditedDataset) -> pl.DataFrame:
        """One finding for every row that has a neighbour, for each set of stored features."""
        return pl.concat([no_findings(), *(self._find(dataset, name) for name in dataset.feature_names())])

    def _find(self, dataset: AuditedDataset, name: str) -> pl.DataFrame:
        labels = dataset.identified(dataset.rows("database", "track", "expression"))
        # A row that a split policy has put into two splits is one row and not two copies: it counts as a track of its own.
        key = pl.when(pl.col("track") != "").then(pl.format("{}/{}", "database", "track")).otherwise("uid")
        track = labels.select(key.rank("dense").cast(pl.Int64).alias("track"))["track"].to_numpy()
        split = labels["split"].rank("dense").cast(pl.Int64).to_numpy()
        found = neighbours(whitened(dataset.stored(FEATURES.group(name), FEATURES.group(name))[:]), track, split)
        picked = np.nonzero(found.count > 0)[0]
        other = labels[found.nearest[picked].tolist()]
        rows = labels[picked.tolist()].with_columns(
            pl.Series("cosine", found.cosine[picked]),
            pl.Series("neighbours", found.count[picked]),
            pl.Series("elsewhere", found.elsewhere[picked]),
            *(other[column].alias(f"nearest_{column}") for column in ("uid", "split", "database", "expression_name")),
        )
        severity = pl.when("elsewhere").then(pl.lit(Severity.WARNING.value)).otherwise(pl.lit(self.severity.value))
        evidence = {
            "features": name,
            "neighbours": pl.col("neighbours"),
            "nearest": pl.col("nearest_uid"),
            "nearest_split": pl.col("nearest_split"),
            "nearest_database": pl.col("nearest_database"),
            "expression": pl.col("expression_name"),
            "nearest_expression": pl.col("nearest_expression_name"),
        }
        return findings(rows, pl.col("cosine"), severity, evidence)


def whitened(features: Floats) -> Floats:
    """Features in which unrelated rows are nearly orthogonal: centred, with leading components of equal variance and rows of length 1.

    Without this, two unrelated faces of the same pose and light have cosines of up to 0.98 (DINOv2 on FER+).

    Args:
        features: float [rows, width].

    Returns:
        float32 [rows, components]; zeros for a row that equals the mean.
    """
    centred = features.astype(np.float32) - features.mean(axis=0, dtype=np.float64).astype(np.float32)
    components = max(1, min(COMPONENTS, centred.shape[1], len(centred) // ROWS_A_COMPONENT))
    variance, directions = np.linalg.eigh((centred.T @ centred).astype(np.float64) / max(1, len(centred)))
    variance, directions = variance[::-1][:components], directions[:, ::-1][:, :components]
    kept = variance > 1e-9 * max(float(variance[0]), 1e-12)
    projected = centred @ (directions[:, kept] / np.sqrt(variance[kept])).astype(np.float32)
    length = np.linalg.norm(projected, axis=1, keepdims=True)
    return np.asarray(np.divide(projected, length, out=np.zeros_like(projected), where=length > 0), np.float32)


def neighbours(features: Floats, track: Rows, part: Rows, least: float = COSINE) -> Neighbours:
    """The neighbours of every row, from a comparison of all pairs.

    Args:
        features: float32 [rows, components], rows of length 1.
        track: int64 [rows]; rows with the same number are not compared.
        part: int64 [rows], such as the split.
        least: smallest cosine of neighbours.
    """
    count = len(features)
    nearest, cosine = np.zeros(count, np.int64), np.zeros(count, np.float32)
    near, elsewhere = np.zeros(count, np.int64), np.zeros(count, bool)
    step = max(1, _PRODUCTS_AT_ONCE // max(1, count))
    for start in range(0, count, step):
        rows = slice(start, start + step)
        cosines = features[rows] @ features.T
        cosines[track[rows, None] == track] = -1
        nearest[rows] = cosines.argmax(axis=1)
        cosine[rows] = cosines.max(axis=1)
        one, other = np.nonzero(cosines >= least)
        near[rows] = np.bincount(one, minlength=len(cosines))
        elsewhere[start + one[part[start + one] != part[other]]] = True
    return Neighbours(nearest, cosine, near, elsewhere)
