"""Addresses such as ``s3://bucket/folder``: whatever fsspec opens. Errors of stores become our own, which name the address and what to do."""

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

from affect_data.errors import AffectError, DataError, UsageError
from affect_data.files import written_file

ADDRESS: Final = re.compile(r"^[a-z][a-z0-9+.-]*://", re.IGNORECASE)

PART_BYTES: Final = 50 * 2**20
"""Bytes of the parts in which S3 takes large files; their digests make the file's."""

OBJECT_STORES: Final = frozenset(("s3", "s3a", "gs", "gcs", "abfs", "az", "adl", "oss"))
"""Protocols without folders."""

_MARKS: Final = ("ETag", "etag", "md5Hash", "content_md5", "LastModified", "last_modified", "mtime", "updated")
"""What stores call that by which a file is known to be another."""

_MD5: Final = re.compile(r"[0-9a-f]{32}")
_OF_STORES: Final = frozenset(
    ("botocore", "aiobotocore", "aiohttp", "boto3", "s3fs", "gcsfs", "google", "adlfs", "azure")
)


class StoreError(DataError):
    """A store refused, or gave something else than it had announced."""


@dataclass(frozen=True)
class RemoteFile:
    """A file in a store.

    Attributes:
        size: bytes.
        mark: changes with the content; "" where the store states nothing of the kind.
    """

    size: int
    mark: str

    @classmethod
    def of(cls, facts: dict[str, Any]) -> "RemoteFile":
        """What fsspec says of a file."""
        mark = next((str(facts[name]).strip('"') for name in _MARKS if facts.get(name)), "")
        return cls(int(facts.get("size") or 0), mark)

    def is_other(self, path: Path) -> bool | None:
        """Whether it has other bytes than a file of this machine; None if the store states no digest."""
        if path.stat().st_size != self.size:
            return True
        if not _MD5.fullmatch(self.mark.partition("-")[0]):
            return None
        return self.mark != (_digest_of_parts(path) if "-" in self.mark else _md5(path))


@dataclass(frozen=True)
class Store:
    """A place in a store.

    Attributes:
        address: as it was given, without a slash at the end.
        system: of fsspec.
        root: the place as `system` names it.
    """

    address: str
    system: Any
    root: str

    def files(self) -> dict[str, RemoteFile]:
        """All files below the place by relative path, alphabetical; empty if there is nothing.

        Raises:
            StoreError: the store refuses, or has names that cannot be files of one folder.
        """
        with reaching(self.address):
            self.system.invalidate_cache()
            try:
                found = self.system.find(self.root, detail=True)
            except FileNotFoundError:
                return {}
        names = {
            _relative(name, self.root): facts for name, facts in found.items()
            if facts.get("type") == "file" and not name.endswith("/")
        }  # fmt: skip
        self._refuse_names(names)
        return {name: RemoteFile.of(names[name]) for name in sorted(names)}

    def send(self, path: Path, name: str) -> None:
        """Copies a file of this machine to the store, and makes sure that it arrived.

        Raises:
            StoreError: the store refuses, or holds other bytes afterwards.
        """
        options = {"chunksize": PART_BYTES} if "s3" in _protocols(self.system) else {}
        with reaching(f"{self.address}/{name}"):
            target = self._place_for(name)
            self.system.put_file(str(path), target, **options)
            arrived = RemoteFile.of(self.system.info(target))
        if arrived.is_other(path):
            raise StoreError(
                f"'{self.address}/{name}' holds other bytes than '{path}' after it was copied; run the same command again"
            )

    def write(self, name: str, data: bytes) -> None:
        """Writes a small file."""
        with reaching(f"{self.address}/{name}"):
            self.system.pipe_file(self._place_for(name), data)

    def read(self, name: str) -> bytes:
        """Reads a small file."""
        with reaching(f"{self.address}/{name}"):
            return bytes(self.system.cat_file(f"{self.root}/{name}"))

    def _place_for(self, name: str) -> str:
        """Where a file will be; its folder is made where stores have folders."""
        place = f"{self.root}/{name}"
        if not OBJECT_STORES & _protocols(self.system):
            self.system.makedirs(place.rpartition("/")[0], exist_ok=True)
        return place

    def fetch(self, name: str, path: Path, expected: RemoteFile) -> None:
        """Copies a file of the store to this machine, whole or not at all.

        Raises:
            StoreError: the store refuses, or sends other bytes than it states.
        """
        with written_file(path) as partial:
            with reaching(f"{self.address}/{name}"):
                self.system.get_file(f"{self.root}/{name}", str(partial))
            if expected.is_other(partial):
                raise StoreError(
                    f"'{self.address}/{name}' arrived with other bytes than the store states: it was cut off, or changed meanwhile. "
                    "Run the same command again"
                )

    def remove(self, name: str) -> None:
        """Removes a file from the store."""
        with reaching(f"{self.address}/{name}"):
            self.system.rm_file(f"{self.root}/{name}")

    def _refuse_names(self, names: dict[str, Any]) -> None:
        for name in names:
            parts = PurePosixPath(name).parts
            if not parts or name.startswith("/") or ".." in parts or "\\" in name or "\0" in name or "//" in name:
                raise StoreError(
                    f"'{self.address}' holds a file whose name {name!r} leads out of a folder or names none; rename it there"
                )
            above = next((str(folder) for folder in PurePosixPath(name).parents if str(folder) in names), None)
            if above is not None:
                raise StoreError(
                    f"'{self.address}' holds both {above!r} and {name!r}, which no folder can; rename one there"
                )


