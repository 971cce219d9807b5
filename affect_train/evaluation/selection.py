"""The split that chose a model's checkpoint: its figures flatter the model, as those of a split on which thresholds were tuned."""

from collections.abc import Sequence
from typing import Any, Final

from affect_data.errors import UsageError
from affect_train.inputs.source import Source
from affect_train.network.model import AffectConfig

SELECTED_ON: Final = "selected_on"
"""The key of a model's configuration that says what chose its checkpoint; absent where the last one was kept."""


def selection(source: Source, split: str, metric: str) -> dict[str, Any]:
    """What a model's configuration says of the split that chose its checkpoint by a metric."""
    return {"pictures": _pictures(source), "dataset": source.name, "split": split, "metric": metric}


def refuse_selected(config: AffectConfig, source: Source, splits: Sequence[str]) -> None:
    """Refuses to report a split that chose the checkpoint.

    Corrected or other labels of the same pictures are the same split.

    Raises:
        UsageError: one of the splits did.
    """
    found = getattr(config, SELECTED_ON, None)
    if found is None or found["pictures"] != _pictures(source) or found["split"] not in splits:
        return
    raise UsageError(
        f"the split '{found['split']}' of '{source.name}' is reported, and it chose the checkpoint, as the best of several by {found['metric']}: "
        "its figures would flatter the model. Report another split; or train with `training.keep_best=0`, which keeps the last one; "
        "or add `--optimistic`, and the report says so"
    )


def _pictures(source: Source) -> str | None:
    folder = source.folder
    return source.fingerprint if folder is None else folder.manifest.fingerprints.pictures
