"""Writes that are never half done, and locks; no other module of the two packages renames a file into its place.

A new file is written under a hidden name beside its target, flushed to disk, and renamed to the target in one step. After a kill, or on a full disk,
the old file is still there.
"""

import errno
import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from affect_data.errors import DataError, UsageError
from affect_data.system_errors import writing_to

# ---------------------------------------------------------------- files


@contextmanager
def written_file(path: Path) -> Iterator[Path]:
    """A path to write a file to; at the end of the block, the file is flushed to disk and takes the place of `path`.

    Raises:
        FileAccessError: the file cannot be written; the old file stays, and nothing is left beside it.
    """
    partial = partial_of(path)
    with writing_to(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield partial
            flush(partial)
            partial.rename(path)
        except BaseException:
            with suppress(OSError):
                partial.unlink(missing_ok=True)
            raise
        flush(path.parent)


def write_bytes(path: Path, data: bytes) -> None:
    """Writes a file, whole or not at all."""
    with written_file(path) as partial:
        partial.write_bytes(data)


def write_cache(path: Path, data: bytes) -> None:
    """Writes a file that can be made again, whole or not at all; it is not waited for until it is on the disk."""
    partial_of(path).write_bytes(data)
    partial_of(path).replace(path)


def write_text(path: Path, text: str) -> None:
    """Writes a text file in UTF-8, whole or not at all."""
    write_bytes(path, text.encode())


def write_json(path: Path, values: object) -> None:
    """Writes a JSON document, indented for people, whole or not at all."""
    write_text(path, json.dumps(values, indent=2) + "\n")


def link_file(existing: Path | str, target: Path | str) -> None:
    """Gives a file a second name, or copies it if the file system has no links; only for files that are never written in place."""
    try:
        os.link(existing, target)
    except OSError:
        shutil.copyfile(existing, target)


# ---------------------------------------------------------------- folders


@contextmanager
def written_folder(path: Path) -> Iterator[Path]:
    """A new folder to fill; at the end of the block, it is flushed to disk and takes the place of `path`. Leftovers of a kill are removed first.

    Raises:
        UsageError: somebody is in the folder.
    """
    refuse_current(path)
    with writing_to(path):
        recover_folder(path)
        partial = partial_of(path)
        partial.mkdir(parents=True)
        try:
            yield partial
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        commit_folder(partial, path)


def commit_folder(filled: Path, path: Path) -> None:
    """Flushes a filled folder and its content to disk, and puts it in the place of `path`.

    The old folder is moved away before and removed after, so that `path` is never half done. After a kill in between, `recover_folder` and
    `restore_folder` bring the old folder back.
    """
    flush_folder(filled)
    old = _old_of(path)
    if path.exists():
        shutil.rmtree(old, ignore_errors=True)
        path.rename(old)
    filled.rename(path)
    flush(path.parent)
    shutil.rmtree(old, ignore_errors=True)


def flush_folder(folder: Path) -> None:
    """Waits until a folder and its content are on the disk; the folder's own name belongs to the folder above."""
    for inner in folder.rglob("*"):
        flush(inner)
    flush(folder)


def was_moved_away(path: Path) -> bool:
    """Whether a folder is missing because a command was killed between moving the old one away and putting the new one in its place."""
    path = with_a_name(path)
    return not path.exists() and _old_of(path).is_dir()


def restore_folder(path: Path) -> None:
    """Brings the old folder back if `was_moved_away`; safe if others may be replacing the folder at this moment.

    Raises:
        DataError: another process is replacing the folder.
    """
    if was_moved_away(path):
        with exclusive(_old_of(path), new=False):
            if not path.exists():
                _old_of(path).rename(path)


def has_leftovers(path: Path) -> bool:
    """Whether a killed `written_folder` left something for `recover_folder` to do."""
    return _old_of(path).exists() or partial_of(path).exists()


def recover_folder(path: Path) -> None:
    """Cleans up after a killed `written_folder`, if nobody writes any more: the old folder comes back if the new one did not take its place."""
    old = _old_of(path)
    if old.exists() and not path.exists():
        old.rename(path)
    shutil.rmtree(old, ignore_errors=True)
    shutil.rmtree(partial_of(path), ignore_errors=True)


def place_first(filled: Path, path: Path) -> bool:
    """Moves a filled folder to a place where there is nothing; returns False, and the folder stays, if another process did so before.

    A rename to a folder that is not empty fails on every file system, shared ones too, so several machines need no lock.
    """
    flush_folder(filled)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        filled.rename(path)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        return False
    flush(path.parent)
    return True


def move_aside(path: Path, aside: Path) -> bool:
    """Moves a file or folder out of the way, on one disk; returns False if there is none, or if another process was faster."""
    try:
        path.rename(aside)
    except FileNotFoundError:
        return False
    return True


def move_folder(folder: Path, path: Path) -> None:
    """Moves a folder that is on the disk to a free place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    folder.rename(path)
    flush(path.parent)


def with_a_name(path: Path) -> Path:
    """The path, resolved if it ends in ``.`` or ``..``: files beside a folder are named after it, so it needs a name."""
    return path.resolve() if path.name in ("", "..") else path


def refuse_current(path: Path) -> None:
    """Refuses to replace the folder that one is in, or one above it: a shell would be left in a folder that is gone.

    Raises:
        UsageError: it is.
    """
    if path.exists() and Path.cwd().is_relative_to(path.resolve()):
        raise UsageError(
            f"you are in the folder '{path.resolve()}', which would be replaced by a new one: "
            f"go to the folder above (`cd '{path.resolve().parent}'`), and name it as '{path.resolve().name}'"
        )


def partial_of(path: Path) -> Path:
    """The path at which a file or a folder is written before it takes its place."""
    return path.with_name(f".{path.name}.partial")


def _old_of(path: Path) -> Path:
    return path.with_name(f".{path.name}.old")


def flush(path: Path) -> None:
    """Waits until the bytes of a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


# ---------------------------------------------------------------- locks


def created_first(path: Path) -> int | None:
    """The descriptor of a new file that is open for reading and writing; None if there is a file. Of several processes one gets it.

    Raises:
        FileAccessError: it cannot be written.
    """
    with writing_to(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            return os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o666)
        except FileExistsError:
            return None


def rewrite_start(descriptor: int, data: bytes) -> None:
    """Writes over the first bytes of an open file, and waits until other machines can see them."""
    os.pwrite(descriptor, data, 0)
    os.fsync(descriptor)


@contextmanager
def locked_file(path: Path, mode: str) -> Iterator[IO[Any]]:
    """An opened file under an exclusive lock, which is waited for; at the end it is flushed to disk."""
    with path.open(mode) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file
        file.flush()
        os.fsync(file.fileno())


def try_lock(path: Path, *, new: bool = True) -> IO[Any] | None:
    """An open file that holds a lock until it is closed or its process ends; None if another process holds the lock.

    Args:
        path: of the file.
        new: whether its folder is made if there is none.
    """
    with writing_to(path.parent):
        if new:
            path.parent.mkdir(parents=True, exist_ok=True)
        handle = path.open("w")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        handle.close()
        return None
    return handle


@contextmanager
def exclusive(path: Path, *, new: bool = True) -> Iterator[None]:
    """Holds the folder's write lock inside the context.

    Args:
        path: the folder.
        new: whether it is made if there is none.

    Raises:
        DataError: another process holds the lock.
        FileAccessError: the folder cannot be made or written to, or is gone.
    """
    handle = try_lock(path / ".lock", new=new)
    if handle is None:
        raise DataError(
            f"'{path}' is being written by another process; wait for it to end, then run the same command again"
        )
    with handle:
        yield
