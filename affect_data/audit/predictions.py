"""Predictions for every face: a teacher's soft labels, or a linear model on gradients and pixels of small pictures, fitted out of fold.

The linear model is worse than a teacher. It lets people look for label errors before anything is trained: it needs no GPU and takes about a minute
for 30,000 faces.

Source:
    Dalal & Triggs, *Histograms of Oriented Gradients for Human Detection*, CVPR 2005.
"""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from affect_data.audit.base import AuditedDataset
from affect_data.audit.pictures.hashing import SIDE
from affect_data.dataset.merged import databases_of
from affect_data.leaks.folds import assign_folds, inseparable_rows, strata
from affect_data.vocabulary import ACTION_UNITS, EXPRESSIONS, slot_of

FOLDS: Final = 5
CELL: Final = 4
ORIENTATIONS: Final = 8
RIDGES: Final = (0.02, 0.05, 0.1, 0.2, 0.5)
"""Penalties relative to the mean square of a feature; for each label, the one with the least error out of fold is used."""

PIXELS: Final = 1 / 32
"""Weight of a standardised pixel in relation to a gradient."""

STORED: Final = 4.0
"""Weight of stored features in relation to gradients."""

LEAST_EXAMPLES: Final = 20

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Predictions:
    """Predictions for every row of a dataset.

    Attributes:
        origin: what made the predictions, for people.
        expressions: codes of the classes in the columns of `expression`.
        expression: float32 [rows, classes], probabilities; None if there are none.
        action_units: float32 [rows] by FACS number, probabilities.
        valence_arousal: float32 [rows] by dimension, in [-1, 1].
    """

    origin: str
    expressions: tuple[int, ...] = ()
    expression: Floats | None = None
    action_units: dict[int, Floats] = field(default_factory=dict)
    valence_arousal: dict[str, Floats] = field(default_factory=dict)


def best_predictions(dataset: AuditedDataset) -> Predictions:
    """Out-of-fold predictions: of the first teacher by name with out-of-fold soft labels, otherwise of the linear model."""
    for name, provenance in sorted(dataset.teachers().items()):
        if provenance.out_of_fold:
            return teacher_predictions(dataset, name)
    return linear_predictions(dataset)


def teacher_predictions(dataset: AuditedDataset, name: str) -> Predictions:
    """The soft labels of a teacher as probabilities and expected values."""
    provenance = dataset.teachers()[name]
    classes = tuple(EXPRESSIONS.index(expression) for expression in provenance.expressions)
    units = _sigmoid(dataset.logits(name, "au")) if provenance.action_units else np.empty((0, 0), np.float32)
    bins = provenance.valence_arousal_bins
    centres = (np.arange(bins, dtype=np.float32) + 0.5) / max(bins, 1) * 2 - 1
    dimensions = ("valence", "arousal") if bins else ()
    return Predictions(
        f"teacher {name}",
        classes,
        _softmax(dataset.logits(name, "expression")) if classes else None,
        {number: units[:, i] for i, number in enumerate(provenance.action_units)},
        {d: np.asarray(_softmax(dataset.logits(name, d)) @ centres, np.float32) for d in dimensions},
    )


def linear_predictions(dataset: AuditedDataset) -> Predictions:
    """Predictions of ridge regression, for each row by a model that was not fitted to its subject, track or copies.

    The inputs are gradients and pixels of the small pictures, and, if the dataset has stored features, the first by name.
    """
    labels = dataset.labels
    together = inseparable_rows(labels, dataset.copies.of_row, databases_of(dataset.folder))
    stored = dataset.feature_names()[:1]
    origin = " ".join(["linear model,", *(f"features {name}," for name in stored), "out of fold"])
    if len(np.unique(together)) < FOLDS:
        return Predictions(origin)
    folds = assign_folds(together, strata(labels), FOLDS)
    features = _inputs(dataset, stored)
    expression = labels["expression"].to_numpy()
    counts = np.bincount(expression[expression >= 0], minlength=len(EXPRESSIONS))
    classes = tuple(int(c) for c in np.nonzero(counts >= LEAST_EXAMPLES)[0])
    usable = np.isin(expression, classes)
    probabilities: Floats | None = None
    if len(classes) > 1:
        targets = (expression[:, None] == np.array(classes)).astype(np.float32)
        probabilities = _calibrated(_ridge(features, targets, usable, folds), targets, usable)
    units = _action_units(dataset.occurrence, features, folds)
    dimensions = {}
    va = labels["va_mask"].to_numpy()
    if va.sum() >= LEAST_EXAMPLES * FOLDS:
        both = np.nan_to_num(labels.select("valence", "arousal").to_numpy().astype(np.float32))
        said = _ridge(features, both, va, folds)
        dimensions = {"valence": said[:, 0], "arousal": said[:, 1]}
    return Predictions(origin, classes, probabilities, units, dimensions)


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


