"""Sends Ctrl-C at random moments of real commands.

A moment is counted from the first one at which the command itself takes Ctrl-C; before it the interpreter starts. Half of the commands start as a
user's do and are interrupted while they import, half are forked from a server that has imported everything and are interrupted anywhere.
"""

import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from subprocess import DEVNULL, Popen

from python_processes import run_python, start

from affect_data.interrupts import MESSAGE, STATUS

LIMIT = 5.0
"""Seconds in which a command has to end."""

PATIENCE = 300.0
"""Seconds within which a command must have come as far as it is to be interrupted."""

REPOSITORY = Path(__file__).parents[2]
FACES = 60

# The second argument names a file that is made as soon as the command takes Ctrl-C; the rest is as after `python -m`.
COMMAND = """
import runpy, signal, sys, threading, time
from pathlib import Path

def tell(ready):
    while signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        time.sleep(0.0005)
    ready.touch()

ready, module, *arguments = sys.argv[1:]
threading.Thread(target=tell, args=(Path(ready),), daemon=True).start()
sys.argv = [module, *arguments]
runpy.run_module(module, run_name="__main__", alter_sys=True)
"""

TINY = {
    "model_type": "vit",
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "patch_size": 8,
}

STUDY = {
    "title": "Interrupted",
    "seeds": [0, 1],
    "steps": {
        "databases": {
            "run": f"affect-data demo {{run}}/databases --databases expw --faces {FACES} --seed {{seed}} --workers 2"
        },
        "dataset": {"run": "affect-data build {recipes}/data.yaml {run}/dataset --roots {run}/databases"},
        "teacher": {
            "run": "affect-train train {recipes}/train.yaml dataset={run}/dataset output={run}/teacher seed={seed}"
        },
    },
    "scores": {"teacher": {"run": "affect-train evaluate {run}/teacher {run}/dataset --split train"}},
    "metrics": {"F1": "splits.train.overall.expression.macro_f1"},
    "claims": [{"claim": "it learns", "better": "teacher", "above": 0}],
}


@dataclass(frozen=True)
class Inputs:
    """Small inputs that the commands read, made once."""

    folder: Path

    @property
    def databases(self) -> Path:
        return self.folder / "databases"

    @property
    def dataset(self) -> Path:
        return self.folder / "dataset"

    @property
    def run(self) -> Path:
        return self.folder / "run"


@dataclass(frozen=True)
class Try:
    """A Ctrl-C at one moment of one command, and what came of it."""

    command: str
    forked: bool
    moment: float
    status: int | None = None
    seconds: float = 0.0
    log: str = ""
    left: int = 0

    @property
    def was_late(self) -> bool:
        """Whether the command had ended before, or was done, and only the interpreter's own end was left.

        What the interpreter unloads last are the handlers of signals: then a Ctrl-C just kills it, which a shell shows as 130 too.
        """
        was_done = self.status in (0, -signal.SIGINT) and self.seconds < 0.5 and not self.log
        return self.seconds < 0 or (was_done and self.command not in SERVE)

    def complaints(self) -> list[str]:
        """What is wrong with how the command ended."""
        found = []
        serves = self.command in SERVE and self.status == 0
        if self.status != STATUS and not serves:
            found.append(f"status {self.status}")
        if self.seconds > LIMIT:
            found.append(f"{self.seconds:.1f} s")
        lines = [line for line in self.log.splitlines() if line.strip()]
        if not serves and (sum(MESSAGE in line for line in lines) != 1 or lines[-1] != MESSAGE):
            found.append("not one line, the last")
        if "Traceback" in self.log or "Exception" in self.log or "leaked" in self.log:
            found.append("a traceback")
        if self.left:
            found.append(f"{self.left} processes left")
        return found

    def described(self) -> str:
        """What is wrong, with the moment and what the command said."""
        way = "forked" if self.forked else "started"
        return f"{self.command}, {way}, Ctrl-C at {self.moment:.3f} s: {', '.join(self.complaints())}\n{self.log}"


