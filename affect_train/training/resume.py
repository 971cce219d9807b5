"""Whether a run folder holds a run of the same recipe on the same data, so that training may go on."""

from typing import Any

from affect_data.bounds import BoundError, read_json
from affect_data.errors import UsageError
from affect_data.files import write_json
from affect_train.recipe.recipe import Recipe, read_recipe
from affect_train.run_folder import RunFolder
from affect_train.training.checkpoint import Progress
from affect_train.training.contents import portable

FREE_TO_CHANGE = (
    "output",
    "batches.workers",
    "batches.threads",
    "batches.cache",
    "batches.evaluation",
    "batches.undecodable",
    "training.log_every",
    "training.trackers",
    "training.save_every_steps",
    "training.keep_last",
    "training.patience",
    "training.record_rows",
)
"""Entries of a recipe that may differ: they change neither the batches nor the weights of the steps done."""

LENGTH = ("training.epochs", "training.max_steps")


def write_run(folder: RunFolder, recipe: Recipe, contents: dict[str, Any]) -> None:
    """Writes what a later start of the run is compared with: recipe and contents, without a path of this machine."""
    write_json(folder.contents, contents)
    portable(recipe).write(folder.recipe)


def check_same_run(
    folder: RunFolder, recipe: Recipe, contents: dict[str, Any], progress: Progress, total_steps: int
) -> None:
    """Refuses to go on with a run of another recipe or other data.

    Args:
        folder: of the run.
        recipe: with which it is to go on.
        contents: what it reads now, from `contents.contents_of`.
        progress: of the last checkpoint.
        total_steps: of the run by this recipe. It may be more than before if the run had done all of its steps.

    Raises:
        UsageError: names everything that differs and would change the weights.
    """
    then = _contents(folder)
    before, now = (_entries(value.model_dump(mode="json")) for value in (read_recipe(folder.recipe), portable(recipe)))
    # Paths of this machine may be spelled differently: their contents are compared instead.
    places: set[str] = {key for key in ("dataset", "dataset.path") if key in before and key in now}
    if None not in (then["backbone"], contents["backbone"]):
        places.add("model.backbone")
    longer = total_steps > progress.planned <= progress.step
    free = {*FREE_TO_CHANGE, *places, *(LENGTH if longer or total_steps == progress.planned else ())}
    changed = sorted(key for key in before.keys() | now.keys() if key not in free and before.get(key) != now.get(key))
    changes = [f"{key}: was {before.get(key)!r}, now {now.get(key)!r}" for key in changed]
    changes += _changed_contents(then, contents)
    if not changes:
        return
    unfinished = set(changed) & set(LENGTH) and total_steps > progress.planned
    hint = (
        f"\nThe run has done {progress.step:,} of {progress.planned:,} steps: let it finish by its own recipe, then it can be made longer."
        if unfinished
        else ""
    )
    listed = "".join(f"\n  {change}" for change in changes)
    raise UsageError(
        f"'{folder.path}' holds checkpoints of another recipe:{listed}\n"
        f"Choose another `output`, remove the folder to start anew, or run the old recipe to resume.{hint}"
    )


def _contents(folder: RunFolder) -> dict[str, Any]:
    try:
        found: dict[str, Any] = read_json(folder.contents)
    except (BoundError, OSError, ValueError) as error:
        raise UsageError(
            f"'{folder.contents}' cannot be read, so that nobody knows which data the checkpoints were trained on ({error}). "
            "Choose another `output`, or remove the folder to start anew."
        ) from error
    return found


def _changed_contents(then: dict[str, Any], now: dict[str, Any]) -> list[str]:
    changes = []
    if then["dataset"] != now["dataset"]:
        changes.append(f"contents of dataset: was {_described(then)}, now {_described(now)}")
    before, after = then["groups"], now["groups"]
    changes += [
        f"contents of column group {name}: was {before.get(name)}, now {after.get(name)}"
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    ]
    if then["backbone"] != now["backbone"]:
        changes.append(f"contents of model.backbone: was {then['backbone']}, now {now['backbone']}")
    return changes


def _described(contents: dict[str, Any]) -> str:
    dataset = contents["dataset"]
    return f"'{contents['name']}' ({dataset.get('commit') or dataset['fingerprint']})"


def _entries(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    entries: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            entries |= _entries(value, f"{prefix}{key}.")
        else:
            entries[f"{prefix}{key}"] = value
    return entries
