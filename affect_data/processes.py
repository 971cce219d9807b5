"""Processes of our own: they never see Ctrl-C, and none outlives the block or the process that started it.

New processes are spawned, because polars, Arrow and torch hold threads, which a fork would not have. Only a process that has done nothing but imports
may fork, so that its libraries are loaded once (`in_own_process`).
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
"""Seconds between the request to end and the kill of a process."""

_groups: set[int] = set()
"""Process ids of the leaders of our process groups."""


class ProcessEndedError(DataError):
    """A worker process ended without a result."""

    def __init__(self, status: int | None) -> None:
        killed = status is not None and status < 0
        because = f"was ended by {signal.Signals(-status).name}" if killed and status else f"ended with status {status}"
        super().__init__(
            f"a process that worked for this command {because}. Where memory ran out, use fewer workers or smaller batches; then run the "
            "same command again to go on"
        )


class _WorkerTracebackError(Exception):
    """The traceback of an error in a worker, shown as its cause."""


def map_jobs(function: Callable[[Job], Record], jobs: Sequence[Job], workers: int) -> Iterator[Record]:
    """The results of a picklable function over all jobs, in the order in which they finish.

    Args:
        function: its result depends on the job alone.
        jobs: arguments of the function.
        workers: processes; with 1, everything runs in this process.

    Raises:
        ProcessEndedError: a worker process ended without a result.
        Exception: any error of the function.
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
    """A context in which processes can be started that never see Ctrl-C; a Ctrl-C meanwhile waits for the end of the block."""
    # Started before the block: inside it, starting the tracker would unblock Ctrl-C.
    resource_tracker.ensure_running()
    with interrupts_wait():
        yield


class WorkerProcesses:
    """Spawned processes that work on one job after the other; the end of the block ends them.

    Args:
        count: the most processes.
        lead_groups: whether each leads a process group, so that the processes that it starts end with it.
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
        """The results of a function over all jobs, in the order in which they finish; raises what `map_jobs` raises."""
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
    """The result of a function that runs in a process of its own, forked from this one on Linux.

    Only for a worker that leads a group and has one thread. If the worker's parent is gone, this ends the whole group.

    Raises:
        ProcessEndedError: the process ended without a result.
        Exception: any error of the function.
    """
    # Spawned elsewhere: macOS kills forked processes that use its frameworks.
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
    """The exit status of a program, which leads a process group; the group ends when this process is interrupted."""
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
    """Asks processes and their groups to end, and kills those that do not."""
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
        # The group is signalled even if its leader has ended: others may be left in it.
        _signal_group(process.pid, number)
    if process.exitcode is None and process.pid is not None:
        with suppress(ProcessLookupError):
            os.kill(process.pid, number)


def _signal_group(leader: int, number: signal.Signals) -> None:
    # There is no such group if the process does not lead one yet, or if all of it has ended.
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
    """The outcome of a piece of work, pickled: whether it succeeded, its result or error, and the traceback of the error."""
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
    """The result that a worker has sent or is sending; an error if the worker ended before that."""
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
    """Makes this worker end if its parent is killed; otherwise it would go on writing beside a restarted command."""
    parent = parent_process()
    if parent is not None:
        threading.Thread(target=_end_after, args=(parent.sentinel,), daemon=True).start()


def _end_after(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)