SERVE = ("review", "view")
"""Commands that run until Ctrl-C, and then end as they should."""

Words = Callable[[Inputs, Path], list[object]]
"""The words of a command, the module first, that reads the inputs and writes to a new folder."""

COMMANDS: dict[str, Words] = {
    "build": lambda given, out: ["affect_data", "build", given.folder / "data.yaml", out / "d", "--roots", given.databases],
    "audit": lambda given, out: ["affect_data", "audit", _copy(given.dataset, out), "--workers", "2"],
    "align": lambda given, out: ["affect_data", "align", _copy(given.dataset, out), "--workers", "2"],
    "demo": lambda given, out: ["affect_data", "demo", out / "demo", "--faces", "200", "--workers", "2"],
    "whole demo": lambda given, out: ["affect_train", "demo", out / "demo", "training.max_steps=2", "--faces", "120"],
    "study": lambda given, out: ["affect_train", "study", given.folder / "study.yaml", out / "study", "--workers", "2"],
    "train": lambda given, out: ["affect_train", given.folder / "train.yaml", f"dataset={given.dataset}", f"output={out / 'run'}"],
    "label": lambda given, out: ["affect_train", "label", given.run, _copy(given.dataset, out), "--name", "t", "--workers", "1"],
    "review": lambda given, out: ["affect_data", "review", given.dataset, "--uids", given.folder / "uids.txt", "--decisions", out / "d.jsonl"],
    "view": lambda given, out: ["affect_data", "view", given.dataset, "--decisions", out / "d.jsonl"],
}  # fmt: skip

COMMANDS["study, in its first training"] = COMMANDS["study"]

LENGTHS = {
    "build": 4.0, "audit": 6.0, "align": 6.0, "demo": 4.0, "whole demo": 12.0, "study": 14.0, "train": 5.0, "label": 4.0, "review": 2.0, "view": 2.0,
    "study, in its first training": 2.0,
}  # fmt: skip
"""Seconds of each command within which it is interrupted, where everything is imported."""

WAITS_FOR = {"study, in its first training": "out/study/seed*/teacher"}
"""Globs of what must be there before the seconds count; such a command is always forked."""

IMPORTS = 4.0
"""Seconds within which a command is interrupted that a user starts."""


def make_inputs(folder: Path) -> Inputs:
    """Databases, a dataset, a run and the files that name them, in a new folder."""
    given = Inputs(folder)
    (folder / "data.yaml").write_text("databases: {expw: {}}\nworkers: 2\nshard_rows: 8\n", encoding="utf-8")
    recipe = {
        "dataset": "named by the command",
        "output": "named by the command",
        "tasks": {"expression": "aff_wild2_7"},
        "model": {"backbone": TINY, "image_size": 32},
        "batches": {"size": 8, "workers": 1},
        "training": {"epochs": 8, "validation_split": None, "log_every": 1, "save_every_steps": 2},
    }
    (folder / "train.yaml").write_text(json.dumps(recipe), encoding="utf-8")
    (folder / "study.yaml").write_text(json.dumps(STUDY), encoding="utf-8")
    for words in (
        ["affect_data", "demo", given.databases, "--databases", "expw", "--faces", FACES],
        ["affect_data", "build", folder / "data.yaml", given.dataset, "--roots", given.databases, "--workers", "1"],
        ["affect_train", folder / "train.yaml", f"dataset={given.dataset}", f"output={given.run}", "training.max_steps=2", "batches.workers=0"],
    ):  # fmt: skip
        done = run_python(["-m", *words])
        assert done.returncode == 0, done.stderr
    from affect_data.dataset.folder import open_dataset

    uids = open_dataset(given.dataset).labels("train")["uid"]
    (folder / "uids.txt").write_text("\n".join(uids.head(5)) + "\n", encoding="utf-8")
    return given


