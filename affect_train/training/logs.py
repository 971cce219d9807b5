"""The records of a run: a metrics file, trackers, lines on stderr, and if the recipe asks for them, the rows that each process saw."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from affect_train.inputs.batch import AffectBatch
from affect_train.inputs.undecodable import SkippedRow, SkippedRows
from affect_train.recipe.recipe import Recipe
from affect_train.reporting import Reporter
from affect_train.run_folder import LineLog, RunFolder
from affect_train.runtime import Runtime
from affect_train.training.events import EventFile
from affect_train.training.learner import TENSORBOARD
from affect_train.training.values import StepValues, read

PROJECT = "affect_train"
"""The project's name in trackers."""


@dataclass
class _SinceLastLine:
    """Sums since the last line of losses, from which the next line takes its means."""

    losses: list[StepValues] = field(default_factory=list)
    faces: int = 0
    start: float = field(default_factory=time.perf_counter)


class Logs:
    """The records that a run writes while it trains. Lines of the files hold the optimizer step, and a resumed run writes no line twice.

    Args:
        recipe: of the run.
        runtime: its main process writes.
        folder: of the run.
        resume_at: optimizer steps done before this start.
        skipped: the undecodable rows that this process leaves out, to be recorded; None: none are left out.
    """

    def __init__(
        self,
        recipe: Recipe,
        runtime: Runtime,
        folder: RunFolder,
        *,
        resume_at: int,
        skipped: SkippedRows | None = None,
    ) -> None:
        accelerator = runtime.accelerator
        self._recipe = recipe
        self._accelerator = accelerator
        self._reporter = runtime.reporter
        self._metrics = LineLog(folder.metrics, resume_at) if accelerator.is_main_process else None
        self._rows = LineLog(folder.rows(accelerator.process_index), resume_at) if recipe.training.record_rows else None
        if accelerator.is_main_process:
            folder.cut_logs_of_others(accelerator.num_processes, resume_at)
        self._last = _SinceLastLine()
        self._folder = folder
        self._events: EventFile | None = None
        self._skipped = skipped
        self._undecodable = None
        if skipped is not None:
            self._undecodable = LineLog(folder.undecodable(accelerator.process_index), resume_at)
            skipped.restore(
                SkippedRow(line["epoch"], line["uid"], line["because"]) for line in self._undecodable.lines()
            )

    def __enter__(self) -> "Logs":
        self._accelerator.init_trackers(PROJECT)
        if TENSORBOARD in self._recipe.training.trackers and self._accelerator.is_main_process:
            self._events = EventFile(self._folder.path / TENSORBOARD)
        return self

    def __exit__(self, *error: object) -> None:
        if self._events is not None:
            self._events.close()
        for tracker in self._accelerator.trackers:
            tracker.finish()

    def step(self, step: int, micro_batches: Sequence[AffectBatch], losses: StepValues) -> None:
        """Records the batches and loss terms of one optimizer step of this process; the terms are not read yet."""
        if self._rows is not None:
            self._rows.write({"step": step, "rows": [batch.rows.tolist() for batch in micro_batches]})
        self._write_skipped(step)
        self._last.losses.append(losses)
        self._last.faces += sum(map(len, micro_batches)) * self._accelerator.num_processes

    def _write_skipped(self, step: int) -> None:
        if self._skipped is None or self._undecodable is None:
            return
        for row, first in self._skipped.take_new():
            self._undecodable.write({"step": step, **row._asdict()})
            if first:
                # Each process reports its own rows: the main process does not see those of the others.
                Reporter().say(f"step {step:,}: row {row.uid} cannot be decoded and is left out: {row.because}")

    def _track(self, values: dict[str, float], step: int) -> None:
        if self._events is not None:
            self._events.add(values, step)
        self._accelerator.log(values, step=step)

    def check_losses(self) -> None:
        """Reads the loss terms since the last line from the device.

        Raises:
            NonFiniteLossError: one of them is NaN or infinite.
        """
        read(self._last.losses)

    def write_losses(self, step: int, epoch: int, total_steps: int, learning_rate: float) -> None:
        """Writes the mean of the loss terms since the last time; raises what `check_losses` raises."""
        self.check_losses()
        steps = self._last.losses
        losses = {name: sum(step[name] for step in steps) / len(steps) for name in steps[0]}
        rate = self._last.faces / max(time.perf_counter() - self._last.start, 1e-9)
        values = {f"loss/{name}": value for name, value in losses.items()}
        self._track({**values, "learning_rate": learning_rate, "faces_per_second": rate}, step)
        if self._metrics is not None:
            record = {"losses": losses, "learning_rate": learning_rate, "faces_per_second": round(rate, 1)}
            self._metrics.write({"kind": "train", "step": step, "epoch": epoch, **record})
        shown = ", ".join(f"{name} {value:.4f}" for name, value in losses.items())
        self._reporter.say(f"step {step:,}/{total_steps:,}: {shown}; {rate:,.0f} faces/s")
        self._last = _SinceLastLine()

    def evaluation(self, step: int, metrics: dict[str, Any], score: float) -> None:
        """Writes the metrics of an evaluation, whose time is not counted as training."""
        self._track({f"validation/{key}": value for key, value in scalars(metrics).items()}, step)
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
