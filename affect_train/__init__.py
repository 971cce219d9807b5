"""Training on the partial labels of a merged facial-affect dataset, and soft labels from what was trained."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from affect_train.hub.pipeline import pipeline

__all__ = ["pipeline"]


def __getattr__(name: str) -> object:
    # Imported on demand, because the command line imports this package and should not wait for torch.
    if name == "pipeline":
        from affect_train.hub.pipeline import pipeline

        return pipeline
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
