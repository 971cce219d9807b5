"""Finds rows about whose face two detectors disagree."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from affect_data.audit.base import Audit, AuditedDataset, Severity, findings, no_findings
from affect_data.dataset.kinds.base import GroupKind
from affect_data.dataset.kinds.faces import FACES, NAME_OF_FACES, SECOND_FACES, FacesProvenance
from affect_data.faces.matching import overlap_of_pairs

LEAST_OVERLAP: Final = 0.2
MOST_APART: Final = 0.3
ONE_ALONE: Final = 0.5

_EYES: Final = (0, 1)

ANY: Final = "DETECTOR"
"""Stands for the name of any second detector."""


class FaceAgreement(Audit):
    """Rows in which one detector sees no face, another face, or the face's parts elsewhere."""

    name = "face_agreement"
    title = "two detectors disagree"
    severity = Severity.REVIEW
    rule = (
        f"of the faces of the dataset and those of a second detector (`affect-data align --second`): one found none (one alone, "
        f"score {ONE_ALONE}); boxes whose intersection over union is below {LEAST_OVERLAP} (another face, score 1 minus it); or, where "
        f"both give points, the five are apart by more than {MOST_APART} of the distance of the eyes, on average (points apart, score that distance)"
    )
    source = (
        "crops differ by detector, and figures with them (1adrianb/face-alignment, issues 39, 127, 201); the points of libfacedetection "
        "and dlib are 0.04 to 0.15 apart on twelve photographed faces that look at the camera, and up to 0.27 on five that are turned or small"
    )
    example = (
        "a photograph of two people without a box, in which each detector takes another one for the largest face "
        "(another face, score 1)"
    )

    def not_applicable(self, dataset: AuditedDataset) -> str:
        """The check needs the faces of two detectors."""
        if not FACES.fitting(dataset.folder):
            return f"the dataset has no faces that fit its pictures: `{FACES.remedy(NAME_OF_FACES)}`"
        if not SECOND_FACES.fitting(dataset.folder):
            return f"it has no faces of a second detector that fit its pictures: `{SECOND_FACES.remedy(ANY)}`"
        return ""

    def find(self, dataset: AuditedDataset) -> pl.DataFrame:
        """One finding for each row and each second detector that disagrees about it."""
        first = _Faces(dataset, FACES, NAME_OF_FACES)
        parts = [no_findings()]
        for name in SECOND_FACES.fitting(dataset.folder):
            second = _Faces(dataset, SECOND_FACES, name)
            evidence = _evidence(first.detector, second.detector)
            for block in dataset.blocks("uid"):
                own = slice(block["row"][0], block["row"][0] + len(block))
                parts += [
                    findings(rows, pl.col("score"), self.severity, {"defect": defect, **evidence})
                    for defect, rows in _differing(block, first[own], second[own])
                ]
        return pl.concat(parts)


@dataclass(frozen=True)
class _Found:
    """The faces of some rows.

    Attributes:
        detector: its name.
        found: bool [rows].
        boxes: float64 [rows, 4].
        points: float64 [rows, 5, 2].
    """

    detector: str
    found: NDArray[np.bool_]
    boxes: NDArray[np.float64]
    points: NDArray[np.float64]


class _Faces:
    """A group of faces over all splits, in the order of the dataset's rows; some of them by a slice."""

    def __init__(self, dataset: AuditedDataset, kind: GroupKind[FacesProvenance], name: str) -> None:
        self.detector = kind.read(dataset.folder, name).detector
        splits = [dataset.folder.load(split, [kind.group(name)]).data.table for split in dataset.folder.splits]
        self._found = np.concatenate([table.column(kind.column(name, "found")).to_numpy() for table in splits])
        self._boxes, self._points = (
            dataset.stored(kind.group(name), kind.column(name, part)) for part in ("box", "points")
        )

    def __getitem__(self, rows: slice) -> _Found:
        boxes, points = (column[rows].astype(np.float64) for column in (self._boxes, self._points))
        return _Found(self.detector, self._found[rows], boxes, points.reshape(-1, 5, 2))


def _differing(labels: pl.DataFrame, first: _Found, second: _Found) -> list[tuple[str, pl.DataFrame]]:
    """The rows of each defect, with `score`, the two boxes, the overlap and the distance of the points."""
    shared = overlap_of_pairs(first.boxes, second.boxes)
    apart = _apart(first.points, second.points)
    both = first.found & second.found
    alone, another = first.found != second.found, both & (shared < LEAST_OVERLAP)
    moved = both & ~another & (apart > MOST_APART)
    known = labels.with_columns(
        pl.Series("box", first.boxes),
        pl.Series("box_second", second.boxes),
        pl.Series("overlap", shared),
        pl.Series("apart", apart),
        pl.when(pl.Series(first.found)).then(pl.lit(first.detector)).otherwise(pl.lit(second.detector)).alias("by"),
    ).with_columns(pl.col("box", "box_second").arr.to_list(), pl.col("apart").fill_nan(None))
    scores = {"one alone": pl.lit(ONE_ALONE), "another face": 1 - pl.col("overlap"), "points apart": pl.col("apart")}
    rows = {"one alone": alone, "another face": another, "points apart": moved}
    return [(name, known.with_columns(scores[name].alias("score")).filter(pl.Series(rows[name]))) for name in scores]


def _evidence(first: str, second: str) -> dict[str, pl.Expr | str]:
    seen = {name: pl.col(name) for name in ("box", "box_second", "overlap", "apart")}
    return {"detector": first, "second": second, "found_by": pl.col("by"), **seen}


def _apart(points: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean distance of the five points, in distances of the eyes of the first, float64 [rows]; NaN where one has no points."""
    distance: NDArray[np.float64] = np.linalg.norm(points - others, axis=2).mean(axis=1)
    left, right = (points[:, eye] for eye in _EYES)
    eyes = np.linalg.norm(right - left, axis=1)
    apart: NDArray[np.float64] = np.divide(distance, eyes, out=np.full(len(points), np.nan), where=eyes > 0)
    return apart
