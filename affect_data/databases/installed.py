"""Readers that installed packages bring: the entry points of the group `GROUP`, each a name and a class of `Database`."""

from collections.abc import Collection
from importlib.metadata import EntryPoint, entry_points
from typing import Final

from affect_data.databases.base import Database

GROUP: Final = "affectkit.databases"


def installed_readers(taken: Collection[str]) -> tuple[dict[str, type[Database]], dict[str, str]]:
    """The readers of installed packages by name; and by name, why others cannot be used.

    Args:
        taken: names of the readers that affectkit has itself.
    """
    readers: dict[str, type[Database]] = {}
    broken: dict[str, str] = {}
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: (entry.name, entry.value)):
        package = entry.dist.name if entry.dist is not None else entry.value
        if entry.name in taken or entry.name in readers:
            broken.setdefault(entry.name, f"the package {package} calls a reader so, and the name is taken")
            continue
        found = _loaded(entry)
        if isinstance(found, str):
            broken[entry.name] = f"the reader of the package {package} cannot be used: {found}"
        else:
            readers[entry.name] = found
    return readers, broken


def _loaded(entry: EntryPoint) -> type[Database] | str:
    """The class of an entry point, or why there is none."""
    try:
        found = entry.load()
    except Exception as error:  # whatever a foreign package does wrong, the other readers must be usable
        return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    if not (isinstance(found, type) and issubclass(found, Database)):
        return f"{entry.value} is no class of affect_data.databases.base.Database"
    if getattr(found, "name", None) != entry.name:
        return f"its class is called {getattr(found, 'name', None)!r}, its entry point {entry.name!r}"
    lacking = [
        fact for fact in ("title", "homepage", "citation", "licence", "source_family") if not hasattr(found, fact)
    ]
    return f"it does not state {', '.join(lacking)}" if lacking else found
