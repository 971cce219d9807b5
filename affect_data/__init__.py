"""affect_data: official folders of facial-affect databases become one Hugging Face dataset, with a mask for every label."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    __version__: str
    from affect_data.dataset.loading import class_name, load_dataset, to_polars
    from affect_data.dataset.rows import action_unit

__all__ = ["action_unit", "class_name", "load_dataset", "to_polars"]


def __getattr__(name: str) -> object:
    # Imported on demand, because loader processes of training import this package and do not need polars.
    if name in ("class_name", "load_dataset", "to_polars"):
        from affect_data.dataset import loading

        return getattr(loading, name)
    if name == "action_unit":
        from affect_data.dataset.rows import action_unit

        return action_unit
    if name == "__version__":
        from affect_data.environment import own_version

        return own_version()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
