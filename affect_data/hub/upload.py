"""Files become one commit of a repository, and are compared with what the Hub then says of them."""

import hashlib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from affect_data.build.databases import Progress
from affect_data.errors import DataError
from affect_data.hub.client import Remote, RemoteFile, hub_errors, remote_files, without_bars

if TYPE_CHECKING:
    from huggingface_hub import HfApi

FILES_AT_ONCE: Final = 50
"""Large files that are sent before the next are announced."""


def send(
    api: "HfApi",
    repository: str,
    remote: Remote,
    files: Mapping[str, Path],
    upload: Collection[str],
    delete: Collection[str],
    title: str,
    *,
    known: Mapping[str, str],
    private: bool,
    kind: str = "dataset",
    progress: Progress = lambda *_: None,
) -> str:
    """The newest commit of a repository, in which everything is as in `files`.

    Args:
        api: the client.
        repository: its name; it is created if it does not exist.
        remote: its state when the upload was planned.
        files: that it is to hold, by path.
        upload: paths that are new or changed.
        delete: paths that are to go.
        title: of the commit.
        known: sha256 of files by path, as far as it is known.
        private: whether a new repository is private.
        kind: ``dataset`` or ``model``.
        progress: told about every step.

    Raises:
        DataError: the repository does not hold what was sent.
        HubError: the Hub refuses, somebody changed the repository meanwhile, or the connection broke off; run again, it goes on.
    """
    commit = remote.head
    with hub_errors(repository), without_bars():
        if not remote.exists:
            # Never left to the Hub's default, which is public.
            api.create_repo(repository, repo_type=kind, private=private, exist_ok=False)
            commit = api.repo_info(repository, repo_type=kind).sha or ""
        if upload or delete:
            commit = _commit(
                api, repository, {path: files[path] for path in upload}, delete, title, commit, kind, progress
            )
    found = remote_files(api, repository, commit, kind)
    wrong = sorted(differing(files, known, found))
    if wrong:
        more = f" and {len(wrong) - 5:,} more" if len(wrong) > 5 else ""
        raise DataError(
            f"{repository} does not hold what was sent: {', '.join(wrong[:5])}{more}. Publish again; if that does not help, the Hub is at fault"
        )
    return commit


def _commit(
    api: "HfApi",
    repository: str,
    files: Mapping[str, Path],
    delete: Collection[str],
    title: str,
    parent: str,
    kind: str,
    progress: Progress,
) -> str:
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    additions = [CommitOperationAdd(path, str(file)) for path, file in files.items()]
    for first in range(0, len(additions), FILES_AT_ONCE):
        part = additions[first : first + FILES_AT_ONCE]
        api.preupload_lfs_files(repository, part, repo_type=kind, free_memory=False)
        progress("uploading", first + len(part), len(additions))
    deletions = [CommitOperationDelete(path) for path in delete]
    made = api.create_commit(
        repository, [*additions, *deletions], commit_message=title, repo_type=kind, parent_commit=parent or None
    )
    return str(made.oid)


def differing(files: Mapping[str, Path], known: Mapping[str, str], remote: Mapping[str, RemoteFile]) -> dict[str, int]:
    """The files that a repository does not hold with the same bytes, with their sizes, by what the Hub says of its own.

    Args:
        files: by path.
        known: sha256 of files by path, as far as it is known; the others are read.
        remote: files of the repository by path.
    """
    return {
        path: file.stat().st_size
        for path, file in files.items()
        if not _is_same(file, known.get(path), remote.get(path))
    }


def used_objects(
    files: Mapping[str, Path], known: Mapping[str, str], remote: Remote, gone: Collection[str]
) -> set[str]:
    """The sha256 of every file that a repository has after a commit, as far as the Hub stores it as a large one.

    Args:
        files: of the commit, by path.
        known: sha256 of files by path, as far as it is known; the others are read.
        remote: state of the repository before.
        gone: paths that the commit deletes.
    """
    own = {known.get(path) or digest(file) for path, file in files.items()}
    return own | {file.sha256 for path, file in remote.files.items() if path not in files and path not in gone}


def digest(file: Path) -> str:
    """The sha256 of a file, hexadecimal."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _is_same(file: Path, known: str | None, remote: RemoteFile | None) -> bool:
    if remote is None or remote.bytes != file.stat().st_size:
        return False
    if remote.sha256:
        return (known or digest(file)) == remote.sha256
    data = f"blob {remote.bytes}\0".encode() + file.read_bytes()
    return hashlib.sha1(data, usedforsecurity=False).hexdigest() == remote.blob
