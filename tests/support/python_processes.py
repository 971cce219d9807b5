"""Python commands in processes of their own, forked from a server that has loaded the libraries, which takes milliseconds instead of seconds.

The server has only imported modules, so a fork of it is like a fresh process. Tests of imports, or of variables that are read at import, need a real
start by `subprocess`.
"""

import multiprocessing
import os
import runpy
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from subprocess import CompletedProcess
from unittest.mock import patch

LOADED = (
    "unflushed",
    "quick_start",
    "affect_data.cli.app",
    "affect_data.report",
    "affect_train.cli.app",
    "affect_train.labelling.cross_label",
    "affect_train.labelling.ensemble",
    "affect_train.evaluation.evaluate",
    "affect_train.labelling.label",
    "affect_train.training.loop",
    "affect_train.labelling.teachers",
    # What a first training imports.
    "datasets.packaged_modules",
    "pandas",
    "tensorboard.summary.writer.record_writer",
    "transformers.models.vit.modeling_vit",
)
MULTI_GPU = str(Path(__file__).parents[2] / "recipes/accelerate/multi_gpu.yaml")
KILLED_AT = """
import os, signal, sys

def killed_at(count, calls=("rename", "fsync", "link", "unlink", "rmdir")):
    left = count
    def counted(real):
        def call(*arguments, **options):
            nonlocal left
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*arguments, **options)
        return call
    for name in calls:
        setattr(os, name, counted(getattr(os, name)))
"""
"""The start of a program whose `killed_at(count)` kills it just before it changes the names of files, or flushes, for the count-th time."""
_FORK_SERVER = multiprocessing.get_context("forkserver")
PATIENCE = 600.0
"""Seconds after which a process is held to hang."""


def loaded_processes() -> ForkServerContext:
    """The context of `multiprocessing` whose processes are forked from the server."""
    _FORK_SERVER.set_forkserver_preload(list(LOADED))
    # Python 3.11 does not tell the server where this process looks for modules.
    with patch.dict(os.environ, {"PYTHONPATH": os.pathsep.join(sys.path)}):
        forkserver.ensure_running()
    return _FORK_SERVER


def start(
    command: Sequence[object], environment: Mapping[str, str] | None = None, output: Path | None = None
) -> ForkServerProcess:
    """A process that runs ``python COMMAND`` and leads a process group.

    Args:
        command: as Python takes it: ``-m`` and a module, ``-c`` and code, or a file; then arguments.
        environment: variables beside those of this process.
        output: folder that its ``stdout`` and ``stderr`` are added to.
    """
    variables = {**os.environ, "OMP_NUM_THREADS": "1", **(environment or {})}
    process = loaded_processes().Process(target=_run, args=([str(word) for word in command], variables, output))
    process.start()
    return process


def run_python(
    command: Sequence[object], processes: int = 1, environment: Mapping[str, str] | None = None
) -> CompletedProcess[str]:
    """What ``python COMMAND`` printed, and its exit status; several processes are given what ``accelerate launch`` gives them."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder)
        ranks = [{}] if processes == 1 else _ranks(processes)
        started = [start(command, {**(environment or {}), **rank}, output) for rank in ranks]
        statuses = [_ended(process) for process in started]
        printed = [(output / name).read_text(encoding="utf-8") for name in ("stdout", "stderr")]
    return CompletedProcess(list(command), next((status for status in statuses if status), 0), *printed)


def kill_when(command: Sequence[object], reached: Callable[[], object]) -> None:
    """Starts ``python COMMAND`` and kills it and its loader processes as soon as something is reached."""
    process = start(command, output=Path(os.devnull))
    deadline = time.monotonic() + PATIENCE
    while not reached() and process.is_alive() and time.monotonic() < deadline:
        time.sleep(0.002)
    assert reached()
    os.killpg(process.pid, signal.SIGKILL)
    process.join()
    assert process.exitcode == -signal.SIGKILL, "it ended before it was killed"


def kill_at_first_checkpoint(command: Sequence[object], run_folder: Path) -> list[str]:
    """Kills a training as soon as it has a checkpoint; the names of those that it left."""
    kill_when(command, lambda: list(run_folder.glob("checkpoints/step-*")))
    return [path.name for path in run_folder.glob("checkpoints/step-*")]


def _ranks(processes: int) -> list[dict[str, str]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = {
        "WORLD_SIZE": str(processes),
        "LOCAL_WORLD_SIZE": str(processes),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }
    return [{**common, "RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(processes)]


def _ended(process: ForkServerProcess) -> int:
    process.join(PATIENCE)
    if process.exitcode is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.join()
        raise TimeoutError(f"process {process.pid} was still running after {PATIENCE:.0f} s")
    return process.exitcode


def _run(command: list[str], variables: dict[str, str], output: Path | None) -> None:
    os.setsid()
    os.environ.clear()
    os.environ.update(variables)
    if output is not None:
        for stream, name in ((sys.stdout, "stdout"), (sys.stderr, "stderr")):
            file = output / name if output.is_dir() else output
            os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND), stream.fileno())
    import torch

    torch.set_num_threads(1)
    kind, *arguments = command
    if kind == "-m":
        sys.argv = arguments
        runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)
    elif kind == "-c":
        sys.argv = [kind, *arguments[1:]]
        exec(compile(arguments[0], "<string>", "exec"), {"__name__": "__main__"})
    else:
        sys.argv = command
        sys.path.insert(0, str(Path(kind).parent))
        runpy.run_path(kind, run_name="__main__")
