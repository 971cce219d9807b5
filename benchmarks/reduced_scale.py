"""How much accuracy a trained model loses when large JPEG files are decoded at a fraction of their size.

    python benchmarks/reduced_scale.py RUN DATASET --split validation

The same model sees the same faces decoded at reduced scale and in full. Pictures less than twice as large as its input are equal in both. Metrics are
shown for each database.
"""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

METRICS = {
    "AU mean F1": ("au", "mean_f1"),
    "expression macro-F1": ("expression", "macro_f1"),
    "mean CCC": ("va", "mean_ccc"),
}


def evaluations(run: Path, dataset: Path, split: str) -> dict[bool, Any]:
    """The evaluation at reduced scale (True) and in full (False)."""
    from affect_data.dataset.folder import open_dataset
    from affect_train.evaluation.evaluate import evaluate_split
    from affect_train.inference.inference import open_model
    from affect_train.inputs.labels import load_labels
    from affect_train.inputs.loading import FaceImages
    from affect_train.inputs.split import LoadedSplit
    from affect_train.reporting import Reporter
    from affect_train.run_folder import model_folder
    from affect_train.runtime import Runtime, build_accelerator

    model, preprocessing = open_model(model_folder(run))
    rows, labels = load_labels(open_dataset(dataset), split, model.config.task_set())
    found, runtime = {}, Runtime(build_accelerator(), Reporter(speaks=False))
    for reduced in (True, False):
        images = FaceImages(rows, replace(preprocessing, reduced_scale=reduced))
        found[reduced] = evaluate_split(model, LoadedSplit(split, rows, labels, images), runtime)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--split", default="validation")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    found = evaluations(arguments.run, arguments.dataset, arguments.split)
    print(f"{'database':<12} {'metric':<20} {'reduced':>8} {'full':>8} {'difference':>11}")
    for database in found[True]["databases"]:
        for name, (task, metric) in METRICS.items():
            reduced, full = (found[flag]["databases"][database].get(task, {}).get(metric) for flag in (True, False))
            if reduced is not None and full is not None:
                print(f"{database:<12} {name:<20} {reduced:>8.4f} {full:>8.4f} {reduced - full:>+11.4f}")


if __name__ == "__main__":
    main()
