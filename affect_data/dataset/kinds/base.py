"""What is common to every kind of column group: how it is named, found, read, and refused."""

import re
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Generic, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from affect_data.errors import DataError, UnknownNameError, UsageError

NAME: Final = r"[A-Za-z0-9][A-Za-z0-9_-]*"
"""What the name of a group may look like: a part of a folder's name, and of a column's."""


class Dependency(StrEnum):
    """What a column group can be made from, and so be stale against."""

    PICTURES = "pictures"
    LABELS = "labels"
    PEOPLE = "people, videos and copies"
    ANNOTATION_FILES = "annotation files"


_FINGERPRINTED: Final = frozenset({Dependency.PICTURES, Dependency.LABELS})
"""What the fingerprint of ``dataset.json`` is of. Nothing else changes while a dataset exists: a build makes another one."""


class Manifest(Protocol):
    """What a kind asks of ``dataset.json``."""

    @property
    def provenance(self) -> Mapping[str, Mapping[str, Any]]:
        """What made a group, by group name, where it is not the build."""


class Folder(Protocol):
    """What a kind asks of a dataset folder, so that the folder itself can name groups by their kind."""

    @property
    def path(self) -> Path:
        """The folder."""

    @property
    def manifest(self) -> Manifest:
        """What it holds."""

    @property
    def fingerprint(self) -> str:
        """Hash of all labels and image digests."""

    @property
    def splits(self) -> Sequence[str]:
        """Names of the splits."""

    def groups(self, split: str) -> Sequence[str]:
        """Names of the column groups of a split."""


class GroupProvenance(BaseModel):
    """Where a column group comes from, as ``dataset.json`` keeps it.

    Attributes:
        dataset_fingerprint: of the dataset that it was made for.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    dataset_fingerprint: str


class StaleGroupError(DataError):
    """A column group that was made for other rows or labels than the dataset has now."""

    def __init__(self, group: str, found: str, expected: str, command: str) -> None:
        super().__init__(
            f"{group} were made for the dataset with fingerprint {found}, this one has {expected}: its rows or labels changed. "
            f"Make them again: `{command}`"
        )


Provenance = TypeVar("Provenance", bound=GroupProvenance)


@dataclass(frozen=True)
class GroupKind(Generic[Provenance]):
    """One kind of column group.

    Attributes:
        called: how people call such a group, in the plural.
        prefix: what the names of its groups begin with.
        depends_on: what it is made from.
        provenance: what ``dataset.json`` says of such a group; None where the build makes it, whose lock says all.
        command: what writes it; ``{name}`` and the fields of the provenance are filled in, or stand there in capitals.
        pattern: what follows the prefix.
    """

    called: str
    prefix: str
    depends_on: Set[Dependency]
    provenance: type[Provenance] | None
    command: str
    pattern: str = NAME

    def check_name(self, name: str) -> str:
        """The name, if such a group can have it.

        Raises:
            UsageError: it would leave the dataset's folder, or is no name of a column.
        """
        if not re.fullmatch(self.pattern, name):
            raise UsageError(
                f"{self.called} cannot be called '{name}'; use letters, digits, - and _, a letter or digit first"
            )
        return name

    def group(self, name: str) -> str:
        """The column group of a name, and its column where it has one alone.

        Raises:
            UsageError: see `check_name`.
        """
        return self.prefix + self.check_name(name)

    def column(self, name: str, part: str) -> str:
        """One of several columns of a group."""
        return f"{self.group(name)}.{part}"

    def owns(self, group: str) -> bool:
        """Whether a column group is of this kind."""
        return group.startswith(self.prefix) and re.fullmatch(self.pattern, group.removeprefix(self.prefix)) is not None

    def names(self, folder: Folder) -> tuple[str, ...]:
        """Names of the groups of this kind that a dataset has, alphabetical, without the prefix."""
        groups = {group for split in folder.splits for group in folder.groups(split)}
        return tuple(sorted(group.removeprefix(self.prefix) for group in groups if self.owns(group)))

    def fitting(self, folder: Folder) -> tuple[str, ...]:
        """`names`, without those that are stale."""
        return tuple(name for name in self.names(folder) if not self.is_stale(folder, name))

    def is_stale(self, folder: Folder, name: str) -> bool:
        """Whether a group was made from something that has changed since."""
        return bool(self.depends_on & _FINGERPRINTED) and self._made_for(folder, name) != folder.fingerprint

    def check_known(self, folder: Folder, name: str) -> None:
        """Makes sure that a dataset has the group.

        Raises:
            UnknownNameError: it has none of this name.
        """
        known = self.names(folder)
        if name not in known:
            raise UnknownNameError(f"{self.called} in '{folder.path}' (`{self.remedy(name)}` writes them)", name, known)

    def described(self, folder: Folder, name: str) -> Provenance:
        """Where a group comes from, stale or not.

        Raises:
            UnknownNameError: the dataset has none of this name.
            DataError: what ``dataset.json`` says of it is not what this affectkit writes.
        """
        self.check_known(folder, name)
        assert self.provenance is not None, f"{self.called} come from the build"
        try:
            return self.provenance.model_validate(folder.manifest.provenance.get(self.group(name), {}))
        except ValidationError as error:
            at = ".".join(map(str, error.errors()[0]["loc"]))
            raise DataError(
                f"{self.called} '{name}' of '{folder.path}': what dataset.json says of them does not validate ({at}: {error.errors()[0]['msg']}). "
                f"Make them again: `{self.remedy(name, folder)}`"
            ) from None

    def read(self, folder: Folder, name: str) -> Provenance:
        """Where a group comes from that is to be used.

        Raises:
            UnknownNameError: the dataset has none of this name.
            StaleGroupError: it was made for other rows or labels.
            DataError: see `described`.
        """
        found = self.described(folder, name)
        if self.is_stale(folder, name):
            raise self.stale(folder, name, found.dataset_fingerprint)
        return found

    def stale(self, folder: Folder, name: str, made_for: str) -> StaleGroupError:
        """The refusal of a group that was made for a dataset of another fingerprint."""
        return StaleGroupError(f"{self.called} '{name}'", made_for, folder.fingerprint, self.remedy(name, folder))

    def remedy(self, name: str, folder: Folder | None = None) -> str:
        """The command that writes a group; with the settings that wrote it, where a dataset has it."""
        known = folder.manifest.provenance.get(self.group(name), {}) if folder is not None else {}
        return self.command.format_map(_InCapitals({**known, "name": name}))

    def _made_for(self, folder: Folder, name: str) -> str | None:
        made_for = folder.manifest.provenance.get(self.group(name), {}).get("dataset_fingerprint")
        return made_for if isinstance(made_for, str) else None


class _InCapitals(dict[str, object]):
    """Fields of a command: what is not known stands there as a placeholder for people."""

    def __missing__(self, key: str) -> str:
        return key.upper()
