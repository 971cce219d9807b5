"""What a repository keeps of earlier commits, and its deletion for good: the history, and large files that the newest commit does not use."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from affect_data.errors import DataError, UsageError
from affect_data.hub.client import AGAIN, HubError, Remote, RemoteFile, hub_errors, look, remote_files

if TYPE_CHECKING:
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import LFSFileInfo

DATASET: Final = "dataset"


class OtherReferencesError(UsageError):
    """A repository has branches, tags or pull requests, whose commits would survive the erasure of its history."""

    def __init__(self, repository: str, references: Collection[str]) -> None:
        super().__init__(
            f"{repository} has {', '.join(sorted(references))}, whose commits keep what was published before; nothing was changed. Delete branches "
            "and tags with `hf repos branch delete` and `hf repos tag delete`. Pull requests cannot be deleted: publish to a new repository, "
            "and delete this one"
        )


@dataclass(frozen=True)
class OldHistory:
    """What is to be deleted for good.

    Attributes:
        commits: of the repository, before anything is published.
        objects: sizes in bytes by sha256 of large files that the published commit will not use.
    """

    commits: int = 0
    objects: Mapping[str, int] = field(default_factory=dict)

    @property
    def bytes(self) -> int:
        """Of all these large files."""
        return sum(self.objects.values())

    def __str__(self) -> str:
        return (
            f"{self.commits:,} earlier commit(s), squashed into one; {len(self.objects):,} large file(s) that are no longer used, "
            f"{self.bytes:,} bytes"
        )

    def to_json(self) -> dict[str, Any]:
        """The same as plain values."""
        return {"commits": self.commits, "objects": dict(sorted(self.objects.items())), "bytes": self.bytes}


def old_history(
    api: "HfApi", repository: str, remote: Remote, used: Collection[str], kind: str = DATASET
) -> OldHistory:
    """What a repository has to lose; nothing is changed.

    Args:
        api: the client.
        repository: its name.
        remote: its present state.
        used: sha256 of all files of the commit that is planned.
        kind: of the repository, ``dataset`` or ``model``.

    Raises:
        OtherReferencesError: other references than the branch ``main`` would keep old commits.
        HubError: the Hub refuses, or its list of large files cannot be trusted.
    """
    if not remote.exists:
        return OldHistory()
    with hub_errors(repository):
        references = api.list_repo_refs(repository, repo_type=kind, include_pull_requests=True)
        commits = len(api.list_repo_commits(repository, repo_type=kind))
    others = [f"the branch {branch.name}" for branch in references.branches if branch.name != "main"]
    others += [f"the tag {tag.name}" for tag in references.tags]
    others += [f"the pull request {request.ref}" for request in references.pull_requests or ()]
    if others:
        raise OtherReferencesError(repository, others)
    large = _large_files(api, repository, remote.files, kind)
    return OldHistory(commits, {found.file_oid: found.size for found in large if found.file_oid not in used})


def erase_history(api: "HfApi", repository: str, old: OldHistory, commit: str, kind: str = DATASET) -> str:
    """The only commit of a repository, after its history and large files were deleted for good and both were asked for again.

    Args:
        api: the client.
        repository: its name.
        old: what was planned. Large files that came later stay: they may belong to a commit that somebody is about to make.
        commit: the newest commit, whose files all stay.
        kind: of the repository, ``dataset`` or ``model``.

    Raises:
        HubError: the Hub refuses, or somebody changed the repository meanwhile; run again, it goes on.
        DataError: the repository still holds what was deleted, or lost a file.
    """
    try:
        return _erase(api, repository, old, commit, kind)
    except HubError as error:
        raise HubError(f"{error}. Everything is published, but what was there before may not be erased yet") from None


def _erase(api: "HfApi", repository: str, old: OldHistory, commit: str, kind: str) -> str:
    files = remote_files(api, repository, commit, kind)
    _check_unchanged(api, repository, files, kind, commit)
    with hub_errors(repository):
        if len(api.list_repo_commits(repository, repo_type=kind)) > 1:
            api.super_squash_history(repository, repo_type=kind, commit_message="affectkit: history erased")
    _check_unchanged(api, repository, files, kind)
    kept = {file.sha256 for file in files.values()}
    doomed = [
        found
        for found in _large_files(api, repository, files, kind)
        if found.file_oid in old.objects and found.file_oid not in kept
    ]
    with hub_errors(repository):
        api.permanently_delete_lfs_files(repository, doomed, repo_type=kind)
    head = _check_unchanged(api, repository, files, kind)
    _check_erased(api, repository, old, kind)
    return head


def _large_files(api: "HfApi", repository: str, files: Mapping[str, RemoteFile], kind: str) -> "list[LFSFileInfo]":
    """All large files that the Hub lists; a list without those of the newest commit is refused, since nobody could tell which are old."""
    with hub_errors(repository):
        listed = list(api.list_lfs_files(repository, repo_type=kind))
    named = {found.file_oid for found in listed}
    lacking = sorted(path for path, file in files.items() if file.sha256 and file.sha256 not in named)
    if lacking:
        raise HubError(
            f"{repository}: the Hub does not list {lacking[0]} among the large files, although the newest commit has it. So it is not known which "
            f"are old, and none was deleted. {AGAIN}"
        )
    return listed


def _check_unchanged(
    api: "HfApi", repository: str, files: Mapping[str, RemoteFile], kind: str, commit: str = ""
) -> str:
    """The newest commit, which has these files.

    Raises:
        HubError: it has others, or is not the one that is named.
    """
    now = look(api, repository, kind)
    if now.files != files or commit not in ("", now.head):
        raise HubError(
            f"{repository}: somebody changed the repository meanwhile. Look at what changed, then run the same command again: it plans anew"
        )
    return now.head


def _check_erased(api: "HfApi", repository: str, old: OldHistory, kind: str) -> None:
    with hub_errors(repository):
        commits = len(api.list_repo_commits(repository, repo_type=kind))
        left = [found for found in api.list_lfs_files(repository, repo_type=kind) if found.file_oid in old.objects]
    if commits != 1 or left:
        raise DataError(
            f"{repository} still has {commits:,} commit(s) and {len(left):,} large file(s) that were to be deleted. Run the same command again; if "
            "that does not help, the Hub is at fault"
        )
