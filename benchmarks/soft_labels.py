"""Writing a teacher's logits back: time, bytes and memory compared with the ways of `datasets`, and the cost of reading them.

    python benchmarks/soft_labels.py FOLDER --rows 1000000 --image-bytes 1000

FOLDER is made, filled and removed. Every way writes the same float16 logits of the same rows (12 action units, 7 expressions, twice 14 bins: 47),
with the images and labels in place. `affectkit` is `SoftLabelWriter` as `affect-train label` uses it: range by range, flushed to disk, hashed,
committed. The limit is `numpy.save` of the same arrays, flushed.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from folders import slots, write_dataset

from affect_data.dataset.folder import open_dataset
from affect_data.dataset.kinds.soft_labels import SOFT_LABELS, SoftLabelProvenance
from affect_data.dataset.layout import Layout
from affect_data.dataset.loading import load_dataset
from affect_data.dataset.ranges import ROWS_PER_BATCH
from affect_data.dataset.schema import IMAGES, LABELS
from affect_data.dataset.soft_labels import SoftLabelWriter
from affect_data.vocabulary import ACTION_UNITS, EXPRESSIONS

WIDTHS = {"au": 12, "expression": 7, "valence": 14, "arousal": 14}
LABELLED = ACTION_UNITS[:12]
SHARD = 50_000
READS, READ_ROWS = 300, 256


def labels_of(start: int, count: int) -> pl.DataFrame:
    """Labels of consecutive rows."""
    numbers = range(start, start + count)
    labels = pl.DataFrame(
        {
            "uid": [f"expw:photo/{number:07d}#0" for number in numbers],
            "database": ["expw"] * count,
            "source_file": ["photo"] * count,
            "image_digest": ["0" * 64] * count,
        }
    )
    au = np.zeros((count, len(ACTION_UNITS)), np.int8)
    au[:, len(LABELLED) :] = -1
    return labels.with_columns(slots(au, "au"), slots(au == 0, "au_mask"))


def images_of(count: int, size: int, rng: np.random.Generator) -> pa.Array:
    """Images of random bytes."""
    offsets = pa.array(np.arange(count + 1, dtype=np.int32) * size)
    data = pa.Array.from_buffers(
        pa.binary(), count, [None, offsets.buffers()[1], pa.py_buffer(rng.bytes(count * size))]
    )
    return pa.StructArray.from_arrays([data, pa.nulls(count, pa.string())], ["bytes", "path"])


def make_dataset(path: Path, rows: int, image_bytes: int) -> None:
    rng = np.random.default_rng(0)
    sizes = {start: min(SHARD, rows - start) for start in range(0, rows, SHARD)}
    shards = ((labels_of(start, count), images_of(count, image_bytes, rng)) for start, count in sizes.items())
    write_dataset(path, Layout(databases=("expw",), action_units=LABELLED), {"train": (len(sizes), shards)})


def make_logits(rows: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    return {
        head: rng.standard_normal((rows, width), dtype=np.float32).astype(np.float16) for head, width in WIDTHS.items()
    }


def provenance(path: Path, name: str = "teacher") -> SoftLabelProvenance:
    return SoftLabelProvenance(
        name=name,
        teacher_id="benchmark",
        teacher_revision=name,
        made_from=SOFT_LABELS.made_from(open_dataset(path)),
        view="none",
        action_units=LABELLED,
        expressions=EXPRESSIONS[:7],
        valence_arousal_bins=14,
    )


def write_affectkit(path: Path, logits: dict[str, np.ndarray], name: str) -> None:
    writer = SoftLabelWriter(path, provenance(path, name), ROWS_PER_BATCH)
    with writer.owned():
        for part in writer.missing():
            writer.write(part, {head: values[part.start : part.stop] for head, values in logits.items()})
        writer.commit()


def write_map(path: Path, logits: dict[str, np.ndarray], target: Path) -> None:
    from datasets import disable_caching, disable_progress_bars

    disable_caching()
    disable_progress_bars()

    def add(batch: dict[str, Any], rows: list[int]) -> dict[str, Any]:
        del batch
        return {head: values[rows] for head, values in logits.items()}

    dataset = load_dataset(path, "train")
    dataset.map(
        add, with_indices=True, batched=True, batch_size=1000, cache_file_name=str(target), new_fingerprint="benchmark"
    )


def write_numpy(logits: dict[str, np.ndarray], target: Path) -> None:
    target.mkdir()
    for head, values in logits.items():
        with (target / f"{head}.npy").open("wb") as sink:
            np.save(sink, values)
            sink.flush()
            os.fsync(sink.fileno())


def size_of(path: Path) -> int:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files)


def best_of(times: int, work: Callable[[int], None]) -> float:
    found = []
    for number in range(times):
        started = time.perf_counter()
        work(number)
        found.append(time.perf_counter() - started)
    return min(found)


def reading(path: Path, rows: int) -> dict[str, float]:
    """Seconds to read random batches as Arrow, plain and joined with the soft labels, best of three interleaved passes."""
    picks = np.random.default_rng(2).integers(0, rows, (READS, READ_ROWS))
    views = {
        "plain": load_dataset(path, "train").with_format("arrow"),
        "joined": load_dataset(path, "train", ["teacher-0"]).with_format("arrow"),
    }
    found: dict[str, list[float]] = {name: [] for name in views}
    for _ in range(4):
        for name, view in views.items():
            started = time.perf_counter()
            for rows_of_batch in picks:
                view[rows_of_batch]
            found[name].append(time.perf_counter() - started)
    # The first pass maps the pages.
    return {name: min(times[1:]) for name, times in found.items()}


def peak_memory(path: Path, rows: int) -> float:
    """MiB of private memory that writing ranges adds; the logits are made range by range, as by a teacher."""
    code = f"""
