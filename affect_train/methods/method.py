"""What a training method is: named loss terms of a batch, and what happens around an optimizer step."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
import torch
from accelerate import Accelerator
from numpy.typing import NDArray
from torch import Tensor

from affect_data.errors import DataError
from affect_train.losses import row_shares
from affect_train.methods.constants import Constants
from affect_train.methods.terms import Term
from affect_train.network.label_rates import LabelRates
from affect_train.recipe.methods.options import MethodOptions
from affect_train.recipe.recipe import Recipe
from affect_train.tasks import TaskSet

if TYPE_CHECKING:
    from datasets import Dataset

    from affect_train.inputs.batch import AffectBatch
    from affect_train.inputs.inputs import IndexedInputs
    from affect_train.inputs.labels import LabelArrays
    from affect_train.network.output import AffectOutput

METHODS: dict[str, type["Method"]] = {}
"""The methods whose modules are loaded, by the name that a recipe gives."""


AU_WEIGHTS = "au_class_weights"


class LossTerms(Protocol):
    """Gives the named loss terms of a batch."""

    @property
    def needs_step_statistics(self) -> bool:
        """Whether a term is not a sum over rows: to accumulate it exactly, the statistics of all micro-batches are needed beforehand."""

    def prepare(self, labels: "LabelArrays", rows: NDArray[np.int64], where: str) -> list[str]:
        """Notes for the log, a line each; takes from the training labels what the losses need, before the first step.

        Every process calls it with the same arguments.

        Args:
            labels: of the training split, for the heads.
            rows: int64, the rows that are trained on.
            where: the dataset, for messages.

        Raises:
            AffectError: the labels are not enough.
        """

    def counts(self, batch: "AffectBatch") -> dict[str, Tensor]:
        """For every term of `losses`, the divisor of its sum, a scalar; known before any forward pass.

        The loop adds the counts over processes and accumulation steps.
        """

    def losses(self, output: "AffectOutput", batch: "AffectBatch") -> dict[str, Term]:
        """The terms by name. The names depend on tasks and options, never on the batch, so that all processes agree."""


class Stateful(Protocol):
    """A part of a run whose state, nested tensors and plain values, is kept in checkpoints."""

    def state_dict(self) -> Mapping[str, Any]:
        """What a checkpoint keeps."""

    def load_state_dict(self, state: dict[str, Any]) -> object:
        """Takes up what a checkpoint kept."""


class StepWrapper(Protocol):
    """Hooks around an optimizer step."""

    def before_step(self, number: int, micro_batches: Sequence["AffectBatch"]) -> None:
        """Called before the first forward pass of an optimizer step.

        Args:
            number: of the step, from 1.
            micro_batches: this process's micro-batches.
        """

    def before_losses(self, output: "AffectOutput", batch: "AffectBatch") -> None:
        """Called between the forward pass with gradient and the losses; it may differentiate the output if it keeps the graph."""

    def before_update(self) -> None:
        """Called when the gradients are complete over all micro-batches and processes, before they are clipped and applied."""

    def parts(self) -> Mapping[str, Stateful]:
        """What a checkpoint keeps, by file name."""

    def finish(self, folder: Path) -> list[str]:
        """Lines for the log; writes what the method learned besides the model into the folder of the run.

        Called on the main process after the last step.
        """


class PlainStep(StepWrapper):
    """Hooks that do nothing; a method overrides those that it needs."""

    def before_step(self, number: int, micro_batches: Sequence["AffectBatch"]) -> None:
        """Nothing."""

    def before_losses(self, output: "AffectOutput", batch: "AffectBatch") -> None:
        """Nothing."""

    def before_update(self) -> None:
        """Nothing."""

    def parts(self) -> Mapping[str, Stateful]:
        """Nothing."""
        return {}

    def finish(self, folder: Path) -> list[str]:  # noqa: ARG002
        """Writes and says nothing."""
        return []


class Trained(Protocol):
    """What a method may use of a run: the model (wrapped for distributed training), its optimizer, and all its loss terms."""

    @property
    def model(self) -> Any: ...  # noqa: ANN401, D102 - what Accelerate makes of a model

    @property
    def optimizer(self) -> Any: ...  # noqa: ANN401, D102 - likewise

    @property
    def terms(self) -> LossTerms: ...  # noqa: D102


class TrainedSplit(Protocol):
    """The training split of a run; dataset, labels and inputs are None where rows are streamed."""

    @property
    def dataset(self) -> "Dataset | None": ...  # noqa: D102

    @property
    def labels(self) -> "LabelArrays | None": ...  # noqa: D102

    @property
    def inputs(self) -> "IndexedInputs | None": ...  # noqa: D102


class EpochLength(Protocol):
    """The order of the batches: a method may ask for the steps of an epoch."""

    @property
    def steps(self) -> int: ...  # noqa: D102


class TrainedData(Protocol):
    """What a method may use of a run's data; `reserved` are the rows that it keeps for itself, None: none."""

    @property
    def train(self) -> TrainedSplit: ...  # noqa: D102

    @property
    def order(self) -> EpochLength: ...  # noqa: D102

    @property
    def reserved(self) -> NDArray[np.int64] | None: ...  # noqa: D102


