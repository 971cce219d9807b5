"""What exists in the folder of a database, by the names that people and programs give to the same folder."""

from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Final

from affect_data.confinement import ConfinedFolder

LABEL_ENDINGS: Final = (".txt", ".csv", ".tsv", ".xlsx", ".xls", ".json", ".npy", ".mat")


class ListedFolder:
    """A folder whose content is listed, each folder in it once.

    Args:
        path: the folder.
        follow_links: whether symbolic links may lead out of it.
    """

    def __init__(self, path: Path, *, follow_links: bool = False) -> None:
        self.path = path
        self.confined = ConfinedFolder(path, follow_links)

    def entries(self, folder: str = "") -> frozenset[str]:
        """The names directly inside a folder (relative to the root); empty if there is no such folder."""
        return self.confined.listing(folder).names

    def one_of(self, *aliases: str, under: str = "") -> str | None:
        """The relative path of the first alias that exists under a folder, in any case, with blanks or ``_``; None if none does.

        A folder that holds nothing but a folder of its own name, as unpacking leaves it, stands for the inner one.
        """
        names = sorted(self.entries(under))
        by_spelling = {_spelt(name): name for name in names} | {name.lower(): name for name in names}
        for alias in aliases:
            found = by_spelling.get(alias.lower()) or by_spelling.get(_spelt(alias))
            if found is not None:
                return self.inner_of(str(PurePosixPath(under) / found))
        return None

    def inner_of(self, path: str) -> str:
        """The path itself, or that of the innermost folder if it holds nothing but a folder of its own name."""
        name = PurePosixPath(path).name
        while len(found := [entry for entry in self.entries(path) if not entry.startswith((".", "__MACOSX"))]) == 1:
            if found[0].lower() != name.lower():
                break
            path = f"{path}/{found[0]}"
        return path

    def holds(self, pattern: str) -> bool:
        """Whether any relative path matches a pattern, without regard to case; its parts may have ``*``, ``?`` and ``[...]``."""
        folders = [""]
        for part in pattern.lower().split("/"):
            folders = [
                str(PurePosixPath(folder) / name)
                for folder in folders
                for name in sorted(self.entries(folder))
                if fnmatchcase(name.lower(), part)
            ]
        return bool(folders)

    def files(self, pattern: str) -> list[str]:
        """Relative posix paths of all files that match a glob pattern, sorted."""
        return sorted(found.relative_to(self.path).as_posix() for found in self.path.glob(pattern) if found.is_file())

    def label_files(self, folder: str) -> list[str]:
        """The names inside a folder that may be files of labels by their end, sorted; hidden ones are left out."""
        names = (name for name in self.entries(folder) if not name.startswith("."))
        return sorted(name for name in names if name.lower().endswith(LABEL_ENDINGS))


def _spelt(name: str) -> str:
    """A name in lower case with ``_`` for blanks."""
    return name.lower().replace(" ", "_")
