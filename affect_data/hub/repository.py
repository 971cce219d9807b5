"""A published repository, opened for reading: on the Hub, or downloaded to a folder."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import IO, Any, Final, TypeVar

from affect_data.bounds import parse_json
from affect_data.errors import DataError, UsageError
from affect_data.hub.client import (
    SCHEME,
    NoRepositoryError,
    RemoteFile,
    check_name,
    file_system,
    hub,
    hub_errors,
    look,
    open_remote,
)
from affect_data.hub.published import PUBLISHED, Published, read_published
from affect_data.system_errors import reading

DOCUMENT_BYTES: Final = 64 * 2**20
"""Largest allowed document of a repository, in bytes; more than any that affectkit writes."""

Result = TypeVar("Result")


class Repository(ABC):
    """The files of a repository.

    Attributes:
        name: of the repository in messages.
    """

    name: str

    @abstractmethod
    def files(self) -> dict[str, RemoteFile]:
        """All files by path; with digests if these are known without reading the files."""

    @abstractmethod
    def read_with(self, path: str, reader: Callable[[IO[bytes]], Result]) -> Result:
        """The result of a function of an opened file; only the parts that it reads are fetched."""

    def read(self, path: str) -> bytes:
        """The bytes of a document.

        Raises:
            DataError: it is missing, or too large.
        """
        if path not in self.files():
            raise DataError(f"{self.name} has no {path}; publish the dataset again, or name another repository")
        if self.files()[path].bytes > DOCUMENT_BYTES:
            raise DataError(f"{self.name}: {path} is larger than any document that affectkit publishes")
        return self.read_with(path, lambda file: file.read())

    def json(self, path: str) -> dict[str, Any]:
        """A document of JSON.

        Raises:
            DataError: it is missing, or is not such a document.
        """
        try:
            values = parse_json(self.read(path), path)
        except ValueError as error:
            raise DataError(f"{self.name}: {path} cannot be read ({error}); publish the dataset again") from None
        if not isinstance(values, dict):
            raise DataError(f"{self.name}: {path} is no JSON object; publish the dataset again")
        return values

    def digest(self, path: str) -> str:
        """sha256 of a file, which is read if the digest is not known."""
        known = self.files()[path].sha256
        return known or self.read_with(path, lambda file: _sha256(file))

    @cached_property
    def published(self) -> Published:
        """The description in the repository.

        Raises:
            DataError: affectkit did not publish it.
        """
        if PUBLISHED not in self.files():
            raise DataError(f"{self.name} has no {PUBLISHED}: affectkit did not publish it")
        return read_published(self.read(PUBLISHED), self.name)


class LocalRepository(Repository):
    """A folder with the files of a repository."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = f"'{path}'"

    def files(self) -> dict[str, RemoteFile]:
        """All files by path, without hidden ones, which the downloading client wrote."""
        found = {}
        for path in sorted(self.path.rglob("*")):
            relative = path.relative_to(self.path)
            if path.is_file() and not any(part.startswith(".") for part in relative.parts):
                found[relative.as_posix()] = RemoteFile(path.stat().st_size, "", "")
        return found

    def read_with(self, path: str, reader: Callable[[IO[bytes]], Result]) -> Result:
        """The result of a function of a file in the folder."""
        with reading(self.path / path), (self.path / path).open("rb") as file:
            return reader(file)


class HubRepository(Repository):
    """A dataset repository of the Hub, at its newest commit.

    Attributes:
        private: whether it is private.
        revision: the commit.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        api = hub()
        self._system = file_system(api)
        remote = look(api, name)
        if not remote.exists:
            raise NoRepositoryError(name)
        self.private, self.revision, self._files = remote.private, remote.head, remote.files

    def files(self) -> dict[str, RemoteFile]:
        """All files by path, as the Hub lists them."""
        return self._files

    def read_with(self, path: str, reader: Callable[[IO[bytes]], Result]) -> Result:
        """The result of a function of a file on the Hub; only the parts that it reads are fetched."""
        with hub_errors(self.name), open_remote(self._system, self.name, path, self.revision) as file:
            return reader(file)


def open_repository(address: str) -> Repository:
    """The repository of an address.

    Args:
        address: ``hf://user/name``, ``user/name``, or a folder.

    Raises:
        UsageError: it is neither a folder nor a name.
        HubError: the Hub has no such repository, refuses, or does not answer.
    """
    if not address.startswith(SCHEME) and Path(address).is_dir():
        return LocalRepository(Path(address))
    try:
        name = check_name(address)
    except UsageError:
        raise UsageError(
            f"'{address}' is neither a folder nor a repository; name a repository as hf://user/name"
        ) from None
    return HubRepository(name)


def _sha256(file: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while part := file.read(1 << 20):
        digest.update(part)
    return digest.hexdigest()
