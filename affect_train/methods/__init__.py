"""Training methods, by the name that a recipe gives."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from affect_data.errors import UnknownNameError
from affect_train.methods.base import ConcordanceTerm, LossTerm, Method, Term, TotalLoss, total_loss
from affect_train.methods.distillation import Distillation
from affect_train.methods.supervised import Supervised
from affect_train.recipe_methods import LabelLosses
from affect_train.tasks import TaskSet

METHODS: Final[Mapping[str, type[Method]]] = MappingProxyType(
    {method.name: method for method in (Supervised, Distillation)}
)


def build_method(options: LabelLosses, tasks: TaskSet) -> Method:
    """The method that the section ``method`` of a recipe names.

    Raises:
        UnknownNameError: nothing is registered under the name.
    """
    if options.name not in METHODS:
        raise UnknownNameError("method", options.name, METHODS)
    return METHODS[options.name](options, tasks)


__all__ = [
    "METHODS",
    "ConcordanceTerm",
    "Distillation",
    "LossTerm",
    "Method",
    "Supervised",
    "Term",
    "TotalLoss",
    "build_method",
    "total_loss",
]