class Method(ABC):
    """One way to learn from a batch; a class that states its ``name`` is registered under it.

    Args:
        options: the section ``method`` of the recipe.
        tasks: the heads of the model.
    """

    name: ClassVar[str]

    def __init__(self, options: MethodOptions, tasks: TaskSet) -> None:
        self.options = options
        self.tasks = tasks
        self.constants = Constants()
        if tasks.valence_arousal_bins:
            self.constants["bin_centres"] = tasks.bin_centres()

    def __init_subclass__(cls, **arguments: Any) -> None:  # noqa: ANN401 - what a class statement may be given
        super().__init_subclass__(**arguments)
        if "name" in vars(cls):
            METHODS[cls.name] = cls

    @property
    def needs_step_statistics(self) -> bool:
        """False: every term is a sum over rows, unless a method says otherwise."""
        return False

    def prepare(self, labels: "LabelArrays", rows: NDArray[np.int64], where: str) -> list[str]:
        """No notes; takes the weights of action units from the training labels if the options ask for them.

        Raises:
            DataError: an action unit is never present.
        """
        if self.options.au_class_weights == "inverse_rate" and "au" in self.tasks.names:
            self.constants[AU_WEIGHTS] = class_weights(labels, rows, self.tasks.action_units, where)
        adjustment = self.options.logit_adjustment
        if adjustment is not None:
            shifts = LabelRates.counted(labels, rows, self.tasks).shifts_to(
                LabelRates.named(adjustment.target, self.tasks)
            )
            for head, shift in shifts.items():
                self.constants[f"raised/{head}"] = torch.from_numpy(getattr(adjustment, head) * shift).float()
        return []

    def rates_learned(self, counted: LabelRates) -> LabelRates:
        """The prior that the model's own probabilities carry when it has learned from labels of these rates."""
        adjustment = self.options.logit_adjustment
        if adjustment is None:
            return counted
        strengths = {"expression": adjustment.expression, "au": adjustment.au}
        return counted.moved(LabelRates.named(adjustment.target, self.tasks), strengths)

    def raised(self, head: str, logits: Tensor) -> Tensor:
        """The logits that the losses of labels see, float [N, width]: those of frequent labels are raised by `logit_adjustment`.

        Args:
            head: ``au`` or ``expression``.
            logits: float [N, width], of the model.
        """
        name = f"raised/{head}"
        return logits + self.constants.on(logits.device, name) if name in self.constants else logits

    @abstractmethod
    def counts(self, batch: "AffectBatch") -> dict[str, Tensor]:
        """For every term of `losses`, the divisor of its sum, a scalar; known before any forward pass."""

    @abstractmethod
    def losses(self, output: "AffectOutput", batch: "AffectBatch") -> dict[str, Term]:
        """The terms by name. The names depend on tasks and options, never on the batch, so that all processes agree."""

    def attach(self, trained: Trained, data: TrainedData, accelerator: Accelerator, recipe: Recipe) -> StepWrapper:  # noqa: ARG002
        """The method's hooks around each step. Called after `prepare`, and before a checkpoint is taken up."""
        return PlainStep()

    @property
    def au_factor(self) -> float:
        """The factor that turns the mean over action units into the reduction of the options: A for ``sum``, otherwise 1."""
        return float(len(self.tasks.action_units)) if self.options.au_reduction == "sum" else 1.0

    def au_count(self, known: Tensor) -> Tensor:
        """The divisor of the summed loss of action units: known entries, or, for ``image_mean``, rows that have one.

        Args:
            known: bool [N, A].
        """
        return (known.any(dim=1) if self.options.au_reduction == "image_mean" else known).sum()

    def au_shares(self, known: Tensor) -> Tensor | None:
        """The factor of each entry's loss before the sum, float [N, A]; None: 1."""
        shares = row_shares(known) if self.options.au_reduction == "image_mean" else None
        if AU_WEIGHTS not in self.constants:
            return shares
        weights = self.constants.on(known.device, AU_WEIGHTS)
        return weights.expand(known.shape) if shares is None else weights * shares


def class_weights(labels: "LabelArrays", rows: NDArray[np.int64], units: Sequence[int], where: str) -> Tensor:
    """A weight for each action unit, float32 [A]: one over the share of its labels in which it is present, scaled to mean 1.

    Source: Shao et al., *JAA-Net*, and the action unit literature after it.

    Args:
        labels: of the training split, for the heads.
        rows: int64, the rows that are trained on.
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
