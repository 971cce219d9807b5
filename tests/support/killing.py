"""Kills real commands at random moments.

A command and its processes get SIGKILL. What was there before must be readable at once, and the same command, started again, must end with the bytes
of one that nobody killed.
"""

import hashlib
import json
import os
import random
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from format_1 import as_format_1
from interrupting import Inputs, make_inputs
from loopback_hub import Account, LoopbackHub
from python_processes import run_python, start

from affect_data.corrections.decisions import Decision, Labels
from affect_data.dataset.folder import open_dataset
from affect_data.vocabulary import EXPRESSIONS

Words = Callable[[Inputs, Path], list[object]]
"""The words of a command, the module first, that works in a folder of its own."""

PATIENCE = 300.0
"""Seconds within which what a kill waits for must come."""

PUBLISH = """
import os, sys
from huggingface_hub import constants

constants.ENDPOINT, constants.HF_HUB_OFFLINE = open(sys.argv[1]).read(), False
os.environ["HF_TOKEN"] = "hf_writer"
sys.argv = ["affect-data", *sys.argv[2:]]
from affect_data.__main__ import main

main()
"""
"""The command line, which talks to the Hub whose address is in a file."""

STUDY = {
    "title": "Killed",
    "seeds": [0, 1],
    "steps": {
        "teacher": {
            "run": "affect-train train {recipes}/train.yaml dataset={recipes}/dataset output={run}/teacher seed={seed} "
            "training.epochs=1 batches.workers=0"
        }
    },
    "scores": {"teacher": {"run": "affect-train evaluate {run}/teacher {recipes}/dataset --split train"}},
    "metrics": {"F1": "splits.train.overall.expression.macro_f1"},
    "claims": [{"claim": "it learns", "better": "teacher", "above": 0}],
}


@dataclass(frozen=True)
class Command:
    """A command that is killed.

    Attributes:
        words: from the inputs and its folder.
        starts_with: what lies in its folder before: a dataset, one with applied decisions, one of format 1, parts of a build, or nothing.
        ends_with: globs of the files that must be equal.
        publishes: whether the files of a Hub must be equal too.
        waits_for: glob of what must be there when a moment is chosen; empty where any moment will do.
        is_slow: whether it takes many seconds.
    """

    words: Words
    starts_with: str = "dataset"
    ends_with: tuple[str, ...] = ("dataset/**/*",)
    publishes: bool = False
    waits_for: str = ""
    is_slow: bool = False


def _build(given: Inputs, out: Path, workers: int) -> list[object]:
    recipe = given.folder / "data.yaml"
    return ["affect_data", "build", recipe, out / "dataset", "--roots", given.databases, "--workers", workers]


def _train(given: Inputs, out: Path, *settings: str) -> list[object]:
    return ["affect_train", given.folder / "train.yaml", f"dataset={given.dataset}", f"output={out / 'run'}", *settings]


