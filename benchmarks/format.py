"""Compares labels in formats 1 and 2 of the dataset folder: bytes per row, files, and time and memory of opening them.

    python benchmarks/format.py --rows 5000000

The rows are those of Aff-Wild2, AffectNet and DISFA, in the proportions of these databases: their action units, whole intensities and boxes, names of
48 characters. Pictures are stand-ins of 8 bytes, so that the disk holds both; shards of format 2 are cut as for pictures of `PICTURE_BYTES`. Format 1
is written as affectkit 0.1.0 wrote it: the columns of the schema as they are, 2,000 rows in a file. Both are read back and compared before anything
is timed. Every opening has a fresh process that has imported the libraries before; files are in the page cache.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
import pyarrow as pa
from common import REPOSITORY, machine
from folders import filled, slots, write_dataset

from affect_data.build.databases import rows_of_size
from affect_data.databases.registry import DATABASES
from affect_data.dataset.folder import MANIFEST, open_dataset
from affect_data.dataset.layout import Layout
from affect_data.dataset.schema import IMAGES, LABELS, arrow_schema, features
from affect_data.dataset.writing import seal_group, shard_name, write_shard
from affect_data.vocabulary import ACTION_UNIT_SLOTS, ACTION_UNITS

FRAMES: Final = {"affectnet": 420_000, "affwild2": 2_600_000, "disfa": 130_000}
"""About as many labelled rows as the databases have."""

VIDEO: Final = 4_800
"""Rows of one video."""

PICTURE_BYTES: Final = 12_000
STAND_IN: Final = b"no photo"
NAME: Final = 48

SHARD_ROWS_1: Final = 2000
COLUMNS_1: Final = (
    "uid",
    "database",
    "release",
    "subject",
    "track",
    "frame",
    "face",
    "source_file",
    "source_line",
    "au",
    "au_mask",
    "au_intensity",
    "au_intensity_mask",
    "expression",
    "expression_mask",
    "expression_votes",
    "compound_expression",
    "compound_expression_mask",
    "valence",
    "arousal",
    "va_mask",
    "face_box",
    "image_digest",
)
"""Of labels in format 1, in order."""


# ---------------------------------------------------------------- rows


def plan(rows: int) -> list[tuple[str, int, int]]:
    """Database, first row and number of rows of every shard of format 2."""
    total = sum(FRAMES.values())
    counts = {name: round(rows * frames / total) for name, frames in FRAMES.items()}
    counts["affwild2"] += rows - sum(counts.values())
    length = rows_of_size(PICTURE_BYTES)
    return [
        (name, start, min(length, count - start)) for name, count in counts.items() for start in range(0, count, length)
    ]


def labels_of(name: str, start: int, count: int) -> pl.DataFrame:
    """Consecutive rows of a database, the same at every call, without the columns of which they have no label."""
    database, rng = DATABASES[name], np.random.default_rng([start, len(name)])
    row = pl.Series(np.arange(start, start + count, dtype=np.int32))
    video = pl.format("video-{}", (row // VIDEO).cast(pl.String).str.pad_start(4, "0"))
    digests = rng.bytes(32 * count).hex()
    frame = pl.select(
        database=pl.lit(name).repeat_by(count).explode(),
        release=pl.lit("abaw3" if name == "affwild2" else ""),
        frame=row % VIDEO,
        source_line=row + 1,
        track=video if name != "affectnet" else pl.lit(""),
        subject=video if name != "affectnet" else pl.lit(""),
        source_file=pl.lit("training.csv") if name == "affectnet" else pl.format("Train_Set/{}.txt", video),
        uid=pl.format(f"{name}:{{}}", row.cast(pl.String).str.pad_start(NAME - len(name) - 1, "0")),
        image_digest=pl.Series([digests[place : place + 64] for place in range(0, len(digests), 64)]),
    ).with_columns(_action_units(rng, database.action_units, count, 2, "au"))
    if database.action_unit_intensities:
        frame = frame.with_columns(_action_units(rng, database.action_unit_intensities, count, 6, "au_intensity"))
    if database.expressions:
        known = rng.uniform(-1, 1, (2, count)).astype(np.float32)
        frame = frame.with_columns(
            expression=pl.Series(rng.integers(0, 7, count)),
            expression_mask=pl.lit(value=True),
            valence=pl.Series(known[0]),
            arousal=pl.Series(known[1]),
            va_mask=pl.lit(value=True),
        )
    if name == "affectnet":
        corner = rng.integers(0, 300, (count, 2))
        frame = frame.with_columns(slots(np.hstack([corner, corner + 200]).astype(np.float32), "face_box"))
    return filled(frame)


def _action_units(
    rng: np.random.Generator, units: tuple[int, ...], count: int, levels: int, name: str
) -> list[pl.Series]:
    """A column over the slots of the vocabulary with whole numbers below `levels`, and its mask."""
    missing, kind = (-1, np.int8) if name == "au" else (np.nan, np.float32)
    values, mask = np.full((count, len(ACTION_UNITS)), missing, kind), np.zeros((count, len(ACTION_UNITS)), bool)
    places = [ACTION_UNIT_SLOTS[unit] for unit in units]
    values[:, places], mask[:, places] = rng.integers(0, levels, (count, len(places))), True
    return [slots(values, name), slots(mask, f"{name}_mask")]


def stand_ins(count: int) -> pa.Array:
    """Pictures of a few bytes."""
    texts = pa.array(["p.jpg"] * count)
    return pa.StructArray.from_arrays([pa.array([STAND_IN] * count), texts], fields=list(arrow_schema(IMAGES)[0].type))


# ---------------------------------------------------------------- writing


def write_format_2(path: Path, shards: list[tuple[str, int, int]]) -> None:
    """Writes the rows as a build does."""
    databases = [DATABASES[name] for name in FRAMES]
    layout = Layout.of(databases, [labels_of(name, 0, 10) for name in FRAMES])
    parts = ((labels_of(*shard), stand_ins(shard[2])) for shard in shards)
    write_dataset(path, layout, {"train": (len(shards), parts)})


def write_format_1(path: Path, shards: list[tuple[str, int, int]]) -> None:
    """Writes the rows as affectkit 0.1.0 did."""
    codes = {name: code for code, name in enumerate(sorted(FRAMES))}
    whole = features(LABELS, sorted(FRAMES))
    described = {LABELS: type(whole)({name: whole[name] for name in COLUMNS_1}), IMAGES: features(IMAGES, ())}
    places = [(shard, start) for shard, (_, _, count) in enumerate(shards) for start in range(0, count, SHARD_ROWS_1)]
    names = iter(shard_name(index, len(places)) for index in range(len(places)))
    for shard in shards:
        rows = labels_of(*shard).with_columns(pl.col("database").replace_strict(codes, return_dtype=pl.Int64))
        for start in range(0, len(rows), SHARD_ROWS_1):
            part, name = rows.slice(start, SHARD_ROWS_1).select(COLUMNS_1), next(names)
            table = part.to_arrow().cast(described[LABELS].arrow_schema)
            write_shard(path / "train" / LABELS / name, table, described[LABELS])
            images = pa.table([stand_ins(len(part))], schema=described[IMAGES].arrow_schema)
            write_shard(path / "train" / IMAGES / name, images, described[IMAGES])
    for group, kind in described.items():
        files = [shard_name(index, len(places)) for index in range(len(places))]
        seal_group(path / "train" / group, files, kind, "0" * 64, "train")
    (path / MANIFEST).write_text('{"format": "affectkit-dataset", "format_version": 1}')


def check(before: Path, after: Path) -> None:
    """Ends the program if the first or the last file of format 1 differs from format 2."""
    folder, files = open_dataset(after), sorted((before / "train" / LABELS).glob("*.arrow"))
    for file, last in ((files[0], False), (files[-1], True)):
        old = pl.from_arrow(pa.ipc.open_stream(pa.memory_map(str(file))).read_all())
        stored = folder.stored_labels("train", COLUMNS_1)
        part = stored.slice(len(stored) - len(old) if last else 0, len(old))
        if not old.equals(pl.from_arrow(folder.view.table(part, COLUMNS_1)), null_equal=True):
            raise SystemExit(f"{file.name}: the two formats differ")


# ---------------------------------------------------------------- measuring


def joined(path: Path) -> object:
    """Labels and images of format 1 as affectkit 0.1.0 opened them."""
    from datasets import concatenate_datasets, load_from_disk

    return concatenate_datasets([load_from_disk(str(path / "train" / group)) for group in (LABELS, IMAGES)], axis=1)


def from_disk(path: Path) -> object:
    """The labels alone, by the library `datasets`."""
    from datasets import load_from_disk

    return load_from_disk(str(path / "train" / LABELS))


def loaded(path: Path) -> object:
    """Labels and images of format 2."""
    from affect_data import load_dataset

    return load_dataset(path, "train")


def all_labels(path: Path) -> object:
    """One column of text and one of labels, as a frame."""
    if json.loads((path / MANIFEST).read_text())["format_version"] == 1:
        return pl.from_arrow(from_disk(path).select_columns(["track", "expression"]).data.table).rechunk()  # type: ignore[attr-defined]
    return open_dataset(path).labels("train", ["track", "expression"])


OPENINGS: Final[dict[str, tuple[Callable[[Path], object] | None, Callable[[Path], object]]]] = {
    "`affect_data.load_dataset`": (joined, loaded),
    "`open_dataset`": (None, open_dataset),
    "`datasets.load_from_disk` of the labels": (from_disk, from_disk),
    "reading `track` and `expression` of all rows": (all_labels, all_labels),
}
"""What opens a dataset of format 1, and of format 2."""


def measure(opening: Callable[[Path], object], path: Path) -> dict[str, float]:
    """Seconds, and MB by which the peak of this process's memory grew; the process has done nothing else."""
    import datasets  # noqa: F401 - what is imported is not timed

    import affect_data.dataset.folder  # noqa: F401

    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    kept = opening(path)
    seconds = time.perf_counter() - began
    assert kept is not None
    return {"seconds": seconds, "memory": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024}


