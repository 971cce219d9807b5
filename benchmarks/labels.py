"""Measures reading the labels of Aff-Wild2, AffectNet and DISFA at official size into one table: affectkit against polars, pandas and loops.

    python benchmarks/labels.py [--folder FOLDER]

The files are those of `official_sizes.py`. Every variant gives the same table, which is compared cell by cell before anything is timed: one row for
each labelled face that has a picture, action units and intensities by number, the expression by name, valence and arousal. All list the folders of
pictures, and write what they have read. affectkit does more: it gives every row its line, its reasons and its masks, checks its rules, hashes the
files, and accounts for every line. Every measurement has a fresh process with one thread; the libraries are imported before, and files are in the
page cache.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import polars as pl
from common import REPOSITORY, machine, one_thread
from label_peers import COLUMNS, with_loops, with_pandas, with_polars
from official_sizes import write_all

from affect_data.build.databases import ReadDatabase, layout_of, read_databases, shard_jobs
from affect_data.build.recipe import recipe_from
from affect_data.dataset.writing import LABELS_PER_BATCH, write_shard
from affect_data.vocabulary import ACTION_UNIT_SLOTS, EXPRESSIONS

DATABASES: Final = ("affectnet", "affwild2", "disfa")
SHARD_ROWS: Final = 16_000


def with_affectkit(folder: Path, written: Path) -> dict[str, ReadDatabase]:
    """Labels as a build reads and writes them; pictures have no bytes, and are left out."""
    recipe = recipe_from({"databases": {name: {} for name in DATABASES}, "shard_rows": SHARD_ROWS})
    read = read_databases(recipe, {name: folder / name for name in DATABASES}, lambda *_: None)
    layout = layout_of(read)
    for job in shard_jobs(recipe, read, layout, written):
        rows = job.rows.with_columns(image_digest=pl.lit("0" * 64))
        for group in (*layout.groups, *layout.side_groups):
            write_shard(job.path(group), layout.stored(rows, group), layout.arrow_schema(group), LABELS_PER_BATCH)
    return read


def table_of(read: dict[str, ReadDatabase]) -> pl.DataFrame:
    """The rows with the columns that all variants have."""
    parts = []
    for name, database in read.items():
        labels = database.unified.labels
        units, steps = labels["au"].to_numpy(), labels["au_intensity"].to_numpy()
        parts.append(
            labels.select(
                pl.format(f"{name}/{{}}", "image").alias("image"),
                pl.col("expression").replace_strict({-1: None, **dict(enumerate(EXPRESSIONS))}, return_dtype=pl.String),
                pl.col("valence", "arousal").fill_nan(None),
                *(_slot(column, units if column[2] != "_" else steps) for column in COLUMNS if column.startswith("au")),
            )
        )
    return pl.concat(parts)


def _slot(column: str, values: "object") -> pl.Series:
    slots = values[:, ACTION_UNIT_SLOTS[int(column.rpartition("_")[2].removeprefix("au"))]]  # type: ignore[index]
    series = pl.Series(column, slots).cast(pl.Float32).fill_nan(None)
    return series.set(series < 0, None).cast(pl.Int8)


VARIANTS: Final[dict[str, Callable[[Path, Path], object]]] = {
    "affectkit": with_affectkit,
    "polars, with the listing": with_polars,
    "pandas, with the listing": with_pandas,
    "loops over lines, with sets": with_loops,
}


def run(name: str, folder: Path, table: Path | None) -> dict[str, float]:
    """Processor and wall seconds, and the peak of memory in MB; or the table of a variant, written to a file."""
    import datasets  # noqa: F401 - what is imported is not timed

    with tempfile.TemporaryDirectory() as place:
        before = peak_memory()
        cpu, wall = time.process_time(), time.perf_counter()
        result = VARIANTS[name](folder, Path(place))
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        peak = peak_memory()
    if table is not None:
        found = result if isinstance(result, pl.DataFrame) else table_of(result)  # type: ignore[arg-type]
        found.select(COLUMNS).sort("image").write_ipc(table)
    return {"cpu": cpu, "wall": wall, "peak": peak, "before": before}


def peak_memory() -> float:
    """The most memory that this process has had, in MB. What `getrusage` tells begins with the peak of the process that started it."""
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM:"))


def measured(name: str, folder: Path, table: Path | None = None) -> dict[str, float]:
    """`run` in a process of its own."""
    command = [sys.executable, __file__, "--variant", name, "--folder", str(folder)]
    command += ["--table", str(table)] if table is not None else []
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY, env=one_thread())
    found: dict[str, float] = json.loads(done.stdout)
    return found


def compare(folder: Path) -> int:
    """The number of rows; ends the program if two variants differ in any cell."""
    with tempfile.TemporaryDirectory() as place:
        tables = {}
        for number, name in enumerate(VARIANTS):
            measured(name, folder, Path(place) / f"{number}.arrow")
            tables[name] = pl.read_ipc(Path(place) / f"{number}.arrow")
            if not tables[name].equals(tables["affectkit"], null_equal=True):
                raise SystemExit(f"the table of {name} is not that of affectkit")
    return len(tables["affectkit"])


def report(folder: Path, rounds: int) -> None:
    """Prints the table."""
    rows = compare(folder)
    print(f"{rows:,} rows, equal in {len(COLUMNS)} columns; {machine()}; medians of {rounds}\n")
    found: dict[str, list[dict[str, float]]] = {name: [] for name in VARIANTS}
    for number in range(rounds):
        for name in list(VARIANTS) if number % 2 == 0 else reversed(list(VARIANTS)):
            found[name].append(measured(name, folder))
    print(
        "| | processor seconds (least to most) | of polars | peak MB | of which before the work |\n|---|---|---|---|---|"
    )
    for name, runs in found.items():
        cpu = [one["cpu"] for one in runs]
        base = zip(cpu, found["polars, with the listing"], strict=True)
        of_polars = statistics.median(own / one["cpu"] for own, one in base)
        peak, before = (statistics.median(one[key] for one in runs) for key in ("peak", "before"))
        spread = f"{statistics.median(cpu):.2f} ({min(cpu):.2f} to {max(cpu):.2f})"
        print(f"| {name} | {spread} | {of_polars:.2f} | {peak:,.0f} | {before:,.0f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--folder", type=Path, help="with the files of official_sizes.py; by default written anew, and removed"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--smoke", action="store_true", help="few rows, one round")
    parser.add_argument("--variant", choices=list(VARIANTS), help=argparse.SUPPRESS)
    parser.add_argument("--table", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.variant:
        print(json.dumps(run(arguments.variant, arguments.folder, arguments.table)))
    elif arguments.folder and not arguments.smoke:
        report(arguments.folder, arguments.rounds)
    else:
        with tempfile.TemporaryDirectory() as place:
            write_all(Path(place), 0.01 if arguments.smoke else 1.0)
            report(Path(place), 1 if arguments.smoke else arguments.rounds)


if __name__ == "__main__":
    main()
