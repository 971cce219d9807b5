"""Checks the folders of a recipe without writing anything: what was found, what was expected, and every defect with its line."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from affect_data.build.databases import scan_database
from affect_data.build.harmonise import harmonise
from affect_data.build.recipe import DataRecipe
from affect_data.databases.base import Database
from affect_data.errors import AffectError, Defect, DefectsFoundError


@dataclass(frozen=True)
class DatabaseCheck:
    """What a check found for one database.

    Attributes:
        database: its name.
        release: release profile, as far as it was recognised.
        notes: what was found.
        expected: the official layout.
        lines: annotated faces that the files list.
        rows: faces that a build would pack, before their pictures are decoded.
        failures: lines without a row, by reason.
        masked: labels that stand in the files and would not be used.
        defects: contradictions to the documentation.
        problem: why the database could not be read at all; empty where it could.
    """

    database: str
    release: str = ""
    notes: tuple[str, ...] = ()
    expected: str = ""
    lines: int = 0
    rows: int = 0
    failures: dict[str, int] = field(default_factory=dict)
    masked: list[dict[str, Any]] = field(default_factory=list)
    defects: tuple[Defect, ...] = ()
    problem: str = ""

    @property
    def is_clean(self) -> bool:
        """Whether a build would accept the database."""
        return not self.defects and not self.problem

    def to_json(self) -> dict[str, Any]:
        """The same as plain lists and dictionaries."""
        return {**asdict(self), "clean": self.is_clean}


def check(recipe: DataRecipe, roots: Mapping[str, Path], *, follow_links: bool = False) -> list[DatabaseCheck]:
    """What a build of the recipe would meet, database by database; nothing is written."""
    return [
        _check(name, database, recipe, roots, follow_links=follow_links) for name, database in recipe.readers().items()
    ]


def _check(
    name: str, database: Database, recipe: DataRecipe, roots: Mapping[str, Path], *, follow_links: bool
) -> DatabaseCheck:
    expected = database.layout()
    try:
        scan, release, _ = scan_database(database, recipe.root_of(name, roots), follow_links=follow_links)
    except AffectError as error:
        return DatabaseCheck(name, expected=expected, problem=str(error))
    failures = dict(scan.failures["reason"].value_counts().sort("reason").iter_rows())
    found = DatabaseCheck(
        name, release, scan.notes, expected, scan.lines, len(scan.rows), failures, defects=scan.defects
    )
    if scan.defects:
        return found
    try:
        unified = harmonise(scan, database, release, recipe.splits)
    except DefectsFoundError as error:
        return DatabaseCheck(**{**vars(found), "defects": error.defects})
    except AffectError as error:
        return DatabaseCheck(**{**vars(found), "problem": str(error)})
    return DatabaseCheck(**{**vars(found), "rows": len(unified.labels), "masked": unified.masked.to_dicts()})
