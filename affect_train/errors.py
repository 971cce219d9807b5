"""Every error of training that a user can meet, besides those of `affect_data.errors`."""

from collections.abc import Sequence
from pathlib import Path

from affect_data.errors import DataError, UsageError

ROWS_SHOWN = 10


class BackboneError(UsageError):
    """A backbone that cannot be loaded, or does not fit the recipe."""

    def __init__(self, backbone: str, because: str, remedy: str) -> None:
        super().__init__(f"backbone '{backbone}': {because}. {remedy}")


class NotAModelError(DataError):
    """A folder that holds no finished model of affect_train."""

    def __init__(self, path: Path | str, because: str, remedy: str) -> None:
        super().__init__(f"'{path}' is no affect_train model: {because}. {remedy}")


class ModelMismatchError(DataError):
    """A model, a dataset or soft labels that do not fit one another."""

    def __init__(self, what: str, found: str, expected: str, remedy: str) -> None:
        super().__init__(f"{what}: found {found}; expected {expected}; to fix: {remedy}")


class NoLabelsError(DataError):
    """A split in which no row carries a label of a task that the recipe trains."""

    def __init__(self, dataset: object, split: str, tasks: Sequence[str]) -> None:
        named = " and ".join(tasks)
        super().__init__(
            f"'{dataset}', split {split}: no row has a label of {named}; to fix: remove {named} from `tasks` in the recipe, "
            "or build the dataset with a database that labels it (`affect-data stats` shows what there is)"
        )


class NonFiniteLossError(DataError):
    """A loss that is NaN or infinite; training stopped before it could reach the weights."""

    def __init__(self, step: int, terms: Sequence[str], uids: Sequence[str]) -> None:
        shown = ", ".join(uids[:ROWS_SHOWN]) + (
            f" and {len(uids) - ROWS_SHOWN:,} more" if len(uids) > ROWS_SHOWN else ""
        )
        super().__init__(
            f"step {step:,}: the loss of {', '.join(terms)} is not finite; the batch holds {shown}. "
            "Training stopped; the last checkpoint is untouched. To fix: lower `optimizer.learning_rate`, set `training.clip_norm`, "
            "or train with `training.mixed_precision: no`"
        )


class CouplingError(DataError):
    """Action units and expressions that cannot teach each other with these labels."""

    def __init__(self, because: str) -> None:
        self.because = because
        super().__init__(f"method.coupling: {because}")


class CheckpointError(DataError):
    """A checkpoint that cannot be resumed from."""

    def __init__(self, path: Path | str, because: str, remedy: str) -> None:
        super().__init__(f"checkpoint '{path}': {because}. {remedy}")


class NoWindowsError(DataError):
    """A training split without consecutive frames for a recurrent stage."""

    def __init__(self, dataset: object, split: str, tasks: Sequence[str] = ()) -> None:
        what = f"with a label of {' and '.join(tasks)} " if tasks else ""
        then = (
            f"remove {' and '.join(tasks)} from `tasks` or `batches.pools`"
            if tasks
            else "remove `model.temporal` from the recipe"
        )
        super().__init__(
            f"'{dataset}', split {split}: no row {what}has a track and a frame number, so that there is no window of frames; to fix: {then}, "
            "or build the dataset with a database of videos"
        )