def in_fresh_processes(
    folder: Path, rounds: int, names: Sequence[str]
) -> Iterator[tuple[str, list[tuple[float, float] | None]]]:
    """For each opening the median seconds and megabytes in both formats, in turn."""
    for name in names:
        openings = OPENINGS[name]
        found: list[list[dict[str, float]]] = [[], []]
        for _ in range(rounds):
            for index, opening in enumerate(openings):
                if opening is not None:
                    command = [
                        sys.executable,
                        __file__,
                        "--open",
                        name,
                        "--format",
                        str(index + 1),
                        "--folder",
                        str(folder),
                    ]
                    answer = subprocess.run(command, check=True, capture_output=True, text=True, cwd=REPOSITORY)
                    found[index].append(json.loads(answer.stdout))
        yield name, [_medians(one) for one in found]


def _medians(found: list[dict[str, float]]) -> tuple[float, float] | None:
    def median(key: str) -> float:
        return statistics.median(one[key] for one in found)

    return (median("seconds"), median("memory")) if found else None


def report(folder: Path, rows: int, rounds: int, names: Sequence[str]) -> None:
    """Prints the table."""
    paths = [folder / "format-1", folder / "format-2"]
    print("| | format 1 | format 2 |\n|---|---|---|")
    parts = [(LABELS,), (LABELS, "origins")]
    sizes = [
        [sum(file.stat().st_size for group in groups for file in path.rglob(f"{group}/**/*.arrow")) for groups in parts]
        for path in paths
    ]
    print(f"| labels, bytes a row | {sizes[0][0] / rows:.1f} | {sizes[1][1] / rows:.1f} |")
    counts = [len(list(path.rglob("*.arrow"))) for path in paths]
    print(f"| Arrow files, labels and images | {counts[0]:,} | {counts[1]:,} |")
    for name, (before, after) in in_fresh_processes(folder, rounds, names):
        for unit, place, digits in (("s", 0, 3), ("MB more at the peak", 1, 0)):
            cells = ["" if one is None else f"{one[place]:.{digits}f}" for one in (before, after)]
            print(f"| {name}, {unit} | {cells[0]} | {cells[1]} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--rounds", type=int, default=5, help="openings of each kind")
    parser.add_argument("--smoke", action="store_true", help="few rows, one round of one opening")
    parser.add_argument("--folder", type=Path, help="where both are written and left; a temporary one by default")
    parser.add_argument("--open", choices=list(OPENINGS), help=argparse.SUPPRESS)
    parser.add_argument("--format", type=int, choices=[1, 2], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.open:
        opening: Any = OPENINGS[arguments.open][arguments.format - 1]
        print(json.dumps(measure(opening, arguments.folder / f"format-{arguments.format}")))
        return
    rows, rounds = (6_000, 1) if arguments.smoke else (arguments.rows, arguments.rounds)
    with tempfile.TemporaryDirectory() as name:
        folder = arguments.folder or Path(name)
        shards = plan(rows)
        for path, write in ((folder / "format-1", write_format_1), (folder / "format-2", write_format_2)):
            if not (path / MANIFEST).is_file():
                write(path, shards)
        check(folder / "format-1", folder / "format-2")
        print(
            f"{rows:,} rows, {rounds} openings of each kind, pictures of {len(STAND_IN)} bytes; {machine()}\n",
            flush=True,
        )
        report(folder, rows, rounds, list(OPENINGS)[: 1 if arguments.smoke else None])


if __name__ == "__main__":
    main()
