"""Access to the Hub: the content of a repository, and refusals as our own errors that say what to do."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from affect_data.errors import DataError, UsageError

if TYPE_CHECKING:
    from huggingface_hub import HfApi, HfFileSystem

AGAIN: Final = "Run the same command again: what has arrived is not sent a second time"


SCHEME: Final = "hf://"
_HTTP: Final = ("httpx", "httpx2", "httpcore", "httpcore2")
"""Packages whose errors mean that a connection broke."""
_NAME: Final = re.compile(r"[A-Za-z0-9][\w-]{0,95}/[A-Za-z0-9](?:[\w.-]{0,94}\w)?")


class HubError(DataError):
    """The Hub refused, or did not answer."""


class NoRepositoryError(HubError):
    """A repository does not exist, or the token may not see it."""

    def __init__(self, repository: str, what: str = "no such repository") -> None:
        super().__init__(
            f"{repository}: there is {what}, or your token may not see it. Check the name, and `hf auth whoami`"
        )


@dataclass(frozen=True)
class RemoteFile:
    """A file of a repository.

    Attributes:
        bytes: its size.
        sha256: of its bytes if it is stored as a large file; otherwise empty.
        blob: git's name of it.
    """

    bytes: int
    sha256: str
    blob: str


@dataclass(frozen=True)
class Remote:
    """The state of a repository before something is published to it.

    Attributes:
        exists: whether it exists.
        head: its newest commit; empty if it does not exist.
        private: whether it is private.
        files: by path.
    """

    exists: bool
    head: str
    private: bool
    files: dict[str, RemoteFile]


def hub() -> "HfApi":
    """The client, for the Hub that ``HF_ENDPOINT`` names, with the token of the environment or of ``hf auth login``."""
    from huggingface_hub import HfApi

    return HfApi(library_name="affectkit")


def check_name(repository: str) -> str:
    """The name of a repository without ``hf://``, if it can be one.

    Raises:
        UsageError: it does not have the form ``user/name``.
    """
    name = repository.removeprefix(SCHEME).removeprefix("datasets/")
    if not _NAME.fullmatch(name) or "--" in name or ".." in name:
        raise UsageError(
            f"'{repository}' is no name of a repository; name it as user/name, of letters, digits, -, _ and single dots"
        )
    return name


def check_writer(api: "HfApi", repository: str) -> None:
    """Makes sure that there is a token which may write.

    Raises:
        HubError: there is no token, it is not valid, or it may only read.
    """
    with hub_errors(repository):
        who = api.whoami()
    token = who.get("auth", {}).get("accessToken", {})
    if token.get("role") == "read":
        raise HubError(
            f"{repository}: the token of '{who['name']}' may only read. Make one that may write under Settings, Access Tokens, then "
            "`hf auth login` or HF_TOKEN"
        )


def look(api: "HfApi", repository: str, kind: str = "dataset") -> Remote:
    """The present state of a repository; its kind is ``dataset`` or ``model``.

    Raises:
        HubError: the Hub refuses.
    """
    try:
        with hub_errors(repository):
            info = api.repo_info(repository, repo_type=kind)
    except NoRepositoryError:
        return Remote(exists=False, head="", private=True, files={})
    files = remote_files(api, repository, info.sha or "main", kind)
    return Remote(exists=True, head=info.sha or "", private=bool(info.private), files=files)


def remote_files(api: "HfApi", repository: str, revision: str, kind: str = "dataset") -> dict[str, RemoteFile]:
    """The files of a revision of a repository by path, without their bytes."""
    from huggingface_hub.hf_api import RepoFile

    with hub_errors(repository):
        tree = list(api.list_repo_tree(repository, recursive=True, revision=revision, repo_type=kind))
    return {
        entry.path: RemoteFile(entry.size, entry.lfs.sha256 if entry.lfs else "", entry.blob_id)
        for entry in tree
        if isinstance(entry, RepoFile)
    }


def file_system(api: "HfApi") -> "HfFileSystem":
    """The Hub as a file system; of an opened file only the parts that are read are fetched."""
    from huggingface_hub import HfFileSystem

    return HfFileSystem(endpoint=api.endpoint, token=api.token, skip_instance_cache=True)


def open_remote(system: "HfFileSystem", repository: str, path: str, revision: str, kind: str = "dataset") -> Any:  # noqa: ANN401 - a file of fsspec
    """A file of a repository, opened for reading."""
    root = "datasets/" if kind == "dataset" else ""
    return system.open(f"{root}{repository}@{revision}/{path}", "rb", block_size=1 << 20)


def read_remote(api: "HfApi", repository: str, path: str, revision: str, kind: str = "dataset") -> bytes:
    """The bytes of a file of a repository."""
    with hub_errors(repository), open_remote(file_system(api), repository, path, revision, kind) as file:
        data: bytes = file.read()
        return data


@contextmanager
def without_bars() -> Iterator[None]:
    """Hides the client's own progress bars in the block."""
    from huggingface_hub.utils.tqdm import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    shown = not are_progress_bars_disabled()
    disable_progress_bars()
    try:
        yield
    finally:
        if shown:
            enable_progress_bars()


