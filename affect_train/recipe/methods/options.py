"""The options that all methods have, and the mistakes that they can hold."""

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache, reduce
from operator import or_
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, SerializeAsAny, TypeAdapter, ValidationInfo, ValidatorFunctionWrapHandler, WrapValidator

from affect_train.recipe.methods.coupling import CouplingOptions
from affect_train.recipe.methods.registry import load, register, registered
from affect_train.recipe.prior import Prior, misfit
from affect_train.recipe.section import HeldOutOptions, Mistake, Section, Sections, Weight, trained_tasks

Refusable = Literal[
    "streaming",
    "clips",
    "windows",
    "accumulation",
    "fp16",
    "compile",
    "gradient_checkpointing",
    "divided_weights",
    "habits",
]
"""What a recipe or a launch may ask for, and a method may be unable to do."""


class TaskWeightOptions(Section):
    """Factors of the losses of each task."""

    au: Weight = Field(1.0, description="weight of the loss of action units")
    expression: Weight = Field(1.0, description="weight of the loss of expressions")
    va: Weight = Field(1.0, description="weight of the loss of valence and arousal")


class LogitAdjustmentOptions(Section):
    """Rare labels get a larger margin: in the losses of labels, logits are raised by how much more frequent a label is than in the target."""

    expression: Weight = Field(
        0.0,
        description="part of the way to the target; 1: as Menon et al., 0.5: half of it, 0: expressions stay as they are",
    )
    au: Weight = Field(0.0, description="likewise, by the log odds of each action unit")
    target: Prior = Field(
        "uniform",
        description="how frequent labels are where the model is used: `uniform`, or shares by name, `{expression: {...}, action_units: {...}}`",
    )


class MethodOptions(Section):
    """The options that every method has: those of the losses of labels.

    A method's own class adds a field ``name: Literal["its_name"] = "its_name"``, under which it is registered, and states what it can do:

    Attributes:
        uses_soft_labels: whether the method learns from ``soft_labels``; only then may a recipe name any.
        takes_mixed: whether its losses read the second class of mixed pictures.
        refuses: what the method cannot do, with the reason, as the rest of a sentence that begins with its name.
        reserved_key: the recipe's key of the fold that `reserved` gives.
    """

    uses_soft_labels: ClassVar[bool] = False
    takes_mixed: ClassVar[bool] = False
    refuses: ClassVar[Mapping[Refusable, str]] = {}
    reserved_key: ClassVar[str] = ""

    name: str = Field(description="of the method")
    task_weights: TaskWeightOptions = TaskWeightOptions()
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
        description="in the denominator of the CCC: bounds its gradient while predictions or labels hardly vary",
    )
    au_class_weights: Literal["none", "inverse_rate"] = Field(
        "none",
        description="of each action unit's loss; `inverse_rate`: one over the share of training labels in which it is present, with mean 1",
    )
    logit_adjustment: LogitAdjustmentOptions | None = Field(
        None, description="of the losses of labels, by how frequent each label is; null: none"
    )
    coupling: CouplingOptions | None = Field(None, description="losses between action units and expressions")

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:  # noqa: ANN401 - what a class statement may be given
        register(cls)

    @property
    def reserved(self) -> HeldOutOptions | None:
        """The fold of the training split that the method keeps for itself; None: none."""
        return None

    def mistakes(self, sections: Sections) -> Iterator[Mistake]:
        """Contradictions between these options and the other sections, besides those that `refuses` states.

        Args:
            sections: of the recipe; a section with a mistake of its own is absent.
        """
        trained = trained_tasks(sections)
        if trained and not any(getattr(self.task_weights, task) for task in trained):
            yield (
                ("method", "task_weights"),
                f"every trained task ({', '.join(trained)}) has weight 0; nothing would be learned",
            )
        if self.coupling is not None:
            yield from self.coupling.mistakes(sections)
        if self.logit_adjustment is not None:
            yield from _adjustment_mistakes(self.logit_adjustment, sections)
        if getattr(sections.get("dataset"), "streaming", False):
            remedy = "looks at the labels of all rows before the first step; set `dataset.streaming: false`"
            if self.coupling is not None:
                yield ("method", "coupling"), remedy
            if self.logit_adjustment is not None:
                yield ("method", "logit_adjustment"), remedy
            if self.au_class_weights != "none":
                yield ("method", "au_class_weights"), f"{self.au_class_weights!r} {remedy}"


def _adjustment_mistakes(options: LogitAdjustmentOptions, sections: Sections) -> Iterator[Mistake]:
    key = ("method", "logit_adjustment")
    if not (options.expression or options.au):
        yield key, "both `expression` and `au` are 0, so that nothing is adjusted; set one, or leave it out"
    if getattr(sections.get("batches"), "balance", None):
        yield (
            key,
            "counts the rows, but `batches.balance` draws them by weights and corrects the same thing; leave one out",
        )
    tasks = sections.get("tasks")
    if tasks is not None:
        problem = misfit(options.target, tasks.task_set())
        if problem is not None:
            yield (*key, "target"), problem


def _of_its_name(
    value: Any,  # noqa: ANN401 - what a recipe can hold
    _handler: ValidatorFunctionWrapHandler,
    info: ValidationInfo,
) -> MethodOptions:
    """The options of the method that a mapping names; an unknown name gives the validation error of a union of all methods."""
    if isinstance(value, MethodOptions):
        return value
    name = value.get("name") if isinstance(value, dict) else None
    if isinstance(name, str):
        try:
            load(name)
        except ImportError as error:
            raise ValueError(str(error)) from error
    adapter = _any_of(registered())
    if info.mode == "json":
        # In strict mode, only JSON input lets a list be a tuple and a quoted key be a number.
        return adapter.validate_json(json.dumps(value), strict=True)
    return adapter.validate_python(value)


@lru_cache(maxsize=1)
def _any_of(members: tuple[type[Section], ...]) -> TypeAdapter[MethodOptions]:
    union: Any = Annotated[reduce(or_, members), Field(discriminator="name")]
    return TypeAdapter(union)


MethodSection = Annotated[SerializeAsAny[MethodOptions], WrapValidator(_of_its_name)]
"""The section ``method``: the options that are registered under its ``name``."""
