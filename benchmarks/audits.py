"""What audits find of planted defects, beside chance at the same budget.

    python benchmarks/audits.py DATASET                  # a dataset folder; it is read only
    python benchmarks/audits.py DATASET --ferplus PATH   # also: planted copies of real faces (see duplicates.py)
    python benchmarks/audits.py --guard 5000000          # seconds of the leak guard

One label in twenty of each task is replaced. Precision is the share of replaced labels among as many findings, worst first, as were replaced; chance
has the share that was replaced.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("POLARS_MAX_THREADS", "1")

sys.path[:0] = [str(Path(__file__).resolve().parent.parent), str(Path(__file__).resolve().parent)]

import numpy as np  # noqa: E402
import polars as pl  # noqa: E402
import pyarrow as pa  # noqa: E402

from affect_data.audit.au_expression import ActionUnitExpression  # noqa: E402
from affect_data.audit.base import Audit, AuditedDataset  # noqa: E402
from affect_data.audit.expression_va import ExpressionValenceArousal  # noqa: E402
from affect_data.audit.label_errors import LabelErrors  # noqa: E402
from affect_data.audit.temporal import Flicker  # noqa: E402
from affect_data.leaks import guard_dataset  # noqa: E402
from affect_data.schema import LABELS  # noqa: E402
from affect_data.store import (  # noqa: E402
    Manifest,
    open_dataset,
    seal_group,
    shard_name,
    write_manifest,
    write_shard,
)
from affect_data.vocabulary import EXPRESSIONS, slot_of  # noqa: E402

SHARE = 0.05


def with_labels(dataset: AuditedDataset, **columns: np.ndarray) -> AuditedDataset:
    """The dataset with other labels in memory; its pictures and copies are not read again."""
    changed = AuditedDataset(dataset.folder, dataset.workers)
    names = dict(enumerate(EXPRESSIONS))
    labels = dataset.labels.with_columns(pl.Series(name, values) for name, values in columns.items() if name != "au")
    named = pl.col("expression").replace_strict(names, default=None, return_dtype=pl.String)
    changed.__dict__["labels"] = labels.with_columns(named.alias("expression_name"))
    changed.__dict__["occurrence"] = columns.get("au", dataset.occurrence)
    changed.__dict__.update(pictures=dataset.pictures, duplicate_groups=dataset.duplicate_groups)
    return changed


def planted_expressions(dataset: AuditedDataset, rng: np.random.Generator) -> tuple[AuditedDataset, set[str], float]:
    label = dataset.labels["expression"].to_numpy().copy()
    rows = np.nonzero(label >= 0)[0]
    shown = np.unique(label[rows])
    wrong = rng.choice(rows, max(1, int(SHARE * len(rows))), replace=False)
    for row in wrong:
        label[row] = rng.choice(shown[shown != label[row]])
    return with_labels(dataset, expression=label), set(dataset.labels["uid"][wrong.tolist()]), len(wrong) / len(rows)


def judged(
    dataset: AuditedDataset, audit: Audit, wrong: set[str], share: float, task: str = "", key: str = "task"
) -> dict[str, object]:
    found = audit.find(dataset).sort("score", descending=True)
    if task:
        tasks = [json.loads(text).get(key) for text in found["evidence"]]
        found = found.filter(pl.Series(tasks, dtype=pl.String) == task)
    uids = found["uid"].to_list()
    budget = uids[: len(wrong)]
    hits = sum(uid in wrong for uid in budget)
    precision = hits / len(budget) if budget else 0.0
    return {
        "planted": len(wrong),
        "found_in_all": len(uids),
        "recall_of_all": round(len(wrong & set(uids)) / len(wrong), 3) if wrong else 0.0,
        "precision_of_all": round(sum(uid in wrong for uid in set(uids)) / len(set(uids)), 3) if uids else 0.0,
        "precision_at_budget": round(precision, 3),
        "chance": round(share, 3),
        "ratio": round(precision / share, 1) if share else 0.0,
    }


def label_errors(dataset: AuditedDataset) -> dict[str, object]:
    rng = np.random.default_rng(0)
    report: dict[str, object] = {}
    if (dataset.labels["expression"] >= 0).any():
        changed, wrong, share = planted_expressions(dataset, rng)
        report["label_errors: expression"] = judged(changed, LabelErrors(), wrong, share, "expression")
        report["expression_va"] = judged(changed, ExpressionValenceArousal(), *_of_task(changed, wrong, "va_mask"))
        report["au_expression"] = judged(changed, ActionUnitExpression(), *_of_task(changed, wrong, "au_mask"))
    for number in (1, 12, 25):
        units = dataset.occurrence.copy()
        rows = np.nonzero(units[:, slot_of(number)] >= 0)[0]
        if len(rows) < 100:
            continue
        flipped = rng.choice(rows, int(SHARE * len(rows)), replace=False)
        units[flipped, slot_of(number)] = 1 - units[flipped, slot_of(number)]
        wrong = set(dataset.labels["uid"][flipped.tolist()])
        changed = with_labels(dataset, au=units)
        share = len(flipped) / len(rows)
        report[f"label_errors: AU{number}"] = judged(changed, LabelErrors(), wrong, share, f"AU{number}")
        report[f"flicker: AU{number}"] = judged(changed, Flicker(), wrong, share, f"AU{number}", key="label")
    return report


def _of_task(dataset: AuditedDataset, wrong: set[str], mask: str) -> tuple[set[str], float]:
    """The replaced expressions among the rows that also have the labels of a mask, and their share."""
    has = pl.col(mask) if mask == "va_mask" else pl.col(mask).arr.any()
    rows = dataset.labels.filter(has & pl.col("expression_mask"))["uid"].to_list()
    own = wrong & set(rows)
    return own, len(own) / len(rows) if rows else 0.0


def leak_guard(rows: int) -> dict[str, object]:
    """The leak guard over rows of two databases, a tenth of them validation, with one person of a video in both splits."""
    from datasets import ClassLabel, Features, Value

    rng = np.random.default_rng(0)
    databases = ["affectnet", "affwild2"]
    texts = ("uid", "subject", "track", "image_digest")
    described = Features({"database": ClassLabel(names=databases), **{name: Value("string") for name in texts}})
    counts = {"train": rows - rows // 10, "validation": rows // 10}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        for split, count in counts.items():
            number = np.arange(count)
            digests = np.array(list(b"0123456789abcdef"), np.uint8)[rng.integers(0, 16, (count, 64), dtype=np.uint8)]
            subjects = pl.Series(number // 3000).cast(pl.String)
            planted = pl.Series(number < 300)
            columns = {
                "uid": pl.select(pl.format("{}/{}", pl.lit(split), pl.Series(number)))["literal"],
                "database": pl.Series(number % 2),
                "subject": pl.select(pl.when(planted).then(pl.lit("both")).otherwise(pl.lit(split) + subjects))[
                    "literal"
                ],
                "track": pl.select(pl.lit(f"{split} clip ") + pl.Series(number // 300).cast(pl.String))["literal"],
                "image_digest": pl.Series(np.ascontiguousarray(digests).view("S64")[:, 0]).cast(pl.String),
            }
            ordered = {name: columns[name].to_arrow(compat_level=pl.CompatLevel.oldest()) for name in described}
            table = pa.table(ordered).cast(described.arrow_schema)
            write_shard(path / split / LABELS / shard_name(0, 1), table, described)
            seal_group(path / split / LABELS, [shard_name(0, 1)], described, "0" * 64, split)
        groups = {split: {LABELS: "0" * 64} for split in counts}
        write_manifest(path, Manifest(fingerprint="0" * 16, databases=databases, rows=counts, groups=groups))
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
    parser.add_argument("--guard", type=int, metavar="ROWS", help="also: seconds of the leak guard over so many rows")
    parser.add_argument("--ferplus", type=Path, help="the official folder of FER+")
    options = parser.parse_args()
    report: dict[str, object] = {}
    if options.dataset:
        report["planted flips"] = label_errors(AuditedDataset(open_dataset(options.dataset)))
    if options.guard:
        report["leak guard"] = leak_guard(options.guard)
    if options.ferplus:
        from duplicates import real_faces

        report["copies of real faces"] = real_faces(options.ferplus, 4000)
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
