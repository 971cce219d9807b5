"""Finds files that run code when they are read."""

import zipfile
from pathlib import Path

START = b"\x80"
"""Of a pickle of protocol 2 or later; the protocol's number follows."""

PROTOCOLS = range(2, 6)


def pickles_in(folder: Path) -> list[str]:
    """The files below a folder that are pickles, or archives that hold one, as ``torch.save`` writes them."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return [path.relative_to(folder).as_posix() for path in files if _is_pickle(path)]


def _is_pickle(path: Path) -> bool:
    if path.suffix in (".pkl", ".pickle", ".pt", ".pth", ".bin"):
        return True
    with path.open("rb") as file:
        start = file.read(2)
    if start == b"PK" and zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith(".pkl") for name in archive.namelist())
    return len(start) == 2 and start[:1] == START and start[1] in PROTOCOLS
