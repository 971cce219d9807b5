"""Kills real commands at random moments; ``python tests/support/killing.py --tries 200 --seed 1`` does so 200 times.

A command and all its processes get SIGKILL. What was there before must be readable at once, and the same command, started again, must end with the
same bytes as a command that was never killed.
"""

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from interrupting import Inputs, make_inputs
from python_processes import run_python, start

from affect_data.corrections.decisions import Decision, Labels
from affect_data.dataset.folder import open_dataset
from affect_data.vocabulary import EXPRESSIONS

Words = Callable[[Inputs, Path], list[object]]
"""The words of a command, the module first, that works in a folder of its own."""


@dataclass(frozen=True)
class Command:
    """A command that is killed.

    Attributes:
        words: from the inputs and its folder.
        starts_with: what lies in its folder before: a dataset, one with applied decisions, or nothing.
        ends_with: glob of the files that must be equal.
    """

    words: Words
    starts_with: str = "dataset"
    ends_with: str = "dataset/**/*"


COMMANDS: dict[str, Command] = {
    "build": Command(
        lambda given, out: ["affect_data", "build", given.folder / "data.yaml", out / "dataset", "--roots", given.databases],
        starts_with="nothing",
    ),
    "audit": Command(lambda _, out: ["affect_data", "audit", out / "dataset", "--workers", "2"]),
    "balance": Command(lambda _, out: ["affect_data", "balance", out / "dataset", "deng2020_expression", "--seed", "1"]),
    "folds": Command(lambda _, out: ["affect_data", "folds", out / "dataset", "--name", "cv"]),
    "apply": Command(lambda given, out: ["affect_data", "review", "apply", given.folder / "decisions.jsonl", out / "dataset"]),
    "undo": Command(lambda _, out: ["affect_data", "review", "undo", out / "dataset"], starts_with="corrected"),
    "label": Command(lambda given, out: ["affect_train", "label", given.run, out / "dataset", "--name", "t"]),
    "features": Command(lambda given, out: ["affect_train", "features", given.run, out / "dataset", "--name", "f"]),
    "train": Command(
        lambda given, out: ["affect_train", given.folder / "train.yaml", f"dataset={given.dataset}", f"output={out / 'run'}"],
        starts_with="nothing",
        ends_with="run/final/*",
    ),
}  # fmt: skip

ONCE = {"undo"}
"""Commands that do their work each time they are run: once they have done it, there is nothing to run again."""


@dataclass(frozen=True)
class Try:
    """A kill at one moment of one command, and what came of it.

    Attributes:
        command: its name.
        moment: seconds after its start.
        was_late: whether the command had ended before.
        complaints: what is wrong.
    """

    command: str
    moment: float
    was_late: bool = False
    complaints: tuple[str, ...] = ()


