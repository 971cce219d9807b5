"""The parts of the section ``method`` of a training recipe that belong to ``meta_auxiliary``."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from affect_train.recipe.section import Count, HeldOut, Section, Weight


class WeightNetwork(Section):
    """The network that says how much each row's expression counts."""

    input: Literal["loss", "feature", "both"] = Field(
        "both",
        description="of a row: its expression loss, its pooled features, or both; no gradient flows back into them",
    )
    hidden: Count = Field(100, description="width of the hidden layer")
    learning_rate: Annotated[float, Field(gt=0.0)] = Field(1e-3, description="of Adam")
    weight_decay: Weight = 1e-4
    mean: Literal["free", "kept"] = Field(
        "free",
        description="whether the mean weight follows the gradient too, or rows gain only what others lose",
    )
    steps: Count | None = Field(
        None, description="of the training in which it learns; then it weighs rows as it is. By default all"
    )


class MetaBatch(Section):
    """The rows with action units by which the weights are judged: others than those of the step that is tried."""

    share: Annotated[float, Field(gt=0.0, lt=1.0)] | None = Field(
        None,
        description="of the rows with action units of each batch, evenly spread; the step that is tried leaves them out, the one that is taken not",
    )
    size: Count | None = Field(
        None,
        description="rows of a batch of its own, drawn from all training rows with action units, or from `held_out`",
    )
    held_out: HeldOut | None = Field(None, description="a fold that is kept for these batches")

    @model_validator(mode="after")
    def _has_one_source(self) -> Self:
        if (self.share is None) == (self.size is None):
            raise ValueError("give either `share`, a part of each batch, or `size`, the rows of a batch of its own")
        if self.held_out is not None and self.size is None:
            raise ValueError("a held-out fold gives batches of their own; give their `size` in place of `share`")
        return self
