"""Checkpoints from which a run goes on exactly where it stopped: weights, optimiser, schedule, random state and position."""

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed
from accelerate import Accelerator
from accelerate.utils import DistributedType
from safetensors import SafetensorError

from affect_data.files import commit_folder, partial_of, write_json
from affect_train.errors import CheckpointError

PROGRESS = "progress.json"
PREFIX = "step-"


@dataclass(frozen=True)
class Progress:
    """How far a run has come.

    Attributes:
        step: optimizer steps done. Epoch and position follow from it, because every epoch has the same number of steps.
        score: of the evaluation at this step; None where there was none.
        best_score: of all evaluations so far.
        processes: how many took part.
        evaluations_since_best: in a row, without a better score.
    """

    step: int = 0
    score: float | None = None
    best_score: float | None = None
    processes: int = 1
    evaluations_since_best: int = 0


class Checkpoints:
    """The checkpoints of a run, ``checkpoints/step-00000200/``; a folder of this name is complete.

    Args:
        folder: holds them.
        keep_last: how many of the latest stay.
        keep_best: how many of those with the best scores stay beside them.
    """

    def __init__(self, folder: Path, keep_last: int = 1, keep_best: int = 1) -> None:
        self.folder = folder
        self.keep_last = keep_last
        self.keep_best = keep_best

    def paths(self) -> list[Path]:
        """The complete checkpoints, oldest first."""
        return sorted(path for path in self.folder.glob(f"{PREFIX}*") if path.is_dir())

    def latest(self) -> Path | None:
        """The last complete checkpoint."""
        paths = self.paths()
        return paths[-1] if paths else None

    def save(self, accelerator: Accelerator, progress: Progress) -> Path:
        """Saves the state of everything that `accelerator` prepared; all processes call it. Old checkpoints go after the new one is complete."""
        path = self.folder / f"{PREFIX}{progress.step:08d}"
        partial = partial_of(path)
        if accelerator.is_main_process:
            for leftover in self.folder.glob(f".{PREFIX}*"):
                shutil.rmtree(leftover, ignore_errors=True)
            partial.mkdir(parents=True)
        accelerator.wait_for_everyone()
        accelerator.save_state(str(partial))
        accelerator.wait_for_everyone()
        if accelerator.is_main_process:
            write_json(partial / PROGRESS, asdict(progress))
            commit_folder(partial, path)
            self._prune()
        accelerator.wait_for_everyone()
        return path

    def load(self, accelerator: Accelerator, path: Path) -> Progress:
        """Restores the state of everything that `accelerator` prepared.

        Raises:
            CheckpointError: it is damaged, of another model, or of another number of processes.
        """
        progress = read_progress(path)
        if progress.processes != accelerator.num_processes:
            raise CheckpointError(
                path,
                f"it was written by {progress.processes} process(es), now there are {accelerator.num_processes}",
                f"Resume with `--num_processes {progress.processes}`, or choose another `output`",
            )
        try:
            accelerator.load_state(str(path))
        except (OSError, RuntimeError, ValueError, KeyError, EOFError, SafetensorError) as error:
            because = f"it cannot be restored: {str(error).splitlines()[0]}"
            raise CheckpointError(
                path, because, "Remove it to resume from the one before, or choose another `output`"
            ) from error
        return progress

    def _prune(self) -> None:
        paths = self.paths()
        scored = [(progress.score, path) for path in paths if (progress := read_progress(path)).score is not None]
        best = [path for _, path in sorted(scored, key=lambda pair: (pair[0], pair[1]), reverse=True)[: self.keep_best]]
        for path in paths[: -self.keep_last]:
            if path not in best:
                shutil.rmtree(path)


def read_progress(path: Path) -> Progress:
    """The position of a checkpoint.

    Raises:
        CheckpointError: it has none.
    """
    try:
        values: dict[str, Any] = json.loads((path / PROGRESS).read_text(encoding="utf-8"))
        return Progress(**values)
    except (OSError, ValueError, TypeError) as error:
        raise CheckpointError(
            path, f"{PROGRESS} is not readable ({error})", "Remove the checkpoint to resume from the one before"
        ) from error


def broadcast_buffers(accelerator: Accelerator, model: torch.nn.Module) -> None:
    """Gives all processes the first one's buffers, such as the running statistics of batch normalisation, which each process gathers by itself."""
    if accelerator.distributed_type == DistributedType.NO or accelerator.num_processes == 1:
        return
    for buffer in model.buffers():
        torch.distributed.broadcast(buffer, src=0)
