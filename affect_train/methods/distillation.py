"""Learning from labels and from teachers' soft labels of the same faces."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from affect_train import losses
from affect_train.methods.supervised import Supervised, axes_of
from affect_train.methods.terms import LossTerm, Term
from affect_train.recipe.methods.distillation import DistillationOptions, SoftTaskOptions
from affect_train.tasks import AXES, TaskSet

if TYPE_CHECKING:
    from affect_train.inputs.batch import AffectBatch
    from affect_train.network.output import AffectOutput

NOT_SHARED = -1e4
"""The logit of a class that a distribution leaves out: its exponential is 0."""


class Distillation(Supervised):
    """Labels and teachers, mixed row by row: ``hard_weight`` times the label's loss plus the rest times the teacher's.

    A row without a label has the teacher's loss alone. An action unit or task that no teacher knows is learned from its labels alone. Every term of a
    task is divided by the number of rows (action units: entries) that have a label or a teacher.

    The teacher's loss is the Kullback-Leibler divergence at a temperature for expressions and for the bins of valence and arousal; for action units
    it is the binary cross-entropy to the teacher's probability. Several teachers are averaged in probability. If the expressions of student and
    teachers differ, only the shared ones are taught: all distributions are renormalised over them, and the logits of other classes do not move.

    With ``confidence: entropy`` the teacher's share of a row (action units: of an entry) is multiplied by ``1 - H(p) / H(uniform)``, where p is the
    averaged probability at temperature 1. The label's share stays.

    Source: Deng, Chen & Shi (arXiv 2002.03557), section 3.4. There the loss is not multiplied by the temperature's square, and action units have
    temperature 1.
    """

    name: ClassVar[str] = "distillation"

    def __init__(self, options: DistillationOptions, tasks: TaskSet) -> None:
        super().__init__(options, tasks)
        self.options: DistillationOptions = options
        self.mixtures = {
            task: Mixture(options, getattr(options.soft_tasks, task), 1.0 if task == "au" else options.temperature)
            for task in ("au", "expression", "va")
        }

    def counts(self, batch: "AffectBatch") -> dict[str, Tensor]:
        """For every term, how many rows (action units: entries) of its task have a label or a teacher."""
        found: dict[str, Tensor] = {}
        if "au" in self.tasks.names:
            count = self.au_count(self._learned(batch))
            found |= {"au_hard": count, "au_soft": count}
        if "expression" in self.tasks.names:
            count = self._rows("expression", batch.expression_mask, self._teachers(batch, "expression"))
            found |= {"expression_hard": count, "expression_soft": count}
        if "va" in self.tasks.names:
            for axis in AXES:
                count = self._rows("va", batch.va_mask, self._teachers(batch, axis))
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
            teachers, mixture = self._teachers(batch, "expression"), self.mixtures["expression"]
            raised = self.raised("expression", output.expression_logits)
            hard, _ = losses.masked_cross_entropy(raised, batch.expression, batch.expression_mask)
            soft = mixture.soft_sum(
                output.expression_logits, teachers, batch.expression_mask, self._shared_classes(batch)
            )
            share = mixture.hard_share(teachers)
            found["expression_hard"] = LossTerm(hard * share, counts["expression_hard"], weights.expression)
            found["expression_soft"] = LossTerm(soft, counts["expression_soft"], weights.expression)
        for axis, logits, targets in axes_of(output, batch):
            teachers, mixture = self._teachers(batch, axis), self.mixtures["va"]
            share, count = mixture.hard_share(teachers), counts[f"{axis}_hard"]
            hard, _ = losses.masked_cross_entropy(logits, self.tasks.bins(targets), batch.va_mask)
            found[f"{axis}_hard"] = LossTerm(hard * share, count, weights.va * self.options.bins_weight)
            found[f"{axis}_ccc"] = self.concordance_term(logits, targets, batch.va_mask, count, weights.va * share)
            soft = mixture.soft_sum(logits, teachers, batch.va_mask)
            found[f"{axis}_soft"] = LossTerm(soft, count, weights.va)
        return found

    def _au_sums(self, logits: Tensor, batch: "AffectBatch") -> tuple[Tensor, Tensor]:
        """The losses to the labels and to the teachers, each summed over entries and already multiplied by its share."""
        mixture = self.mixtures["au"]
        labelled, known = batch.au_mask, self._known(batch).expand_as(batch.au_mask)
        share, temperature = mixture.hard_weight, mixture.temperature
        shares = self.au_shares(self._learned(batch))
        raised = self.raised("au", logits)
        taught, _ = losses.masked_binary_cross_entropy(raised, batch.au, labelled & known, shares)
        untaught, _ = losses.masked_binary_cross_entropy(raised, batch.au, labelled & ~known, shares)
        probabilities = self._au_probabilities(batch, temperature)
        weights = mixture.soft_weights(labelled, known)
        if mixture.weighs_confidence:
            weights = weights * unit_confidence(self._au_probabilities(batch))
        if shares is not None:
            weights = weights * shares
        # Not reduced: each entry has a weight of its own.
        every = torch.nn.functional.binary_cross_entropy_with_logits(
            (logits.float() / temperature).where(known, 0.0), probabilities, reduction="none"
        )
        return share * taught + untaught, (every * weights).sum() * mixture.scale

    def _teachers(self, batch: "AffectBatch", head: str) -> list[Tensor]:
        task = head if head == "expression" else "va"
        found = [getattr(targets, head) for targets in batch.soft.values()] if self.mixtures[task].learns else []
        return [logits for logits in found if logits is not None]

    def _shared_classes(self, batch: "AffectBatch") -> Tensor | None:
        """The student's classes that all teachers of expressions have, bool [C]; None: all."""
        shared = None
        for targets in batch.soft.values():
            if targets.expression_mask is not None:
                shared = targets.expression_mask if shared is None else shared & targets.expression_mask
        return shared

    def _rows(self, task: str, labelled: Tensor, teachers: Sequence[Tensor]) -> Tensor:
        every = teachers and self.mixtures[task].teaches_unlabelled
        return torch.full_like(labelled.sum(), len(labelled)) if every else labelled.sum()

    def _learned(self, batch: "AffectBatch") -> Tensor:
        """The entries that have a label or a teacher to learn from, bool [N, A]."""
        return batch.au_mask | (self._known(batch) & self.mixtures["au"].teaches_unlabelled)

    def _known(self, batch: "AffectBatch") -> Tensor:
        """The action units that a teacher has, bool [A]."""
        known = torch.zeros(len(self.tasks.action_units), dtype=torch.bool, device=batch.au.device)
        for targets in batch.soft.values() if self.mixtures["au"].learns else ():
            if targets.au is not None and targets.au_mask is not None:
                known = known | targets.au_mask
        return known

    def _au_probabilities(self, batch: "AffectBatch", temperature: float = 1.0) -> Tensor:
        """The mean probability over the teachers that have the action unit, float [N, A]; 0 where none has."""
        total, teachers = torch.zeros_like(batch.au), torch.zeros(batch.au.shape[1], device=batch.au.device)
        for targets in batch.soft.values():
            if targets.au is not None and targets.au_mask is not None:
                total = total + (targets.au / temperature).sigmoid().where(targets.au_mask, 0.0)
                teachers = teachers + targets.au_mask
        return total / teachers.clamp(min=1)


