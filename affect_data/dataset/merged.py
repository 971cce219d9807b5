"""The readers of a dataset's databases: those of the registry, and those of own data as the dataset's lock describes them."""

from affect_data.bounds import BoundError, read_json
from affect_data.databases.base import Database
from affect_data.databases.registry import DATABASES, readers_of
from affect_data.dataset.folder import LOCK, DatasetFolder


def databases_of(folder: DatasetFolder) -> dict[str, type[Database]]:
    """The reader class of each of a dataset's databases that this version of affectkit knows, by name."""
    try:
        lock = read_json(folder.path / LOCK)
    except (FileNotFoundError, ValueError, BoundError):
        lock = {}
    recipe = lock.get("recipe") if isinstance(lock, dict) else None
    described = readers_of(recipe) if isinstance(recipe, dict) else {}
    known = {**DATABASES, **described}
    return {name: known[name] for name in folder.manifest.databases if name in known}
