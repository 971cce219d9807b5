"""The options of the method ``distillation``."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from affect_train.recipe.methods.options import MethodOptions, Refusable
from affect_train.recipe.section import Section


class SoftTaskOptions(Section):
    """How one task learns from the teachers."""

    learn: bool = Field(default=True, description="false: this task learns from its labels alone")
    hard_weight: Annotated[float, Field(ge=0.0, le=1.0)] | None = Field(
        None, description="in place of `method.hard_weight`"
    )
    temperature: Annotated[float, Field(gt=0.0)] | None = Field(
        None, description="in place of `method.temperature`; action units have 1 by default"
    )


class SoftTasksOptions(Section):
    """How each task learns from the teachers."""

    au: SoftTaskOptions = SoftTaskOptions()
    expression: SoftTaskOptions = SoftTaskOptions()
    va: SoftTaskOptions = SoftTaskOptions()


class DistillationOptions(MethodOptions):
    """Learning from labels and from teachers' logits."""

    uses_soft_labels: ClassVar[bool] = True
    refuses: ClassVar[Mapping[Refusable, str]] = {
        "habits": "compares the same outputs with labels of databases and with soft labels, which are no database's",
    }

    name: Literal["distillation"] = Field("distillation", description="of the method")
    hard_weight: Annotated[float, Field(ge=0.0, le=1.0)] = Field(
        0.6, description="of the label where there is one; the teacher has the rest"
    )
    temperature: Annotated[float, Field(gt=0.0)] = Field(
        1.5, description="by which logits of teacher and student are divided"
    )
    temperature_squared: bool = Field(
        default=True, description="multiply soft losses by temperature squared, so that their gradients keep their size"
    )
    missing_labels: Literal["teacher", "ignore"] = Field(
        "teacher", description="what a row without a label of a task learns from: the teacher, or nothing"
    )
    confidence: Literal["none", "entropy"] = Field(
        "none",
        description="`entropy`: the teachers' loss of a row or action unit is multiplied by 1 - entropy / entropy of a uniform guess",
    )
    soft_tasks: SoftTasksOptions = SoftTasksOptions()
