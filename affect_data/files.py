"""Writes that are never half done, and locks."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from affect_data.errors import DataError
from affect_data.system_errors import writing_to


def write_text(path: Path, text: str) -> None:
    """Writes a text file: atomic, flushed to disk.

    Raises:
        FileAccessError: it cannot be written; what was there stays, and nothing is left beside it.
    """
    with writing_to(path), partial_file(path) as partial:
        with partial.open("w", encoding="utf-8") as sink:
            sink.write(text)
            sink.flush()
            os.fsync(sink.fileno())
        partial.rename(path)


@contextmanager
def partial_file(path: Path) -> Iterator[Path]:
    """The temporary name of a file that is being written; where that fails, what was written is removed, as on a full disk it is in the way."""
    partial = path.with_name(path.name + ".partial")
    try:
        yield partial
    except OSError:
        with suppress(OSError):
            partial.unlink()
        raise


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Holds the folder's write lock.

    Raises:
        DataError: another process holds it.
        FileAccessError: the folder cannot be made or written to.
    """
    with writing_to(path):
        path.mkdir(parents=True, exist_ok=True)
        opened = (path / ".lock").open("w")
    with opened as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DataError(
                f"'{path}' is being written by another process; wait for it to end, then run the same command again"
            ) from None
        yield