class Mixture:
    """How labels and teachers share the loss of one task.

    Args:
        options: of the method.
        task: the task's own options, which come before those of the method.
        temperature: used where the task has none of its own.
    """

    def __init__(self, options: DistillationOptions, task: SoftTaskOptions, temperature: float) -> None:
        self.learns = task.learn
        self.hard_weight = options.hard_weight if task.hard_weight is None else task.hard_weight
        self.temperature = temperature if task.temperature is None else task.temperature
        self.scale = self.temperature**2 if options.temperature_squared else 1.0
        self.weighs_confidence = options.confidence == "entropy"
        self.teaches_unlabelled = options.missing_labels == "teacher"

    def hard_share(self, teachers: Sequence[Tensor]) -> float:
        """The factor of a label's loss: 1 without teachers."""
        return self.hard_weight if teachers else 1.0

    def soft_weights(self, labelled: Tensor, known: Tensor) -> Tensor:
        """The factor of the teachers' loss for each entry, float, before their confidence.

        Args:
            labelled: bool, whether the entry has a label.
            known: bool, whether a teacher knows it.
        """
        unlabelled = 1.0 if self.teaches_unlabelled else 0.0
        return torch.where(labelled, 1 - self.hard_weight, unlabelled).where(known, 0.0)

    def soft_sum(
        self, logits: Tensor, teachers: Sequence[Tensor], labelled: Tensor, shared: Tensor | None = None
    ) -> Tensor:
        """The divergence of the student's distribution from the teachers', summed over rows; without teachers a 0 that is in the graph.

        Args:
            logits: float [N, C] of the student.
            teachers: float [N, C] of each teacher.
            labelled: bool [N], whether a row has a label.
            shared: bool [C], the classes that student and teachers share; None: all.
        """
        if not teachers:
            return logits.float().sum() * 0
        probabilities = mean_probabilities(teachers, self.temperature, shared)
        weights = self.soft_weights(labelled, torch.ones_like(labelled))
        if self.weighs_confidence:
            weights = weights * confidence(mean_probabilities(teachers, 1.0, shared), shared)
        student = torch.log_softmax(_among(logits.float() / self.temperature, shared), dim=1)
        rows = torch.nn.functional.kl_div(student, probabilities, reduction="none").sum(dim=1)
        return (rows * weights).sum() * self.scale


def mean_probabilities(logits: Sequence[Tensor], temperature: float, shared: Tensor | None = None) -> Tensor:
    """The mean of several teachers' probabilities at a temperature, float32 [N, C]; 0 for classes that are not shared (bool [C])."""
    return torch.stack([_among(one.float() / temperature, shared).softmax(dim=1) for one in logits]).mean(dim=0)


def confidence(probabilities: Tensor, shared: Tensor | None = None) -> Tensor:
    """The certainty ``1 - H(p) / log C`` of distributions [N, C]: float [N], from 0 (uniform) to 1; C counts the shared classes (bool [C])."""
    entropy: Tensor = torch.special.entr(probabilities).sum(dim=1)
    most = math.log(probabilities.shape[1]) if shared is None else shared.sum().log()
    return (1 - entropy / most).clamp(0, 1)


def _among(logits: Tensor, shared: Tensor | None) -> Tensor:
    """Logits whose softmax is 0 outside of the shared classes; finite, because a probability of 0 times infinity is NaN."""
    return logits if shared is None else logits.where(shared, NOT_SHARED)


def unit_confidence(probabilities: Tensor) -> Tensor:
    """The certainty ``1 - H(p) / log 2`` of each action unit's presence: float [N, A]."""
    entropy: Tensor = torch.special.entr(probabilities) + torch.special.entr(1 - probabilities)
    return (1 - entropy / math.log(2)).clamp(0, 1)
