"""The files in which faces are looked for: which of the named ones are photographs, and which are clips."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from affect_data.errors import DataError, UsageError

PHOTOGRAPHS: Final = frozenset(
    (".jpg", ".jpeg", ".jpe", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".pnm", ".dib")
)
CLIPS: Final = frozenset(
    (
        ".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts", ".wmv", ".flv", ".ogv", ".3gp", ".asf",
        ".mxf", ".mjpeg", ".mjpg",
    )
)  # fmt: skip
"""The endings, in small letters, by which a file is known."""


@dataclass(frozen=True)
class Source:
    """A file in which faces are looked for.

    Attributes:
        path: of the file.
        name: how the table calls it: as it was named, without the folders before it if it was named from the root; in a folder that was named, its
            place there with that folder's name before it.
        is_clip: whether it is a video; otherwise it is a photograph.
    """

    path: Path
    name: str
    is_clip: bool


def sources_of(paths: Sequence[Path], out: Path) -> list[Source]:
    """The photographs and clips among the named files, and those in the named folders and below, by name; each once.

    In a folder, hidden files and files of other kinds are passed over. A file that is named itself is taken, whatever its ending.

    Args:
        paths: files and folders.
        out: the folder of results.

    Raises:
        DataError: a file is missing, or a folder has no photograph and no clip.
        UsageError: the results would lie in a folder that is searched, or replace a file that is read.
    """
    found: dict[Path, Source] = {}
    for path in paths:
        if path.is_dir():
            _refuse_within(out, path)
            inside = _in_folder(path)
            if not inside:
                raise DataError(f"folder '{path}': no photograph and no clip is in it or below")
        elif path.exists():
            inside = [Source(path, path.name if path.is_absolute() else path.as_posix(), path.suffix.lower() in CLIPS)]
        else:
            raise DataError(f"'{path}' does not exist; name photographs, clips, or folders of them")
        for source in inside:
            _refuse_within(source.path, out)
            found.setdefault(source.path.resolve(), source)
    return _with_own_names(found.values())


def file_names(sources: Iterable[Source]) -> dict[str, str]:
    """A file name without ending for each source, by its name: that of its file, with a number where several have it."""
    taken: set[str] = set()
    names = {}
    for source in sources:
        stem, number = source.path.stem, 1
        while (name := stem if number == 1 else f"{stem}-{number}").lower() in taken:
            number += 1
        taken.add(name.lower())
        names[source.name] = name
    return names


def _with_own_names(sources: Iterable[Source]) -> list[Source]:
    """The sources; of those that would have one name, each has as many of the folders before it as tell them apart."""
    named: dict[str, Source] = {}
    for source in sources:
        name, parts = source.name, source.path.resolve().parts
        while name in named:
            name = "/".join(parts[-2 - name.count("/") :])
        named[name] = replace(source, name=name)
    return list(named.values())


def _in_folder(folder: Path) -> list[Source]:
    base = folder.resolve()
    inside = [
        path for path in sorted(base.rglob("*")) if not any(part[0] == "." for part in path.relative_to(base).parts)
    ]
    return [
        Source(path, (Path(base.name) / path.relative_to(base)).as_posix(), path.suffix.lower() in CLIPS)
        for path in inside
        if path.suffix.lower() in CLIPS | PHOTOGRAPHS and path.is_file()
    ]


def _refuse_within(inner: Path, outer: Path) -> None:
    if inner.resolve().is_relative_to(outer.resolve()):
        raise UsageError(
            f"'{inner}' lies in '{outer}': results and what they are made from must lie apart; choose another `--out`"
        )
