"""What a run reads, named by its content: a run folder holds no path of a machine, and the run can go on wherever the same data lies."""

import hashlib
from pathlib import Path
from typing import Any

from affect_data.dataset.kinds.balance import BALANCE
from affect_data.dataset.kinds.crops import CROPS
from affect_data.dataset.kinds.features import FEATURES
from affect_data.dataset.kinds.folds import FOLDS
from affect_data.dataset.kinds.soft_labels import SOFT_LABELS
from affect_data.faces.policies import BOX
from affect_train.inputs.source import Source
from affect_train.recipe.dataset import DatasetOptions
from affect_train.recipe.recipe import Recipe

READ_AT_ONCE = 2**20


def contents_of(recipe: Recipe, source: Source) -> dict[str, Any]:
    """What decides the bits of a run besides its recipe, as ``contents.json`` keeps it.

    ``name``: of the dataset, for people. ``dataset``: the fingerprint of a dataset folder, which covers labels and pictures; of another dataset, all
    that is known: name, hash of the loaded labels, commit of the Hub. ``groups``: the fingerprints of the column groups that the recipe names.
    ``backbone``: the hash of the files of a local backbone, otherwise null.

    Args:
        recipe: of the run.
        source: its dataset, whose training split has been loaded.
    """
    backbone = local_backbone(recipe)
    return {
        "name": source.name,
        "dataset": source.report() if source.folder is None else {"fingerprint": source.fingerprint},
        "groups": _groups(recipe, source),
        "backbone": None if backbone is None else folder_digest(backbone),
    }


def portable(recipe: Recipe) -> Recipe:
    """The recipe with every absolute path cut to its last name; names and relative paths stay."""
    dataset, model = recipe.dataset, recipe.model
    changed: dict[str, Any] = {"output": _without_place(recipe.output)}
    if isinstance(dataset, DatasetOptions):
        changed["dataset"] = dataset.model_copy(update={"path": _without_place(dataset.path)})
    else:
        changed["dataset"] = _without_place(dataset)
    if isinstance(model.backbone, str):
        changed["model"] = model.model_copy(update={"backbone": _without_place(model.backbone)})
    return recipe.model_copy(update=changed)


def local_backbone(recipe: Recipe) -> Path | None:
    """The folder of a local backbone; None if the backbone comes from the Hub or a configuration."""
    named = recipe.model.backbone
    return Path(named) if isinstance(named, str) and Path(named).is_dir() else None


def folder_digest(folder: Path) -> str:
    """The sha256 of the names and bytes of a folder's files, hexadecimal; hidden files do not count."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")):
        digest.update(f"{path.name}\0{path.stat().st_size}\0".encode())
        with path.open("rb") as file:
            while part := file.read(READ_AT_ONCE):
                digest.update(part)
    return digest.hexdigest()


def _groups(recipe: Recipe, source: Source) -> dict[str, str]:
    if source.folder is None:
        return {}
    balance = recipe.batches.balance
    balances = list(balance.values()) if isinstance(balance, dict) else [balance] if balance else []
    folds = [held.folds for held in (recipe.training.held_out, recipe.method.reserved) if held is not None]
    named = [*map(SOFT_LABELS.group, recipe.soft_labels), *map(FOLDS.group, folds), *map(BALANCE.group, balances)]
    if recipe.model.features is not None:
        named.append(FEATURES.group(recipe.model.features))
    if recipe.crop.policy != BOX and recipe.model.features is None:
        named.append(CROPS.group(recipe.crop.policy))
    known = source.folder.manifest.groups[recipe.training.split]
    return {name: known[name] for name in sorted(set(named))}


def _without_place(path: str) -> str:
    return Path(path).name or path if Path(path).is_absolute() else path
