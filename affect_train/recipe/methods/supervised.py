"""The options of the method ``supervised``."""

from typing import ClassVar, Literal

from pydantic import Field

from affect_train.recipe.methods.options import MethodOptions


class SupervisedOptions(MethodOptions):
    """Learning from labels alone."""

    takes_mixed: ClassVar[bool] = True

    name: Literal["supervised"] = Field("supervised", description="of the method")