COMMANDS: dict[str, Command] = {
    "build": Command(lambda given, out: _build(given, out, 1), starts_with="nothing"),
    "build --workers 2": Command(lambda given, out: _build(given, out, 2), starts_with="nothing", is_slow=True),
    "build --part": Command(
        lambda given, out: [*_build(given, out, 1), "--part", "1/1"],
        starts_with="nothing",
        ends_with=(".dataset.parts/labels/*/*", ".dataset.parts/shards/*/*/*/*"),
        is_slow=True,
    ),
    "build --finish": Command(
        lambda given, out: [*_build(given, out, 1), "--finish"], starts_with="parts", is_slow=True
    ),
    "upgrade": Command(lambda _, out: ["affect_data", "upgrade", out / "dataset"], starts_with="format 1"),
    "audit": Command(lambda _, out: ["affect_data", "audit", out / "dataset", "--workers", "2"]),
    "balance": Command(lambda _, out: ["affect_data", "balance", out / "dataset", "deng2020_expression", "--seed", "1"]),
    "align": Command(
        lambda _, out: ["affect_data", "align", out / "dataset", "--workers", "2", "--crops", "loose-1.3"], is_slow=True
    ),
    "folds": Command(lambda _, out: ["affect_data", "folds", out / "dataset", "--name", "cv"]),
    "review apply": Command(lambda given, out: ["affect_data", "review", "apply", given.folder / "decisions.jsonl", out / "dataset"]),
    "review undo": Command(lambda _, out: ["affect_data", "review", "undo", out / "dataset"], starts_with="corrected"),
    "label": Command(lambda given, out: ["affect_train", "label", given.run, out / "dataset", "--name", "t"]),
    "features": Command(lambda given, out: ["affect_train", "features", given.run, out / "dataset", "--name", "f"]),
    "train": Command(
        lambda given, out: _train(given, out, "training.epochs=2", "batches.workers=0"),
        starts_with="nothing",
        ends_with=("run/model/*", "run/checkpoints/*/*"),
    ),
    "train, in a save": Command(
        lambda given, out: _train(given, out, "training.epochs=2", "training.save_every_steps=1"),
        starts_with="nothing",
        ends_with=("run/model/*", "run/checkpoints/*/*"),
        waits_for="run/checkpoints/.step-*",
        is_slow=True,
    ),
    "study": Command(
        lambda given, out: ["affect_train", "study", given.folder / "killed.yaml", out / "study", "--workers", "2"],
        starts_with="nothing",
        ends_with=("study/study.json", "study/seed*/teacher/model/*"),
        is_slow=True,
    ),
    "demo": Command(
        lambda _, out: ["affect_data", "demo", out / "demo", "--databases", "expw", "--faces", "40"],
        starts_with="nothing",
        ends_with=("demo/**/*",),
    ),
    "publish": Command(
        lambda _, out: ["-c", PUBLISH, out / "hub", "publish", out / "dataset", "anna/faces", "--tier", "full"],
        ends_with=(),
        publishes=True,
    ),
}  # fmt: skip

QUICK = tuple(name for name, command in COMMANDS.items() if not command.is_slow)

CHANGES_LABELS = {"review apply", "review undo"}
ONCE = {"review undo", "demo"}
"""Commands that do their work each time they are run: once they have done it, there is nothing to run again."""