from pathlib import Path
import datasets, resource
from soft_labels import *
def private():
    return int(next(line for line in open("/proc/self/status") if line.startswith("RssAnon")).split()[1]) / 1024
writer = SoftLabelWriter(Path({str(path)!r}), provenance(Path({str(path)!r}), "memory-{rows}"), ROWS_PER_BATCH)
parts, most, base = writer.missing(), 0.0, None
parts = parts[: -(-{rows} // ROWS_PER_BATCH)]
for part in parts:
    writer.write(part, make_logits(len(part)))
    base = base or private()
    most = max(most, private())
if len(parts) == len(writer.ranges()):
    writer.commit()
    most = max(most, private())
else:
    writer.discard()
print(most - base)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parent
    )
    return float(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--image-bytes", type=int, default=1000)
    options = parser.parse_args()
    path, rows = options.folder, options.rows
    if path.exists():
        parser.error(f"'{path}' exists; name a new folder")
    try:
        make_dataset(path / "data", rows, options.image_bytes)
        logits = make_logits(rows)
        payload = sum(values.nbytes for values in logits.values())
        write_affectkit(path / "data", logits, "warm-up")
        before = {
            file: file.stat().st_mtime_ns
            for group in (LABELS, IMAGES)
            for file in (path / "data/train" / group).iterdir()
        }
        ways = {
            "numpy.save, flushed (the limit)": (
                best_of(3, lambda n: write_numpy(logits, path / f"np{n}")),
                size_of(path / "np0"),
            ),
            "affectkit": (
                best_of(3, lambda n: write_affectkit(path / "data", logits, f"teacher-{n}")),
                size_of(path / "data/train/soft.teacher-0"),
            ),
            "datasets.map, batched": (
                best_of(1, lambda _: write_map(path / "data", logits, path / "map.arrow")),
                size_of(path / "map.arrow"),
            ),
        }
        untouched = before == {file: file.stat().st_mtime_ns for file in before}
        assert open_dataset(path / "data").rows("train") == rows
        report = {
            "rows": rows,
            "payload_MB": payload / 1e6,
            "ways": {
                name: {"seconds": s, "MB": size / 1e6, "bytes_per_payload": size / payload}
                for name, (s, size) in ways.items()
            },
            "times_faster_than_map": ways["datasets.map, batched"][0] / ways["affectkit"][0],
            "images_and_labels_untouched": untouched,
            "private_MiB_quarter_and_all": [peak_memory(path / "data", rows // 4), peak_memory(path / "data", rows)],
        }
        seconds = reading(path / "data", rows)
        report["reading"] = {**seconds, "joined_per_plain": seconds["joined"] / seconds["plain"]}
        json.dump(report, sys.stdout, indent=2)
        print()
    finally:
        shutil.rmtree(path, ignore_errors=True)


if __name__ == "__main__":
    main()
