"""A dataset to review, and decisions about its rows."""

from reviewing import dataset, decide, write

__all__ = ["dataset", "decide", "write"]