def moments(tries: int, seed: int, names: Sequence[str] = tuple(COMMANDS)) -> list[Try]:
    """Random moments, spread over the commands and both ways to start them."""
    rng = random.Random(seed)
    planned = []
    for number in range(tries):
        name = names[number % len(names)]
        forked = number // len(names) % 2 == 0 or name in WAITS_FOR
        planned.append(Try(name, forked, rng.uniform(0, LENGTHS[name] if forked else IMPORTS)))
    return planned


def interrupt(given: Inputs, planned: Try) -> Try:
    """Starts the command anew and interrupts its process group at the moment, at half of it where the command had ended before."""
    with tempfile.TemporaryDirectory(dir=given.folder) as name:
        found = _interrupted(given, planned, Path(name))
    return interrupt(given, replace(planned, moment=planned.moment / 2)) if found.was_late else found


def _interrupted(given: Inputs, planned: Try, folder: Path) -> Try:
    ready, mark, outputs = folder / "ready", str(uuid.uuid4()), folder / "outputs"
    outputs.mkdir()
    (folder / "out").mkdir()
    words = ["-c", COMMAND, str(ready), *map(str, COMMANDS[planned.command](given, folder / "out"))]
    command = _Forked(words, mark, outputs) if planned.forked else _Started(words, mark, outputs)
    until = time.monotonic() + PATIENCE
    while not ready.exists():
        assert time.monotonic() < until, "the command does not start"
        time.sleep(0.0005)
    while (glob := WAITS_FOR.get(planned.command)) and not any(folder.glob(glob)) and command.ended(0) is None:
        assert time.monotonic() < until, f"{glob} does not come"
        time.sleep(0.002)
    time.sleep(planned.moment)
    if command.ended(0) is not None:
        return replace(planned, seconds=-1.0)
    began = time.monotonic()
    os.killpg(command.pid, signal.SIGINT)
    status = command.ended(4 * LIMIT)
    seconds = time.monotonic() - began
    left = _left(mark, command.pid)
    for process in left:
        os.kill(process, signal.SIGKILL)
    command.ended(LIMIT)
    log = (outputs / "stderr").read_text(encoding="utf-8")
    return replace(planned, status=status, seconds=seconds, log=log, left=len(left))


class _Forked:
    def __init__(self, words: list[str], mark: str, outputs: Path) -> None:
        self._process = start(words, {"INTERRUPTED": mark}, outputs)
        self.pid = self._process.pid or 0

    def ended(self, seconds: float) -> int | None:
        self._process.join(seconds)
        return self._process.exitcode


class _Started:
    def __init__(self, words: list[str], mark: str, outputs: Path) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "INTERRUPTED": mark, "PYTHONPATH": str(REPOSITORY)}
        with (outputs / "stderr").open("w") as log:
            command = [sys.executable, *words]
            self._process = Popen(
                command, env=environment, stdout=DEVNULL, stderr=log, stdin=DEVNULL, start_new_session=True
            )
        self.pid = self._process.pid

    def ended(self, seconds: float) -> int | None:
        until = time.monotonic() + seconds
        while self._process.poll() is None and time.monotonic() < until:
            time.sleep(0.005)
        return self._process.poll()


def _left(mark: str, group: int) -> list[int]:
    """Processes of a command that are still there a little after its end."""
    until = time.monotonic() + 2
    while (
        found := [process for process in _processes() if _belongs(process, mark, group)]
    ) and time.monotonic() < until:
        time.sleep(0.02)
    return found


def _processes() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal()]


def _belongs(process: int, mark: str, group: int) -> bool:
    try:
        state, _, its_group, session = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[:4]
        marked = mark.encode() in Path(f"/proc/{process}/environ").read_bytes()
    except (OSError, ValueError):
        return False
    return state != "Z" and (marked or group in (int(its_group), int(session)))


def _copy(dataset: Path, out: Path) -> Path:
    return Path(shutil.copytree(dataset, out / "dataset"))


def interrupt_all(given: Inputs, planned: Sequence[Try], at_once: int = 2) -> Iterator[Try]:
    """What came of all of them, some at a time."""
    with ThreadPoolExecutor(at_once) as pool:
        yield from pool.map(lambda one: interrupt(given, one), planned)