def is_address(text: str) -> bool:
    """Whether a text is an address rather than a path."""
    return ADDRESS.match(text) is not None


def open_store(address: str) -> Store:
    """The place at an address.

    Raises:
        UsageError: nothing that is installed opens such addresses.
    """
    from fsspec.core import url_to_fs

    protocol = address.partition("://")[0]
    try:
        with reaching(address):
            system, root = url_to_fs(address)
    except ImportError as error:
        extra = 'pip install "affectkit[s3]"' if protocol in ("s3", "s3a") else f"install what it names ({error})"
        raise UsageError(f"'{address}': a package that opens {protocol}:// is missing: {extra}") from None
    except ValueError as error:
        raise UsageError(
            f"'{address}': {str(error).rstrip('.')}. Name a folder, or an address such as s3://bucket/folder"
        ) from None
    return Store(address.rstrip("/"), system, root.rstrip("/"))


@contextmanager
def reaching(address: str) -> Iterator[None]:
    """Turns errors of a store in the block into our own.

    Raises:
        StoreError: the store refused, or cannot be reached.
    """
    try:
        yield
    except (AffectError, ImportError, ValueError):
        raise
    except FileNotFoundError:
        raise StoreError(f"'{address}': there is no such bucket or folder; look at the spelling, or make it") from None
    except PermissionError as error:
        raise StoreError(
            f"'{address}': access denied ({_first_line(error)}). Give credentials that may read and write there, as its own programs take "
            "them (for S3: AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY)"
        ) from None
    except Exception as error:
        if type(error).__module__.partition(".")[0] not in _OF_STORES and not isinstance(error, OSError):
            raise
        raise StoreError(
            f"'{address}': {_first_line(error)}. Look at the connection, the credentials and, for a store of one's own, AWS_ENDPOINT_URL; "
            "then run the same command again: it goes on where it stopped"
        ) from error


def _protocols(system: Any) -> set[str]:  # noqa: ANN401 - of fsspec, which has no types
    named = system.protocol
    return {named} if isinstance(named, str) else set(named)


def _relative(name: str, root: str) -> str:
    return name.removeprefix(root).removeprefix("/") if name.startswith(root) else name


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _digest_of_parts(path: Path) -> str:
    """What S3 states of a file that came in parts of `PART_BYTES`."""
    digests = []
    with path.open("rb") as file:
        while part := file.read(PART_BYTES):
            digests.append(hashlib.md5(part, usedforsecurity=False).digest())
    return f"{hashlib.md5(b''.join(digests), usedforsecurity=False).hexdigest()}-{len(digests)}"
