"""What audits find of planted defects, beside chance at the same budget.

    python benchmarks/audits.py DATASET                  # a dataset folder; it is read only
    python benchmarks/audits.py DATASET --ferplus PATH   # also: planted copies of real faces (see duplicates.py)

One label in twenty of each task is replaced. Precision is the share of replaced labels among as many findings, worst first, as were replaced; chance
has the share that was replaced.
"""

import argparse
import json
import os
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("POLARS_MAX_THREADS", "1")

sys.path[:0] = [str(Path(__file__).resolve().parent.parent), str(Path(__file__).resolve().parent)]

import numpy as np  # noqa: E402
import polars as pl  # noqa: E402

from affect_data.audit.au_expression import ActionUnitExpression  # noqa: E402
from affect_data.audit.base import Audit, AuditedDataset  # noqa: E402
from affect_data.audit.expression_va import ExpressionValenceArousal  # noqa: E402
from affect_data.audit.label_errors import LabelErrors  # noqa: E402
from affect_data.store import open_dataset  # noqa: E402
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


def judged(dataset: AuditedDataset, audit: Audit, wrong: set[str], share: float, task: str = "") -> dict[str, object]:
    found = audit.find(dataset).sort("score", descending=True)
    if task:
        tasks = [json.loads(text).get("task") for text in found["evidence"]]
        found = found.filter(pl.Series(tasks, dtype=pl.String) == task)
    uids = found["uid"].to_list()
    budget = uids[: len(wrong)]
    hits = sum(uid in wrong for uid in budget)
    precision = hits / len(budget) if budget else 0.0
    return {
        "planted": len(wrong),
        "found_in_all": len(uids),
        "recall_of_all": round(len(wrong & set(uids)) / len(wrong), 3) if wrong else 0.0,
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
        report[f"label_errors: AU{number}"] = judged(
            changed, LabelErrors(), wrong, len(flipped) / len(rows), f"AU{number}"
        )
    return report


def _of_task(dataset: AuditedDataset, wrong: set[str], mask: str) -> tuple[set[str], float]:
    """The replaced expressions among the rows that also have the labels of a mask, and their share."""
    has = pl.col(mask) if mask == "va_mask" else pl.col(mask).arr.any()
    rows = dataset.labels.filter(has & pl.col("expression_mask"))["uid"].to_list()
    own = wrong & set(rows)
    return own, len(own) / len(rows) if rows else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--ferplus", type=Path, help="the official folder of FER+")
    options = parser.parse_args()
    report = {"planted flips": label_errors(AuditedDataset(open_dataset(options.dataset)))}
    if options.ferplus:
        from duplicates import real_faces

        report["copies of real faces"] = real_faces(options.ferplus, 4000)
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
