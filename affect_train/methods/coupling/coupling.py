"""Losses by which action units and expressions teach each other, added to those of any method.

Source: Kollias, Sharmanska & Zafeiriou, *Face Behavior a la carte* (FaceBehaviorNet, arXiv 1910.11111) and *Distribution Matching for Heterogeneous
Multi-Task Learning* (arXiv 2105.03790).
"""

from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from affect_train import losses
from affect_train.methods.coupling.co_annotation import (
    complete_expressions,
    given_action_units,
    scored_expressions,
    scored_rows,
    soft_expressions,
    soft_sum,
)
from affect_train.methods.coupling.distribution_matching import matching_losses
from affect_train.methods.coupling.relations import Relations, check_coded
from affect_train.methods.method import LossTerms, Method
from affect_train.methods.terms import LossTerm, Term
from affect_train.recipe.methods.coupling import CouplingOptions
from affect_train.tasks import TaskSet

if TYPE_CHECKING:
    from affect_train.inputs.batch import AffectBatch
    from affect_train.inputs.labels import LabelArrays
    from affect_train.network.output import AffectOutput


class Coupled(LossTerms):
    """The terms of a method and those of a coupling, side by side.

    Args:
        method: whose terms stay as they are.
        coupling: the section of the recipe.
    """

    def __init__(self, method: Method, coupling: CouplingOptions) -> None:
        self.method = method
        self.coupling = CouplingTerms(method, coupling)

    @property
    def needs_step_statistics(self) -> bool:
        """Whether the method needs them; the terms of a coupling never do, because they are sums over rows."""
        return self.method.needs_step_statistics

    def prepare(self, labels: "LabelArrays", rows: NDArray[np.int64], where: str) -> list[str]:
        """Prepares the method, then the coupling; gives the notes of both."""
        return [*self.method.prepare(labels, rows, where), *self.coupling.prepare(labels, rows, where)]

    def counts(self, batch: "AffectBatch") -> dict[str, Tensor]:
        """The counts of the method and of the coupling."""
        return {**self.method.counts(batch), **self.coupling.counts(batch)}

    def losses(self, output: "AffectOutput", batch: "AffectBatch") -> dict[str, Term]:
        """The terms of the method and of the coupling."""
        return {**self.method.losses(output, batch), **self.coupling.losses(output, batch)}


