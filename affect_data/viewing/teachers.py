"""What teachers say of each face, beside its labels: how far apart they are, and the probabilities of one row."""

from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from affect_data.dataset.folder import DatasetFolder
from affect_data.dataset.kinds.soft_labels import SOFT_LABELS, SoftLabelProvenance
from affect_data.vocabulary import EXPRESSIONS

ROWS_AT_ONCE: Final = 1 << 17

Floats = npt.NDArray[np.float32]


def teacher_columns(folder: DatasetFolder, frame: pl.DataFrame) -> tuple[dict[str, tuple[str, ...]], list[pl.Series]]:
    """The tasks in which each teacher can be compared with labels, and columns with how far it is from them.

    ``soft.<teacher>.expression`` is 1 minus the probability of the labelled expression, ``.au`` the largest distance between a probability and the
    label of an action unit, ``.va`` the distance in the plane divided by its diagonal; null without a label. ``confidence.<teacher>`` is the
    probability of its likeliest expression.

    Args:
        folder: the dataset.
        frame: its rows, with the labels of `LabelTable.frame`.
    """
    teachers: dict[str, tuple[str, ...]] = {}
    columns: list[pl.Series] = []
    for name in SOFT_LABELS.fitting(folder):
        provenance = SOFT_LABELS.read(folder, name)
        parts, start = [], 0
        for split in folder.splits:
            for first in range(0, folder.rows(split), ROWS_AT_ONCE):
                said = _said(folder, split, name, provenance, first, ROWS_AT_ONCE)
                count = min(ROWS_AT_ONCE, folder.rows(split) - first)
                parts.append(_distances(said, provenance, frame.slice(start + first, count)))
            start += folder.rows(split)
        found = pl.concat(parts)
        teachers[name] = tuple(column for column in found.columns if column != "confidence")
        columns += [
            values.alias(f"confidence.{name}" if values.name == "confidence" else SOFT_LABELS.column(name, values.name))
            for values in found
        ]
    return teachers, columns


def opinions(folder: DatasetFolder, split: str, number: int) -> list[dict[str, Any]]:
    """What every teacher says of one row: probabilities by expression and action unit, expected valence and arousal."""
    found = []
    for name in SOFT_LABELS.fitting(folder):
        provenance = SOFT_LABELS.read(folder, name)
        said = {head: values[0] for head, values in _said(folder, split, name, provenance, number, 1).items()}
        opinion: dict[str, Any] = {"teacher": name, "out_of_fold": provenance.out_of_fold}
        if "expression" in said:
            opinion["expression"] = dict(zip(provenance.expressions, _rounded(said["expression"]), strict=True))
        if "au" in said:
            opinion["au"] = dict(zip(map(str, provenance.action_units), _rounded(said["au"]), strict=True))
        if "valence" in said:
            opinion["va"] = _rounded(np.array([said["valence"], said["arousal"]]))
        found.append(opinion)
    return found


def _said(
    folder: DatasetFolder, split: str, name: str, provenance: SoftLabelProvenance, first: int, count: int
) -> dict[str, Floats]:
    """Probabilities of expressions and action units, [N, width], and expected valence and arousal, [N], of some rows."""
    table = folder.load(split, [SOFT_LABELS.group(name)]).data.table.slice(first, count)
    said: dict[str, Floats] = {}
    for head, width in provenance.widths().items():
        column = table.column(SOFT_LABELS.column(name, head)).combine_chunks()
        logits = column.flatten().to_numpy(zero_copy_only=False).reshape(-1, width).astype(np.float32)
        said[head] = 1 / (1 + np.exp(-logits.clip(-60, 60))) if head == "au" else _softmax(logits)
    centres = (np.arange(provenance.valence_arousal_bins, dtype=np.float32) + 0.5) / max(
        provenance.valence_arousal_bins, 1
    ) * 2 - 1
    for head in ("valence", "arousal"):
        if head in said:
            said[head] = np.asarray(said[head] @ centres, np.float32)
    return said


def _distances(said: dict[str, Floats], provenance: SoftLabelProvenance, labels: pl.DataFrame) -> pl.DataFrame:
    found: dict[str, Floats] = {}
    rows = np.arange(len(labels))
    if "expression" in said:
        # A class that the teacher does not know has no probability: the last column.
        place = np.full(len(EXPRESSIONS) + 1, len(provenance.expressions))
        place[[EXPRESSIONS.index(name) for name in provenance.expressions]] = np.arange(len(provenance.expressions))
        padded = np.pad(said["expression"], ((0, 0), (0, 1)), constant_values=np.nan)
        found["expression"] = 1 - padded[rows, place[labels["expression"].to_numpy()]]
        found["confidence"] = said["expression"].max(axis=1)
    units = [(i, f"au{number}") for i, number in enumerate(provenance.action_units) if f"au{number}" in labels.columns]
    if "au" in said and units:
        coded = np.stack([labels[name].to_numpy() for _, name in units], axis=1).astype(np.float32)
        apart = np.abs(said["au"][:, [i for i, _ in units]] - coded)
        highest = np.where(coded >= 0, apart, -1).max(axis=1)
        found["au"] = np.where(highest < 0, np.nan, highest).astype(np.float32)
    if "valence" in said and "arousal" in said:
        sides = [said[name] - labels[name].to_numpy() for name in ("valence", "arousal")]
        found["va"] = (np.hypot(*sides) / np.sqrt(8)).astype(np.float32)
    return pl.DataFrame(found, nan_to_null=True)


def _softmax(logits: Floats) -> Floats:
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float32)


def _rounded(values: Floats) -> list[float]:
    return [round(float(value), 4) for value in values]
