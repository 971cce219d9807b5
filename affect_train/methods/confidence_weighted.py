"""Learning from labels of which some are wrong: an expression counts as much as the model believes it."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import torch
from accelerate import Accelerator
from torch import Tensor

from affect_train.losses import cross_entropy_of_rows
from affect_train.methods.meta.batch_mean import BatchMean
from affect_train.methods.meta.processes import OverProcesses
from affect_train.methods.meta.weight_network import WEIGHTS, WeightRecord
from affect_train.methods.method import PlainStep, Stateful, StepWrapper, Trained, TrainedData
from affect_train.methods.supervised import Supervised
from affect_train.methods.terms import LossTerm, Term
from affect_train.recipe.methods.confidence_weighted import ConfidenceWeightedOptions
from affect_train.recipe.recipe import Recipe
from affect_train.tasks import TaskSet

if TYPE_CHECKING:
    from affect_train.inputs.batch import AffectBatch
    from affect_train.network.output import AffectOutput


class ConfidenceWeighted(Supervised):
    """The losses of `Supervised`, where each row's expression loss is multiplied by the probability of its own label, over the mean of the step.

    It is the rival that learned weights have to beat: it needs no trial step, and a network learns right labels before it learns wrong ones (Arpit et
    al., *A Closer Look at Memorization in Deep Networks*, arXiv 1706.05394), so its own probability tells them apart. The rule is ours.
    """

    name: ClassVar[str] = "confidence_weighted"

    def __init__(self, options: ConfidenceWeightedOptions, tasks: TaskSet) -> None:
        super().__init__(options, tasks)
        self.options: ConfidenceWeightedOptions = options
        self.batch_mean = BatchMean(lambda sums: sums)
        self.weighs = options.after_steps == 0

    def attach(self, trained: Trained, data: TrainedData, accelerator: Accelerator, recipe: Recipe) -> StepWrapper:  # noqa: ARG002
        """Counts the steps, and keeps each row's weight."""
        self.batch_mean = BatchMean(OverProcesses(accelerator).sum)
        return _Weighed(self, data, accelerator)

    def counts(self, batch: "AffectBatch") -> dict[str, Tensor]:
        """The number of labels behind every term."""
        found = super().counts(batch)
        return {**found, "expression_weight": found["expression"]}

    def losses(self, output: "AffectOutput", batch: "AffectBatch") -> dict[str, Term]:
        """Terms of `Supervised`, with weighted expression losses, and ``expression_weight``: the mean weight before its division, for the log."""
        rows, weights = self.weigh(output, batch)
        found = super().losses(output, batch)
        count, factor = found["expression"].count, found["expression"].weight
        if self.weighs:
            weighted = rows * self.batch_mean.divided(weights, batch.expression_mask)
            found["expression"] = LossTerm(weighted.sum(), count, factor)
        found["expression_weight"] = LossTerm(weights.where(batch.expression_mask, 0.0).sum(), count, 0.0)
        return found

    def weigh(self, output: "AffectOutput", batch: "AffectBatch") -> tuple[Tensor, Tensor]:
        """The expression losses of the N rows and the probabilities of their own labels, to the power of the options, both float32 [N].

        No gradient flows through the second.
        """
        assert output.expression_logits is not None
        logits = self.raised("expression", output.expression_logits)
        rows = cross_entropy_of_rows(logits, batch.expression, batch.expression_mask)
        return rows, (-self.options.power * rows.detach()).exp()


class _Weighed(PlainStep):
    """Turns the weights on after the first steps, and records them.

    Args:
        method: whose weights they are.
        data: of the run.
        accelerator: of this process.
    """

    def __init__(self, method: ConfidenceWeighted, data: TrainedData, accelerator: Accelerator) -> None:
        assert data.train.labels is not None
        self.method = method
        self.accelerator = accelerator
        self.split, self.epoch_steps = data.train, data.order.steps
        self.record = WeightRecord(len(data.train.labels), accelerator.device)
        self.number = 0

    def before_step(self, number: int, micro_batches: Sequence["AffectBatch"]) -> None:  # noqa: ARG002
        """Takes note of the step's number."""
        self.number = number
        self.method.weighs = number > self.method.options.after_steps

    def before_losses(self, output: "AffectOutput", batch: "AffectBatch") -> None:
        """Records the weights of the step's rows, before they are divided by a mean that differs from step to step."""
        with torch.no_grad():
            rows, weights = self.method.weigh(output, batch)
        self.record.add_labelled(self.accelerator, (self.number - 1) // self.epoch_steps, batch, weights, rows)

    def parts(self) -> dict[str, Stateful]:
        """The record."""
        return {"weight_record": self.record}

    def finish(self, folder: Path) -> list[str]:
        """Writes each row's mean weight in its last epoch."""
        assert self.split.dataset is not None
        self.record.write(folder / WEIGHTS, self.split.dataset)
        return []
