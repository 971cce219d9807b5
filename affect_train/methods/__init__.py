"""Training methods, by the name that a recipe gives."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from affect_data.errors import UnknownNameError
from affect_train.methods.coupling.coupling import Coupled
from affect_train.methods.distillation import Distillation
from affect_train.methods.meta.meta_auxiliary import MetaAuxiliary
from affect_train.methods.method import Method
from affect_train.methods.supervised import Supervised
from affect_train.methods.terms import ConcordanceTerm, LossTerm, Term, TotalLoss, total_loss
from affect_train.recipe.methods import MethodOptions
from affect_train.tasks import TaskSet

METHODS: Final[Mapping[str, type[Method]]] = MappingProxyType(
    {method.name: method for method in (Supervised, Distillation, MetaAuxiliary)}
)


def build_method(options: MethodOptions, tasks: TaskSet) -> Method:
    """The method that the section ``method`` of a recipe names, with the coupling that it asks for.

    Raises:
        UnknownNameError: nothing is registered under the name.
        CouplingError: the heads have nothing to do with each other.
    """
    if options.name not in METHODS:
        raise UnknownNameError("method", options.name, METHODS)
    method = METHODS[options.name](options, tasks)
    return method if options.coupling is None else Coupled(method, options.coupling)


__all__ = [
    "METHODS",
    "ConcordanceTerm",
    "Coupled",
    "Distillation",
    "LossTerm",
    "MetaAuxiliary",
    "Method",
    "Supervised",
    "Term",
    "TotalLoss",
    "build_method",
    "total_loss",
]
