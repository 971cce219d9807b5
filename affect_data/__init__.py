"""affect_data: official folders of facial-affect databases become one Hugging Face dataset, with a mask for every label."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    __version__: str
    from affect_data.dataset.folder import load_dataset
    from affect_data.dataset.rows import action_unit

__all__ = ["action_unit", "load_dataset"]


def __getattr__(name: str) -> object:
    # Imported on demand, because loader processes of training import this package and do not need polars.
    if name == "load_dataset":
        from affect_data.dataset.folder import load_dataset

        return load_dataset
    if name == "action_unit":
        from affect_data.dataset.rows import action_unit

        return action_unit
    if name == "__version__":
        from affect_data.environment import own_version

        return own_version()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
