"""Predictions for every face: a teacher's soft labels, or a linear model on gradients and pixels of small pictures, fitted out of fold.

The linear model is worse than a teacher. It lets people look for label errors before anything is trained: it needs no GPU and takes about a minute
for 30,000 faces.

Source:
    Dalal & Triggs, *Histograms of Oriented Gradients for Human Detection*, CVPR 2005.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt
import polars as pl

from affect_data.audit.pictures.facts import distinct_pictures
from affect_data.audit.pictures.hashing import SIDE
from affect_data.audit.ridge import FOLDS, Targets, out_of_fold
from affect_data.audit.rows import AuditedDataset, StoredColumn
from affect_data.dataset.merged import databases_of
from affect_data.leaks.folds import STRATA_COLUMNS, balanced_folds, inseparable_rows
from affect_data.vocabulary import EXPRESSIONS

CELL: Final = 4
ORIENTATIONS: Final = 8

PIXELS: Final = 1 / 32
"""Weight of a standardised pixel in relation to a gradient."""

STORED: Final = 4.0
"""Weight of stored features in relation to gradients."""

LEAST_EXAMPLES: Final = 20

_ROWS_AT_ONCE: Final = 1 << 17

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.integer]


@dataclass(frozen=True)
class Predicted:
    """What is predicted for some rows.

    Attributes:
        rows: int [rows], ascending; all that have a label of the task.
        values: float32 [rows, classes], probabilities; or [rows], the probability of an action unit, or a place in [-1, 1].
    """

    rows: Rows
    values: Floats


class Predictions(Protocol):
    """Predictions for the labelled rows of a dataset, task by task, because memory does not hold all of a large dataset."""

    @property
    def origin(self) -> str:
        """What made the predictions, for people."""

    def expression(self) -> tuple[tuple[int, ...], Predicted] | None:
        """Codes of the classes, and their probabilities; None if there are none."""

    def action_units(self) -> Iterator[tuple[int, Predicted]]:
        """FACS number and probabilities of each action unit."""

    def valence_arousal(self) -> Iterator[tuple[str, Predicted]]:
        """Each dimension and its values."""


def best_predictions(dataset: AuditedDataset) -> Predictions:
    """Out-of-fold predictions: of the first teacher by name with out-of-fold soft labels, otherwise of the linear model."""
    for name, provenance in sorted(dataset.teachers().items()):
        if provenance.out_of_fold:
            return TeacherPredictions(dataset, name)
    return LinearPredictions(dataset)


class TeacherPredictions:
    """The soft labels of a teacher as probabilities and expected values.

    Args:
        dataset: with the soft labels.
        name: of the teacher.
    """

    def __init__(self, dataset: AuditedDataset, name: str) -> None:
        self._dataset, self._name = dataset, name
        provenance = dataset.teachers()[name]
        self.origin = f"teacher {name}"
        self.classes = tuple(EXPRESSIONS.index(expression) for expression in provenance.expressions)
        self.units = provenance.action_units
        self.dimensions = ("valence", "arousal") if provenance.valence_arousal_bins else ()
        bins = provenance.valence_arousal_bins
        self._logits: dict[str, StoredColumn] = {}
        self._centres = (np.arange(bins, dtype=np.float32) + 0.5) / max(bins, 1) * 2 - 1

    def expression_of(self, rows: slice) -> Floats:
        """Probabilities of the classes for consecutive rows, float32 [rows, classes]."""
        return _softmax(self._of_head("expression")[rows])

    def units_of(self, rows: slice) -> Floats:
        """Probabilities of the action units for consecutive rows, float32 [rows, units]."""
        return _sigmoid(self._of_head("au")[rows])

    def plane_of(self, dimension: str, rows: slice) -> Floats:
        """Expected values of a dimension for consecutive rows, float32 [rows]."""
        return np.asarray(_softmax(self._of_head(dimension)[rows]) @ self._centres, np.float32)

    def expression(self) -> tuple[tuple[int, ...], Predicted] | None:
        """As `Predictions.expression`."""
        if not self.classes:
            return None
        labels = self._dataset.rows("expression")["expression"].to_numpy()
        return self.classes, self._of(np.isin(labels, self.classes), self.expression_of)

    def action_units(self) -> Iterator[tuple[int, Predicted]]:
        """As `Predictions.action_units`."""
        for place, number in enumerate(self.units):
            (labels,) = self._dataset.slots("au", [number])
            yield number, self._of(labels >= 0, lambda rows, place=place: self.units_of(rows)[:, place])  # type: ignore[misc]

    def valence_arousal(self) -> Iterator[tuple[str, Predicted]]:
        """As `Predictions.valence_arousal`."""
        labelled = self._dataset.rows("va_mask")["va_mask"].to_numpy()
        for name in self.dimensions:
            yield name, self._of(labelled, lambda rows, name=name: self.plane_of(name, rows))  # type: ignore[misc]

    def _of_head(self, head: str) -> StoredColumn:
        if head not in self._logits:
            self._logits[head] = self._dataset.logits(self._name, head)
        return self._logits[head]

    def _of(self, labelled: npt.NDArray[np.bool_], values: Callable[[slice], Floats]) -> Predicted:
        parts = [values(part)[labelled[part]] for part in _slices(len(labelled))]
        return Predicted(np.flatnonzero(labelled), np.concatenate(parts))


class LinearPredictions:
    """Predictions of ridge regression, for each row by a model that was not fitted to its subject, track or copies.

    The inputs are gradients and pixels of the small pictures, and, if the dataset has stored features, the first by name.

    Args:
        dataset: with the pictures.
    """

    def __init__(self, dataset: AuditedDataset) -> None:
        self._dataset = dataset
        stored = dataset.feature_names()[:1]
        self.origin = " ".join(["linear model,", *(f"features {name}," for name in stored), "out of fold"])

    @cached_property
    def _inputs(self) -> "_Inputs":
        return _Inputs(self._dataset, self._dataset.feature_names()[:1])

    @cached_property
    def _folds(self) -> npt.NDArray[np.int8]:
        """The fold of every row, int8 [rows]; none if there are too few people, videos and copies to part."""
        digests, _ = distinct_pictures(self._dataset.digests)
        keys = self._dataset.rows("database", "subject", "track").with_columns(pl.Series("image_digest", digests))
        together = inseparable_rows(keys, self._dataset.copies.of_row, databases_of(self._dataset.folder))
        if len(np.unique(together)) < FOLDS:
            return np.empty(0, np.int8)
        databases = self._dataset.folder.manifest.databases
        return balanced_folds(self._dataset.blocks(*STRATA_COLUMNS), databases, together, FOLDS)

    def expression(self) -> tuple[tuple[int, ...], Predicted] | None:
        """As `Predictions.expression`."""
        labels = self._dataset.rows("expression")["expression"].to_numpy()
        counts = np.bincount(labels[labels >= 0], minlength=len(EXPRESSIONS))
        classes = np.flatnonzero(counts >= LEAST_EXAMPLES)
        if len(classes) < 2 or not len(self._folds):
            return None

        def targets(rows: Rows) -> Floats:
            return np.asarray(labels[rows, None] == classes, np.float32)

        rows = np.flatnonzero(np.isin(labels, classes))
        said = out_of_fold(self._inputs, targets, rows, self._folds[rows], len(classes))
        return tuple(classes.tolist()), Predicted(rows, _calibrated(said, lambda part: targets(rows[part])))

    def action_units(self) -> Iterator[tuple[int, Predicted]]:
        """As `Predictions.action_units`; units that are coded on the same rows are fitted together."""
        if not len(self._folds):
            return
        for numbers in self._coded_together():
            labels = self._dataset.slots("au", numbers)
            rows = np.flatnonzero(labels[0] >= 0)

            def targets(asked: Rows, labels: npt.NDArray[np.int8] = labels) -> Floats:
                two = np.stack([labels[:, asked] == 0, labels[:, asked] == 1], axis=2)
                return two.transpose(1, 0, 2).reshape(len(asked), -1).astype(np.float32)

            said = out_of_fold(self._inputs, targets, rows, self._folds[rows], 2)
            for place, number in enumerate(numbers):
                pair = slice(2 * place, 2 * place + 2)

                def of_unit(part: slice, rows: Rows = rows, pair: slice = pair, targets: Targets = targets) -> Floats:
                    return targets(rows[part])[:, pair]

                yield number, Predicted(rows, _calibrated(said[:, pair], of_unit)[:, 1])

    def _coded_together(self) -> list[list[int]]:
        """The action units with enough examples, those that are coded on the same rows together."""
        together: dict[bytes, list[int]] = {}
        for number in self._dataset.folder.manifest.layout.action_units:
            (labels,) = self._dataset.slots("au", [number])
            if min((labels == 1).sum(), (labels == 0).sum()) >= LEAST_EXAMPLES:
                together.setdefault(hashlib.sha256(np.packbits(labels >= 0).tobytes()).digest(), []).append(number)
        return list(together.values())

    def valence_arousal(self) -> Iterator[tuple[str, Predicted]]:
        """As `Predictions.valence_arousal`."""
        plane = self._dataset.rows("va_mask", "valence", "arousal")
        rows = np.flatnonzero(plane["va_mask"].to_numpy())
        if len(rows) < LEAST_EXAMPLES * FOLDS or not len(self._folds):
            return
        places = plane.select("valence", "arousal").to_numpy()
        said = out_of_fold(self._inputs, lambda asked: places[asked], rows, self._folds[rows], 2)
        for place, name in enumerate(("valence", "arousal")):
            yield name, Predicted(rows, said[:, place])


def gradients(small: npt.NDArray[np.uint8]) -> Floats:
    """Histograms of oriented gradients.

    Args:
        small: uint8 [pictures, SIDE, SIDE].

    Returns:
        float32 [pictures, (SIDE / CELL)² x ORIENTATIONS]: square roots of the shares within blocks of 2 by 2 cells.
    """
    cells = SIDE // CELL
    found = np.empty((len(small), cells, cells, ORIENTATIONS), np.float32)
    for start in range(0, len(small), 4096):
        picture = small[start : start + 4096].astype(np.float32)
        down, right = np.gradient(picture, axis=1), np.gradient(picture, axis=2)
        length = np.hypot(down, right)
        place = np.arctan2(down, right) % np.pi / np.pi * ORIENTATIONS
        for orientation in range(ORIENTATIONS):
            near = np.abs((place - orientation + ORIENTATIONS / 2) % ORIENTATIONS - ORIENTATIONS / 2)
            share = length * (1 - near).clip(0)
            binned = share.reshape(-1, cells, CELL, cells, CELL).sum(axis=(2, 4))
            found[start : start + 4096, :, :, orientation] = binned
    energy = found.sum(axis=3, keepdims=True)
    padded = np.pad(energy, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
    around = sum(padded[:, y : y + cells, x : x + cells] for y in range(3) for x in range(3))
    return np.asarray(np.sqrt(found / (around + 1.0)).reshape(len(small), -1), np.float32)


class _Inputs:
    """Gradients and pixels of the small picture of a row, and stored features, by row."""

    def __init__(self, dataset: AuditedDataset, stored: tuple[str, ...]) -> None:
        self._pictures = dataset.pictures
        self._stored = [_Standardised(dataset.features(name)) for name in stored]
        self.width = (SIDE // CELL) ** 2 * ORIENTATIONS + SIDE * SIDE + sum(column.width for column in self._stored)

    def __getitem__(self, rows: Rows) -> Floats:
        shown, place = np.unique(self._pictures.of_row[rows], return_inverse=True)
        small = self._pictures.small[shown]
        pixels = small.reshape(len(small), SIDE * SIDE).astype(np.float32)
        pixels -= pixels.mean(axis=1, keepdims=True)
        pixels *= PIXELS / (pixels.std(axis=1, keepdims=True) + 1e-3)
        seen = np.concatenate([gradients(small), pixels], axis=1)[place]
        return np.concatenate([seen, *(column[rows] for column in self._stored)], axis=1)


class _Standardised:
    """Stored features whose columns have the mean 0 and share the variance of `STORED`."""

    def __init__(self, column: StoredColumn) -> None:
        self._column = column
        sums = squares = np.zeros(0)
        for part in _slices(len(column)):
            values = column[part].astype(np.float64)
            sums, squares = (
                before + now if len(before) else now
                for before, now in ((sums, values.sum(axis=0)), (squares, (values**2).sum(axis=0)))
            )
        self.width = len(sums)
        self._mean = (sums / len(column)).astype(np.float32)
        deviation = np.sqrt(np.maximum(squares / len(column) - (sums / len(column)) ** 2, 0))
        self._weight = (STORED / np.sqrt(self.width) / (deviation + 1e-6)).astype(np.float32)

    def __getitem__(self, rows: Rows) -> Floats:
        return np.asarray((self._column[rows] - self._mean) * self._weight)


def _calibrated(scores: Floats, targets: Callable[[slice], Floats]) -> Floats:
    """Probabilities from scores: a softmax whose sharpness has the least cross-entropy, with fitted offsets.

    Args:
        scores: float32 [rows, classes].
        targets: float32 [rows, classes] of a slice of the rows, 1 for the labelled class.
    """
    count, shares = len(scores), np.zeros(scores.shape[1])
    sharpness = np.geomspace(1.0, 32.0, 21)
    losses = np.zeros(len(sharpness))
    for part in _slices(count):
        truth = targets(part)
        shares += truth.sum(axis=0, dtype=np.float64) / count
        for number, sharp in enumerate(sharpness):
            said = (_softmax(sharp * scores[part]) * truth).sum(axis=1)
            losses[number] -= np.log(said.clip(1e-9)).sum(dtype=np.float64)
    sharpest, offsets = float(sharpness[int(np.argmin(losses))]), np.zeros(scores.shape[1], np.float32)
    for _ in range(20):
        # Offsets move until the mean probabilities equal the shares of the classes.
        mean = np.zeros(scores.shape[1])
        for part in _slices(count):
            mean += _softmax(sharpest * scores[part] + offsets).sum(axis=0, dtype=np.float64) / count
        offsets += (0.5 * np.log(shares.clip(1e-6) / mean.clip(1e-6))).astype(np.float32)
    found = np.empty_like(scores)
    for part in _slices(count):
        found[part] = _softmax(sharpest * scores[part] + offsets)
    return found


def _slices(count: int) -> Iterator[slice]:
    for start in range(0, max(count, 1), _ROWS_AT_ONCE):
        yield slice(start, start + _ROWS_AT_ONCE)


def _softmax(logits: Floats) -> Floats:
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float32)


def _sigmoid(logits: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-logits.clip(-60, 60))), np.float32)
