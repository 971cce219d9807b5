"""Learning from labels and from what teachers said of the same faces."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from affect_train import losses
from affect_train.methods.base import LossTerm, Term
from affect_train.methods.supervised import AXES, Supervised, axes_of
from affect_train.recipe import Distillation as DistillationOptions
from affect_train.tasks import TaskSet

if TYPE_CHECKING:
    from affect_train.batches import AffectBatch
    from affect_train.model import AffectOutput


class Distillation(Supervised):
    """Label and teacher mixed row by row. Where there is a label, ``hard_weight`` of its loss and the rest of the teacher's, else the teacher's.

    The teacher's loss is the Kullback-Leibler divergence at a temperature for expressions and for the bins of valence and arousal, and the binary
    cross-entropy to its probability for action units. Several teachers are averaged in probability. An action unit or task which no teacher knows is
    learned from its labels alone. Every term of a task is divided by the number of its rows (action units: entries) that have a label or a teacher.

    Source: Deng, Chen & Shi (arXiv 2002.03557), section 3.4, where the temperature's square is left out.
    """

    name: ClassVar[str] = "distillation"

    def __init__(self, options: DistillationOptions, tasks: TaskSet) -> None:
        super().__init__(options, tasks)
        self.options: DistillationOptions = options
        self.soft_scale = options.temperature**2 if options.temperature_squared else 1.0

    def counts(self, batch: "AffectBatch") -> dict[str, Tensor]:
        """For every task the rows (action units: entries) with a label or a teacher, once for each of its terms."""
        found: dict[str, Tensor] = {}
        if "au" in self.tasks.names:
            count = (batch.au_mask | self._known(batch)).sum()
            found |= {"au_hard": count, "au_soft": count}
        if "expression" in self.tasks.names:
            count = _rows(batch.expression_mask, _teachers(batch, "expression"))
            found |= {"expression_hard": count, "expression_soft": count}
        if "va" in self.tasks.names:
            for axis in AXES:
                count = _rows(batch.va_mask, _teachers(batch, axis))
                found |= {f"{axis}_hard": count, f"{axis}_ccc": count, f"{axis}_soft": count}
        return found

    def losses(self, output: "AffectOutput", batch: "AffectBatch") -> dict[str, Term]:
        """``TASK_hard`` and ``TASK_soft`` for ``au``, ``expression``, ``valence`` and ``arousal``, and ``valence_ccc`` and ``arousal_ccc``."""
        weights, counts = self.options.task_weights, self.counts(batch)
        found: dict[str, Term] = {}
        if output.au_logits is not None:
            hard, soft = self._au_sums(output.au_logits, batch)
            found["au_hard"] = LossTerm(hard, counts["au_hard"], weights.au * self.au_factor)
            found["au_soft"] = LossTerm(soft, counts["au_soft"], weights.au * self.au_factor)
        if output.expression_logits is not None:
            teachers = _teachers(batch, "expression")
            hard, _ = losses.masked_cross_entropy(output.expression_logits, batch.expression, batch.expression_mask)
            soft = self._soft_sum(output.expression_logits, teachers, batch.expression_mask)
            found["expression_hard"] = LossTerm(
                hard * self._hard_share(teachers), counts["expression_hard"], weights.expression
            )
            found["expression_soft"] = LossTerm(soft, counts["expression_soft"], weights.expression)
        for axis, logits, targets in axes_of(output, batch):
            teachers = _teachers(batch, axis)
            share, count = self._hard_share(teachers), counts[f"{axis}_hard"]
            hard, _ = losses.masked_cross_entropy(logits, self.tasks.bins(targets), batch.va_mask)
            found[f"{axis}_hard"] = LossTerm(hard * share, count, weights.va)
            found[f"{axis}_ccc"] = self.concordance_term(logits, targets, batch.va_mask, count, weights.va * share)
            found[f"{axis}_soft"] = LossTerm(self._soft_sum(logits, teachers, batch.va_mask), count, weights.va)
        return found

    def _au_sums(self, logits: Tensor, batch: "AffectBatch") -> tuple[Tensor, Tensor]:
        """The summed losses to the labels and to the teachers, mixed entry by entry."""
        labelled, known = batch.au_mask, self._known(batch).expand_as(batch.au_mask)
        share = self.options.hard_weight
        taught, _ = losses.masked_binary_cross_entropy(logits, batch.au, labelled & known)
        untaught, _ = losses.masked_binary_cross_entropy(logits, batch.au, labelled & ~known)
        probabilities = self._au_probabilities(batch)
        both, _ = losses.masked_binary_cross_entropy(logits, probabilities, labelled & known)
        unlabelled, _ = losses.masked_binary_cross_entropy(logits, probabilities, ~labelled & known)
        return share * taught + untaught, (1 - share) * both + unlabelled

    def _soft_sum(self, logits: Tensor, teachers: Sequence[Tensor], labelled: Tensor) -> Tensor:
        if not teachers:
            return logits.float().sum() * 0
        temperature = self.options.temperature
        probabilities = mean_probabilities(teachers, temperature)
        both, _ = losses.masked_divergence(logits, probabilities, labelled, temperature)
        unlabelled, _ = losses.masked_divergence(logits, probabilities, ~labelled, temperature)
        return ((1 - self.options.hard_weight) * both + unlabelled) * self.soft_scale

    def _hard_share(self, teachers: Sequence[Tensor]) -> float:
        return self.options.hard_weight if teachers else 1.0

    def _known(self, batch: "AffectBatch") -> Tensor:
        """The action units that a teacher has, bool [A]."""
        known = torch.zeros(len(self.tasks.action_units), dtype=torch.bool, device=batch.au.device)
        for targets in batch.soft.values():
            if targets.au is not None and targets.au_mask is not None:
                known = known | targets.au_mask
        return known

    def _au_probabilities(self, batch: "AffectBatch") -> Tensor:
        """The mean over those teachers that have the action unit, float [N, A]; 0 where none has."""
        total, teachers = torch.zeros_like(batch.au), torch.zeros(batch.au.shape[1], device=batch.au.device)
        for targets in batch.soft.values():
            if targets.au is not None and targets.au_mask is not None:
                total = total + targets.au.sigmoid().where(targets.au_mask, 0.0)
                teachers = teachers + targets.au_mask
        return total / teachers.clamp(min=1)


def mean_probabilities(logits: Sequence[Tensor], temperature: float) -> Tensor:
    """The mean of several teachers' probabilities at a temperature, float32 [N, C]."""
    return torch.stack([(one.float() / temperature).softmax(dim=1) for one in logits]).mean(dim=0)


def _teachers(batch: "AffectBatch", head: str) -> list[Tensor]:
    found = [getattr(targets, head) for targets in batch.soft.values()]
    return [logits for logits in found if logits is not None]


def _rows(labelled: Tensor, teachers: Sequence[Tensor]) -> Tensor:
    return torch.full_like(labelled.sum(), len(labelled)) if teachers else labelled.sum()
