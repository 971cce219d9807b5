"""Factors of single rows' expression losses: learned through a trial step, by confidence, or known."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import torch
from arms import Arm
from heads import Parameters, generator_of, logits_of
from objectives import Batch, expression_rows, total
from torch import Tensor

if TYPE_CHECKING:
    from learning import Training

HIDDEN = 100
RATE = 1e-3
SMALLEST_STEP = 1e-16
"""Adam's epsilon: gradients by the weights of rows are far below the usual 1e-8."""


class RowWeights:
    """What an arm multiplies each row's expression loss by.

    ``raw`` and ``batch`` are Meta-Weight-Net (Shu et al., arXiv 1902.07379) with action units as judges (Li & Shan, arXiv 2105.06620): one hidden
    layer from a row's loss to a weight in (0, 1), which learns through the second-order graph of a trial step. ``batch`` divides the weights by their
    mean over the rows with an expression, in the trial and in the step.

    Args:
        kind: of weight.
        seeds: whose numbers decide the first weights.
        settings: how many each seed has.
        equal_start: whether learned weights begin at one half for every row, and not in an order by chance.
    """

    def __init__(
        self,
        kind: Literal["raw", "batch", "confidence", "known"],
        seeds: Sequence[int],
        settings: int,
        *,
        equal_start: bool = False,
    ) -> None:
        self.kind = kind
        first = [torch.randn(1, HIDDEN, generator=generator_of(seed, 3)) for seed in seeds]
        spread = 0.0 if equal_start else HIDDEN**-0.5
        second = [torch.randn(HIDDEN, 1, generator=generator_of(seed, 4)) * spread for seed in seeds]
        shape = (len(seeds), settings)
        self.parameters = [
            torch.stack(first)[:, None].repeat(1, settings, 1, 1),
            torch.zeros(*shape, 1, HIDDEN),
            torch.stack(second)[:, None].repeat(1, settings, 1, 1),
            torch.zeros(*shape, 1, 1),
        ]
        for one in self.parameters:
            one.requires_grad_()
        self.optimizer = torch.optim.AdamW(self.parameters, lr=RATE, weight_decay=0.0, eps=SMALLEST_STEP)

    @classmethod
    def of(cls, arm: Arm, seeds: Sequence[int], settings: int) -> "RowWeights | None":
        """Those of an arm; None where all rows count alike."""
        return None if arm.weigh is None else cls(arm.weigh, seeds, settings, equal_start=arm.equal_start)

    def of_losses(self, losses: Tensor, clean: Tensor) -> Tensor:
        """The weights before any division, float [S, G, B].

        Args:
            losses: float [S, G, B], of the expressions; no gradient flows back.
            clean: bool [S, B], whether the label was not replaced: what ``known`` knows.
        """
        losses = losses.detach()
        if self.kind == "known":
            return clean[:, None].float().expand_as(losses)
        if self.kind == "confidence":
            return (-losses).exp()
        first, offset, second, last = self.parameters
        hidden = torch.relu(losses[..., None] @ first + offset)
        return (hidden @ second + last).squeeze(3).sigmoid()

    def factors(self, losses: Tensor, batch: Batch) -> Tensor:
        """What the losses are multiplied by, float [S, G, B], in the graph of these weights."""
        found = self.of_losses(losses, batch.clean)
        if self.kind == "raw":
            return found
        mask = batch.learned[:, None, :, 0].float()
        mean = (found * mask).sum(dim=2, keepdim=True) / mask.sum(dim=2, keepdim=True).clamp(min=1)
        return found / mean.clamp(min=1e-12)

    def step(self, training: "Training", batch: Batch, meta: Batch, kept: Tensor, rate: float) -> Tensor:
        """The factors of the step's rows, float [S, G, B], without graph; learned ones learn first.

        Args:
            training: whose model is tried.
            batch: of the step.
            meta: of another step, whose action units judge the trial.
            kept: factors of dropout.
            rate: of the trial.
        """
        logits = logits_of(training.parameters, batch.features, kept)
        losses = expression_rows(logits, batch, training.arm, training.known)
        if self.kind in ("raw", "batch"):
            loss = total(logits, batch, training.arm, training.known, self.factors(losses, batch))
            slopes = torch.autograd.grad(loss.sum(), training.parameters, create_graph=True)
            tried: Parameters = [one - rate * slope for one, slope in zip(training.parameters, slopes, strict=True)]
            judged = training.arm.model_copy(update={"tasks": ("au",)})
            judgement = total(logits_of(tried, meta.features), meta, judged, training.known)
            found = torch.autograd.grad(judgement.sum(), self.parameters)
            for one, slope in zip(self.parameters, found, strict=True):
                one.grad = slope
            self.optimizer.step()
        with torch.no_grad():
            return self.factors(losses, batch)
