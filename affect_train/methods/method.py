"""What a training method is: from a model's output and a batch to named loss terms."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch
from accelerate import Accelerator
from numpy.typing import NDArray
from torch import Tensor

from affect_data.errors import DataError
from affect_train.losses import row_shares
from affect_train.recipe.methods import LabelLosses
from affect_train.recipe.recipe import Recipe
from affect_train.tasks import TaskSet

if TYPE_CHECKING:
    from affect_train.inputs.batch import AffectBatch
    from affect_train.inputs.labels import LabelArrays
    from affect_train.network.model import AffectOutput
    from affect_train.training.data import TrainingData
    from affect_train.training.learner import Learner
from affect_train.methods.terms import Term


class Method(ABC):
    """One way to learn from a batch.

    Args:
        options: the section ``method`` of the recipe.
        tasks: the heads of the model.
    """

    name: ClassVar[str]

    def __init__(self, options: LabelLosses, tasks: TaskSet) -> None:
        self.options = options
        self.tasks = tasks
        self._au_class_weights: Tensor | None = None

    @classmethod
    def mistakes(cls, recipe: Recipe) -> list[str]:  # noqa: ARG003
        """What a recipe lacks for this method beyond what its own validation finds, each in one line."""
        return []

    @property
    def needs_window_statistics(self) -> bool:
        """Whether a term is no sum over rows, so that accumulating it exactly takes the statistics of all micro-batches beforehand."""
        return False

    def prepare(self, labels: "LabelArrays", rows: NDArray[np.int64], where: str) -> list[str]:
        """Takes from the training labels what the losses need, before the first step; gives what there is to say of it, a line each.

        Every process calls it with the same arguments.

        Args:
            labels: of the training split, for the heads.
            rows: those that are trained on.
            where: the dataset, for messages.

        Raises:
            AffectError: the labels are not enough.
        """
        if self.options.au_class_weights == "inverse_rate" and "au" in self.tasks.names:
            self._au_class_weights = class_weights(labels, rows, self.tasks.action_units, where)
        return []

    def attach(  # noqa: B027 - most methods need none
        self, learner: "Learner", data: "TrainingData", accelerator: Accelerator, recipe: Recipe
    ) -> None:
        """Takes hold of what is trained, after `prepare` and before a checkpoint is taken up.

        What a method keeps in checkpoints is registered here.
        """

    def before_step(self, number: int, window: Sequence["AffectBatch"]) -> None:  # noqa: B027
        """Called before the first forward pass of an optimizer step.

        Args:
            number: of the step, from 1.
            window: this process's micro-batches.
        """

    def before_losses(self, output: "AffectOutput", batch: "AffectBatch") -> None:  # noqa: B027
        """Called between the forward pass with gradient and `losses`; may differentiate the output if it keeps the graph."""

    def before_update(self) -> None:  # noqa: B027
        """Called when the gradients of a step are whole, over all micro-batches and processes, before they are clipped and the weights change."""

    def finish(self, folder: Path) -> list[str]:  # noqa: ARG002
        """Writes what the method learned besides the model into the folder of the run, and gives lines to say of it.

        Called on the main process when no step is left.
        """
        return []

    @property
    def au_factor(self) -> float:
        """What turns the mean over action units into the reduction of the options."""
        return float(len(self.tasks.action_units)) if self.options.au_reduction == "sum" else 1.0

    def au_count(self, known: Tensor) -> Tensor:
        """What the summed loss of action units is divided by: the known entries, or the rows that have one.

        Args:
            known: bool [N, A].
        """
        return (known.any(dim=1) if self.options.au_reduction == "image_mean" else known).sum()

    def au_shares(self, known: Tensor) -> Tensor | None:
        """What each entry's loss is multiplied by before the sum, float [N, A]; None: 1."""
        shares = row_shares(known) if self.options.au_reduction == "image_mean" else None
        if self._au_class_weights is None:
            return shares
        self._au_class_weights = self._au_class_weights.to(known.device)
        return self._au_class_weights.expand(known.shape) if shares is None else self._au_class_weights * shares

    @abstractmethod
    def counts(self, batch: "AffectBatch") -> dict[str, Tensor]:
        """For every term of `losses`, what its sum is divided by; known before any forward pass.

        The loop adds the counts over processes and accumulation steps.
        """

    @abstractmethod
    def losses(self, output: "AffectOutput", batch: "AffectBatch") -> dict[str, Term]:
        """Named terms; the names depend on the tasks and options alone, never on the batch, so that all processes agree."""


def class_weights(labels: "LabelArrays", rows: NDArray[np.int64], units: Sequence[int], where: str) -> Tensor:
    """For each action unit one over the share of its labels in which it is present, divided by their mean: float32 [A].

    Source: the weights of JAA-Net and of the action unit literature after it.

    Args:
        labels: of the training split, for the heads.
        rows: those that are trained on.
        units: FACS numbers.
        where: the dataset, for messages.

    Raises:
        DataError: an action unit is never present.
    """
    known = labels.au_mask[rows]
    present = (known & (labels.au[rows] > 0)).sum(axis=0)
    absent = [f"AU{unit}" for unit, count in zip(units, present.tolist(), strict=True) if not count]
    if absent:
        raise DataError(
            f"method.au_class_weights: {', '.join(absent)} is present in none of the {len(rows):,} rows that are trained on ({where}), so that its "
            "weight has no bound; remove it from `tasks.action_units`, or use 'none'"
        )
    inverse = known.sum(axis=0) / present
    return torch.from_numpy((inverse / inverse.mean()).astype(np.float32))
