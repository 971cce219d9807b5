"""Runs the chains of a study, some seeds at a time; what was done is not done again."""

import io
import json
import multiprocessing
import os
import statistics
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, TextIO

from affect_data.bounds import read_json
from affect_data.errors import AffectError, DataError, UsageError
from affect_data.files import exclusive, write_json
from affect_train.study.claims import Figures, findings
from affect_train.study.description import SHARED, Command, Study

RESULT = "study.json"

RunCommand = Callable[[Sequence[str]], object]
"""Runs a command, program first, in this process; gives its exit status, or None for 0."""


class StepFailedError(DataError):
    """A command of a study ended with an error."""

    def __init__(self, command: str, because: str, log: Path) -> None:
        super().__init__(f"`{command}` failed: {because}. Its log is {log}; the same study goes on from there")

    def __reduce__(self) -> tuple[Any, ...]:
        # Made in one process, raised in another.
        return _failed, (str(self),)


def _failed(message: str) -> "StepFailedError":
    error = StepFailedError.__new__(StepFailedError)
    Exception.__init__(error, message)
    return error


def run_study(study: Study, recipes: Path, out: Path, run: RunCommand, workers: int = 1) -> dict[str, Any]:
    """Runs every seed's chain and writes ``study.json``: figures, findings, seconds.

    Args:
        study: a validated study.
        recipes: the folder of the study file; {recipes} in the commands.
        out: folder of the study; one that was interrupted is gone on with.
        run: runs a command in the process that calls it; a function of a module, because other processes look it up by its name.
        workers: chains at a time, each on its share of the processor's cores.

    Raises:
        DataError: the same folder's study is running.
        StepFailedError: a command failed; the other chains end first.
        UsageError: the folder holds a study of other commands.
    """
    threads = max(1, (os.cpu_count() or 1) // workers)
    chains = [(study, recipes, out, seed, run) for seed in study.seeds]
    results: dict[int, dict[str, Any]] = {}
    failures: list[AffectError] = []
    context = multiprocessing.get_context("spawn")
    with (
        exclusive(out),
        _threads_of_children(threads),
        ProcessPoolExecutor(workers, context, _end_with_parent) as pool,
    ):
        pool.submit(_run_shared, study, recipes, out, run).result()
        for future in as_completed([pool.submit(_run_chain, *chain) for chain in chains]):
            try:
                result = future.result()
            except AffectError as error:
                failures.append(error)
            else:
                results[result["seed"]] = result
    if failures:
        raise failures[0]
    document = _document(study, [results[seed] for seed in study.seeds])
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
    }


def _end_with_parent() -> None:
    """Ends this process as soon as the one that started it is gone, so that no chain goes on beside that of a study that is started again."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_exit_after, args=(parent,), daemon=True).start()


def _exit_after(process: BaseProcess) -> None:
    process.join()
    os._exit(1)


def _run_shared(study: Study, recipes: Path, out: Path, run: RunCommand) -> None:
    for command in study.shared_commands(out, recipes):
        _run_once(command, out / SHARED, run)


def _run_chain(study: Study, recipes: Path, out: Path, seed: int, run: RunCommand) -> dict[str, Any]:
    """One seed: its commands one after the other, in this process, so that libraries are loaded once."""
    printed: dict[str, list[Any]] = {}
    seconds: dict[str, float] = {}
    for command in study.commands(out, recipes, seed):
        done = _run_once(command, out / f"seed{seed}", run)
        seconds[command.label] = done["seconds"]
        if command.is_score:
            printed.setdefault(command.name, []).append(done["printed"])
    scored = {
        score: _mean_figures([_figures(document, study.metrics) for document in documents])
        for score, documents in printed.items()
    }
    return {"seed": seed, "figures": scored, "seconds": seconds}


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
    began = time.monotonic()
    with log.open("a", encoding="utf-8") as sink:
        output = _run_command(command.words, sink, log, run)
    done = {"command": line, "seconds": round(time.monotonic() - began, 1)}
    if command.is_score:
        done["printed"] = json.loads(output)
    write_json(marker, done)
    sys.stderr.write(f"{folder.name}: {command.label} {done['seconds']:.0f} s\n")
    return done


def _run_command(words: Sequence[str], log: TextIO, path: Path, run: RunCommand) -> str:
    """What a command prints on stdout; everything else goes to its log."""
    printed = io.StringIO()
    log.write(f"$ {' '.join(words)}\n")
    try:
        with redirect_stdout(printed), redirect_stderr(log):
            status = run(words)
    except AffectError as error:
        raise StepFailedError(" ".join(words), str(error), path) from None
    except Exception as error:  # a bug of a command should not lose the other chains
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
    """Lets processes that start meanwhile use so many threads, where the environment does not say it already."""
    names = [name for name in ("OMP_NUM_THREADS", "POLARS_MAX_THREADS") if name not in os.environ]
    os.environ.update(dict.fromkeys(names, str(threads)))
    try:
        yield
    finally:
        for name in names:
            del os.environ[name]
