"""Maps one function over shards: here in this process or in a few, later on an existing distributed engine."""

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from typing import TypeVar

Job = TypeVar("Job")
Record = TypeVar("Record")


def map_shards(function: Callable[[Job], Record], jobs: Sequence[Job], workers: int) -> Iterator[Record]:
    """The results of a picklable function over all jobs, in the order in which they finish.

    Args:
        function: depends on its job alone.
        jobs: what to do.
        workers: processes; with 1 everything runs in this one. New processes are spawned, never forked: polars and Arrow hold threads.
    """
    if workers == 1 or len(jobs) < 2:
        yield from map(function, jobs)
        return
    with ProcessPoolExecutor(
        min(workers, len(jobs)), mp_context=get_context("spawn"), initializer=_end_with_parent
    ) as pool:
        try:
            # Processes start with the first submissions, and inherit what is blocked.
            with _interrupts(signal.SIG_BLOCK):
                futures = [pool.submit(partial(_interruptible, function), job) for job in jobs]
            for future in as_completed(futures):
                yield future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _interruptible(function: Callable[[Job], Record], job: Job) -> Record:
    """Calls the function; a worker is interrupted nowhere else, since an interrupt amid its start or its talk with the parent prints a traceback."""
    with _interrupts(signal.SIG_UNBLOCK):
        return function(job)


@contextmanager
def _interrupts(how: signal.Sigmasks) -> Iterator[None]:
    """Blocks or unblocks Ctrl-C in this thread, afterwards as before; one that comes while it is blocked waits."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        signal.pthread_sigmask(how, {signal.SIGINT})
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end_with_parent() -> None:
    """Lets this worker end when its parent was killed; it would wait for work for ever, and write beside the build that goes on."""
    parent = parent_process()
    if parent is not None:
        threading.Thread(target=lambda: (wait([parent.sentinel]), os._exit(1)), daemon=True).start()
