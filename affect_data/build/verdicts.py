"""Whether a database is whole: compares what its files hold with the published numbers of its release."""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Final

from affect_data.databases.base import Database, Scan
from affect_data.databases.totals import Totals, drawn_totals
from affect_data.errors import DataError

SHOWN: Final = 4
"""How many losses a headline names."""

NO_ROW_LEFT: Final = "no row is left"


class Verdict(StrEnum):
    """The result of checking a database."""

    WHOLE = "whole"
    INCOMPLETE = "incomplete"
    BROKEN = "broken"


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The gravest of the verdicts."""
    return max(verdicts, key=list(Verdict).index)


class IncompleteError(DataError):
    """Databases are incomplete, and that was not accepted."""

    def __init__(self, losses: Mapping[str, tuple[str, ...]]) -> None:
        self.losses = dict(losses)
        lines = "".join(f"\n  {name}: incomplete: {headline(lost)}" for name, lost in losses.items())
        entries = ", ".join(f"{name}: {{incomplete: accepted}}" for name in losses)
        super().__init__(
            f"{len(losses)} database(s) are incomplete, nothing was written:{lines}\n"
            "Restore the files; `affect-data check` lists every loss. Where what is left is what you want, pass --accept-incomplete, "
            f"or write `databases: {{{entries}}}` in the recipe: the dataset's lock then says so."
        )


def headline(losses: tuple[str, ...]) -> str:
    """The first losses in one line, and how many more there are."""
    more = f" and {len(losses) - SHOWN} more" if len(losses) > SHOWN else ""
    return "; ".join(losses[:SHOWN]) + more


def find_losses(database: Database, release: str, root: Path, scan: Scan) -> tuple[str, ...]:
    """What a copy has lost, the gravest first; empty if it is whole.

    Args:
        database: its reader.
        release: the release profile of the files.
        root: their folder, in which drawn databases state what they hold.
        scan: what the reader found.
    """
    drawn = drawn_totals(root)
    totals = drawn or database.totals.get(release) or Totals({}, "")
    kind = "drawn" if drawn else "official"
    short = _too_few(scan, totals)
    lost = [loss for loss in scan.losses if loss not in totals.losses]
    lost += [f"{found:,} of {of:,} {kind} {what}" for found, of, what in short if what == database.counted_as]
    missing, listed = scan.missing_pictures, len(scan.rows) + scan.missing_pictures
    known = totals.missing_pictures
    if missing > (known if known is not None else listed * database.tolerated_missing_pictures):
        lost.append(f"{missing / listed:.1%} of {listed:,} rows have no picture")
    lost += [f"{found:,} of {of:,} {kind} {what}" for found, of, what in short if what != database.counted_as]
    return tuple(lost)


def _too_few(scan: Scan, totals: Totals) -> list[tuple[int, int, str]]:
    """For each total that is not reached: the number found, the number expected, and of what; entirely missing ones first."""
    short = [
        (scan.counts[what], expected, what)
        for what, expected in totals.counts.items()
        # Lines that the recipe excludes are not missing.
        if what in scan.counts and scan.counts[what] + scan.excluded < expected
    ]
    return sorted(short, key=lambda item: item[0] > 0)
