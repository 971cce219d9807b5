"""What all kinds of column groups have in common: how they are named, found, read, and refused."""

import re
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Generic, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from affect_data.errors import DataError, UnknownNameError, UsageError

NAME: Final = r"[A-Za-z0-9][A-Za-z0-9_-]*"
"""Pattern of the name of a group, which is part of the names of a folder and of columns."""


class Dependency(StrEnum):
    """What a column group can be made from; it is stale when that has changed."""

    PICTURES = "pictures"
    LABELS = "labels"
    PEOPLE = "people"
    ANNOTATION_FILES = "annotation files"


class Fingerprints(Protocol):
    """Hashes of what a dataset consists of."""

    @property
    def pictures(self) -> str:
        """Of the pictures."""

    @property
    def labels(self) -> str:
        """Of the labels."""

    @property
    def people(self) -> str:
        """Of who is where."""


class Manifest(Protocol):
    """What a kind needs of ``dataset.json``."""

    @property
    def provenance(self) -> Mapping[str, Mapping[str, Any]]:
        """What made a group, by group name, for groups that the build did not make."""

    @property
    def fingerprints(self) -> Fingerprints:
        """Of pictures, labels and people."""


class Folder(Protocol):
    """What a kind needs of a dataset folder. It is a protocol because the folder's module imports this one."""

    @property
    def path(self) -> Path:
        """The folder."""

    @property
    def manifest(self) -> Manifest:
        """What it holds."""

    @property
    def splits(self) -> Sequence[str]:
        """Names of the splits."""

    def groups(self, split: str) -> Sequence[str]:
        """Names of the column groups of a split."""


class GroupProvenance(BaseModel):
    """Where a column group comes from, as ``dataset.json`` keeps it.

    Attributes:
        made_from: fingerprints of what it was made from: pictures, labels, people.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    made_from: dict[str, str]


class StaleGroupError(DataError):
    """A column group that was made from other pictures, labels or people than the dataset has now."""

    def __init__(self, group: str, changed: Sequence[str], command: str) -> None:
        super().__init__(
            f"{group} were made from other {' and '.join(changed)} than the dataset has now. Make them again: `{command}`"
        )


Provenance = TypeVar("Provenance", bound=GroupProvenance)


@dataclass(frozen=True)
class GroupKind(Generic[Provenance]):
    """One kind of column group.

    Attributes:
        called: a word for such groups in messages, in the plural.
        prefix: of the names of its groups.
        depends_on: what it is made from.
        provenance: the type of what ``dataset.json`` says of such a group; None if the build makes it, which the lock describes.
        command: writes it; ``{name}`` and the fields of the provenance are filled in, unknown ones by their names in capitals.
        pattern: of the name after the prefix.
        kept_in: why such groups are never published; empty if they may be.
    """

    called: str
    prefix: str
    depends_on: Set[Dependency]
    provenance: type[Provenance] | None
    command: str
    pattern: str = NAME
    kept_in: str = ""

    def check_name(self, name: str) -> str:
        """The name, if such a group can have it.

        Raises:
            UsageError: it could lead out of the dataset's folder, or cannot be part of a column name.
        """
        if not re.fullmatch(self.pattern, name):
            raise UsageError(
                f"{self.called} cannot be called '{name}'; use letters, digits, - and _, a letter or digit first"
            )
        return name

    def group(self, name: str) -> str:
        """The column group of a name, which is also its column if it has only one.

        Raises:
            UsageError: the name is not allowed.
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
        """Names of the groups of this kind that a dataset has and that are not stale, alphabetical."""
        return tuple(name for name in self.names(folder) if not self.is_stale(folder, name))

    def made_from(self, folder: Folder) -> dict[str, str]:
        """Fingerprints of what a group of this kind is made from, by name, as a dataset has it now."""
        found = folder.manifest.fingerprints
        hashes = {
            Dependency.PICTURES: found.pictures,
            Dependency.LABELS: found.labels,
            Dependency.PEOPLE: found.people,
        }
        return {kind.value: hashes[kind] for kind in hashes if kind in self.depends_on}

    def changed(self, folder: Folder, made_from: Mapping[str, str]) -> tuple[str, ...]:
        """What has changed since a group was made from it."""
        return tuple(name for name, value in self.made_from(folder).items() if made_from.get(name) != value)

    def is_stale(self, folder: Folder, name: str) -> bool:
        """Whether a group was made from something that has changed since."""
        made_from = folder.manifest.provenance.get(self.group(name), {}).get("made_from", {})
        return bool(self.changed(folder, made_from if isinstance(made_from, dict) else {}))

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
        """Where a group comes from; refuses one that is stale.

        Raises:
            UnknownNameError: the dataset has none of this name.
            StaleGroupError: what it was made from has changed since.
            DataError: what ``dataset.json`` says of it is not what this affectkit writes.
        """
        found = self.described(folder, name)
        self.check_fresh(folder, name, found.made_from)
        return found

    def check_fresh(self, folder: Folder, name: str, made_from: Mapping[str, str]) -> None:
        """Refuses a group that was made from something else.

        Raises:
            StaleGroupError: what it was made from has changed since.
        """
        changed = self.changed(folder, made_from)
        if changed:
            raise StaleGroupError(f"{self.called} '{name}'", changed, self.remedy(name, folder))

    def remedy(self, name: str, folder: Folder | None = None) -> str:
        """The command that writes a group, with its settings if the dataset has it."""
        known = folder.manifest.provenance.get(self.group(name), {}) if folder is not None else {}
        return self.command.format_map(_InCapitals({**known, "name": name}))


class _InCapitals(dict[str, object]):
    """Fields of a command; an unknown one becomes a placeholder in capitals."""

    def __missing__(self, key: str) -> str:
        return key.upper()
