"""Processes of our own: they never see Ctrl-C, and none outlives the block that started it, or the process that did.

New processes are spawned: polars, Arrow and torch hold threads, which a fork would not have. Only a process that has done nothing but import
forks, so that a library is loaded once (`in_own_process`).
"""

import os
import pickle
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing import active_children, get_context, parent_process, resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from time import monotonic
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from affect_data.errors import DataError
from affect_data.interrupts import interrupts_wait

Job = TypeVar("Job")
Record = TypeVar("Record")

PATIENCE: Final = 1.0
"""Seconds between asking processes to end and killing them."""

_groups: set[int] = set()
"""Leaders of the process groups that are ours."""


class ProcessEndedError(DataError):
    """A process that worked for this one is gone."""

    def __init__(self, status: int | None) -> None:
        killed = status is not None and status < 0
        because = f"was ended by {signal.Signals(-status).name}" if killed and status else f"ended with status {status}"
        super().__init__(
            f"a process that worked for this command {because}. Where memory ran out, use fewer workers or smaller batches; then run the "
            "same command again to go on"
        )


class _WorkerTracebackError(Exception):
    """Where in a worker an error was raised; shown as its cause."""


def map_jobs(function: Callable[[Job], Record], jobs: Sequence[Job], workers: int) -> Iterator[Record]:
    """The results of a picklable function over all jobs, in the order in which they finish.

    Args:
        function: depends on its job alone.
        jobs: what to do.
        workers: processes; with 1 everything runs in this one.

    Raises:
        ProcessEndedError: a process is gone.
        Exception: what the function raised.
    """
    if workers == 1 or len(jobs) < 2:
        yield from map(function, jobs)
        return
    with WorkerProcesses(workers) as processes:
        yield from processes.map(function, jobs)


@dataclass
class _Worker:
    process: BaseProcess
    connection: Connection


@contextmanager
def starting_processes() -> Iterator[None]:
    """A block in which processes are started that never see Ctrl-C; one that comes meanwhile waits for the end of the block."""
    # Where it is started amid the block, it would let Ctrl-C through again.
    resource_tracker.ensure_running()
    with interrupts_wait():
        yield


class WorkerProcesses:
    """Spawned processes that work on one job after the other; leaving the block ends them.

    Args:
        count: how many at most.
        lead_groups: each leads a process group, so that what it starts ends with it.
    """

    def __init__(self, count: int, *, lead_groups: bool = False) -> None:
        self._count = count
        self._lead_groups = lead_groups
        self._workers: list[_Worker] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with interrupts_wait():
            _end([worker.process for worker in self._workers])
            for worker in self._workers:
                worker.connection.close()
            self._workers.clear()

    def map(self, function: Callable[[Job], Record], jobs: Sequence[Job]) -> Iterator[Record]:
        """The results of a function over all jobs, in the order in which they finish; see `map_jobs`."""
        left = (pickle.dumps((function, job)) for job in jobs)
        while len(self._workers) < min(self._count, len(jobs)):
            self._start()
        busy = [worker for worker, task in zip(self._workers, left, strict=False) if _send(worker, task)]
        while busy:
            ready = wait([place for worker in busy for place in (worker.connection, worker.process.sentinel)])
            for worker in [one for one in busy if one.connection in ready or one.process.sentinel in ready]:
                result = _received(worker)
                task = next(left, None)
                if task is None:
                    busy.remove(worker)
                else:
                    _send(worker, task)
                yield result

    def _start(self) -> None:
        context = get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_work, args=(theirs, self._lead_groups))
        with starting_processes():
            process.start()
            self._workers.append(_Worker(process, ours))
            if self._lead_groups and process.pid is not None:
                _groups.add(process.pid)
        theirs.close()