class Torture:
    """Commands, their inputs, and what they end with if they are not killed.

    Args:
        folder: new, for all files.
        names: of the commands.
    """

    def __init__(self, folder: Path, names: Sequence[str] = tuple(COMMANDS)) -> None:
        self.given = make_inputs(folder)
        self._write_decisions()
        self._seconds: dict[str, float] = {}
        self._wanted: dict[str, dict[str, str]] = {}
        for name in names:
            with tempfile.TemporaryDirectory(dir=folder) as out:
                self._prepare(name, Path(out))
                began = time.monotonic()
                self._run(name, Path(out))
                self._seconds[name] = time.monotonic() - began
                self._wanted[name] = _content(Path(out), name)

    def kill(self, name: str, share: float) -> Try:
        """Kills a command after a share of the time that it takes, then lets it end; earlier, where it had ended."""
        moment = share * self._seconds[name]
        with tempfile.TemporaryDirectory(dir=self.given.folder) as folder:
            out = Path(folder)
            before = self._prepare(name, out)
            process = start(["-m", *COMMANDS[name].words(self.given, out)], output=Path(os.devnull))
            process.join(moment)
            if process.exitcode is not None:
                return (
                    replace(self.kill(name, share / 2), was_late=True)
                    if share > 1e-3
                    else Try(name, moment, was_late=True)
                )
            assert process.pid
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:  # it leads no group of processes yet
                process.kill()
            process.join()
            return Try(name, moment, complaints=tuple(self._complaints(name, out, before)))

    def _complaints(self, name: str, out: Path, before: str) -> list[str]:
        found = []
        done = name in ONCE and _content(out, name) == self._wanted[name]
        if COMMANDS[name].starts_with != "nothing":
            try:
                now = _labels(out / "dataset")
            except Exception as error:  # whatever it is, the dataset cannot be read
                return [f"what was there cannot be read: {error}"]
            if name not in {"apply", "undo"} and now != before:
                found.append("the labels that were there are others")
        try:
            if not done:
                self._run(name, out)
        except AssertionError as error:
            return [*found, f"it does not go on: {error}"]
        got, wanted = _content(out, name), self._wanted[name]
        different = sorted(path for path in got.keys() | wanted.keys() if got.get(path) != wanted.get(path))
        return [*found, f"other bytes: {', '.join(different)}"] if different else found

    def _prepare(self, name: str, out: Path) -> str:
        """Makes what the command starts with; returns the hash of its labels."""
        starts = COMMANDS[name].starts_with
        if starts == "nothing":
            return ""
        shutil.copytree(self.given.dataset, out / "dataset")
        if starts == "corrected":
            self._run("apply", out)
        return _labels(out / "dataset")

    def _run(self, name: str, out: Path) -> None:
        done = run_python(["-m", *COMMANDS[name].words(self.given, out)])
        # An audit ends with 1 where it found an error.
        assert done.returncode in ((0, 1) if name == "audit" else (0,)), done.stderr

    def _write_decisions(self) -> None:
        dataset = open_dataset(self.given.dataset)
        rows = dataset.labels("train").head(20)
        decisions = [
            Decision(
                id=f"{number:032x}",
                uid=row["uid"],
                split="train",
                image_digest=row["image_digest"],
                face=row["face"],
                database="expw",
                dataset=dataset.fingerprint,
                action="mask",
                old=Labels(expression=EXPRESSIONS[row["expression"]]),
                new=Labels(expression=None),
                who="nobody",
                when="2020-01-01T00:00:00+00:00",
            )
            for number, row in enumerate(rows.iter_rows(named=True))
            if row["expression_mask"]
        ]
        lines = "".join(decision.to_line() for decision in decisions)
        (self.given.folder / "decisions.jsonl").write_text(lines, encoding="utf-8")


def _content(out: Path, name: str) -> dict[str, str]:
    """Hashes of the files that a command ends with; times that it wrote down do not count."""
    files = [path for path in sorted(out.glob(COMMANDS[name].ends_with)) if path.is_file()]
    return {str(path.relative_to(out)): hashlib.sha256(_timeless(path)).hexdigest() for path in files}


def _timeless(path: Path) -> bytes:
    if path.suffix != ".json":
        return path.read_bytes()
    return json.dumps(_without_times(json.loads(path.read_text(encoding="utf-8"))), sort_keys=True).encode()


def _without_times(value: object) -> object:
    if isinstance(value, dict):
        return {key: _without_times(inner) for key, inner in value.items() if key not in {"created", "when", "seconds"}}
    return [_without_times(inner) for inner in value] if isinstance(value, list) else value


def _labels(dataset: Path) -> str:
    """A hash over all labels; reads every picture too."""
    folder = open_dataset(dataset)
    hashed = hashlib.sha256()
    for split in folder.splits:
        hashed.update(str(folder.labels(split).rows()).encode())
        for row in folder.load(split, ("images",)).with_format("arrow"):
            hashed.update(str(row["image"][0].as_py()).encode())
    return hashed.hexdigest()


def torture(folder: Path, tries: int, seed: int, names: Sequence[str] = tuple(COMMANDS)) -> list[Try]:
    """What came of kills at random moments, spread over the commands."""
    rng, tortured = random.Random(seed), Torture(folder, names)
    return [tortured.kill(names[number % len(names)], rng.uniform(0, 1)) for number in range(tries)]


def table(tried: Sequence[Try]) -> str:
    """Markdown: by command how often it was killed, and how often nothing was lost."""
    lines = ["| command | killed | nothing lost | moment of half the kills, s |", "|---|---|---|---|"]
    for name in dict.fromkeys(one.command for one in tried):
        own = [one for one in tried if one.command == name]
        good = sum(not one.complaints for one in own)
        lines.append(f"| {name} | {len(own)} | {good} | {median(one.moment for one in own):.2f} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Prints a line for every try that went wrong, and a table; ends with 1 where there was one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tries", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--command", action="append", choices=list(COMMANDS), help="only this one; may be repeated")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        tried = torture(Path(folder), options.tries, options.seed, options.command or list(COMMANDS))
    wrong = [one for one in tried if one.complaints]
    for one in wrong:
        sys.stdout.write(f"{one.command} at {one.moment:.3f} s: {'; '.join(one.complaints)}\n")
    sys.stdout.write(table(tried))
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
