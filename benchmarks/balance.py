"""Statistics and balancing plans, compared in time with the same rules applied row by row.

    python benchmarks/balance.py
    python benchmarks/balance.py --statistics-rows 0      # only the plans

Every variant's output is compared with the row-by-row one before anything is timed. Times are medians over rounds; compare ratios of one run.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("POLARS_MAX_THREADS", "2")

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "tests" / "affect_data")]

import balance_references as by_row  # noqa: E402
import numpy as np  # noqa: E402
import polars as pl  # noqa: E402

from affect_data.balance.drawing import draw  # noqa: E402
from affect_data.balance.inverse_frequency import inverse_frequency, plane_bin, tempered_frequency, thinned  # noqa: E402
from affect_data.balance.ml_ros import charte_clones, clones_to_target, published_clones  # noqa: E402
from affect_data.statistics.imbalance import irlbl, scumble_of_rows  # noqa: E402

SYNTHETIC = ("affwild2", "disfa", "expw", "ferplus")
PREVALENCE = (0.10, 0.044, 0.136, 0.22, 0.33, 0.29, 0.20, 0.0255, 0.0251, 0.0232, 0.53, 0.064)
"""Shares of twelve action units; imbalance ratios from 1 to 23."""


def label_matrix(rows: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((rows, len(PREVALENCE))) < np.array(PREVALENCE)


def seconds(function: Callable[[], object], rounds: int) -> list[float]:
    taken = []
    for _ in range(rounds):
        start = time.perf_counter()
        function()
        taken.append(time.perf_counter() - start)
    return taken


def compare(name: str, rows: int, ours: Callable[[], object], peer: Callable[[], object], *, rounds: int = 7) -> None:
    if not np.allclose(np.asarray(ours(), float), np.asarray(peer(), float), rtol=1e-12, atol=1e-12):
        raise SystemExit(f"{name}: the two variants differ")
    slow, fast = [], []
    for _ in range(rounds):
        slow += seconds(peer, 1)
        fast += seconds(ours, 1)
    ratio = statistics.median(slow) / statistics.median(fast)
    print(f"{name:<34} {rows:>9,}  {statistics.median(slow):>10.4f}  {statistics.median(fast):>10.4f}  {ratio:>8.0f}x")


def compare_plans(rows: int) -> None:
    rng = np.random.default_rng(0)
    classes = rng.choice(7, rows, p=[0.4, 0.05, 0.02, 0.02, 0.3, 0.16, 0.05]).astype(np.int8)
    databases = rng.choice(6, rows, p=[0.5, 0.3, 0.1, 0.05, 0.04, 0.01]).astype(np.int16)
    valence, arousal = np.clip(rng.normal(0.1, 0.4, (2, rows)), -1, 1).astype(np.float32)
    names, tastes, energy, groups = classes.tolist(), valence.tolist(), arousal.tolist(), databases.tolist()
    thin = {0: 10, 4: 2, 5: 2}
    labels = label_matrix(rows)
    matrix = labels.astype(np.int64)
    print(f"\n{'plan or measure':<34} {'rows':>9}  {'by row, s':>10}  {'here, s':>10}  {'ratio':>9}")
    compare(
        "expression: thinned, 1 / count",
        rows,
        lambda: expression(classes, thin),
        lambda: expression_by_row(names, thin),
    )
    compare(
        "VA, 1 / bin",
        rows,
        lambda: inverse_frequency(plane_bin(valence, arousal, over="data")),
        lambda: by_row.plane_weights(tastes, energy),
    )
    compare(
        "joint, 1 / bin + 1 / count",
        rows,
        lambda: joint(classes, valence, arousal),
        lambda: by_row.joint_weights(names, tastes, energy),
    )
    compare(
        "database temperature",
        rows,
        lambda: tempered_frequency(databases, 0.5),
        lambda: by_row.temperature_weights(groups, 0.5),
    )
    compare(
        "SCUMBLE of each row",
        rows,
        lambda: scumble_of_rows(labels, irlbl(labels.sum(axis=0))),
        lambda: by_row.row_scumble(matrix),
    )
    compare(
        "ML-ROS (Charte), 25 %", rows, lambda: charte_clones(labels, 25, 0), lambda: by_row.charte_picks(matrix, 25, 0)
    )


def expression(classes: np.ndarray, thin: dict[int, int]) -> np.ndarray:
    return inverse_frequency(classes, thinned(classes, thin))


def expression_by_row(classes: list[int], thin: dict[int, int]) -> list[float]:
    rows = by_row.thinned_rows(classes, thin)
    weights = dict(zip(rows, by_row.class_weights([classes[row] for row in rows]), strict=True))
    return [weights.get(row, 0.0) for row in range(len(classes))]


def joint(classes: np.ndarray, valence: np.ndarray, arousal: np.ndarray) -> np.ndarray:
    sums = inverse_frequency(plane_bin(valence, arousal, over="data")) + inverse_frequency(classes)
    return sums / sums.max()


def oversampling(rows: int) -> None:
    small = label_matrix(20_000)
    matrix = small.astype(np.int64)
    print(f"\n{'ML-ROS of Deng et al.':<34} {'rows':>9}  {'by row, s':>10}  {'here, s':>10}  {'ratio':>9}")
    compare(
        "published loop, 32 a draw",
        len(small),
        lambda: published_clones(small, 2.0, 50, 32, 0),
        lambda: by_row.published_picks(matrix, 2.0, 50, 32, 0),
    )
    labels = label_matrix(rows)
    fast = statistics.median(seconds(lambda: published_clones(labels, 2.0, 50, 32, 0), 5))
    print(f"{'the same, 12 action units':<34} {rows:>9,}  {'-':>10}  {fast:>10.4f}")
    corrected = statistics.median(seconds(lambda: clones_to_target(labels, 2.0, 0), 3))
    print(f"{'mode corrected':<34} {rows:>9,}  {'-':>10}  {corrected:>10.4f}")
    picks = published_clones(labels, 2.0, 50, 32, 0)
    published = np.maximum(np.bincount(picks, minlength=rows), 1)
    found = clones_to_target(labels, 2.0, 0)
    for title, weights in (("before", np.ones(rows)), ("mode paper", published), ("mode corrected", 1 + found.times)):
        shown = " ".join(f"{ratio:.1f}" for ratio in irlbl(weights @ labels))
        print(f"  IRLbl {title:<15} {shown}")
    print(f"  clones: paper {len(picks):,}, corrected {found.times.sum():,}, most of one row {found.times.max()}")


def drawing(rows: int) -> None:
    import torch

    weights = np.random.default_rng(0).pareto(2.0, rows)
    tensor = torch.from_numpy(weights)
    peers = {
        "torch.multinomial, row by row": lambda: list(iter(torch.multinomial(tensor, rows, replacement=True))),
        "torch.multinomial, to a list": lambda: torch.multinomial(tensor, rows, replacement=True).tolist(),
        "numpy choice": lambda: np.random.default_rng(0).choice(rows, rows, p=weights / weights.sum()),
        "systematic (here)": lambda: draw(weights, rows, 0),
    }
    print(f"\n{'drawing an epoch':<34} {'rows':>9}  {'seconds':>10}")
    for name, peer in peers.items():
        print(f"{name:<34} {rows:>9,}  {statistics.median(seconds(peer, 3)):>10.4f}")


# ---------------------------------------------------------------- statistics


def synthetic_dataset(path: Path, rows: int) -> None:
    """A dataset folder with the label columns that statistics read, and no images."""
    from folders import write_dataset

    from affect_data.dataset.layout import Layout
    from affect_data.vocabulary import ACTION_UNITS

    shard_rows = min(rows, 250_000)
    sizes = [min(shard_rows, rows - start) for start in range(0, rows, shard_rows)]
    shards = ((synthetic_labels(np.random.default_rng(index), size), None) for index, size in enumerate(sizes))
    coded = ACTION_UNITS[: len(PREVALENCE)]
    layout = Layout(databases=SYNTHETIC, action_units=coded, intensities=coded, side=("votes",))
    write_dataset(path, layout, {"train": (len(sizes), shards)})


def synthetic_labels(rng: np.random.Generator, rows: int) -> pl.DataFrame:
    from folders import slots

    from affect_data.vocabulary import ACTION_UNITS, EXPRESSIONS

    units, classes = len(ACTION_UNITS), len(EXPRESSIONS)
    database = rng.choice(4, rows, p=[0.6, 0.1, 0.2, 0.1])
    au = np.full((rows, units), -1, np.int8)
    coded = database < 2
    au[coded, : len(PREVALENCE)] = rng.random((coded.sum(), len(PREVALENCE))) < np.array(PREVALENCE)
    intensity = np.full((rows, units), np.nan, np.float32)
    graded = database == 1
    intensity[graded, : len(PREVALENCE)] = 2 * au[graded, : len(PREVALENCE)]
    expression = np.where(graded, -1, rng.integers(0, classes, rows))
    votes = np.full((rows, classes), np.nan, np.float32)
    voted = database == 3
    votes[voted] = rng.multinomial(10, np.full(classes, 1 / classes), voted.sum()) / 10
    has_va = database == 0
    valence, arousal = (np.where(has_va, rng.uniform(-1, 1, rows), np.nan).astype(np.float32) for _ in range(2))
    return pl.DataFrame(
        {
            "uid": np.char.add("row", np.arange(rows).astype(str)),
            "database": np.array(SYNTHETIC)[database],
            "subject": np.char.add("person", rng.integers(0, 500, rows).astype(str)),
            "expression": expression,
            "expression_mask": expression >= 0,
            "valence": valence,
            "arousal": arousal,
            "va_mask": has_va,
            "image_digest": ["0" * 64] * rows,
        }
    ).with_columns(
        slots(au, "au"),
        slots(au >= 0, "au_mask"),
        slots(intensity, "au_intensity"),
        slots(~np.isnan(intensity), "au_intensity_mask"),
        slots(votes, "expression_votes"),
    )


def statistics_of(path: str) -> None:
    from affect_data.dataset.folder import open_dataset
    from affect_data.statistics.statistics import statistics as count

    dataset = open_dataset(path)
    start = time.perf_counter()
    found = count(dataset)
    taken = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"seconds": taken, "peak_bytes": peak, "rows": int(found.coverage["rows"].sum())}))


def measure_statistics(rows: int, rounds: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "merged"
        synthetic_dataset(path, rows)
        command = [sys.executable, __file__, "--statistics-of", str(path)]
        found = [
            json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            for _ in range(rounds)
        ]
    if any(entry["rows"] != rows for entry in found):
        raise SystemExit("the statistics do not count every row")
    taken, peak = (statistics.median(entry[key] for entry in found) for key in ("seconds", "peak_bytes"))
    print(
        f"\nstatistics of {rows:,} rows: {taken:.2f} s, peak memory {peak / 2**30:.2f} GiB (fresh process, median of {rounds})"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=200_000, help="of the plans that are compared row by row")
    parser.add_argument("--large", type=int, default=1_000_000, help="of ML-ROS and of drawing")
    parser.add_argument("--statistics-rows", type=int, default=5_000_000, help="0 leaves statistics out")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--statistics-of", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.statistics_of:
        statistics_of(arguments.statistics_of)
        return
    compare_plans(arguments.rows)
    oversampling(arguments.large)
    drawing(arguments.large)
    if arguments.statistics_rows:
        measure_statistics(arguments.statistics_rows, arguments.rounds)


if __name__ == "__main__":
    main()
