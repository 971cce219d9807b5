"""Keeps paths that a file names inside the folder that they are relative to."""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from affect_data.errors import DataError

_DRIVE: Final = re.compile(r"[A-Za-z]:")


class OutsideError(DataError):
    """A path that leaves its folder.

    Args:
        path: as it was named.
        because: how it leaves, from `ConfinedFolder.leaves`.
        remedy: what to do.
    """

    def __init__(self, path: str, because: str, remedy: str) -> None:
        self._given = (path, because, remedy)
        super().__init__(f"'{path}' {because}, and is not read; {remedy}")

    def __reduce__(self) -> tuple[Any, ...]:
        # Pickled when a decoding process sends it to the one that asked.
        return type(self), self._given


@dataclass(frozen=True)
class Listing:
    """The content of a folder, without that of its subfolders.

    Attributes:
        names: of all files, folders and links.
        links: the names that are symbolic links.
    """

    names: frozenset[str] = frozenset()
    links: frozenset[str] = frozenset()


@dataclass
class ConfinedFolder:
    """A folder that tells which paths stay inside it. Each of its folders is listed once, so that asking about many files costs little.

    Attributes:
        path: the folder; it may itself be a link.
        follow_links: whether a symbolic link may lead out of the folder.
        option: the option that allows this, for messages.
    """

    path: Path
    follow_links: bool = False
    option: str = "--follow-links"
    _listings: dict[str, Listing] = field(default_factory=dict, repr=False)
    _links: dict[str, frozenset[str]] = field(default_factory=dict, repr=False)
    _folders: dict[str, str] = field(default_factory=dict, repr=False)
    _inside: str = field(default="", repr=False)

    def listing(self, folder: str = "") -> Listing:
        """The content of a folder below it; empty if there is no such folder."""
        if folder not in self._listings:
            names = frozenset(map(os.fsdecode, self.names(folder)))
            self._listings[folder] = Listing(names, self._links[folder])
        return self._listings[folder]

    def names(self, folder: str = "") -> list[bytes]:
        """The names in a folder, listed anew and in no order; only which of them are links is kept, so that millions of pictures take no memory."""
        try:
            with os.scandir(os.fsencode(self.path / folder)) as listed:
                entries = list(listed)
        except (FileNotFoundError, NotADirectoryError):
            entries = []
        self._links[folder] = frozenset(os.fsdecode(entry.name) for entry in entries if entry.is_symlink())
        return [entry.name for entry in entries]

    def links(self, folder: str = "") -> frozenset[str]:
        """The names in a folder that are symbolic links."""
        if folder not in self._links:
            self.names(folder)
        return self._links[folder]

    def leaves(self, path: str) -> str:
        """How a relative path leaves the folder, as the end of a sentence about it; empty if it stays inside or does not exist."""
        folder, _, name = path.rpartition("/")
        if path.startswith("/"):
            return _named_outside(path)
        if folder and (because := self.folder_leaves(folder)):
            return because
        because = _named_outside(name)
        if because or self.follow_links or name not in self.links(folder):
            return because
        return self._link_leaves(path)

    def folder_leaves(self, folder: str) -> str:
        """How every path directly inside a folder leaves this one, as from `leaves`; empty if the folder stays inside."""
        if folder not in self._folders:
            self._folders[folder] = self._folder_leaves(folder)
        return self._folders[folder]

    def remedy(self, path: str) -> str:
        """What to do about a path that leaves the folder."""
        if _named_outside(path):
            return "name a file inside the folder"
        return f"put a copy there, or add {self.option} where the link is your own"

    def check(self, path: str) -> None:
        """Refuses a relative path that leaves the folder.

        Raises:
            OutsideError: the path leaves the folder.
        """
        because = self.leaves(path)
        if because:
            raise OutsideError(path, because, self.remedy(path))

    def _folder_leaves(self, folder: str) -> str:
        because = _named_outside(folder)
        if because or self.follow_links:
            return because
        parts = folder.split("/")
        if ".." in parts:
            # After a link, ".." leads to the parent of its target and not of the link.
            return self._link_leaves(folder) and f"leads out of the folder by a symbolic link in '{folder}'"
        for depth in range(len(parts)):
            above = "/".join(parts[:depth])
            if parts[depth] in self.links(above):
                link = "/".join(parts[: depth + 1])
                if self._link_leaves(link):
                    return f"lies below the symbolic link '{link}', which leads out of the folder"
        return ""

    def _link_leaves(self, path: str) -> str:
        inside = self._inside = self._inside or os.path.realpath(self.path)
        target = os.path.realpath(self.path / path)
        stays = target == inside or target.startswith(inside.rstrip("/") + "/")
        return "" if stays else "is a symbolic link that leads out of the folder"


def _named_outside(path: str) -> str:
    """How a path leaves the folder by its name alone; backslashes count as separators, too."""
    if "\0" in path:
        return "holds a zero byte"
    slashes = path.replace("\\", "/")
    if slashes.startswith("/") or _DRIVE.match(slashes):
        return "is an absolute path"
    depth = 0
    for part in slashes.split("/"):
        depth += {"..": -1, ".": 0, "": 0}.get(part, 1)
        if depth < 0:
            return "leads out of the folder by '..'"
    return ""
