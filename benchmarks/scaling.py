"""Measures how commands grow with the rows of a dataset: seconds, and memory at the peak, from 10,000 to 5,000,000 rows.

    python benchmarks/scaling.py --figures scaling.json                  # measures; `--rows 10000,100000` and `--work stats` for less
    python benchmarks/scaling.py --figures scaling.json --plot docs/images/scaling.svg   # draws what was measured

The datasets are those of `scaling_rows.py`, and are removed afterwards. Every measurement has a fresh process with one thread, which imports what
it needs before the clock starts. Checks that look at pictures run up to `--pictures` rows: beyond, rows have stand-ins of eight bytes. Memory is
told in two figures: what the process holds itself, which is what it needs, and that together with the pages of files that it has mapped, which the
system takes back whenever it has to.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from common import REPOSITORY, machine, one_thread
from scaling_plot import draw
from scaling_rows import PLACES, write

from affect_data.dataset.folder import open_dataset

if TYPE_CHECKING:
    from affect_train.tasks import TaskSet

ROWS: Final = (10_000, 100_000, 1_000_000, 5_000_000)
TRAINED: Final = ("epoch", "soft labels", "evaluate")
PICTURED: Final = ("audit, pictures", "audit, label errors")


def statistics_of(path: Path) -> None:
    """`affect-data stats`."""
    from affect_data.statistics.statistics import statistics

    statistics(open_dataset(path))


def plan_of(path: Path) -> None:
    """`affect-data balance DATASET deng2020`: its three plans."""
    from affect_data.balance import balance, make_plan

    balance(path, make_plan("deng2020", {}), "deng2020", 0, None)


def leaks_of(path: Path) -> None:
    """The leak guard before a training."""
    from affect_data.leaks.leaks import guard_dataset

    guard_dataset(open_dataset(path), leaks="report")


def folds_of(path: Path) -> None:
    """`affect-data folds`."""
    from affect_data.leaks.folds import write_folds

    write_folds(open_dataset(path), "five", 5)


def labels_audited(path: Path) -> None:
    """`affect-data audit` with the checks that need no picture."""
    from affect_data.audit.run import run_audits

    run_audits(open_dataset(path), LABEL_CHECKS)


def pictures_audited(path: Path) -> None:
    """`affect-data audit` with the checks that decode pictures, without a detector of faces."""
    from affect_data.audit.run import run_audits

    run_audits(open_dataset(path), PICTURE_CHECKS)


def label_errors_found(path: Path) -> None:
    """`affect-data audit --check label_errors`, copies included."""
    from affect_data.audit.run import run_audits

    run_audits(open_dataset(path), ["label_errors"])


def epoch_started(path: Path) -> None:
    """What a rank of a training holds of its split, and the first batch of an epoch of three tasks."""
    from affect_train.inputs.labels import load_labels
    from affect_train.inputs.sampler import BatchOrder

    tasks = tasks_of()
    _, labels = load_labels(open_dataset(path), "train", tasks)
    next(iter(BatchOrder(labels.pools(tasks), 64, seed=0)))


def soft_labels_written(path: Path) -> None:
    """What `affect-train label` writes, in its ranges, of logits that are drawn."""
    from affect_data.dataset.kinds.soft_labels import SOFT_LABELS, SoftLabelProvenance
    from affect_data.dataset.soft_labels import SoftLabelWriter
    from affect_train.labelling.label import rows_per_range

    tasks, folder, rng = tasks_of(), open_dataset(path), np.random.default_rng(0)
    provenance = SoftLabelProvenance(
        name="drawn", teacher_id="none", teacher_revision="0", made_from=SOFT_LABELS.made_from(folder), view="none",
        out_of_fold=True, action_units=tasks.action_units, expressions=tasks.expressions,
        valence_arousal_bins=tasks.valence_arousal_bins,
    )  # fmt: skip
    writer = SoftLabelWriter(path, provenance, rows_per_range(max(map(folder.rows, folder.splits)), 256))
    with writer.owned():
        for part in writer.ranges():
            sizes = {head: (len(part), width) for head, width in provenance.widths().items()}
            writer.write(part, {head: rng.normal(size=size).astype(np.float16) for head, size in sizes.items()})
        writer.commit()


def split_evaluated(path: Path) -> None:
    """The figures that `affect-train evaluate` makes of the logits of all rows, which are drawn, over all rows and for each database."""
    from affect_train.evaluation.evaluate import score
    from affect_train.inference.inference import predictions
    from affect_train.inputs.labels import load_labels
    from affect_train.network.model import AffectConfig, AffectModel

    tasks, rng = tasks_of(), np.random.default_rng(0)
    backbone = {"model_type": "vit", "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    backbone |= {"intermediate_size": 8, "image_size": 32, "patch_size": 16}
    config = AffectConfig(
        backbone_config=backbone, action_units=list(tasks.action_units), expressions=list(tasks.expressions),
        valence_arousal_bins=tasks.valence_arousal_bins,
    )  # fmt: skip
    dataset, labels = load_labels(open_dataset(path), "train", tasks)
    widths = {"au": len(tasks.action_units), "expression": len(tasks.expressions)}
    widths |= dict.fromkeys(("valence", "arousal"), tasks.valence_arousal_bins)
    logits = {head: rng.random((len(labels), width), np.float32) for head, width in widths.items()}
    model = AffectModel(config)
    predicted = predictions(model, logits)
    del logits
    score(model, predicted, labels, dataset)


def tasks_of() -> "TaskSet":
    """The heads of a model for the three tasks."""
    from affect_train.tasks import TaskSet

    return TaskSet((1, 2, 4, 6, 12, 15, 20, 25), tuple(PLACES), 20)


LABEL_CHECKS: Final = (
    "codes",
    "va_scale",
    "occurrence_intensity",
    "annotation_tool",
    "expression_va",
    "au_expression",
    "au_va",
    "va_jumps",
    "va_constant",
    "flicker",
)
PICTURE_CHECKS: Final = ("leakage", "duplicates", "mixed_crops", "face_quality", "grey_as_colour", "half_decoded")

WORKS: Final[dict[str, Callable[[Path], None]]] = {
    "stats": statistics_of,
    "balance": plan_of,
    "leak guard": leaks_of,
    "folds": folds_of,
    "epoch": epoch_started,
    "soft labels": soft_labels_written,
    "evaluate": split_evaluated,
    "audit, labels": labels_audited,
    "audit, pictures": pictures_audited,
    "audit, label errors": label_errors_found,
}


class Peak:
    """The most memory that this process has held itself, looked at every few milliseconds."""

    def __init__(self) -> None:
        self.held = 0.0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "Peak":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(0.005):
            self.held = max(self.held, megabytes("RssAnon:"))


def megabytes(name: str) -> float:
    """A line of the system's account of this process, in MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(name))