@contextmanager
def hub_errors(repository: str) -> Iterator[None]:
    """Turns errors of the client in the block into our own.

    Raises:
        NoRepositoryError: there is no such repository, or the token may not see it.
        HubError: says what the Hub refused, and what to do.
    """
    from huggingface_hub.errors import (
        HfHubHTTPError,
        LocalEntryNotFoundError,
        LocalTokenNotFoundError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        yield
    except Exception as error:
        # The client wraps the error that ended an upload.
        cause = error.__cause__ if isinstance(error, RuntimeError) and error.__cause__ is not None else error
        if isinstance(cause, RepositoryNotFoundError):
            raise NoRepositoryError(repository) from None
        if isinstance(cause, RevisionNotFoundError):
            raise HubError(f"{repository}: there is no such revision. Name a branch, a tag or a commit") from None
        if isinstance(cause, LocalEntryNotFoundError):
            raise HubError(
                f"{repository}: the Hub cannot be reached, and this machine has no copy from before. Check the network, and HF_HUB_OFFLINE"
            ) from None
        if isinstance(cause, LocalTokenNotFoundError):
            raise HubError(f"{repository}: there is no token. Log in with `hf auth login`, or set HF_TOKEN") from None
        if isinstance(cause, OfflineModeIsEnabled):
            raise HubError(f"{repository}: HF_HUB_OFFLINE is set, so that the Hub is not asked. Unset it") from None
        if isinstance(cause, HfHubHTTPError):
            raise HubError(f"{repository}: {_refusal(cause)}") from None
        if type(cause).__module__.partition(".")[0] in _HTTP or isinstance(cause, ConnectionError):
            raise HubError(f"{repository}: the connection to the Hub broke off ({cause}). {AGAIN}") from None
        raise


def _refusal(error: Any) -> str:  # noqa: ANN401 - HfHubHTTPError, imported late
    status = error.response.status_code if error.response is not None else 0
    said = (error.server_message or str(error)).strip().splitlines()[0]
    remedies = {
        401: ("there is no valid token", "Log in with `hf auth login`, or set HF_TOKEN"),
        403: ("the token does not have the rights", "Use a token that may write to this namespace"),
        409: ("the Hub is at work on this repository", "Wait, then run the same command again"),
        412: (
            "somebody changed the repository meanwhile",
            "Look at what changed, then run the same command again: it plans anew",
        ),
        429: ("the Hub asks to wait, and went on asking", f"{AGAIN}, later"),
    }
    because, remedy = remedies.get(status, (f"the Hub failed with status {status}", AGAIN))
    return f"{because} ({said}). {remedy}"
