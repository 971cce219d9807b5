"""Copies what lies at an address into a folder; called again, it copies what has changed since."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from affect_data.build.databases import Progress
from affect_data.build.shared.claims import LOOK, Claim, Watch
from affect_data.dataset.folder import MANIFEST
from affect_data.errors import UsageError
from affect_data.files import with_a_name
from affect_data.stores.addresses import RemoteFile, Store, StoreError, open_store
from affect_data.stores.copying import CopyReport, copied
from affect_data.system_errors import writing_to

COPIED: Final = ".affectkit-copied"
"""File in the folder that says what was copied: a JSON list a line of name, size, mark in the store, and time here (nanoseconds)."""

Known = dict[str, tuple[RemoteFile, int]]


def fetch(address: str, folder: Path, workers: int = 8, progress: Progress = lambda *_: None) -> CopyReport:
    """Makes a folder hold the files of an address.

    A file is copied again unless the store states the same size and digest, or time, as when it was copied, and nothing has touched the copy. Files
    that are gone from the address are removed, if they had been copied. If several processes copy to one folder, the others wait for the first.

    Args:
        address: such as ``s3://bucket/expw``.
        folder: new, or filled by this function before.
        workers: files that are copied at a time.
        progress: told about every file.

    Raises:
        UsageError: nothing opens such addresses, or the folder holds other files.
        StoreError: the store refuses, or there is nothing.
    """
    store, folder = open_store(address), with_a_name(folder)
    with writing_to(folder), _alone(folder, progress):
        there = store.files()
        if not there:
            raise StoreError(f"'{store.address}' holds no file; look at the spelling")
        known = _known(folder)
        if known is None:
            raise UsageError(f"'{folder}' holds files that were not copied from an address; name a new folder")
        stale = [name for name, remote in there.items() if not _is_there(folder / name, remote, known.get(name))]
        gone = sorted(known.keys() - there.keys())
        if (stale or gone) and MANIFEST in there:
            # Until everything is there, the folder is no dataset.
            (folder / MANIFEST).unlink(missing_ok=True)
            stale = [*(name for name in stale if name != MANIFEST), MANIFEST]
        for name in gone:
            (folder / name).unlink(missing_ok=True)
        _copy(store, folder, there, stale, workers, progress)
    size = sum(remote.size for remote in there.values())
    return CopyReport(store.address, str(folder), len(there), size, len(stale), len(gone))


def _copy(
    store: Store, folder: Path, there: dict[str, RemoteFile], names: list[str], workers: int, progress: Progress
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    # The manifest of a dataset comes after all others, and not beside the last of them.
    groups = [names[:-1], names[-1:]] if names[-1:] == [MANIFEST] else [names]
    done = 0
    with (folder / COPIED).open("a", encoding="utf-8") as notes:
        for group in groups:
            for name in copied(lambda name: store.fetch(name, folder / name, there[name]), group, workers):
                _note(notes, name, there[name], folder / name)
                done += 1
                progress("copying files", done, len(names))


def _note(notes: IO[str], name: str, remote: RemoteFile, path: Path) -> None:
    notes.write(json.dumps([name, remote.size, remote.mark, path.stat().st_mtime_ns]) + "\n")
    notes.flush()


def _known(folder: Path) -> Known | None:
    """What was copied into a folder before; None if it holds files and nothing was."""
    try:
        lines = (folder / COPIED).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return None if folder.exists() and any(folder.iterdir()) else {}
    found: Known = {}
    for line in lines:
        try:
            name, size, mark, time_here = json.loads(line)
        except ValueError:
            # A kill may have cut the last line short.
            continue
        found[name] = RemoteFile(size, mark), time_here
    return found


def _is_there(path: Path, remote: RemoteFile, known: tuple[RemoteFile, int] | None) -> bool:
    if known is None or not remote.mark or known[0] != remote:
        return False
    try:
        status = path.stat()
    except OSError:
        return False
    return (status.st_size, status.st_mtime_ns) == (remote.size, known[1])


@contextmanager
def _alone(folder: Path, progress: Progress) -> Iterator[None]:
    """Waits until no other process copies to the folder, on any machine."""
    path = folder.with_name(f".{folder.name}.copying")
    watch: Watch | None = None
    while (claim := Claim.take(path)) is None:
        watch = watch or Watch(path)
        if watch.is_left:
            watch.remove()
            watch = None
            continue
        progress("waiting for another process that copies", 0, 1)
        time.sleep(LOOK)
    with claim:
        yield