def run(work: str, path: Path) -> dict[str, float]:
    """Seconds and peaks of one work, in this process."""
    import affect_data.audit.run
    import affect_data.balance
    import affect_data.leaks.folds
    import affect_data.statistics.statistics  # noqa: F401 - imports are not timed

    if work in TRAINED:
        import affect_train.evaluation.evaluate
        import affect_train.labelling.label  # noqa: F401

    before = megabytes("RssAnon:")
    with Peak() as peak:
        cpu, wall = time.process_time(), time.perf_counter()
        WORKS[work](path)
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return {"cpu": cpu, "wall": wall, "held": peak.held, "mapped": megabytes("VmHWM:"), "before": before}


def measured(work: str, path: Path) -> dict[str, float]:
    """`run` in a process of its own."""
    command = [sys.executable, __file__, "--variant", work, "--dataset", str(path)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY, env=one_thread())
    found: dict[str, float] = json.loads(done.stdout)
    return found


def measure(options: argparse.Namespace) -> list[dict[str, Any]]:
    """A line for each number of rows and work; printed as it is known."""
    found: list[dict[str, Any]] = []
    print(f"{machine()}\n\n| work | rows | processor s | MB held | MB with mapped files |\n|---|---|---|---|---|")
    for rows in (int(text) for text in options.rows.split(",")):
        with tempfile.TemporaryDirectory(dir=options.folder) as place:
            pictured = rows <= options.pictures
            write(Path(place) / "dataset", rows, pictures=pictured)
            for work in options.work or WORKS:
                if work in PICTURED and not pictured:
                    continue
                line = {"work": work, "rows": rows, **measured(work, Path(place) / "dataset")}
                found.append(line)
                print(
                    f"| {work} | {rows:,} | {line['cpu']:.2f} | {line['held']:.0f} | {line['mapped']:.0f} |", flush=True
                )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", default=",".join(map(str, ROWS)), help="numbers of rows, with commas between them")
    parser.add_argument("--work", action="append", choices=WORKS, help="one of the works; may be repeated")
    parser.add_argument("--pictures", type=int, default=1_000_000, help="most rows of a dataset that has pictures")
    parser.add_argument("--folder", type=Path, help="where datasets are written; 1 KB a row")
    parser.add_argument("--figures", type=Path, help="JSON file of what is measured, or was")
    parser.add_argument("--plot", type=Path, help="draws the figures of the file and measures nothing")
    parser.add_argument("--smoke", action="store_true", help="a tiny size, whose figures mean nothing")
    parser.add_argument("--variant", choices=WORKS, help=argparse.SUPPRESS)
    parser.add_argument("--dataset", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.variant:
        print(json.dumps(run(options.variant, options.dataset)))
        return
    if options.plot:
        options.plot.write_text(draw(json.loads(options.figures.read_text())))
        return
    if options.smoke:
        options.rows, options.work = "2000", ["stats"]
    found = measure(options)
    if options.figures:
        options.figures.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
