"""Batches divided into parts, as processes and micro-batches divide them."""

import dataclasses

from affect_train.inputs.batch import AffectBatch, SoftTargets

ROW_FIELDS = (
    "inputs",
    "uids",
    "rows",
    "au",
    "au_mask",
    "expression",
    "expression_mask",
    "valence",
    "arousal",
    "va_mask",
)
SOFT_FIELDS = ("au", "expression", "valence", "arousal")


def part_of(batch: AffectBatch, part: slice) -> AffectBatch:
    """Some rows of a batch, with the soft labels of these rows."""
    soft = {teacher: _targets_of(targets, part) for teacher, targets in batch.soft.items()}
    return AffectBatch(**{name: getattr(batch, name)[part] for name in ROW_FIELDS}, soft=soft)


def _targets_of(targets: SoftTargets, part: slice) -> SoftTargets:
    kept = {name: getattr(targets, name) for name in SOFT_FIELDS}
    return dataclasses.replace(targets, **{name: values[part] for name, values in kept.items() if values is not None})
