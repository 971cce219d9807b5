"""Why classes of a foreign classifier are taken by name: accuracy by name and by number, on the same faces.

    python benchmarks/teachers.py DATASET recipes/teachers/fer.yaml recipes/teachers/facex.yaml --split validation

Only rows with a label among the teacher's classes count. "By number" takes the teacher's class numbers for the dataset's, or for another teacher's,
as a script does that joins label arrays.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np
import torch

from affect_data.dataset.folder import open_dataset
from affect_data.dataset.ranges import RowRange
from affect_data.vocabulary import EXPRESSIONS
from affect_train.inputs.labels import load_labels
from affect_train.labelling.label import labelled_ranges
from affect_train.labelling.teachers import Teacher, open_teacher
from affect_train.runtime import Runtime
from affect_train.tasks import TaskSet


def accuracy(numbers: np.ndarray, order: tuple[str, ...], labels: np.ndarray) -> float:
    """The share of right answers, where class number i is taken for ``order[i]``."""
    named = np.array([EXPRESSIONS.index(name) for name in order])
    return float((named[np.minimum(numbers, len(order) - 1)] == labels).mean())


def measure(dataset: Path, split: str, teachers: list[Teacher]) -> list[dict[str, object]]:
    folder = open_dataset(dataset)
    everything = TaskSet(expressions=EXPRESSIONS)
    labels = load_labels(folder, split, everything)[1]
    rows, runtime = [], Runtime.start()
    for teacher in teachers:
        part = RowRange(split, 0, 1, 0, folder.rows(split))
        started = time.perf_counter()
        logits = next(labelled_ranges(teacher, folder, [part], runtime))[1]["expression"]
        seconds = time.perf_counter() - started
        known = np.isin(labels.expression, [EXPRESSIONS.index(name) for name in teacher.tasks.expressions])
        valid = labels.expression_mask & known
        numbers, truth = logits.argmax(axis=1)[valid], labels.expression[valid]
        counts = np.bincount(truth)
        by_number = {"the dataset": EXPRESSIONS} | {
            other.name: other.tasks.expressions for other in teachers if other is not teacher
        }
        rows.append(
            {
                "teacher": teacher.name,
                "classes": list(teacher.tasks.expressions),
                "rows": int(valid.sum()),
                "largest_class": float(counts.max() / counts.sum()),
                "by_name": accuracy(numbers, teacher.tasks.expressions, truth),
                "by_number": {name: accuracy(numbers, order, truth) for name, order in by_number.items()},
                "faces_per_second": round(len(part) / seconds),
            }
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("teachers", nargs="+")
    parser.add_argument("--split", default="validation")
    options = parser.parse_args()
    torch.set_num_threads(1)
    found = measure(options.dataset, options.split, [open_teacher(source) for source in options.teachers])
    json.dump({"split": options.split, "teachers": found}, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