@dataclass(frozen=True)
class Try:
    """A kill at one moment of one command, and what came of it.

    Attributes:
        command: its name.
        moment: seconds after its start, or after what it waits for came.
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
        (folder / "killed.yaml").write_text(json.dumps(STUDY), encoding="utf-8")
        self._write_decisions()
        self._hubs: dict[Path, LoopbackHub] = {}
        self._seconds: dict[str, float] = {}
        self._wanted: dict[str, dict[str, str]] = {}
        for name in names:
            with self._folder() as out:
                self._prepare(name, out)
                began = time.monotonic()
                self._run(name, out)
                self._seconds[name] = time.monotonic() - began
                self._wanted[name] = self._content(out, name)
                assert self._wanted[name], f"{name} ends with no file"

    def kill(self, name: str, share: float) -> Try:
        """Kills a command after a share of the time that it takes, then lets it end; earlier, where it had ended."""
        moment = share * self._seconds[name]
        with self._folder() as out:
            before = self._prepare(name, out)
            process = start(self._command(name, out), output=Path(os.devnull))
            process.join(moment)
            until = time.monotonic() + PATIENCE
            if COMMANDS[name].waits_for:
                while not any(out.glob(COMMANDS[name].waits_for)) and process.is_alive() and time.monotonic() < until:
                    time.sleep(0.0005)
            if process.exitcode is not None:
                earlier = share > 1e-3
                return (
                    replace(self.kill(name, share / 2), was_late=True) if earlier else Try(name, moment, was_late=True)
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
        done = name in ONCE and self._content(out, name) == self._wanted[name]
        if COMMANDS[name].starts_with not in ("nothing", "parts"):
            try:
                now = _state(out / "dataset")
            except Exception as error:  # whatever it is, the dataset cannot be read
                return [f"what was there cannot be read: {error}"]
            if name not in CHANGES_LABELS and now != before:
                found.append("the labels that were there are others")
        try:
            if not done:
                self._run(name, out)
        except AssertionError as error:
            return [*found, f"it does not go on: {error}"]
        got, wanted = self._content(out, name), self._wanted[name]
        different = sorted(path for path in got.keys() | wanted.keys() if got.get(path) != wanted.get(path))
        return [*found, f"other bytes: {', '.join(different)}"] if different else found

    @contextmanager
    def _folder(self) -> Iterator[Path]:
        """A new folder for a command, in which the file ``hub`` names a Hub of its own."""
        with (
            tempfile.TemporaryDirectory(dir=self.given.folder) as folder,
            LoopbackHub({"hf_writer": Account("anna", writes=True)}) as hub,
        ):
            out = Path(folder)
            (out / "hub").write_text(hub.endpoint, encoding="utf-8")
            self._hubs[out] = hub
            yield out
            del self._hubs[out]

    def _command(self, name: str, out: Path) -> list[object]:
        words = COMMANDS[name].words(self.given, out)
        return words if words[0] == "-c" else ["-m", *words]

    def _content(self, out: Path, name: str) -> dict[str, str]:
        """Hashes of the files that a command ends with; times that it wrote down do not count."""
        paths = {path for pattern in COMMANDS[name].ends_with for path in out.glob(pattern)}
        # A lock that nobody holds says nothing, and what a build remembers are times of files.
        files = sorted(path for path in paths if path.is_file() and not {".lock", ".seen"} & set(path.parts))
        found = {str(path.relative_to(out)): hashlib.sha256(_timeless(path)).hexdigest() for path in files}
        if COMMANDS[name].publishes:
            for repository in self._hubs[out].repositories.values():
                found |= {f"hf://{path}": file.sha256 for path, file in repository.files.items()}
        return found

    def _prepare(self, name: str, out: Path) -> str:
        """Makes what the command starts with; returns the hash of its labels."""
        starts = COMMANDS[name].starts_with
        if starts == "parts":
            for part in ("1/2", "2/2"):
                done = run_python(["-m", *_build(self.given, out, 1), "--part", part])
                assert done.returncode == 0, done.stderr
        if starts in ("nothing", "parts"):
            return ""
        if starts == "format 1":
            as_format_1(open_dataset(self.given.dataset), out / "dataset")
            return _state(self.given.dataset)
        shutil.copytree(self.given.dataset, out / "dataset")
        if starts == "corrected":
            self._run("review apply", out)
        return _state(out / "dataset")

    def _run(self, name: str, out: Path) -> None:
        done = run_python(self._command(name, out))
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


def _timeless(path: Path) -> bytes:
    if path.suffix != ".json":
        return path.read_bytes()
    return json.dumps(_without_times(json.loads(path.read_text(encoding="utf-8"))), sort_keys=True).encode()


def _without_times(value: object) -> object:
    if isinstance(value, dict):
        return {key: _without_times(inner) for key, inner in value.items() if key not in {"created", "when", "seconds"}}
    return [_without_times(inner) for inner in value] if isinstance(value, list) else value


def _state(dataset: Path) -> str:
    """A hash over all labels and pictures, whatever format they are stored in."""
    path = dataset if dataset.exists() else dataset.with_name(f".{dataset.name}.old")
    if json.loads((path / "dataset.json").read_text(encoding="utf-8"))["format_version"] == 1:
        # Only this affectkit's upgrade reads it; a second one beside it must give what a first one does.
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(shutil.copytree(path, Path(folder) / "dataset"))
            done = run_python(["-m", "affect_data", "upgrade", copy])
            assert done.returncode == 0, done.stderr
            return _state(copy)
    folder_of = open_dataset(path)
    hashed = hashlib.sha256()
    for split in folder_of.splits:
        hashed.update(str(folder_of.labels(split).rows()).encode())
        for row in folder_of.load(split, ("images",)).with_format("arrow"):
            hashed.update(str(row["image"][0].as_py()).encode())
    return hashed.hexdigest()


def torture(
    folder: Path, tries: int, seed: int, names: Sequence[str] = tuple(COMMANDS), at_once: int = 1
) -> Iterator[Try]:
    """What came of kills at random moments, spread over the commands.

    Args:
        folder: new, for all files.
        tries: kills.
        seed: of the moments.
        names: of the commands.
        at_once: kills at a time.
    """
    rng, tortured = random.Random(seed), Torture(folder, names)
    planned = [(names[number % len(names)], rng.uniform(0, 1)) for number in range(tries)]
    with ThreadPoolExecutor(at_once) as pool:
        yield from pool.map(lambda one: tortured.kill(*one), planned)
