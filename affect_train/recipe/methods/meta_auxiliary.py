"""The options of the method ``meta_auxiliary``."""

from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from affect_train.recipe.methods.options import MethodOptions, Refusable
from affect_train.recipe.section import Count, HeldOutOptions, Mistake, Section, Sections, Weight, trained_tasks

_MOVES_WEIGHTS = "tries a step with the model's weights moved, which this excludes"


class WeightNetworkOptions(Section):
    """The network that weighs the expression loss of each row."""

    input: Literal["loss", "feature", "both"] = Field(
        "both",
        description="of a row: its expression loss, its pooled features, or both; no gradient flows back into them",
    )
    hidden: Count = Field(100, description="width of the hidden layer")
    learning_rate: Annotated[float, Field(gt=0.0)] = Field(1e-3, description="of Adam")
    weight_decay: Weight = Field(1e-4, description="as the optimizer's")
    mean: Literal["free", "kept", "batch"] = Field(
        "free",
        description="`free`: the mean weight follows the gradient, too, as published; `kept`: the gradient has no mean, so that rows gain only what "
        "others lose; `batch`: weights are divided by their mean in each step, inside the trial as well",
    )
    steps: Count | None = Field(
        None, description="how many training steps it learns for; then it stays as it is. By default all"
    )


class MetaBatchOptions(Section):
    """The rows with action units by which a trial step is judged; they differ from the rows of that step."""

    share: Annotated[float, Field(gt=0.0, lt=1.0)] | None = Field(
        None,
        description="of the rows with action units in each batch, evenly spread; the trial step leaves them out, the real step does not",
    )
    size: Count | None = Field(
        None,
        description="rows of a batch of its own, drawn from all training rows with action units, or from `held_out`",
    )
    held_out: HeldOutOptions | None = Field(None, description="a fold that is kept for these batches")

    @model_validator(mode="after")
    def _come_from_one_place(self) -> Self:
        if (self.share is None) == (self.size is None):
            raise ValueError("give either `share`, a part of each batch, or `size`, the rows of a batch of its own")
        if self.held_out is not None and self.size is None:
            raise ValueError("a held-out fold gives batches of their own; give their `size` in place of `share`")
        return self


class MetaAuxiliaryOptions(MethodOptions):
    """Learning action units with the help of expressions; a learned weight multiplies each row's expression loss."""

    refuses: ClassVar[Mapping[Refusable, str]] = {
        "streaming": "looks at the labels of all rows before the first step",
        "clips": "judges its steps by rows of one picture",
        "windows": "judges its steps by rows, but a recurrent stage draws windows",
        "accumulation": _MOVES_WEIGHTS,
        "fp16": _MOVES_WEIGHTS,
        "compile": _MOVES_WEIGHTS,
        "gradient_checkpointing": _MOVES_WEIGHTS,
        "divided_weights": "needs whole weights on every process",
        "habits": "judges its steps by the network's own outputs",
    }
    reserved_key: ClassVar[str] = "method.meta_batch.held_out"

    name: Literal["meta_auxiliary"] = Field("meta_auxiliary", description="of the method")
    weight_network: WeightNetworkOptions = WeightNetworkOptions()
    meta_batch: MetaBatchOptions = MetaBatchOptions(share=0.5)
    trial: Literal["separate", "shared"] = Field(
        "separate",
        description="`separate`: a step has the weights that were learned from trying it, as published; `shared`: those of the update before, which "
        "saves a backward pass over the rows with an expression, or over all",
    )
    gradient: Literal["central_difference", "second_order"] = Field(
        "central_difference",
        description="how the weights' gradient is computed; `second_order` keeps the graph of the trial step: exact, slow and large",
    )
    every: Count = Field(1, description="steps from one update of the weight network to the next")

    @model_validator(mode="after")
    def _can_share_its_trial(self) -> Self:
        if self.trial == "shared" and self.meta_batch.size is None:
            raise ValueError(
                "a shared trial has no rows left to be judged by: the real step learns all of its batch; "
                "give `meta_batch.size` in place of `share`"
            )
        if self.trial == "shared" and self.gradient == "second_order":
            raise ValueError(
                "a shared trial keeps no graph, which `gradient: second_order` needs; use `trial: separate`"
            )
        return self

    @property
    def reserved(self) -> HeldOutOptions | None:
        """The fold that the meta batches come from; None if they come from the training rows."""
        return self.meta_batch.held_out

    def mistakes(self, sections: Sections) -> Iterator[Mistake]:
        """The mistakes of every method; and a task that is missing or has no weight, or a batch too small to be divided."""
        yield from super().mistakes(sections)
        if self.logit_adjustment is not None:
            yield (
                ("method", "logit_adjustment"),
                f"the method {self.name!r} judges rows by losses of the model's own logits; leave it out, or move the trained model by --prior",
            )
        tasks = sections.get("tasks")
        if tasks is not None and not (tasks.action_units and tasks.expression):
            lacking = "expression" if tasks.action_units else "action_units"
            yield ("tasks", lacking), f"missing; the method {self.name!r} learns action units with expressions as help"
        if not (self.task_weights.au and self.task_weights.expression):
            yield (
                ("method", "task_weights"),
                f"au or expression is 0; the method {self.name!r} weighs one by the other",
            )
        yield from self._share_mistakes(sections)

    def _share_mistakes(self, sections: Sections) -> Iterator[Mistake]:
        batches, trained, share = sections.get("batches"), trained_tasks(sections), self.meta_batch.share
        if batches is None or not trained or share is None:
            return
        rows = batches.size / (len(trained) if batches.sampler == "task_balanced" else 1)
        if rows * min(share, 1 - share) < 1:
            yield (
                ("method", "meta_batch", "share"),
                f"{share:g} of about {rows:.0f} rows with action units a batch leaves no row for the meta batch or none for the step; take larger "
                "batches, or give the meta batch a `size` of its own",
            )
