"""The options of the method ``supervised``."""

from typing import Literal

from affect_train.recipe.methods.options import MethodOptions


class SupervisedOptions(MethodOptions):
    """Learning from labels alone."""

    name: Literal["supervised"] = "supervised"
