"""Whether a run folder holds a run of the same recipe, so that training may go on with it."""

from typing import Any

from affect_data.errors import UsageError
from affect_train.recipe.recipe import Recipe, read_recipe
from affect_train.run_folder import RunFolder

FREE_TO_CHANGE = (
    "output",
    "batches.workers",
    "batches.threads",
    "batches.cache",
    "training.log_every",
    "training.trackers",
    "training.save_every_steps",
    "training.keep_last",
    "training.patience",
    "training.record_rows",
)
"""Entries that change neither the batches nor the weights."""


def check_same_recipe(folder: RunFolder, recipe: Recipe) -> None:
    """Makes sure that a run folder's checkpoints were trained by this recipe.

    Raises:
        UsageError: an entry differs that decides the weights; all of them are named.
    """
    before, now = (_entries(value.model_dump(mode="json")) for value in (read_recipe(folder.recipe), recipe))
    changed = sorted(
        key for key in before.keys() | now.keys() if key not in FREE_TO_CHANGE and before.get(key) != now.get(key)
    )
    if changed:
        listed = "".join(f"\n  {key}: was {before.get(key)!r}, now {now.get(key)!r}" for key in changed)
        raise UsageError(
            f"'{folder.path}' holds checkpoints of another recipe:{listed}\n"
            "Choose another `output`, remove the folder to start anew, or run the old recipe to resume."
        )


def _entries(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    entries: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            entries |= _entries(value, f"{prefix}{key}.")
        else:
            entries[f"{prefix}{key}"] = value
    return entries
