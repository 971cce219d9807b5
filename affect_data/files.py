"""Writes that are never half done, and locks."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from affect_data.errors import DataError


def write_text(path: Path, text: str) -> None:
    """Writes a text file: atomic, flushed to disk."""
    partial = path.with_name(path.name + ".partial")
    with partial.open("w", encoding="utf-8") as sink:
        sink.write(text)
        sink.flush()
        os.fsync(sink.fileno())
    partial.rename(path)


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Holds the folder's write lock.

    Raises:
        DataError: another process holds it.
    """
    path.mkdir(parents=True, exist_ok=True)
    with (path / ".lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DataError(
                f"'{path}' is being written by another process; wait for it to end, then run the same command again"
            ) from None
        yield
