"""Which methods there are, by name: those of the package, and those that installed packages announce."""

import inspect
from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final

from affect_train.recipe.section import Section

ENTRY_POINTS: Final = "affectkit.methods"
"""The group of entry points under which a package announces a method: its name, and the module that has its options and its class."""

_registered: dict[str, type[Section]] = {}


def register(options: type[Section]) -> None:
    """Registers a class of options under the default of its own field ``name``; one without it is a base of others.

    Raises:
        TypeError: another class has this name.
    """
    if "name" not in inspect.get_annotations(options):
        return
    name = options.model_fields["name"].default
    if not isinstance(name, str):
        return
    other = _registered.get(name)
    # The same class once more is a module that was loaded again, or a cell of a notebook that was run again.
    if other is not None and (other.__module__, other.__qualname__) != (options.__module__, options.__qualname__):
        raise TypeError(f"two methods are called {name!r}: {other.__module__} and {options.__module__} have one each")
    _registered[name] = options


def registered() -> tuple[type[Section], ...]:
    """The options of every method that is loaded, in the order of their names."""
    return tuple(options for _, options in sorted(_registered.items()))


def names_of(holds: Callable[[Any], bool]) -> str:
    """``'a' or 'b'``: the loaded methods of whose class of options something holds."""
    return " or ".join(repr(name) for name, options in sorted(_registered.items()) if holds(options))


def load(name: str) -> None:
    """Loads the method of a name that a package announces; where none does, all that are announced, so that a near name is known.

    Raises:
        ImportError: the package's module cannot be imported.
    """
    if name in _registered:
        return
    announced = entry_points(group=ENTRY_POINTS)
    for point in [point for point in announced if point.name == name] or announced:
        _load(point)


def _load(point: EntryPoint) -> None:
    try:
        point.load()
    except Exception as error:
        raise ImportError(
            f"the method {point.name!r} of {point.dist.name if point.dist else point.value} cannot be loaded: {error}"
        ) from error
