"""Which action units an expression shows: from a table, or from the training rows that carry both labels."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from affect_train.errors import CouplingError
from affect_train.recipe.methods.coupling import NEUTRAL, RelationTable, has_relation, no_relation, related_expressions
from affect_train.tasks import TaskSet

if TYPE_CHECKING:
    from affect_train.inputs.labels import LabelArrays

PROTOTYPICAL: Final = 0.70
OBSERVED: Final = 0.20
"""Du et al. (2014) call an action unit prototypical above the first share of subjects, and list it from the second share on."""


@dataclass(frozen=True)
class Relations:
    """Which of the A action units of one head go with R expressions of the other.

    Attributes:
        classes: int64 [R], the related expressions as classes of the head, ascending; neutral is among them where it counts.
        neutral: position of neutral in `classes`; None where it is left out.
        weights: float32 [R, A]: 1 for prototypical action units, the share for observed ones, 0 where there is no relation.
        required: bool [R, A], the action units that must be known before an expression is given.
        decidable: bool [R], whether the head predicts all required action units; False for neutral.
        prior: float32 [R, A], p(AU | expression).
        matched: bool [A], the action units for distribution matching: the prior is known for every expression, and neither all 0 nor all 1.
        matched_columns: int64 [M], the same as columns of the head.
        notes: what was dropped and why, a line each.
    """

    classes: Tensor
    neutral: int | None
    weights: Tensor
    required: Tensor
    decidable: Tensor
    prior: Tensor
    matched: Tensor
    matched_columns: Tensor
    notes: tuple[str, ...] = ()

    def to(self, device: torch.device) -> "Relations":
        """The same relations on a device."""
        moved = {name: value.to(device) for name, value in vars(self).items() if isinstance(value, Tensor)}
        return Relations(**{**vars(self), **moved})

    @classmethod
    def of_table(cls, table: RelationTable, tasks: TaskSet, *, neutral: bool, weighted: bool) -> "Relations":
        """The relations of a table, between the heads; a relation that no head predicts is dropped with a note.

        Args:
            table: weights of action units by expression, without neutral.
            tasks: the heads.
            neutral: whether neutral counts, as an expression without action units.
            weighted: whether the prior is the share of subjects; otherwise it is 1 wherever there is a relation.

        Raises:
            CouplingError: the heads have no relation between them.
        """
        if not has_relation(table, tasks, neutral=neutral):
            raise CouplingError(no_relation(tasks))
        rows, required = np.zeros((2, len(tasks.expressions), len(tasks.action_units)), dtype=np.float32)
        columns = {number: column for column, number in enumerate(tasks.action_units)}
        complete, dropped, kept = np.zeros(len(tasks.expressions), dtype=bool), [], 0
        for position, name in enumerate(tasks.expressions):
            units = table.get(name, {})
            needed = _required(units)
            complete[position] = bool(needed) and needed <= set(columns)
            for number, weight in units.items():
                if number in columns:
                    rows[position, columns[number]] = weight
                    required[position, columns[number]] = number in needed
                    kept += 1
                else:
                    dropped.append(f"AU{number} of {name}")
        named = related_expressions(table, tasks, neutral=neutral)
        related = [name in named for name in tasks.expressions]
        notes = [f"coupling: {kept} relations between {len(named)} expressions and {_number_of(rows)} action units"]
        if dropped:
            notes.append(f"coupling: dropped {len(dropped)} relations that no head predicts: {', '.join(dropped)}")
        prior = rows if weighted else (rows > 0).astype(np.float32)
        known = np.ones_like(prior, dtype=bool)
        return cls._build(tasks, np.array(related), rows, required > 0, complete, prior, known, notes)

    @classmethod
    def of_labels(
        cls, labels: "LabelArrays", rows: NDArray[np.int64], tasks: TaskSet, *, neutral: bool, least_rows: int
    ) -> "Relations":
        """The relations in the labels: how often each action unit is present among the rows of each expression that carry both labels.

        A weight is 1 where that frequency is above `PROTOTYPICAL`, the frequency itself from `OBSERVED` on, and 0 below.

        Args:
            labels: of the training split, for the heads.
            rows: int64, the rows that are trained on.
            tasks: the heads.
            neutral: whether neutral counts, with the action units that it shows.
            least_rows: the fewest rows behind a frequency.

        Raises:
            CouplingError: too few rows carry both labels for the frequencies of two expressions.
        """
        present, counts = co_occurrence(labels, rows, tasks)
        known = counts >= least_rows
        named = np.array([neutral or name != NEUTRAL for name in tasks.expressions])
        related = known.any(axis=1) & named
        if related.sum() < 2:
            raise CouplingError(
                f"prior: data takes training rows that carry an expression and action units, {least_rows} at least of each of two expressions "
                f"(`least_rows`); found {_described(counts.max(axis=1), tasks)}; to fix: set `prior: du2014`, lower `least_rows`, or train on a "
                "dataset whose images carry both (`affect-data stats` shows what there is)"
            )
        frequencies = np.where(known, present / np.maximum(counts, 1), 0).astype(np.float32)
        weights = np.where(frequencies > PROTOTYPICAL, 1, np.where(frequencies >= OBSERVED, frequencies, 0))
        weights[[name == NEUTRAL for name in tasks.expressions]] = 0
        required = np.where((weights == 1).any(axis=1, keepdims=True), weights == 1, weights > 0)
        notes = [
            f"coupling: frequencies of {len(tasks.action_units)} action units; rows with both labels: {_described(counts.max(axis=1), tasks)}"
        ]
        if not related[named].all():
            lacking = [
                name for name, one, own in zip(tasks.expressions, related, named, strict=True) if own and not one
            ]
            notes.append(f"coupling: fewer than {least_rows} rows with both labels, so left out: {', '.join(lacking)}")
        return cls._build(
            tasks, related, weights.astype(np.float32), required, np.any(required, axis=1), frequencies, known, notes
        )

    @classmethod
    def _build(
        cls,
        tasks: TaskSet,
        related: NDArray[np.bool_],
        weights: NDArray[np.float32],
        required: NDArray[np.bool_],
        decidable: NDArray[np.bool_],
        prior: NDArray[np.float32],
        known: NDArray[np.bool_],
        notes: list[str],
    ) -> "Relations":
        chosen = np.flatnonzero(related)
        names = [tasks.expressions[position] for position in chosen]
        inside = prior[chosen]
        matched = known[chosen].all(axis=0) & (inside > 0).any(axis=0) & (inside < 1).any(axis=0)
        return cls(
            classes=torch.from_numpy(chosen),
            neutral=names.index(NEUTRAL) if NEUTRAL in names else None,
            weights=torch.from_numpy(weights[chosen]),
            required=torch.from_numpy(required[chosen]),
            decidable=torch.from_numpy(decidable[chosen]),
            prior=torch.from_numpy(inside),
            matched=torch.from_numpy(matched),
            matched_columns=torch.from_numpy(np.flatnonzero(matched)),
            notes=tuple(notes),
        )


def co_occurrence(
    labels: "LabelArrays", rows: NDArray[np.int64], tasks: TaskSet
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """How often each action unit is present, and how often it is labelled, among the rows of each expression; both int64 [C, A].

    Args:
        labels: of the training split, for the heads.
        rows: int64, the rows that count.
        tasks: the heads.
    """
    present, counts = np.zeros((2, len(tasks.expressions), len(tasks.action_units)), dtype=np.int64)
    expressions = np.where(labels.expression_mask[rows], labels.expression[rows], -1)
    for position in range(len(tasks.expressions)):
        own = rows[expressions == position]
        mask = labels.au_mask[own]
        counts[position] = mask.sum(axis=0)
        present[position] = (mask & (labels.au[own] == 1)).sum(axis=0)
    return present, counts


def check_coded(
    relations: Relations, labels: "LabelArrays", rows: NDArray[np.int64], tasks: TaskSet, where: str
) -> None:
    """Makes sure that the training rows have labels for what the relations name.

    Args:
        relations: of the heads.
        labels: of the training split.
        rows: int64, the rows that are trained on.
        tasks: the heads.
        where: the dataset, for messages.

    Raises:
        CouplingError: a related action unit has no label at all, or no row has an expression.
    """
    named = (relations.weights > 0).any(dim=0).numpy()
    coded = np.any(labels.au_mask[rows], axis=0)
    uncoded = [number for number, one, own in zip(tasks.action_units, coded, named, strict=True) if own and not one]
    if uncoded:
        names = ", ".join(f"AU{number}" for number in uncoded)
        raise CouplingError(
            f"the relations name {names}, which no database of {where} codes: an expression alone would decide it; to fix: remove it from "
            "`tasks.action_units`, or build the dataset with a database that codes it"
        )
    if not labels.expression_mask[rows].any():
        raise CouplingError(
            f"no row of {where} has an expression; to fix: remove `method.coupling`, or build the dataset with a database that has expressions"
        )


def _required(units: Mapping[int, float]) -> set[int]:
    """The prototypical action units; all action units of the expression where none is prototypical."""
    return {number for number, weight in units.items() if weight == 1} or set(units)


def _number_of(weights: NDArray[np.float32]) -> int:
    return int((weights > 0).any(axis=0).sum())


def _described(counts: NDArray[np.int64], tasks: TaskSet) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in zip(tasks.expressions, counts.tolist(), strict=True))
