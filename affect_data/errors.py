"""Every error of affect_data that a user can meet. Each message says what is wrong, where (``path:line``), what was found and what to do.

Two families decide the exit status of the commands: `DataError` (1: the data or the check is at fault) and `UsageError` (2: the call is at fault).
"""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

DEFECTS_SHOWN = 20


def suggestion(word: str, known: Iterable[str]) -> str:
    """``did you mean 'x'? known: ...``, without the question if no known word is similar."""
    names = list(known)
    near = difflib.get_close_matches(word, names, n=1)
    return (f"did you mean {near[0]!r}? " if near else "") + f"known: {', '.join(names)}"


def code_of(class_name: str) -> str:
    """The code of an error class by its name: ``not-a-dataset`` for ``NotADatasetError``."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", class_name.removesuffix("Error")).lower()


class AffectError(Exception):
    """The base class of all errors that affectkit raises on purpose.

    Attributes:
        exit_status: of the command that ends with it.
        code: its kind, for programs: ``not-a-dataset`` for `NotADatasetError`. It never changes; a class that is renamed states its old one.
    """

    exit_status = 1
    code: ClassVar[str] = "affect"

    def __init_subclass__(cls, **options: Any) -> None:  # noqa: ANN401 - as Python passes them on
        super().__init_subclass__(**options)
        if "code" not in cls.__dict__:
            cls.code = code_of(cls.__name__)

    def __reduce__(self) -> tuple[Any, ...]:
        # Errors travel from one process to another; this pickles them whatever arguments their constructor takes.
        return _again, (type(self), str(self), self.__dict__)


def _again(kind: type[AffectError], message: str, attributes: Mapping[str, Any]) -> AffectError:
    error = kind.__new__(kind, message)
    error.__dict__.update(attributes)
    return error


class DataError(AffectError):
    """The data is at fault: a file is missing, a code is unknown, a dataset is not one."""


class UsageError(AffectError):
    """The call is at fault: an unknown name, a recipe that does not validate."""

    exit_status = 2


@dataclass(frozen=True, order=True)
class Defect:
    """One thing in a database that contradicts its documentation.

    Attributes:
        path: the file or folder, relative to the database root.
        line: 1-based line; 0 for the whole file.
        found: what the file says.
        expected: what the documentation says.
        remedy: what to do.
        count: how many lines have the same defect.
        also: some of the other lines, as ``path:line``.
    """

    path: str
    line: int
    found: str
    expected: str
    remedy: str
    count: int = 1
    also: tuple[str, ...] = ()

    def __str__(self) -> str:
        where = f"{self.path}:{self.line}" if self.line else self.path
        more = (
            f", and the like in {self.count - 1:,} more lines ({', '.join(self.also)}, ...)" if self.count > 1 else ""
        )
        return f"{where}: found {self.found}{more}; expected {self.expected}; to fix: {self.remedy}"


class DefectsFoundError(DataError):
    """A database contradicts its documentation: its labels cannot be trusted."""

    def __init__(self, database: str, defects: Sequence[Defect]) -> None:
        self.database = database
        self.defects = tuple(defects)
        shown = "".join(f"\n  {defect}" for defect in self.defects[:DEFECTS_SHOWN])
        more = f"\n  ... and {len(self.defects) - DEFECTS_SHOWN:,} more" if len(self.defects) > DEFECTS_SHOWN else ""
        super().__init__(
            f"{database}: {sum(defect.count for defect in self.defects):,} defect(s), nothing was written:{shown}{more}\n"
            f'Mend the files, or name single lines under `databases: {database}: exclude: ["path:line"]` in the recipe: '
            "they are then dropped and counted. `affect-data check` lists all defects."
        )


class DatabaseNotFoundError(DataError):
    """The root of a database is missing, empty, or holds something else."""

    def __init__(
        self, database: str, root: Path | None, expected: str, *, because: str, remedy: str = "", holdings: str = ""
    ) -> None:
        """The error, with a message that says what is wrong with a root.

        Args:
            database: name of the database.
            root: the folder that was named; None if none was.
            expected: the official layout.
            because: what is missing.
            remedy: what to type instead. The message then leaves out the layout, which would not help.
            holdings: what the folder holds.
        """
        self.database = database
        self.because = because
        variable = f"AFFECT_ROOT_{database.upper()}"
        where = f"in root '{root}'" if root is not None else "(no root was given)"
        found = f"{database}: database not found {where}: {because}."
        layout = f"The expected layout: `affect-data databases {database}`."
        request = (
            f"The database is licensed and cannot be downloaded automatically: request it from its owners, unpack it, and name its folder by "
            f"--root {database}=PATH, by the environment variable {variable}, or by `root:` in the recipe."
        )
        if not expected:
            # Own data: only the recipe says what there should be.
            named = f"Name its folder by --root {database}=PATH, by {variable}, or by `root:` in the recipe"
            super().__init__(
                "\n".join(
                    filter(None, (found, remedy or holdings, f"{named}; paths in the recipe are relative to it."))
                )
            )
        elif remedy:
            super().__init__(f"{found}\n{remedy}\n{layout}")
        elif root is None:
            super().__init__(f"{found}\n{request}\n{layout}")
        else:
            there = f"{holdings}\n" if holdings else ""
            super().__init__(f"{found}\n{there}Expected layout:\n{expected.rstrip()}\n{request}")


class UnknownNameError(UsageError):
    """An unknown name; the message suggests the most similar known name and lists all."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        super().__init__(f"unknown {kind} '{name}'; {suggestion(name, sorted(known))}")


class FileAccessError(DataError):
    """A file or folder that cannot be read or written; the message gives the system's reason and the remedy."""

    def __init__(self, path: object, because: str, remedy: str) -> None:
        where = f"'{path}': " if path is not None else ""
        super().__init__(f"{where}{because}. {remedy}")


class UnreadableFileError(DataError):
    """A file that a parser does not understand, although it should."""

    def __init__(self, path: object, because: str, remedy: str) -> None:
        where = f"'{path}' cannot be read" if path is not None else "a file cannot be read"
        super().__init__(f"{where}: {because}. {remedy}")


class RecipeError(UsageError):
    """A recipe with mistakes; the message lists all of them at once."""

    def __init__(self, where: str, mistakes: Sequence[str]) -> None:
        self.mistakes = tuple(mistakes)
        lines = "".join(f"\n  {mistake}" for mistake in mistakes)
        super().__init__(f"{where}: {len(mistakes)} mistake(s):{lines}")


class NotADatasetError(DataError):
    """A folder that is no finished affectkit dataset."""

    def __init__(self, path: Path, because: str, remedy: str) -> None:
        super().__init__(f"'{path}' is no affectkit dataset: {because}. {remedy}")


class SchemaError(DataError):
    """Rows that break a named rule of the schema."""

    def __init__(self, rule: str, description: str, examples: Sequence[str], count: int) -> None:
        shown = ", ".join(examples)
        super().__init__(
            f"{count:,} row(s) break the rule '{rule}' ({description}): {shown}. This is a defect of the reader: please report it."
        )
