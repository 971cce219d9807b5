"""Of the pictures that rows name: which lie outside the folder of their database, and which do not exist.

Millions of paths are asked about at once: they are taken apart into folder and name as whole columns, each folder is asked about once, and only
paths of an unusual form one by one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final, Self

import numpy as np
import numpy.typing as npt
import polars as pl

from affect_data.confinement import ConfinedFolder, Listing

_UNUSUAL: Final = r"[\\\x00:]|\.\.|^/|//|(?:^|/)\.(?:/|$)|/$|^$"
"""What may name a place outside of a folder, or one place in two ways."""


@dataclass(frozen=True)
class NamedPictures:
    """Paths of pictures, relative to the folder of a database, taken apart.

    Attributes:
        paths: as rows name them.
        unusual: whether a path has to be looked at by itself.
        folders: of each path, without a slash at the end.
    """

    paths: pl.Series
    unusual: pl.Series
    folders: pl.Series

    @classmethod
    def of(cls, paths: pl.Series) -> Self:
        """The paths, taken apart."""
        folders = paths.str.replace("/?[^/]*$", "")
        return cls(paths, paths.str.contains(_UNUSUAL), folders)

    def outside(self, confined: ConfinedFolder) -> dict[str, str]:
        """Why a path lies outside, by path, of those that do."""
        folders = self.folders.filter(~self.unusual).unique(maintain_order=True)
        doubtful = self.unusual | self.folders.is_in([folder for folder in folders if _may_leave(confined, folder)])
        paths = self.paths.filter(doubtful).unique(maintain_order=True)
        return {path: because for path in paths if (because := confined.leaves(path))}

    def absent(self, confined: ConfinedFolder) -> pl.Series:
        """Whether there is no file at each path; what lies outside of the folder is not looked for, and counts as absent.

        Files are found by 64-bit hashes of their names: a million of them take 8 MB. Two names with one hash are as good as impossible, and packing
        would still find that there is no picture.

        Args:
            confined: the folder of the database.
        """
        usual = (~self.unusual).arg_true()
        folders = self.folders.gather(usual)
        listed = folders.unique(maintain_order=True)
        known = _hashes([_names(confined, folder) for folder in listed])
        codes = folders.replace_strict(listed, np.arange(len(listed), dtype=np.uint64))
        asked = self.paths.gather(usual).str.replace("^.*/", "").hash().to_numpy() ^ _spread(codes.to_numpy())
        found = np.zeros(len(self.paths), bool)
        found[usual.to_numpy()] = _among(known, asked)
        for place in self.unusual.arg_true():
            path = self.paths[place]
            listing = Listing() if confined.leaves(path) else confined.listing(path.rpartition("/")[0])
            found[place] = PurePosixPath(path).name in listing.names
        return pl.Series("absent", ~found)


def _may_leave(confined: ConfinedFolder, folder: str) -> bool:
    """Whether a file directly inside of a folder may lead out of it."""
    leaves = folder and confined.folder_leaves(folder)
    return bool(leaves) or (not confined.follow_links and bool(confined.links(folder)))


def _names(confined: ConfinedFolder, folder: str) -> list[bytes]:
    """The names in a folder, if it lies inside."""
    return [] if folder and confined.folder_leaves(folder) else confined.names(folder)


def _hashes(folders: Sequence[list[bytes]]) -> npt.NDArray[np.uint64]:
    """A number for each name in each folder, sorted."""
    names = [name for folder in folders for name in folder]
    codes = np.repeat(np.arange(len(folders), dtype=np.uint64), [len(folder) for folder in folders])
    try:
        # No name has a slash in it. Split by one, they need not become Python texts.
        texts = pl.Series([b"/".join(names).decode()]).str.split("/").explode()
    except UnicodeDecodeError:
        texts = pl.Series(list(map(_text, names)), dtype=pl.String)
    return np.sort(texts.hash().to_numpy() ^ _spread(codes)) if names else np.empty(0, np.uint64)


def _text(name: bytes) -> str:
    """The name of a file as text; one that is none, and so that no annotation file can name, as a slash."""
    try:
        return name.decode()
    except UnicodeDecodeError:
        return "/"


def _spread(codes: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Small numbers, far apart from each other in all bits."""
    return codes * np.uint64(0x9E3779B97F4A7C15)


def _among(known: npt.NDArray[np.uint64], asked: npt.NDArray[np.uint64]) -> npt.NDArray[np.bool_]:
    """Which numbers are among the sorted ones."""
    if not len(known):
        return np.zeros(len(asked), bool)
    places = np.minimum(np.searchsorted(known, asked), len(known) - 1)
    return np.equal(known[places], asked)
