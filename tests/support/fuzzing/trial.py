"""One trial: a copy of a database is mutated, read, and judged."""

import os
import random
import shutil
import signal
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, Final

import polars as pl
from second_readers import NAMES, cells, oracle_rows

from affect_data.databases.base import Database, Scan
from affect_data.databases.root import DatabaseRoot
from affect_data.errors import AffectError
from fuzzing.mutations import MUTATIONS, SECRET, WHOLE, Change

SECONDS: Final = 60
"""A reader that needs longer for a few faces hangs."""

Arc = tuple[str, int, int]
"""A module, and two lines of it that ran one after the other."""
Labels = dict[tuple[Any, ...], dict[str, Any]]

PLACE: Final = ("image", "face", "source_file", "source_line")
UNIMPORTANT: Final = ("source_line", "source_file")


@dataclass(frozen=True)
class Step:
    """One mutation of a trial, which it determines.

    Attributes:
        mutation: its name.
        file: position among the files of labels, modulo their number.
        seed: of its randomness.
    """

    mutation: str
    file: int
    seed: int


@dataclass
class Outcome:
    """What came of a trial.

    Attributes:
        fault: what the reader did wrong; empty if nothing.
        paths: pairs of lines that ran one after the other, by module.
        refused: whether the reader named an error.
    """

    fault: str = ""
    paths: set[Arc] = field(default_factory=set)
    refused: bool = False


class HangError(Exception):
    """The reader took too long."""


def copy_of(root: Path, folder: Path) -> Path:
    """A copy of a database whose files are links to the original's, beside what no reader may open."""
    folder.mkdir(parents=True)
    (folder / "secret.csv").write_text(SECRET)
    (folder / "elsewhere").mkdir()
    (folder / "elsewhere" / "secret.csv").write_text(SECRET)
    return Path(shutil.copytree(root, folder / "root", copy_function=os.link))


def run(database: Database, whole: Scan, root: Path, steps: Sequence[Step], folder: Path) -> Outcome:
    """Mutates a copy, reads it, and judges what comes.

    Args:
        database: its reader.
        whole: what the reader finds in the original.
        root: the original.
        steps: the mutations, in order.
        folder: for the copy; it is removed.
    """
    copy = copy_of(root, folder)
    try:
        changes = []
        for step in steps:
            files = [
                path for path in whole.annotation_files if (copy / path).is_file() and not (copy / path).is_symlink()
            ]
            if files:
                path = files[step.file % len(files)]
                changes.append(MUTATIONS[step.mutation](copy, path, random.Random(step.seed)))
        return _judged(database, whole, copy, changes)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _judged(database: Database, whole: Scan, copy: Path, changes: Sequence[Change]) -> Outcome:
    outcome = Outcome()
    opened: list[str] = []
    with watched(outcome.paths, opened, copy), deadline():
        try:
            scan = database.read(DatabaseRoot(copy))
        except AffectError as error:
            outcome.refused = True
            outcome.fault = "" if str(error).strip() else "an error without a message"
            scan = None
        except OSError as error:
            # The commands turn errors of the system into ours; they need the file.
            outcome.refused = True
            outcome.fault = "" if error.filename else f"{type(error).__name__} without a file: {error}"
            scan = None
        except HangError:
            outcome.fault = f"more than {SECONDS} s"
            return outcome
        except Exception as error:  # any foreign exception is what is looked for
            outcome.fault = f"{type(error).__name__}: {str(error)[:300]}"
            return outcome
    if opened:
        outcome.fault = f"opened outside of the root: {opened[0]}"
    elif scan is not None:
        outcome.refused = bool(scan.defects)
        outcome.fault = (
            _unnamed(scan) or _wrong_labels(whole, scan, changes) or _contradicted(database.name, copy, scan)
        )
    return outcome


