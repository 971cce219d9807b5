"""The records of a run: a metrics file, TensorBoard, lines on stderr, and the rows that each process saw where the recipe asks for them."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from affect_train.inputs.batch import AffectBatch
from affect_train.recipe.recipe import Recipe
from affect_train.run_folder import LineLog, RunFolder
from affect_train.runtime import Runtime

PROJECT = "tensorboard"
"""The trackers' project: also the folder, inside the run folder, that TensorBoard's files go to."""


@dataclass
class _SinceLastLine:
    """What the next line of losses is the mean of."""

    losses: dict[str, float] = field(default_factory=dict)
    steps: int = 0
    faces: int = 0
    start: float = field(default_factory=time.perf_counter)


class Logs:
    """What is written while a run trains. Lines of the files hold the optimizer step, and a resumed run writes none of them twice.

    Args:
        recipe: of the run.
        runtime: its main process writes.
        folder: of the run.
        resume_at: optimizer steps done before.
    """

    def __init__(self, recipe: Recipe, runtime: Runtime, folder: RunFolder, *, resume_at: int) -> None:
        accelerator = runtime.accelerator
        self._recipe = recipe
        self._accelerator = accelerator
        self._reporter = runtime.reporter
        self._metrics = LineLog(folder.metrics, resume_at) if accelerator.is_main_process else None
        self._rows = LineLog(folder.rows(accelerator.process_index), resume_at) if recipe.training.record_rows else None
        self._last = _SinceLastLine()

    def __enter__(self) -> "Logs":
        self._accelerator.init_trackers(PROJECT)
        return self

    def __exit__(self, *error: object) -> None:
        for tracker in self._accelerator.trackers:
            tracker.finish()

    def step(self, step: int, micro_batches: Sequence[AffectBatch], losses: Mapping[str, float]) -> None:
        """Takes in the batches and loss terms of one optimizer step of this process."""
        if self._rows is not None:
            self._rows.write({"step": step, "rows": [batch.rows.tolist() for batch in micro_batches]})
        for name, value in losses.items():
            self._last.losses[name] = self._last.losses.get(name, 0.0) + value
        self._last.steps += 1
        self._last.faces += sum(map(len, micro_batches)) * self._accelerator.num_processes

    def write_losses(self, step: int, epoch: int, total_steps: int, learning_rate: float) -> None:
        """Writes the mean of the loss terms since the last time."""
        losses = {name: value / self._last.steps for name, value in self._last.losses.items()}
        rate = self._last.faces / max(time.perf_counter() - self._last.start, 1e-9)
        values = {f"loss/{name}": value for name, value in losses.items()}
        self._accelerator.log({**values, "learning_rate": learning_rate, "faces_per_second": rate}, step=step)
        if self._metrics is not None:
            record = {"losses": losses, "learning_rate": learning_rate, "faces_per_second": round(rate, 1)}
            self._metrics.write({"kind": "train", "step": step, "epoch": epoch, **record})
        shown = ", ".join(f"{name} {value:.4f}" for name, value in losses.items())
        self._reporter.say(f"step {step:,}/{total_steps:,}: {shown}; {rate:,.0f} faces/s")
        self._last = _SinceLastLine()

    def evaluation(self, step: int, metrics: dict[str, Any], score: float) -> None:
        """Writes the metrics of an evaluation; the time that it took counts for no step."""
        self._accelerator.log({f"validation/{key}": value for key, value in scalars(metrics).items()}, step=step)
        if self._metrics is not None:
            self._metrics.write({"kind": "evaluation", "step": step, "metrics": metrics})
        self._reporter.say(f"step {step:,}: validation {self._recipe.training.best_metric} {score:.4f}")
        self._last.start = time.perf_counter()


def scalars(values: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    """The numbers of a nested mapping under dotted names."""
    found: dict[str, float] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            found |= scalars(value, f"{prefix}{key}.")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found[f"{prefix}{key}"] = float(value)
    return found
