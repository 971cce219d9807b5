"""affect_data: official folders of facial-affect databases become one Hugging Face dataset, with a mask for every label."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from affect_data.dataset.folder import load_dataset

__all__ = ["load_dataset"]


def __getattr__(name: str) -> object:
    # Loader processes of training import this package; they never need polars.
    if name == "load_dataset":
        from affect_data.dataset.folder import load_dataset

        return load_dataset
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
