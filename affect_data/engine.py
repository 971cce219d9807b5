"""Maps one function over shards: here in this process or in a few, later on an existing distributed engine."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from typing import TypeVar

Plan = TypeVar("Plan")
Record = TypeVar("Record")


def map_shards(function: Callable[[Plan], Record], plans: Sequence[Plan], workers: int) -> Iterator[Record]:
    """The results of a picklable function over all plans, in the order in which they finish.

    Args:
        function: depends on its plan alone.
        plans: what to do.
        workers: processes; with 1 everything runs in this one. New processes are spawned, never forked: polars and Arrow hold threads.
    """
    if workers == 1 or len(plans) < 2:
        yield from map(function, plans)
        return
    with ProcessPoolExecutor(min(workers, len(plans)), mp_context=get_context("spawn")) as pool:
        futures = [pool.submit(function, plan) for plan in plans]
        try:
            for future in as_completed(futures):
                yield future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
