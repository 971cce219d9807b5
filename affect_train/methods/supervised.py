"""Learning from labels alone, each task from the rows that have its label."""

from typing import TYPE_CHECKING, ClassVar

from torch import Tensor

from affect_train import losses
from affect_train.methods.method import Method
from affect_train.methods.terms import ConcordanceTerm, LossTerm, Term
from affect_train.tasks import AXES

if TYPE_CHECKING:
    from affect_train.inputs.batch import AffectBatch
    from affect_train.network.output import AffectOutput


class Supervised(Method):
    """Binary cross-entropy for action units, cross-entropy for expressions; for valence and arousal ``1 - CCC`` and cross-entropy over bins.

    Source: Deng, Chen & Shi, *FAU, Facial Expressions, Valence and Arousal: A Multi-task Solution* (arXiv 2002.03557). Here the bins' centres serve
    both their cross-entropy and the expectation.
    """

    name: ClassVar[str] = "supervised"

    @property
    def needs_step_statistics(self) -> bool:
        """Whether the concordance has a weight: it is a function of sums over all rows, not a sum over rows."""
        return "va" in self.tasks.names and self.options.ccc_weight > 0 and self.options.task_weights.va > 0

    def counts(self, batch: "AffectBatch") -> dict[str, Tensor]:
        """The number of labels behind every term."""
        found: dict[str, Tensor] = {}
        if "au" in self.tasks.names:
            found["au"] = self.au_count(batch.au_mask)
        if "expression" in self.tasks.names:
            found["expression"] = batch.expression_mask.sum()
        if "va" in self.tasks.names:
            rows = batch.va_mask.sum()
            found |= {name: rows for axis in AXES for name in (axis, f"{axis}_ccc")}
        return found

    def losses(self, output: "AffectOutput", batch: "AffectBatch") -> dict[str, Term]:
        """``au``, ``expression``, ``valence`` and ``arousal`` (cross-entropy over bins), ``valence_ccc``, ``arousal_ccc``, where there are heads."""
        weights = self.options.task_weights
        found: dict[str, Term] = {}
        if output.au_logits is not None:
            shares = self.au_shares(batch.au_mask)
            logits = self.raised("au", output.au_logits)
            total, _ = losses.masked_binary_cross_entropy(logits, batch.au, batch.au_mask, shares)
            found["au"] = LossTerm(total, self.au_count(batch.au_mask), weights.au * self.au_factor)
        if output.expression_logits is not None:
            logits = self.raised("expression", output.expression_logits)
            total, count = losses.masked_cross_entropy(logits, batch.expression, batch.expression_mask)
            if batch.mixed is not None:
                other, _ = losses.masked_cross_entropy(logits, batch.mixed.expression, batch.expression_mask)
                total = batch.mixed.share * total + (1 - batch.mixed.share) * other
            found["expression"] = LossTerm(total, count, weights.expression)
        for axis, logits, targets in axes_of(output, batch):
            total, count = losses.masked_cross_entropy(logits, self.tasks.bins(targets), batch.va_mask)
            found[axis] = LossTerm(total, count, weights.va * self.options.bins_weight)
            found[f"{axis}_ccc"] = self.concordance_term(logits, targets, batch.va_mask, count, weights.va)
        return found

    def concordance_term(
        self, logits: Tensor, targets: Tensor, mask: Tensor, count: Tensor, weight: float
    ) -> ConcordanceTerm:
        """The term ``(1 - CCC) n / count`` between the bins' expectation and the n labels of one axis."""
        predictions = losses.expectation(logits, self.constants.on(logits.device, "bin_centres"))
        sums = losses.concordance_statistics(predictions, targets, mask)
        return ConcordanceTerm(sums, count, weight * self.options.ccc_weight, self.options.ccc_epsilon)


def axes_of(output: "AffectOutput", batch: "AffectBatch") -> list[tuple[str, Tensor, Tensor]]:
    """Name, logits and labels of valence and arousal; empty where the model has no such heads."""
    if output.valence_logits is None or output.arousal_logits is None:
        return []
    return [("valence", output.valence_logits, batch.valence), ("arousal", output.arousal_logits, batch.arousal)]
