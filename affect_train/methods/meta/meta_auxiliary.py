"""Learning action units with the help of expressions: how much a row's expression counts is learned from what it does for action units."""

from typing import TYPE_CHECKING, ClassVar

import numpy as np
from accelerate import Accelerator
from numpy.typing import NDArray
from torch import Tensor

from affect_data.errors import DataError
from affect_train.methods.meta.row_weights import WeightLearning, expression_losses
from affect_train.methods.method import StepWrapper, Trained, TrainedData
from affect_train.methods.supervised import Supervised
from affect_train.methods.terms import LossTerm, Term
from affect_train.recipe.methods.meta_auxiliary import MetaAuxiliaryOptions
from affect_train.recipe.recipe import Recipe
from affect_train.tasks import TaskSet

if TYPE_CHECKING:
    from affect_train.inputs.batch import AffectBatch
    from affect_train.inputs.labels import LabelArrays
    from affect_train.network.output import AffectOutput


class MetaAuxiliary(Supervised):
    """The losses of `Supervised`, where a small network weighs the expression loss of each row.

    The network learns around each step, in `row_weights.WeightLearning`.

    Source: Li & Shan, *Meta Auxiliary Learning for Facial Action Unit Detection* (arXiv 2105.06620). What the paper leaves open is an option.
    """

    name: ClassVar[str] = "meta_auxiliary"

    def __init__(self, options: MetaAuxiliaryOptions, tasks: TaskSet) -> None:
        super().__init__(options, tasks)
        self.options: MetaAuxiliaryOptions = options
        self._rows: NDArray[np.int64] | None = None
        self._learning: WeightLearning | None = None

    @property
    def learning(self) -> WeightLearning:
        """What weighs the rows. It exists after `attach`, because its network is as wide as the model's features."""
        if self._learning is None:
            raise RuntimeError("the network that weighs the rows is made in `attach`")
        return self._learning

    def prepare(self, labels: "LabelArrays", rows: NDArray[np.int64], where: str) -> list[str]:
        """The notes of `Supervised.prepare`; makes sure that both tasks have labels, and keeps the rows that are trained on.

        Raises:
            DataError: none of the rows has an action unit, or none an expression.
        """
        for what, mask in (("action units", np.any(labels.au_mask, axis=1)), ("an expression", labels.expression_mask)):
            if not mask[rows].any():
                raise DataError(
                    f"{where}: the method 'meta_auxiliary' learns action units with expressions as help, but none of the {len(rows):,} rows "
                    f"that are trained on has a label of {what}; add a database that has it, or use the method 'supervised'"
                )
        self._rows = rows
        return super().prepare(labels, rows, where)

    def attach(self, trained: Trained, data: TrainedData, accelerator: Accelerator, recipe: Recipe) -> StepWrapper:
        """The part that learns the weights around each step.

        Raises:
            UsageError: the meta batches cannot be drawn.
        """
        learning = WeightLearning(self, trained, data, accelerator, recipe, self._rows)
        self._learning = learning
        return learning

    def counts(self, batch: "AffectBatch") -> dict[str, Tensor]:
        """The number of labels behind every term."""
        found = super().counts(batch)
        return {**found, "expression_weight": found["expression"]}

    def losses(self, output: "AffectOutput", batch: "AffectBatch") -> dict[str, Term]:
        """Terms of `Supervised`, with weighted expression losses, and ``expression_weight``: the mean weight, for the log alone."""
        rows = expression_losses(output, batch)
        assert output.features is not None
        weights = self.learning.weights_of(output.features, rows, batch.expression_mask)
        found = super().losses(output, batch)
        count, factor = found["expression"].count, found["expression"].weight
        found["expression"] = LossTerm((rows * weights).sum(), count, factor)
        found["expression_weight"] = LossTerm(weights.where(batch.expression_mask, 0.0).sum(), count, 0.0)
        return found
