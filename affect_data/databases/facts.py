"""What a reader relies on, each fact with its grade, and what it makes of every value in the files."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

KEPT: Final = "kept in group "
"""How `NativeValue.unified` begins for a value that is no label, but stands in a side group."""


class Grade(StrEnum):
    """How well a fact is known, best first."""

    DOCUMENTED = "documented"
    """The owners say so: a paper, a page, a file beside the data."""
    SEEN = "seen in a real file"
    CODE = "in public code"
    """Somebody's loader of the real files does so."""
    ASSUMED = "assumed"


@dataclass(frozen=True)
class Evidence:
    """A fact that a reader relies on.

    Attributes:
        fact: what the reader takes for granted, as a sentence.
        grade: how well it is known.
        where: where it was seen; of an assumption, what would contradict it.

    Raises:
        ValueError: one of them is empty.
    """

    fact: str
    grade: Grade
    where: str

    def __post_init__(self) -> None:
        if not (self.fact and self.where):
            raise ValueError(f"evidence must name a fact and where it was seen: {self}")


@dataclass(frozen=True)
class NativeValue:
    """A value in the files of a database, and what becomes of it.

    Attributes:
        field: the column or field in the files; where it has no name, what it holds.
        native: the value as the files spell it, a range of values such as ``-10..10``, or a description of such values.
        unified: the label that it becomes.
        masked: why there is no label, or why its line gives no row.

    Raises:
        ValueError: field or value is empty, or it is not exactly one of a label and a reason. A value that is masked may still be kept in a side
            group: then `unified` says so, and begins with `KEPT`.
    """

    field: str
    native: str
    unified: str = ""
    masked: str = ""

    def __post_init__(self) -> None:
        if not (self.field and self.native):
            raise ValueError(f"a native value needs a field and a value: {self}")
        is_kept = self.unified.startswith(KEPT)
        if not (self.unified or self.masked) or (self.unified and self.masked and not is_kept):
            raise ValueError(f"a native value becomes a label or is masked, one of the two: {self}")

    def __str__(self) -> str:
        if not self.masked:
            return f"{self.native} -> {self.unified}"
        return f"{self.native} -> masked: {self.masked}" + (f" ({self.unified})" if self.unified else "")


def numbered(field: str, names: Sequence[str], first: int = 0) -> tuple[NativeValue, ...]:
    """A row for each name; its native code is its position, counted from `first`."""
    return tuple(NativeValue(field, str(code), name) for code, name in enumerate(names, first))


ABSENT, PRESENT = "absent", "present"
NO_CODES: Final[Mapping[int, str]] = MappingProxyType({})


def occurrences(field: str, masked: Mapping[int, str] = NO_CODES) -> tuple[NativeValue, ...]:
    """The codes of action units that were looked for: 0 and 1, and those that say why there is no label."""
    return (
        NativeValue(field, "0", ABSENT),
        NativeValue(field, "1", PRESENT),
        *(NativeValue(field, str(code), masked=reason) for code, reason in masked.items()),
    )


def intensities(
    field: str, highest: int, threshold: int | None = None, masked: Mapping[int, str] = NO_CODES
) -> tuple[NativeValue, ...]:
    """The intensities from 0 to `highest`, and the occurrence that is derived where a threshold is given, and codes without a label."""
    derived = {
        level: "" if threshold is None else f", {PRESENT if level >= threshold else ABSENT}"
        for level in range(highest + 1)
    }
    return (
        *(NativeValue(field, str(level), f"intensity {level}{occurrence}") for level, occurrence in derived.items()),
        *(NativeValue(field, str(code), masked=reason) for code, reason in masked.items()),
    )


def labels_of(mapping: Iterable[NativeValue], field: str) -> dict[str, str | None]:
    """From each native value of a field to its label, None if it is masked: what `DatabaseRoot.classes` takes."""
    return {row.native: None if row.masked else row.unified for row in mapping if row.field == field}


def reasons_of(mapping: Iterable[NativeValue], field: str) -> dict[str, str]:
    """From each masked native value of a field to the reason."""
    return {row.native: row.masked for row in mapping if row.field == field and row.masked}