def _action_units(occurrence: npt.NDArray[np.int8], features: Floats, folds: npt.NDArray[np.int8]) -> dict[int, Floats]:
    """Probabilities of the action units with enough examples, by number; units that are coded on the same rows are fitted together."""
    together: dict[bytes, list[int]] = {}
    for number in ACTION_UNITS:
        label = occurrence[:, slot_of(number)]
        if min((label == 1).sum(), (label == 0).sum()) >= LEAST_EXAMPLES:
            together.setdefault(np.packbits(label >= 0).tobytes(), []).append(number)
    found: dict[int, Floats] = {}
    for numbers in together.values():
        labels = occurrence[:, [slot_of(number) for number in numbers]]
        usable = labels[:, 0] >= 0
        two = np.stack([labels == 0, labels == 1], axis=2).astype(np.float32)
        said = _ridge(features, two.reshape(len(two), -1), usable, folds, together=2).reshape(two.shape)
        found |= {n: _calibrated(said[:, i], two[:, i], usable)[:, 1] for i, n in enumerate(numbers)}
    return {number: found[number] for number in ACTION_UNITS if number in found}


def _inputs(dataset: AuditedDataset, stored: tuple[str, ...]) -> Floats:
    small = dataset.pictures.small
    pixels = small.reshape(len(small), -1).astype(np.float32)
    pixels -= pixels.mean(axis=1, keepdims=True)
    pixels *= PIXELS / (pixels.std(axis=1, keepdims=True) + 1e-3)
    inputs = [np.concatenate([gradients(small), pixels], axis=1)[dataset.pictures.of_row]]
    for name in stored:
        features = dataset.features(name)
        features -= features.mean(axis=0)
        inputs.append(features * (STORED / np.sqrt(features.shape[1]) / (features.std(axis=0) + 1e-6)))
    return np.concatenate(inputs, axis=1)


def _ridge(
    features: Floats,
    targets: Floats,
    usable: npt.NDArray[np.bool_],
    folds: npt.NDArray[np.int8],
    together: int | None = None,
) -> Floats:
    """Out-of-fold ridge regression, float32 [rows, targets]; rows that are not usable are predicted too, by the model of their fold.

    Neighbouring targets share a penalty in groups of `together`; None: all share one.
    """
    width = features.shape[1] + 1
    grams, products = np.zeros((FOLDS, width, width)), np.zeros((FOLDS, width, targets.shape[1]))
    for fold in range(FOLDS):
        rows = np.nonzero(usable & (folds == fold))[0]
        for start in range(0, len(rows), 8192):
            part = rows[start : start + 8192]
            inputs = np.column_stack([features[part], np.ones(len(part), np.float32)])
            grams[fold] += inputs.T @ inputs
            products[fold] += inputs.T @ targets[part]
    said = np.zeros((len(RIDGES), len(features), targets.shape[1]), np.float32)
    for fold in range(FOLDS):
        gram, product = grams.sum(axis=0) - grams[fold], products.sum(axis=0) - products[fold]
        rows = np.nonzero(folds == fold)[0]
        for number, ridge in enumerate(RIDGES):
            penalty = np.full(width, ridge * np.trace(gram) / width)
            penalty[-1] = 1e-6
            weights = np.linalg.solve(gram + np.diag(penalty), product).astype(np.float32)
            said[number, rows] = features[rows] @ weights[:-1] + weights[-1]
    errors = ((said[:, usable] - targets[usable]) ** 2).mean(axis=1)
    shared = together or targets.shape[1]
    best = errors.reshape(len(RIDGES), -1, shared).mean(axis=2).argmin(axis=0).repeat(shared)
    return np.asarray(np.take_along_axis(said, best[None, None, :], axis=0)[0], np.float32)


def _calibrated(scores: Floats, targets: Floats, usable: npt.NDArray[np.bool_]) -> Floats:
    """Probabilities from scores: a softmax whose sharpness has the least cross-entropy on the usable rows, with fitted offsets."""
    kept, truth = scores[usable], targets[usable]
    offsets = np.zeros(scores.shape[1], np.float32)
    best, sharpest = np.inf, 1.0
    for sharpness in np.geomspace(1.0, 32.0, 21):
        loss = float(-np.log((_softmax(sharpness * kept) * truth).sum(axis=1).clip(1e-9)).mean())
        if loss < best:
            best, sharpest = loss, float(sharpness)
    for _ in range(20):
        # Offsets move until the mean probabilities equal the shares of the classes.
        mean = _softmax(sharpest * kept + offsets).mean(axis=0)
        offsets += 0.5 * np.log(truth.mean(axis=0).clip(1e-6) / mean.clip(1e-6))
    return _softmax(sharpest * scores + offsets)


def _softmax(logits: Floats) -> Floats:
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float32)


def _sigmoid(logits: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-logits.clip(-60, 60))), np.float32)
