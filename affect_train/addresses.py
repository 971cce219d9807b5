"""Models by address: a folder of this machine, or a repository of the Hub at a revision."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from affect_data.bounds import read_json
from affect_data.errors import UsageError
from affect_data.hub.client import NoRepositoryError, check_name, hub_errors, without_bars

SCHEME: Final = "hf:/"
"""How an address of the Hub begins; `Path` makes one slash of two."""

WEIGHTS: Final = "*.safetensors"
DOCUMENTS: Final = "*.json"


@dataclass(frozen=True)
class HubAddress:
    """A model repository of the Hub.

    Attributes:
        name: ``user/name``.
        revision: a branch, a tag or a commit; empty for the newest commit.
        explicit: whether it was named as ``hf://...``, so that no folder can have been meant.
    """

    name: str
    revision: str = ""
    explicit: bool = False

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turns errors of the Hub's client in the block into our own.

        Raises:
            HubError: says what the Hub refused, and what to do.
        """
        try:
            with hub_errors(str(self)), without_bars():
                yield
        except NoRepositoryError:
            if self.explicit:
                raise
            raise NoRepositoryError(str(self), "neither such a folder here nor such a repository on the Hub") from None

    def __str__(self) -> str:
        return f"{self.name}@{self.revision}" if self.revision else self.name


def hub_address(source: Path | str) -> HubAddress | None:
    """The repository that an address names; None if it is a path of this machine.

    ``hf://user/name`` always names a repository. ``user/name`` does so only if there is no folder ``user`` here, so that a misspelt path is not
    looked for on the Hub. Both may end with ``@`` and a revision.

    Raises:
        UsageError: there is nothing before or after the ``@``, or what follows ``hf://`` is no name.
    """
    text = str(source)
    explicit = text.startswith(SCHEME)
    name, at, revision = text.removeprefix(SCHEME).lstrip("/").partition("@") if explicit else text.partition("@")
    if not explicit:
        path = Path(text)
        if name.count("/") != 1 or path.is_absolute() or path.exists() or path.parent.exists():
            return None
    if at and not revision:
        raise UsageError(f"'{source}' names no revision after the '@'; give a branch, a tag or a commit")
    try:
        return HubAddress(check_name(name), revision, explicit)
    except UsageError:
        if explicit or at:
            raise
        return None


def fetched(address: HubAddress, patterns: Sequence[str] = (WEIGHTS, DOCUMENTS)) -> Path:
    """A folder with the files of a repository that match `patterns`: downloaded, or from the cache of the Hub's client.

    Nothing but weights as safetensors and JSON is fetched unless `patterns` asks for it: no pickle, no code.

    Raises:
        HubError: there is no such repository or revision, the token may not see it, or the Hub cannot be reached.
    """
    from huggingface_hub import snapshot_download

    with address.errors():
        return Path(snapshot_download(address.name, revision=address.revision or None, allow_patterns=list(patterns)))


def described_model(address: HubAddress, document: str) -> dict[str, Any]:
    """A JSON document of a repository; empty if the repository lacks it or it is no JSON object.

    Raises:
        HubError: as for `fetched`.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import RemoteEntryNotFoundError

    try:
        with address.errors():
            try:
                path = hf_hub_download(address.name, document, revision=address.revision or None)
            except RemoteEntryNotFoundError:
                return {}
        values = read_json(Path(path))
    except json.JSONDecodeError:
        return {}
    return values if isinstance(values, dict) else {}