def in_own_process(function: Callable[..., Record], *arguments: object) -> Record:
    """What a function returns that runs in a process of its own, forked from this one where that is sound.

    For a worker that leads a group and has one thread: when its parent is gone, this ends the whole group.

    Raises:
        ProcessEndedError: the process is gone.
        Exception: what the function raised.
    """
    # macOS ends forked processes that use its frameworks.
    context = get_context("fork" if sys.platform == "linux" else "spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_work_once, args=(theirs, function, arguments))  # type: ignore[attr-defined]
    with interrupts_wait():
        process.start()
    theirs.close()
    parent = parent_process()
    ended = wait([ours, process.sentinel, *([] if parent is None else [parent.sentinel])])
    if ours not in ended and process.sentinel not in ended:
        process.kill()
        if os.getpgrp() == os.getpid():
            os.killpg(0, signal.SIGKILL)
        os._exit(1)
    try:
        result: Record = _received(_Worker(process, ours))
        return result
    finally:
        process.join()
        ours.close()


def run_program(command: Sequence[str], environment: Mapping[str, str], stdout: Any) -> int:  # noqa: ANN401 - as subprocess takes it
    """Exit status of a program; it leads a process group, which ends when this process is interrupted."""
    with interrupts_wait():
        process = subprocess.Popen(command, env=environment, stdout=stdout, process_group=0)
        _groups.add(process.pid)
    try:
        return process.wait()
    finally:
        with interrupts_wait():
            if process.poll() is None:
                _signal_group(process.pid, signal.SIGTERM)
                try:
                    process.wait(PATIENCE)
                except subprocess.TimeoutExpired:
                    _signal_group(process.pid, signal.SIGKILL)
                    process.wait()
            _groups.discard(process.pid)


def end_all() -> None:
    """Kills every process that this one has started and that still runs."""
    for leader in tuple(_groups):
        _signal_group(leader, signal.SIGKILL)
    for process in active_children():
        process.kill()


def _end(processes: Sequence[BaseProcess]) -> None:
    """Asks processes and their groups to end, and kills what does not."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        deadline = monotonic() + PATIENCE
        for process in processes:
            _signal(process, number)
        for process in processes:
            process.join(max(0.0, deadline - monotonic()))
    for process in processes:
        process.join()
        _groups.discard(process.pid or 0)


def _signal(process: BaseProcess, number: signal.Signals) -> None:
    if process.pid in _groups:
        # A leader that is gone may have left others in its group.
        _signal_group(process.pid, number)
    if process.exitcode is None and process.pid is not None:
        with suppress(ProcessLookupError):
            os.kill(process.pid, number)


def _signal_group(leader: int, number: signal.Signals) -> None:
    # Nothing is there where it has not come so far as to lead a group, or all of it is gone.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, number)


# ---------------------------------------------------------------- inside the worker


def _work(connection: Connection, leads_group: bool) -> None:  # noqa: FBT001 - the target of a process
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    if leads_group:
        os.setpgid(0, 0)
    else:
        _end_with_parent()
    while True:
        try:
            task = connection.recv_bytes()
        except (EOFError, ConnectionError):
            return
        connection.send_bytes(_outcome(partial(_called, task)))


def _called(task: bytes) -> Any:  # noqa: ANN401 - any function's
    function, job = pickle.loads(task)
    return function(job)


def _work_once(connection: Connection, function: Callable[..., Any], arguments: tuple[object, ...]) -> None:
    connection.send_bytes(_outcome(partial(function, *arguments)))
    connection.close()


def _outcome(work: Callable[[], Any]) -> bytes:
    """What came of a piece of work, pickled: whether it was done, its result or its error, where the error was raised."""
    try:
        return pickle.dumps((True, work(), ""))
    except (Exception, KeyboardInterrupt) as error:
        trace = traceback.format_exc()
        try:
            told = pickle.dumps((False, error, trace))
            pickle.loads(told)
        except Exception:
            told = pickle.dumps((False, RuntimeError(f"{type(error).__name__}: {error}"), trace))
        return told


def _send(worker: _Worker, task: bytes) -> bool:
    try:
        worker.connection.send_bytes(task)
    except ConnectionError:
        raise _gone(worker) from None
    return True


def _received(worker: _Worker) -> Any:  # noqa: ANN401 - any function's
    """What a worker has sent, or is sending; where it is gone there is no more than what it had sent."""
    try:
        if not worker.connection.poll():
            raise _gone(worker)
        told = worker.connection.recv_bytes()
    except (EOFError, ConnectionError):
        raise _gone(worker) from None
    done, result, trace = pickle.loads(told)
    if not done:
        raise result from _WorkerTracebackError(f"\n{trace}")
    return result


def _gone(worker: _Worker) -> ProcessEndedError:
    worker.process.join(PATIENCE)
    return ProcessEndedError(worker.process.exitcode)


def _end_with_parent() -> None:
    """Lets this worker end when its parent was killed; it would go on and write beside the command that is started again."""
    parent = parent_process()
    if parent is not None:
        threading.Thread(target=_end_after, args=(parent.sentinel,), daemon=True).start()


def _end_after(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)
