"""The known methods, by name: those of this package, and those that installed packages announce."""

import inspect
from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final

from affect_train.recipe.section import Section

ENTRY_POINTS: Final = "affectkit.methods"
"""The group of entry points in which a package announces a method: its name, and the module with its options and its class."""

_registered: dict[str, type[Section]] = {}


def register(options: type[Section]) -> None:
    """Registers a class of options under the default of its own field ``name``; a class without that field is only a base.

    Raises:
        TypeError: another class is registered under this name.
    """
    if "name" not in inspect.get_annotations(options):
        return
    name = options.model_fields["name"].default
    if not isinstance(name, str):
        return
    other = _registered.get(name)
    # The same class may come again: a module is reloaded, or a notebook cell runs again.
    if other is not None and (other.__module__, other.__qualname__) != (options.__module__, options.__qualname__):
        raise TypeError(f"two methods are called {name!r}: {other.__module__} and {options.__module__} have one each")
    _registered[name] = options


def registered() -> tuple[type[Section], ...]:
    """The options of every loaded method, in the order of their names."""
    return tuple(options for _, options in sorted(_registered.items()))


def names_of(holds: Callable[[Any], bool]) -> str:
    """The names of loaded methods whose options fulfil a condition, as ``'a' or 'b'``."""
    return " or ".join(repr(name) for name, options in sorted(_registered.items()) if holds(options))


def load(name: str) -> None:
    """Loads the announced method of a name. If there is none, all announced methods are loaded, so that a similar name can be suggested.

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
