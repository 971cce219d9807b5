"""The options of the method ``supervised``."""

from typing import Literal

from pydantic import Field

from affect_train.recipe.methods.options import MethodOptions


class SupervisedOptions(MethodOptions):
    """Learning from labels alone."""

    name: Literal["supervised"] = Field("supervised", description="of the method")
