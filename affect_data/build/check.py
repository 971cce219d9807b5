"""Checks the folders of a recipe without writing anything: what was found, what was expected, and every defect with its line."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from affect_data.build.conformance import Copy, broken_rules, without_unusable
from affect_data.build.databases import scan_database
from affect_data.build.harmonise import harmonise
from affect_data.build.recipe import DataRecipe
from affect_data.build.verdicts import NO_ROW_LEFT, Verdict, find_losses, headline
from affect_data.databases.base import Database
from affect_data.errors import AffectError, Defect, DefectsFoundError


@dataclass(frozen=True)
class DatabaseCheck:
    """What a check found for one database.

    Attributes:
        database: its name.
        release: release profile, if it was recognised.
        notes: what was found.
        expected: the official layout.
        lines: annotated faces that the files list.
        rows: faces that a build would pack, before their pictures are decoded.
        failures: lines without a row, by reason.
        masked: labels in the files that would not be used.
        defects: contradictions to the documentation.
        problem: why the database could not be read at all; empty if it could.
        losses: what the files lack.
        accepted: whether the recipe accepts an incomplete copy.
        broken_rules: of a full check, what breaks a rule of `affect_data.build.conformance`.
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
    losses: tuple[str, ...] = ()
    accepted: bool = False
    broken_rules: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """Broken if the files contradict their documentation, cannot be read or give no row; otherwise incomplete if they lack a part; else whole."""
        if self.defects or self.problem or self.broken_rules or not self.rows:
            return Verdict.BROKEN
        return Verdict.INCOMPLETE if self.losses else Verdict.WHOLE

    @property
    def is_clean(self) -> bool:
        """Whether a build of the recipe would accept the database."""
        return self.verdict is Verdict.WHOLE or (self.verdict is Verdict.INCOMPLETE and self.accepted)

    @property
    def headline(self) -> str:
        """The verdict, and why."""
        if self.verdict is Verdict.INCOMPLETE:
            return f"incomplete{' (accepted)' if self.accepted else ''}: {headline(self.losses)}"
        if self.problem:
            return "broken: not read"
        if self.defects:
            return f"broken: {sum(defect.count for defect in self.defects):,} defect(s)"
        if self.broken_rules:
            return f"broken: {len(self.broken_rules)} rule(s) that every copy holds"
        return str(self.verdict) if self.rows else f"broken: {NO_ROW_LEFT}"

    def to_json(self) -> dict[str, Any]:
        """The same as plain lists and dictionaries."""
        return {**asdict(self), "clean": self.is_clean, "verdict": str(self.verdict), "headline": self.headline}


def check(
    recipe: DataRecipe, roots: Mapping[str, Path], *, full: bool = False, follow_links: bool = False
) -> list[DatabaseCheck]:
    """What a build of the recipe would meet, database by database; nothing is written.

    Args:
        recipe: names the databases.
        roots: their folders.
        full: whether every picture is decoded, and the rules of `affect_data.build.conformance` are applied, for which the files are read again.
        follow_links: whether symbolic links may lead out of the folders.
    """
    return [
        _check(name, database, recipe, roots, full=full, follow_links=follow_links)
        for name, database in recipe.readers().items()
    ]


def _check(
    name: str, database: Database, recipe: DataRecipe, roots: Mapping[str, Path], *, full: bool, follow_links: bool
) -> DatabaseCheck:
    expected = database.layout()
    try:
        root, others = recipe.root_of(name, roots), recipe.other_roots(name, roots)
        scan, release, _ = scan_database(database, root, others, follow_links=follow_links)
        rules = broken_rules(Copy(database, root, scan, follow_links)) if full and not scan.defects else ()
        if full:
            scan = without_unusable(database, root, scan, recipe.workers)
        losses = find_losses(database, release, root, scan)
    except AffectError as error:
        return DatabaseCheck(name, expected=expected, problem=str(error))
    failures = dict(scan.failures["reason"].value_counts().sort("reason").iter_rows())
    found = DatabaseCheck(
        name, release, scan.notes, expected, scan.lines, len(scan.rows), failures, defects=scan.defects,
        losses=losses, accepted=database.options.incomplete == "accepted", broken_rules=rules,
    )  # fmt: skip
    if scan.defects:
        return found
    try:
        unified = harmonise(scan, database, release, recipe.splits)
    except DefectsFoundError as error:
        return DatabaseCheck(**{**vars(found), "defects": error.defects})
    except AffectError as error:
        return DatabaseCheck(**{**vars(found), "problem": str(error)})
    return DatabaseCheck(**{**vars(found), "rows": len(unified.labels), "masked": unified.masked.to_dicts()})
