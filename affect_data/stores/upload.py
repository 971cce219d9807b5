"""Copies a finished dataset to an address. It is a dataset there only when all of it is: the manifest comes last."""

from pathlib import Path
from typing import Final

from affect_data.build.databases import Progress
from affect_data.corrections.versions import VERSIONS
from affect_data.databases.base import SPLITS
from affect_data.dataset.folder import MANIFEST, ORIGINS, DatasetFolder, open_dataset
from affect_data.errors import DataError, UsageError
from affect_data.stores.addresses import RemoteFile, Store, StoreError, open_store
from affect_data.stores.copying import CopyReport, copied
from affect_data.video.stored import VIDEOS

COPYING: Final = ".affectkit-copying"
"""File in the store while a dataset is being copied there; it holds the dataset's fingerprint."""

OWN_FOLDERS: Final = frozenset((*SPLITS, ORIGINS, VIDEOS, VERSIONS))
"""Folders of a dataset: in these alone, files of an older state are removed."""


def upload(
    path: Path, address: str, *, overwrite: bool = False, workers: int = 8, progress: Progress = lambda *_: None
) -> CopyReport:
    """Makes an address hold a dataset. Files that are there with the same bytes are not sent again, so that a killed copy goes on.

    Args:
        path: the dataset folder.
        address: such as ``s3://bucket/merged``; empty, or this dataset, or with `overwrite` another one.
        overwrite: whether another dataset at the address may be replaced.
        workers: files that are sent at a time.
        progress: told about every file.

    Raises:
        NotADatasetError: there is no finished dataset.
        UsageError: nothing opens such addresses, or datasets are published there in another way.
        StoreError: the store refuses, or holds something else.
        DataError: the dataset changes meanwhile.
    """
    if address.startswith("hf://"):
        raise UsageError(
            f"'{address}': what may leave for the Hub depends on licences: use `affect-data publish {path} USER/NAME`"
        )
    folder, store = open_dataset(path), open_store(address)
    files = own_files(folder)
    manifest = (folder.path / MANIFEST).read_bytes()
    there = store.files()
    _refuse_others(folder, store, there, manifest, overwrite=overwrite)
    stale = [name for name in files if name not in there or there[name].is_other(folder.path / name) is not False]
    gone = [name for name in there if name not in files and name.partition("/")[0] in OWN_FOLDERS]
    if stale or gone or COPYING in there:
        _send(folder, store, there, [name for name in stale if name != MANIFEST], gone, workers, progress)
        if (folder.path / MANIFEST).read_bytes() != manifest:
            raise DataError(f"'{path}' changed while it was copied; run the same command again")
        store.send(folder.path / MANIFEST, MANIFEST)
        store.remove(COPYING)
    size = sum((folder.path / name).stat().st_size for name in files)
    return CopyReport(str(path), store.address, len(files), size, len(stale), len(gone))


def own_files(folder: DatasetFolder) -> list[str]:
    """The files of a dataset by relative path, without what is hidden: locks, and what builds remember."""
    inner = (path.relative_to(folder.path) for path in sorted(folder.path.rglob("*")) if path.is_file())
    return [path.as_posix() for path in inner if not any(part.startswith(".") for part in path.parts)]


def _send(
    folder: DatasetFolder,
    store: Store,
    there: dict[str, RemoteFile],
    names: list[str],
    gone: list[str],
    workers: int,
    progress: Progress,
) -> None:
    """Sends files, and removes what is not the dataset's; until the manifest follows there is no dataset."""
    store.write(COPYING, folder.fingerprint.encode())
    if MANIFEST in there:
        store.remove(MANIFEST)
    for done, _ in enumerate(copied(lambda name: store.send(folder.path / name, name), names, workers), start=1):
        progress("copying files", done, len(names))
    for name in gone:
        store.remove(name)


def _refuse_others(
    folder: DatasetFolder, store: Store, there: dict[str, RemoteFile], manifest: bytes, *, overwrite: bool
) -> None:
    """Refuses to mix a dataset with something else.

    Raises:
        StoreError: there is something else.
    """
    if not there:
        return
    if MANIFEST not in there and COPYING not in there:
        raise StoreError(
            f"'{store.address}' holds other files, such as '{next(iter(there))}'; name a folder that is new or empty"
        )
    if overwrite:
        return
    begun = COPYING in there
    if store.read(COPYING if begun else MANIFEST) != (folder.fingerprint.encode() if begun else manifest):
        raise StoreError(
            f"'{store.address}' holds another dataset, or another state of this one; pass --overwrite to replace it, or name another folder"
        )
