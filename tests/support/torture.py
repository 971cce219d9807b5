"""Kills and interrupts real commands at random moments: ``python tests/support/torture.py --tries 200 --seed 1 --page docs/reliability.md``.

Prints a line for every try that went wrong and a table, writes the table into the page, and ends with 1 where something was lost.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import interrupting
import killing

from affect_data.pages import with_part

T = TypeVar("T")

PART = "torture"
HEADER = ("| promise | tried | survived | lost |", "|---|---|---|---|")
KILLED = "a killed `{}` ends with the bytes of one that nobody killed"
INTERRUPTED = "Ctrl-C ends `{}`"


def rows(promise: str, tried: Iterable[tuple[str, bool]]) -> list[str]:
    """A row of the table for each command: how often it was tried, and how often the promise held.

    Args:
        promise: with ``{}`` for the command.
        tried: command, and whether it held.
    """
    by_command: dict[str, list[bool]] = {}
    for name, held in tried:
        by_command.setdefault(name, []).append(held)
    return [
        f"| {promise.format(name)} | {len(held)} | {sum(held)} | {len(held) - sum(held)} |"
        for name, held in by_command.items()
    ]


def table(killed: Iterable[killing.Try], interrupted: Iterable[interrupting.Try]) -> list[str]:
    """The lines of the table."""
    return [
        *HEADER,
        *rows(KILLED, ((one.command, not one.complaints) for one in killed)),
        *rows(INTERRUPTED, ((one.command, not one.complaints()) for one in interrupted)),
    ]


def _counted(done: str, tried: Iterable[T]) -> Iterator[T]:
    """The tries as they come, counted where one can see it: very many take an hour."""
    for number, one in enumerate(tried, start=1):
        sys.stderr.write(f"\r{done}: {number}")
        yield one
    sys.stderr.write("\n")


def _chosen(names: Iterable[str], wanted: list[str] | None) -> list[str]:
    return [name for name in names if wanted is None or name in wanted]


def main() -> None:
    """Runs what the arguments ask for; see the module."""
    known = list(dict.fromkeys([*killing.COMMANDS, *interrupting.COMMANDS]))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tries", type=int, default=200, help="kills, and as many interrupts")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--at-once", type=int, default=2, help="tries at a time")
    parser.add_argument("--command", action="append", choices=known, help="only this one; may be repeated")
    parser.add_argument("--page", type=Path, help="page that the table is written into")
    options = parser.parse_args()
    to_kill, to_interrupt = (_chosen(of.COMMANDS, options.command) for of in (killing, interrupting))
    with tempfile.TemporaryDirectory() as folder:
        tried = killing.torture(Path(folder), options.tries if to_kill else 0, options.seed, to_kill, options.at_once)
        killed = list(_counted("killed", tried))
    with tempfile.TemporaryDirectory() as folder:
        planned = interrupting.moments(options.tries, options.seed, to_interrupt) if to_interrupt else []
        given = interrupting.make_inputs(Path(folder))
        interrupted = list(_counted("interrupted", interrupting.interrupt_all(given, planned, options.at_once)))
    lost = [
        f"{one.command}, killed at {one.moment:.3f} s: {'; '.join(one.complaints)}" for one in killed if one.complaints
    ]
    lost += [one.described() for one in interrupted if one.complaints()]
    lines = table(killed, interrupted)
    sys.stdout.write("".join(f"{line}\n" for line in [*lost, *lines]))
    if options.page is not None:
        about = f"`make torture TRIES={options.tries} SEED={options.seed}`"
        page = with_part(options.page.read_text(encoding="utf-8"), PART, "\n".join([f"{about}:", "", *lines]))
        options.page.write_text(page, encoding="utf-8")
    sys.exit(1 if lost else 0)


if __name__ == "__main__":
    main()
