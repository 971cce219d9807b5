"""What the two directions of copying share: the report, and files that are copied by several threads."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from affect_data.build.packing import in_threads


@dataclass(frozen=True)
class CopyReport:
    """What a copy did.

    Attributes:
        source: from where.
        target: to where.
        files: how many files both hold now.
        bytes: how large they are together.
        copied: how many of them were copied; the others were there.
        removed: files of an older state that were removed from the target.
    """

    source: str
    target: str
    files: int
    bytes: int
    copied: int
    removed: int


def copied(copy: Callable[[str], None], names: Sequence[str], threads: int) -> Iterator[str]:
    """The names of files in their order, each after it was copied; several are copied at a time."""

    def numbered(number: int) -> str:
        copy(names[number])
        return names[number]

    return in_threads(numbered, range(len(names)), threads)
