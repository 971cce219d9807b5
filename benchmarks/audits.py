"""What audits find of planted defects: precision and recall of every check, and chance at the same budget.

    python benchmarks/audits.py DATASET                  # a dataset folder; it is read only
    python benchmarks/audits.py DATASET --only label_errors --only flicker --seeds 3
    python benchmarks/audits.py DATASET --ferplus PATH   # also: planted copies of real faces (see duplicates.py)
    python benchmarks/audits.py --guard 5000000          # seconds of the leak guard

`affect-data demo` and `recipes/demo/data.yaml` make a dataset. A defect is planted in one row in twenty of those that a check can judge (planted.py
says which, for every check). Findings that are there before anything is planted count as wrong. Budget: as many findings, worst first, as were
planted. Chance is the share of planted rows.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("POLARS_MAX_THREADS", "1")

sys.path[:0] = [str(Path(__file__).resolve().parent.parent), str(Path(__file__).resolve().parent)]

import numpy as np  # noqa: E402
import planted  # noqa: E402
import polars as pl  # noqa: E402
from folders import write_dataset  # noqa: E402

from affect_data.audit.registry import audit_named  # noqa: E402
from affect_data.dataset.folder import open_dataset  # noqa: E402
from affect_data.dataset.layout import Layout  # noqa: E402
from affect_data.leaks.leaks import guard_dataset  # noqa: E402

GUARDED_ROWS = 250_000
"""Of a shard of the rows that the leak guard looks at."""

PLANTS: dict[str, planted.Plant] = {
    "codes": planted.sentinels,
    "va_scale": planted.divided,
    "leakage": planted.shared_people,
    "pspi": planted.other_intensities,
    "occurrence_intensity": planted.against_intensity,
    "annotation_tool": planted.outside_the_tool,
    "expression_va": planted.flipped_expressions(pl.col("va_mask")),
    "au_expression": planted.flipped_expressions(pl.col("au_mask").arr.any()),
    "au_va": planted.turned_valence,
    "va_jumps": planted.leaps,
    "va_constant": planted.frozen,
    "flicker": planted.flickers,
    "annotators": planted.outvoted,
    "label_errors": planted.flipped_everywhere,
    "teacher": planted.flipped_everywhere,
    "face_boxes": planted.shifted_boxes,
    "mixed_crops": planted.lost_boxes,
    "face_quality": planted.damaged,
    "grey_as_colour": planted.greyed,
}
"""What is planted for a check. Not here: duplicates and embedding_duplicates (duplicates.py), face_count (faces.py), half_decoded (tests)."""


def audited(dataset: planted.Whole, checks: list[str], seeds: int) -> dict[str, object]:
    """Figures of every check and type of defect, over all seeds; a check that cannot run, or has nothing planted, is listed with the reason."""
    report: dict[str, object] = {}
    for name in checks:
        audit, start = audit_named(name)(), time.process_time()
        because = audit.not_applicable(dataset)
        counts: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        for seed in () if because else range(seeds):
            plant = PLANTS[name](dataset, np.random.default_rng(seed))
            if plant is None:
                because = "no row in which its defect could be planted"
                break
            found = audit.find(plant.dataset).sort("score", "uid", descending=[True, False])
            for kind, target in plant.targets.items():
                for key, value in judged(found, target).items():
                    counts[kind][key] += value
        seconds = round(time.process_time() - start, 1)
        kinds = {kind: figures(total) for kind, total in counts.items()}
        report[name] = because or {"seconds": seconds, **kinds}
        print(name, json.dumps(report[name]), file=sys.stderr, flush=True)
    return report


def judged(found: pl.DataFrame, target: planted.Target) -> dict[str, int]:
    """Counts of rows: planted, eligible, found (of this kind), right; and within the budget."""
    for key, value in target.evidence.items():
        said = [json.loads(text).get(key) for text in found["evidence"]]
        found = found.filter(pl.Series(said, dtype=pl.String) == value)
    uids = list(dict.fromkeys(found["uid"].to_list()))
    budget = uids[: len(target.wrong)]
    return {
        "planted": len(target.wrong),
        "eligible": target.eligible,
        "found": len(uids),
        "right": len(target.wrong.intersection(uids)),
        "budget": len(budget),
        "right_in_budget": len(target.wrong.intersection(budget)),
    }


def figures(total: dict[str, int]) -> dict[str, object]:
    chance = total["planted"] / total["eligible"]
    precision = total["right_in_budget"] / total["budget"] if total["budget"] else 0.0
    return {
        **{key: total[key] for key in ("planted", "eligible", "found")},
        "recall": round(total["right"] / total["planted"], 3),
        "precision": round(total["right"] / total["found"], 3) if total["found"] else None,
        "precision_at_budget": round(precision, 3),
        "chance": round(chance, 3),
        "times_chance": round(precision / chance, 1),
    }


def leak_guard(rows: int) -> dict[str, object]:
    """The leak guard over rows of two databases, a tenth of them validation, with one person of a video in both splits."""
    rng = np.random.default_rng(0)
    counts = {"train": rows - rows // 10, "validation": rows // 10}

    def shards(split: str) -> Iterator[tuple[pl.DataFrame, None]]:
        for first in range(0, counts[split], GUARDED_ROWS):
            number = np.arange(first, min(first + GUARDED_ROWS, counts[split]))
            size = (len(number), 64)
            digests = np.array(list(b"0123456789abcdef"), np.uint8)[rng.integers(0, 16, size, dtype=np.uint8)]
            numbers = pl.Series(number)
            own = pl.DataFrame(
                {
                    "database": pl.Series(np.array(["affectnet", "affwild2"])[number % 2]),
                    "image_digest": pl.Series(np.ascontiguousarray(digests).view("S64")[:, 0]).cast(pl.String),
                }
            )
            yield (
                own.with_columns(
                    pl.format("{}/{}", pl.lit(split), numbers).alias("uid"),
                    pl.when(numbers < 300)
                    .then(pl.lit("both"))
                    .otherwise(pl.format("{}{}", pl.lit(split), numbers // 3000))
                    .alias("subject"),
                    pl.format("{} clip {}", pl.lit(split), numbers // 300).alias("track"),
                ),
                None,
            )

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        layout = Layout(databases=("affectnet", "affwild2"))
        write_dataset(
            path, layout, {split: (-(-count // GUARDED_ROWS), shards(split)) for split, count in counts.items()}
        )
        start, busy = time.perf_counter(), time.process_time()
        found = guard_dataset(open_dataset(path), leaks="report")
        seconds = {"wall": time.perf_counter() - start, "processor": time.process_time() - busy}
        return {
            "rows": rows,
            "seconds": {name: round(value, 2) for name, value in seconds.items()},
            "leaks": found["key"].to_list(),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("dataset", type=Path, nargs="?")
    parser.add_argument("--only", action="append", choices=PLANTS, help="a check; all without; may be repeated")
    parser.add_argument("--seeds", type=int, default=1, help="plantings, whose counts are added up")
    parser.add_argument("--guard", type=int, metavar="ROWS", help="also: seconds of the leak guard over so many rows")
    parser.add_argument("--ferplus", type=Path, help="the official folder of FER+")
    options = parser.parse_args()
    report: dict[str, object] = {}
    if options.dataset:
        dataset = planted.Whole(open_dataset(options.dataset))
        report["planted"] = audited(dataset, options.only or list(PLANTS), options.seeds)
    if options.guard:
        report["leak guard"] = leak_guard(options.guard)
    if options.ferplus:
        from duplicates import real_faces

        report["copies of real faces"] = real_faces(options.ferplus, 4000)
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
