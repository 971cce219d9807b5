"""Runs the chains of a study, some seeds at a time; finished commands are not run again."""

import importlib
import io
import json
import os
import statistics
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from functools import partial
from pathlib import Path
from typing import Any, TextIO

from affect_data.bounds import read_json
from affect_data.errors import AffectError, DataError, UsageError
from affect_data.files import exclusive, write_json
from affect_data.processes import ProcessEndedError, WorkerProcesses, in_own_process
from affect_train.study.claims import Figures, findings
from affect_train.study.description import SHARED, Command, Study
from affect_train.study.origin import commit, note_start

RESULT = "study.json"

LIBRARIES = (
    "affect_train.cli.app",
    "affect_train.evaluation.evaluate",
    "affect_train.labelling.label",
    "affect_train.training.loop",
    "datasets.packaged_modules",
    "pandas",
    "torch.utils.tensorboard",
    "transformers.models.vit.modeling_vit",
)
"""Libraries that a chain imports once for the processes of its commands: the import takes longer than many a command."""

RunCommand = Callable[[Sequence[str]], object]
"""From a command, program first, to its exit status, None for 0; the command runs in this process."""


class StepFailedError(DataError):
    """A command of a study ended with an error."""

    def __init__(self, command: str, because: str, log: Path) -> None:
        super().__init__(f"`{command}` failed: {because}. Its log is {log}; the same study goes on from there")


def run_study(study: Study, recipes: Path, out: Path, run: RunCommand, workers: int = 1) -> dict[str, Any]:
    """Figures, findings and seconds of a study, as written to ``study.json``; runs the chain of every seed.

    Args:
        study: a validated study.
        recipes: the folder of the study file; {recipes} in the commands.
        out: folder of the study; an interrupted study goes on.
        run: runs a command in the calling process; it must be a function of a module, because other processes look it up by name.
        workers: how many chains run at a time, each on its share of the processor's cores.

    Raises:
        DataError: the same folder's study is running.
        StepFailedError: a command failed; raised after the other chains have ended.
        UsageError: the folder holds a study of other commands.
    """
    commands = {seed: study.commands(out, recipes, seed) for seed in study.seeds}
    with _chain_processes(out, workers) as processes:
        start = note_start(study, out)
        list(processes.map(partial(_run_shared, study, recipes, out), [run]))
        notes = _finished(processes, {f"seed{seed}": chain for seed, chain in commands.items()}, out, run)
    results = {seed: _result_of_seed(study, seed, notes[f"seed{seed}"], chain) for seed, chain in commands.items()}
    document = {**_document(study, [results[seed] for seed in study.seeds]), "study": start}
    write_json(out / RESULT, document)
    return document