def _unnamed(scan: Scan) -> str:
    """A defect that names no file or says nothing."""
    wrong = [
        defect for defect in scan.defects if not (defect.path and defect.found and defect.expected and defect.remedy)
    ]
    return f"a defect that does not say all: {wrong[0]}" if wrong else ""


def _wrong_labels(whole: Scan, scan: Scan, changes: Sequence[Change]) -> str:
    """A label of a line that was not changed, and that is another now.

    Where there are defects or losses no dataset is built. Of databases that join several files, a row's own line names only one of them: these are
    left to the second reader.
    """
    before, after = _labels(whole), _labels(scan)
    if scan.defects or scan.losses or {place[2] for place in before} < set(whole.annotation_files):
        return ""
    lines = {(change.path, change.line) for change in changes if change.line != WHOLE}
    files = {change.path for change in changes if change.line == WHOLE}
    for place, row in after.items():
        source, line = place[2], place[3]
        touched = (source, line) in lines or any(source == path or source.startswith(f"{path}/") for path in files)
        if not touched and place in before and row != before[place]:
            return f"{place} was {before[place]} and is {row}"[:500]
    return ""


def _contradicted(name: str, copy: Path, scan: Scan) -> str:
    """A row of a copy that the reader takes and of which the second reader says something else; nothing where that cannot read the copy."""
    if scan.defects or scan.losses or name not in NAMES:
        return ""
    try:
        rows = oracle_rows(name, copy)
    except Exception:  # the second reader knows official files alone
        return ""

    def placed(each: Iterable[dict[str, Any]]) -> dict[tuple[Any, ...], dict[str, Any]]:
        return {(row["image"], row.get("face", -1), row["source_file"], row["source_line"]): cells(row) for row in each}

    own, other = placed(scan.rows.iter_rows(named=True)), placed(rows)
    for place in own.keys() & other.keys():
        if own[place] != other[place]:
            differs = {
                key: (own[place].get(key), other[place].get(key)) for key in own[place].keys() | other[place].keys()
            }
            return f"{place}, here and by the second reader: { {k: v for k, v in differs.items() if v[0] != v[1]} }"[
                :500
            ]
    return ""


def _labels(scan: Scan) -> Labels:
    columns = [name for name in scan.rows.columns if name not in UNIMPORTANT]
    rows = scan.rows if "face" in scan.rows.columns else scan.rows.with_columns(face=pl.lit(-1))
    return {
        tuple(row[name] for name in PLACE): {name: _plain(row[name]) for name in columns}
        for row in rows.iter_rows(named=True)
    }


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, float | list | dict) else value


@contextmanager
def watched(paths: set[Arc], opened: list[str], copy: Path) -> Iterator[None]:
    """Collects which lines of the readers run after one another, and which files beside the copy are opened."""
    beside = [str(copy.parent / "secret.csv"), str(copy.parent / "elsewhere")]
    _OPENED.append((beside, opened))

    def line(frame: FrameType, event: str, _: object) -> Any:
        if event == "line":
            key = frame.f_code.co_filename
            paths.add((key, last.get(id(frame), 0), frame.f_lineno))
            last[id(frame)] = frame.f_lineno
        return line

    def call(frame: FrameType, event: str, _: object) -> Any:
        return line if "affect_data/databases" in frame.f_code.co_filename else None

    last: dict[int, int] = {}
    before = sys.gettrace()
    sys.settrace(call)
    try:
        yield
    finally:
        sys.settrace(before)
        _OPENED.pop()


_OPENED: list[tuple[list[str], list[str]]] = []


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if _OPENED and event == "open" and isinstance(arguments[0], str | bytes | os.PathLike):
        beside, opened = _OPENED[-1]
        path = os.path.realpath(os.fsdecode(arguments[0]))
        if any(path.startswith(each) for each in beside):
            opened.append(path)


sys.addaudithook(_audit)


@contextmanager
def deadline() -> Iterator[None]:
    """Raises HangError after `SECONDS`."""

    def stop(*_: object) -> None:
        raise HangError

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
