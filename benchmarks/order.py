"""The start of an epoch: seconds and memory until the first batch of rows is known.

    python benchmarks/order.py
    python benchmarks/order.py --rows 5000000 --rounds 5

The peer is what one would write with torch: a permutation of all rows for every pool, as `torch.utils.data.RandomSampler` draws it. It knows nothing
of how often a row came before, of shares, or of resuming. Times are medians; compare ratios of one run.
"""

import argparse
import json
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

sys.path[:0] = [str(Path(__file__).resolve().parent.parent)]

import numpy as np  # noqa: E402
import torch  # noqa: E402
from torch.utils.data import RandomSampler  # noqa: E402

from affect_train.inputs.sampler import BatchOrder, Pool  # noqa: E402

BATCH = 64


def timed(start: Callable[[], object], rounds: int) -> float:
    seconds = []
    for _ in range(rounds):
        begin = time.perf_counter()
        start()
        seconds.append(time.perf_counter() - begin)
    return round(statistics.median(seconds), 3)


def random_samplers(rows: int, pools: int) -> None:
    for number in range(pools):
        generator = torch.Generator().manual_seed(number)
        next(iter(RandomSampler(range(rows), generator=generator)))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--smoke", action="store_true", help="a tiny size, whose figures mean nothing")
    options = parser.parse_args()
    rows, rounds = (2_000, 1) if options.smoke else (options.rows, options.rounds)
    every = np.arange(rows, dtype=np.int64)
    weights = np.random.default_rng(0).random(rows) + 0.01
    orders = {
        "one pool": (1, BatchOrder({"rows": every}, BATCH, seed=0)),
        "three pools": (3, BatchOrder(dict.fromkeys(("au", "expression", "va"), every), BATCH, seed=0)),
        "one weighted pool": (1, BatchOrder({"rows": Pool(every, weights)}, BATCH, seed=0)),
    }
    report = {}
    for name, (pools, order) in orders.items():
        ours = timed(lambda order=order: next(iter(order)), rounds)  # type: ignore[misc]
        theirs = timed(lambda pools=pools: random_samplers(rows, pools), rounds)  # type: ignore[misc]
        report[name] = {"seconds": ours, "RandomSampler": theirs, "ratio": round(ours / max(theirs, 1e-9), 2)}
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(json.dumps({"rows": rows, "epoch starts after": report, "peak memory, MB": memory}, indent=2))


if __name__ == "__main__":
    main()