def _document(study: Study, results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    figures: Figures = {
        score: {result["seed"]: result["figures"][score] for result in results if score in result["figures"]}
        for score in study.scores
    }
    return {
        "title": study.title,
        "seeds": list(study.seeds),
        "variables": study.variables,
        "metrics": list(study.metrics),
        "figures": {score: {str(seed): values for seed, values in seeds.items()} for score, seeds in figures.items()},
        "findings": [finding.to_json() for finding in findings(study, figures)],
        "seconds": {str(result["seed"]): result["seconds"] for result in results},
        "commits": {str(result["seed"]): result["commits"] for result in results},
    }


def _run_shared(study: Study, recipes: Path, out: Path, run: RunCommand) -> None:
    for command in study.shared_commands(out, recipes):
        _run_once(command, out / SHARED, run)


def run_chains(
    chains: Mapping[str, Sequence[Command]], out: Path, run: RunCommand, workers: int = 1
) -> dict[str, dict[str, Any]]:
    """What was noted of every command, by chain and label; runs the commands of each chain one after the other, in ``out/<chain>``.

    Finished commands are not run again.

    Args:
        chains: by name.
        out: their folder.
        run: as for `run_study`.
        workers: how many chains run at a time, each on its share of the processor's cores.

    Raises:
        DataError: somebody else runs chains in this folder.
        StepFailedError: a command failed; raised after the other chains have ended.
        UsageError: the folder holds other commands.
    """
    with _chain_processes(out, workers) as processes:
        return _finished(processes, chains, out, run)


@contextmanager
def _chain_processes(out: Path, workers: int) -> Iterator[WorkerProcesses]:
    """Processes for chains in a folder that nobody else runs chains in."""
    threads = max(1, (os.cpu_count() or 1) // workers)
    with exclusive(out), _threads_of_children(threads), WorkerProcesses(workers, lead_groups=True) as processes:
        yield processes


def _finished(
    processes: WorkerProcesses, chains: Mapping[str, Sequence[Command]], out: Path, run: RunCommand
) -> dict[str, dict[str, Any]]:
    # They come in the order in which they finish.
    found = dict(processes.map(partial(_chain_or_error, out, run), list(chains.items())))
    finished: dict[str, dict[str, Any]] = {}
    for name in chains:
        result = found[name]
        if isinstance(result, AffectError):
            raise result
        finished[name] = result
    return finished


def _chain_or_error(
    out: Path, run: RunCommand, chain: tuple[str, Sequence[Command]]
) -> tuple[str, dict[str, Any] | AffectError]:
    """A chain's name, and what was noted of its commands, or its error, which does not end the other chains."""
    name, commands = chain
    try:
        return name, {command.label: _run_once(command, out / name, run) for command in commands}
    except AffectError as error:
        return name, error


def _result_of_seed(study: Study, seed: int, notes: Mapping[str, Any], commands: Sequence[Command]) -> dict[str, Any]:
    """The figures, seconds and commits of one seed."""
    printed: dict[str, list[Any]] = {}
    for command in commands:
        if command.is_score:
            printed.setdefault(command.name, []).append(notes[command.label]["printed"])
    scored = {
        score: _mean_figures([_figures(document, study.metrics) for document in documents])
        for score, documents in printed.items()
    }
    seconds = {label: note["seconds"] for label, note in notes.items()}
    commits = sorted({note.get("commit", "not recorded") for note in notes.values()})
    return {"seed": seed, "figures": scored, "seconds": seconds, "commits": commits}


def _run_once(command: Command, folder: Path, run: RunCommand) -> dict[str, Any]:
    marker, log = folder / "steps" / f"{command.label}.json", folder / "logs" / f"{command.label}.txt"
    line = " ".join(command.words)
    if marker.exists():
        done: dict[str, Any] = read_json(marker)
        if done["command"] != line:
            raise UsageError(
                f"'{marker}' is of another command: the study has changed since; remove '{folder}', or name another folder"
            )
        return done
    log.parent.mkdir(parents=True, exist_ok=True)
    marker.parent.mkdir(exist_ok=True)
    if command.words[0] == "affect-train":
        _load_libraries()
    began = time.monotonic()
    try:
        output = in_own_process(_run_command, command.words, log, run)
    except ProcessEndedError as error:
        raise StepFailedError(line, str(error), log) from None
    done = {"command": line, "commit": commit(), "seconds": round(time.monotonic() - began, 1)}
    if command.is_score:
        done["printed"] = json.loads(output)
    write_json(marker, done)
    sys.stderr.write(f"{folder.name}: {command.label} {done['seconds']:.0f} s\n")
    return done


def _load_libraries() -> None:
    """Imports the libraries of the commands once for a chain: the processes of its commands are forks of this one."""
    for name in LIBRARIES:
        importlib.import_module(name)


def _run_command(words: Sequence[str], path: Path, run: RunCommand) -> str:
    """The text that a command prints on stdout; all other output, also that of its own processes, goes to its log."""
    with path.open("a", encoding="utf-8") as log:
        for stream in (1, 2):
            os.dup2(log.fileno(), stream)
        return _printed_by(words, log, path, run)


def _printed_by(words: Sequence[str], log: TextIO, path: Path, run: RunCommand) -> str:
    printed = io.StringIO()
    log.write(f"$ {' '.join(words)}\n")
    try:
        with redirect_stdout(printed), redirect_stderr(log):
            status = run(words)
    except AffectError as error:
        raise StepFailedError(" ".join(words), str(error), path) from None
    except Exception as error:  # a bug in one command should not lose the other chains
        log.write(traceback.format_exc())
        raise StepFailedError(" ".join(words), f"{type(error).__name__}: {error}", path) from None
    finally:
        log.write(printed.getvalue())
    if isinstance(status, int) and status:
        raise StepFailedError(" ".join(words), f"status {status}", path)
    return printed.getvalue()


def _figures(document: Any, metrics: Mapping[str, str | Sequence[str]]) -> dict[str, float | None]:  # noqa: ANN401 - JSON
    found: dict[str, float | None] = {}
    for name, paths in metrics.items():
        values = [_figure(document, path) for path in ([paths] if isinstance(paths, str) else paths)]
        known = [value for value in values if value is not None]
        found[name] = statistics.fmean(known) if known else None
    return found


def _figure(document: Any, path: str) -> float | None:  # noqa: ANN401 - JSON
    for key in path.split("."):
        if isinstance(document, list):
            document = document[int(key)] if key.isdecimal() and int(key) < len(document) else None
        else:
            document = document.get(key) if isinstance(document, dict) else None
    return float(document) if isinstance(document, int | float) else None


def _mean_figures(found: Sequence[Mapping[str, float | None]]) -> dict[str, float | None]:
    means: dict[str, float | None] = {}
    for name in found[0]:
        known = [value for figures in found if (value := figures[name]) is not None]
        means[name] = statistics.fmean(known) if known else None
    return means


@contextmanager
def _threads_of_children(threads: int) -> Iterator[None]:
    """Limits the threads of processes that start inside the context, unless the environment already does."""
    names = [name for name in ("OMP_NUM_THREADS", "POLARS_MAX_THREADS") if name not in os.environ]
    os.environ.update(dict.fromkeys(names, str(threads)))
    try:
        yield
    finally:
        for name in names:
            del os.environ[name]