class CouplingTerms(LossTerms):
    """The terms that the section ``method.coupling`` names, up to four.

    ``co_annotation_au``: an image with an expression and no action unit is given the action units of that expression; the weight of a relation is
    the weight of its loss. ``co_annotation_expression``: an image with action units and no expression is given the expression whose action units are
    all present; among several, the one with the most. ``soft_co_annotation``: the cross-entropy to `soft_expressions`, wherever there are action
    units. ``distribution_matching``: the cross-entropy between predicted and implied action units (`matching_losses`), on all images.

    Classes of the head that have no relation are left out: the losses are over the distribution of the other classes.

    Args:
        method: its weights of tasks and of action units also weigh the labels that are given here.
        coupling: the section of the recipe.
    """

    def __init__(self, method: Method, coupling: CouplingOptions) -> None:
        self.method = method
        self.tasks = method.tasks
        self.coupling = coupling
        soft, matching = coupling.soft_co_annotation, coupling.distribution_matching
        self.soft = soft if soft is not None and soft.weight else None
        self.matching = matching if matching is not None and matching.weight else None
        self._relations = table_relations(coupling, method.tasks)

    @property
    def relations(self) -> Relations:
        """The relations between the heads; with ``prior: data`` they exist only after `prepare`."""
        if self._relations is None:
            raise RuntimeError("the relations are counted in `prepare`")
        return self._relations

    @property
    def needs_step_statistics(self) -> bool:
        """False: all terms are sums over rows."""
        return False

    def prepare(self, labels: "LabelArrays", rows: NDArray[np.int64], where: str) -> list[str]:
        """Notes on the relations. With ``prior: data`` they are counted here; in both cases the labels must be able to teach them.

        Raises:
            CouplingError: the labels cannot teach the relations.
        """
        if self.coupling.table is None:
            self._relations = Relations.of_labels(
                labels,
                rows,
                self.tasks,
                neutral=self.coupling.counts_neutral,
                least_rows=self.coupling.least_rows,
            )
        check_coded(self.relations, labels, rows, self.tasks, where)
        notes = list(self.relations.notes)
        matched = zip(self.tasks.action_units, self.relations.matched.tolist(), strict=True)
        apart = [f"AU{number}" for number, known in matched if not known]
        if apart and self.matching is not None:
            notes.append(
                f"coupling: distribution matching leaves out {', '.join(apart)}: the prior does not say who shows it"
            )
        return notes

    def counts(self, batch: "AffectBatch") -> dict[str, Tensor]:
        """For every term, how many labels, rows or entries its sum is over."""
        return self._counts(batch, self._relations_on(batch))

    def _counts(self, batch: "AffectBatch", relations: Relations) -> dict[str, Tensor]:
        found: dict[str, Tensor] = {}
        if self._hard_au:
            found["co_annotation_au"] = self.method.au_count(self._unit_labels(batch, relations) > 0)
        if self._hard_expression:
            found["co_annotation_expression"] = (complete_expressions(batch, relations) >= 0).sum()
        if self.soft is not None:
            found["soft_co_annotation"] = scored_rows(scored_expressions(batch, relations)).sum()
        if self.matching is not None:
            found["distribution_matching"] = self._matched_count(batch, relations)
        return found

    def losses(self, output: "AffectOutput", batch: "AffectBatch") -> dict[str, Term]:
        """The terms that the section names; both heads have to be there."""
        assert output.au_logits is not None
        assert output.expression_logits is not None
        relations = self._relations_on(batch)
        counts = self._counts(batch, relations)
        sums: dict[str, tuple[Tensor, float]] = {}
        if self._hard_au:
            sums["co_annotation_au"] = (
                self._au_sum(output.au_logits, batch, relations),
                self._hard_au * self.method.au_factor,
            )
        if self._hard_expression:
            classes = complete_expressions(batch, relations)
            total, _ = losses.masked_cross_entropy(output.expression_logits, classes, classes >= 0)
            sums["co_annotation_expression"] = total, self._hard_expression
        if self.soft is not None:
            options = self.soft
            targets = soft_expressions(batch, relations, weighted=options.weighted, temperature=options.temperature)
            scored = scored_expressions(batch, relations)
            sums["soft_co_annotation"] = soft_sum(output.expression_logits, targets, scored, relations), options.weight
        if self.matching is not None:
            matching = self.matching
            matched = matching_losses(
                output.au_logits, output.expression_logits, relations, matching.form, matching.gradient
            )
            sums["distribution_matching"] = matched.sum(), matching.weight
        return {name: LossTerm(total, counts[name], weight) for name, (total, weight) in sums.items()}

    @property
    def _hard_au(self) -> float:
        """The weight of given action units; 0 where none are given."""
        hard = self.coupling.co_annotation
        return hard.au_weight * self.method.options.task_weights.au if hard is not None else 0.0

    @property
    def _hard_expression(self) -> float:
        hard = self.coupling.co_annotation
        return hard.expression_weight * self.method.options.task_weights.expression if hard is not None else 0.0

    def _relations_on(self, batch: "AffectBatch") -> Relations:
        if self.relations.classes.device != batch.au.device:
            self._relations = self.relations.to(batch.au.device)
        return self.relations

    def _unit_labels(self, batch: "AffectBatch", relations: Relations) -> Tensor:
        """The weight with which each action unit counts as present, float [N, A]; 0 where it is not given."""
        return given_action_units(batch, relations, len(self.tasks.expressions))

    def _au_sum(self, logits: Tensor, batch: "AffectBatch", relations: Relations) -> Tensor:
        weights = self._unit_labels(batch, relations)
        given, shares = weights > 0, self.method.au_shares(weights > 0)
        total, _ = losses.masked_binary_cross_entropy(
            logits, given.float(), given, weights if shares is None else weights * shares
        )
        return total

    def _matched_count(self, batch: "AffectBatch", relations: Relations) -> Tensor:
        rows = torch.full((), len(batch), device=batch.au.device)
        averages = self.matching is not None and self.matching.reduction == "mean"
        return rows * len(relations.matched_columns) if averages else rows


def table_relations(coupling: CouplingOptions, tasks: TaskSet) -> Relations | None:
    """The relations of the recipe's table, or of Du et al. (2014); None with ``prior: data``, where they are counted in the labels.

    Raises:
        CouplingError: the heads have no relation between them.
    """
    if coupling.table is None:
        return None
    matching = coupling.distribution_matching
    return Relations.of_table(
        coupling.table,
        tasks,
        neutral=coupling.counts_neutral,
        weighted=matching is not None and matching.weighted,
    )
