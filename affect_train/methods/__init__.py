"""Training methods, by their name in a recipe. Every module of this package registers its own methods."""

from importlib import import_module
from pkgutil import walk_packages

from affect_data.errors import UnknownNameError
from affect_train.methods.coupling.coupling import Coupled
from affect_train.methods.method import METHODS, LossTerms, Method, PlainStep, StepWrapper
from affect_train.methods.terms import ConcordanceTerm, LossTerm, Term, TotalLoss, total_loss
from affect_train.recipe.methods.options import MethodOptions
from affect_train.tasks import TaskSet

for _module in walk_packages(__path__, f"{__name__}."):
    import_module(_module.name)


def build_method(options: MethodOptions, tasks: TaskSet) -> Method:
    """The method that the section ``method`` of a recipe names, without its coupling (`all_terms` adds that).

    Raises:
        UnknownNameError: nothing is registered under the name.
    """
    if options.name not in METHODS:
        raise UnknownNameError("method", options.name, METHODS)
    return METHODS[options.name](options, tasks)


def all_terms(method: Method) -> LossTerms:
    """All loss terms of a run: those of the method, and those of the coupling if its options ask for one.

    Raises:
        CouplingError: the heads have nothing to do with each other.
    """
    return method if method.options.coupling is None else Coupled(method, method.options.coupling)


__all__ = [
    "METHODS",
    "ConcordanceTerm",
    "LossTerm",
    "LossTerms",
    "Method",
    "PlainStep",
    "StepWrapper",
    "Term",
    "TotalLoss",
    "all_terms",
    "build_method",
    "total_loss",
]
