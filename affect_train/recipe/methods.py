"""The section ``method`` of a training recipe: one class of options for each method."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from affect_train.recipe.coupling import Coupling
from affect_train.recipe.meta import MetaBatch, WeightNetwork
from affect_train.recipe.section import Count, HeldOut, Section, Weight


class TaskWeights(Section):
    """What the losses of each task are multiplied by."""

    au: Weight = 1.0
    expression: Weight = 1.0
    va: Weight = 1.0


class LabelLosses(Section):
    """The losses of labels, which every method has."""

    uses_soft_labels: ClassVar[bool] = False

    task_weights: TaskWeights = TaskWeights()
    au_reduction: Literal["mean", "sum", "image_mean"] = Field(
        "mean",
        description="over the labels of a batch; `sum`: times the number of action units, the weight 8 of Deng et al.; "
        "`image_mean`: over the labels of each image, then over images, as FaceBehaviorNet",
    )
    ccc_weight: Weight = Field(1.0, description="of 1 - CCC beside the cross-entropy over bins")
    bins_weight: Weight = Field(
        1.0, description="of the cross-entropy over bins; 0: concordance alone, as FaceBehaviorNet"
    )
    ccc_epsilon: Annotated[float, Field(gt=0.0)] = Field(
        0.02,
        description="in the denominator of the CCC: keeps its gradient sane while predictions or labels hardly vary",
    )
    au_class_weights: Literal["none", "inverse_rate"] = Field(
        "none",
        description="of each action unit's loss; `inverse_rate`: one over the share of training labels in which it is present, with mean 1",
    )
    coupling: Coupling | None = Field(None, description="losses between action units and expressions")

    @property
    def reserved(self) -> HeldOut | None:
        """Rows of the training split that the method keeps for itself."""
        return None


class Supervised(LabelLosses):
    """Learning from labels alone."""

    name: Literal["supervised"] = "supervised"


class SoftTask(Section):
    """How one task learns from the teachers."""

    learn: bool = Field(default=True, description="false: this task learns from its labels alone")
    hard_weight: Annotated[float, Field(ge=0.0, le=1.0)] | None = Field(
        None, description="in place of `method.hard_weight`"
    )
    temperature: Annotated[float, Field(gt=0.0)] | None = Field(
        None, description="in place of `method.temperature`; action units have 1 by default"
    )


class SoftTasks(Section):
    """How each task learns from the teachers."""

    au: SoftTask = SoftTask()
    expression: SoftTask = SoftTask()
    va: SoftTask = SoftTask()


class Distillation(LabelLosses):
    """Learning from labels and from teachers' logits."""

    uses_soft_labels: ClassVar[bool] = True

    name: Literal["distillation"] = "distillation"
    hard_weight: Annotated[float, Field(ge=0.0, le=1.0)] = Field(
        0.6, description="of the label where there is one; the teacher has the rest"
    )
    temperature: Annotated[float, Field(gt=0.0)] = 1.5
    temperature_squared: bool = Field(
        default=True, description="multiply soft losses by temperature squared, so that their gradients keep their size"
    )
    missing_labels: Literal["teacher", "ignore"] = Field(
        "teacher", description="what a row without a label of a task learns: what the teacher says of it, or nothing"
    )
    confidence: Literal["none", "entropy"] = Field(
        "none",
        description="`entropy`: what a teacher says counts by 1 - entropy / the entropy of a guess, row by row and action unit by action unit",
    )
    soft_tasks: SoftTasks = SoftTasks()


class MetaAuxiliary(LabelLosses):
    """Learning action units with expressions as help, each row's expression by a weight that is learned."""

    name: Literal["meta_auxiliary"] = "meta_auxiliary"
    weight_network: WeightNetwork = WeightNetwork()
    meta_batch: MetaBatch = MetaBatch(share=0.5)
    trial: Literal["separate", "shared"] = Field(
        "separate",
        description="`separate`: a step has the weights that were learned from trying it, as published; `shared`: those of the update before, which "
        "saves a backward pass over the rows with an expression, or over all",
    )
    gradient: Literal["central_difference", "one_sided", "forward_mode", "second_order"] = Field(
        "central_difference",
        description="how the weights' gradient is computed; `second_order` keeps the graph of the tried step: exact, slow and large",
    )
    logit_change: Annotated[float, Field(gt=0.0)] = Field(
        1e-3,
        description="losses are compared at weights so far apart that expressions' logits change by this much to either side (root mean square)",
    )
    gradient_scale: Literal["loss", "unit"] = Field(
        "loss",
        description="of the weights' gradient; `unit`: divided by the learning rate of the tried step and the size of the meta loss's gradient, "
        "so that neither decides how fast weights are learned",
    )
    every: Count = Field(1, description="steps from one update of the weight network to the next")
    virtual_learning_rate: Annotated[float, Field(gt=0.0)] | None = Field(
        None, description="of the step that is tried; by default the optimizer's at that moment"
    )
    last_layers: Annotated[int, Field(ge=0)] | None = Field(
        None,
        description="try the step on the heads and this many last layers of the backbone alone; by default on all. Cheaper, and not safe: "
        "the weights' gradient may point the wrong way",
    )
    record_weights: bool = Field(default=True, description="write the weights of all rows to `weights.parquet`")

    @model_validator(mode="after")
    def _can_share_its_trial(self) -> Self:
        if self.trial == "shared" and self.meta_batch.size is None:
            raise ValueError(
                "a shared trial has no rows left to be judged by: the step that is taken learns all of its batch; "
                "give `meta_batch.size` in place of `share`"
            )
        if self.trial == "shared" and self.gradient == "second_order":
            raise ValueError(
                "a shared trial keeps no graph, which `gradient: second_order` needs; use `trial: separate`"
            )
        return self

    @property
    def reserved(self) -> HeldOut | None:
        """The fold that the meta batches come from."""
        return self.meta_batch.held_out


MethodOptions = Annotated[Supervised | Distillation | MetaAuxiliary, Field(discriminator="name")]
