"""Checkpoints from which a run goes on exactly where it stopped: weights, optimiser, schedule, random state and position.

They are safetensors and JSON files, because reading these runs no code.
"""

import random
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed
from accelerate import Accelerator
from accelerate.utils import DistributedType, set_seed

from affect_data.bounds import BoundError, read_json
from affect_data.files import commit_folder, partial_of, write_json
from affect_train.errors import CheckpointError
from affect_train.training.state import StateError, load_state, save_state

PROGRESS = "progress.json"
PREFIX = "step-"


Parts = Mapping[str, Any]
"""The parts of a run by file name: the model, its optimizer, ...; each a `Stateful`."""


@dataclass(frozen=True)
class Progress:
    """How far a run has come.

    Attributes:
        step: optimizer steps done. Epoch and position follow from it, because every epoch has the same number of steps.
        score: of the evaluation at this step; None if there was none.
        best_score: the best of all evaluations so far.
        processes: how many took part.
        evaluations_since_best: evaluations since the best one.
        planned: steps of the whole run, by its recipe at the time of this step.
    """

    step: int = 0
    score: float | None = None
    best_score: float | None = None
    processes: int = 1
    evaluations_since_best: int = 0
    planned: int = 0


class Checkpoints:
    """The checkpoints of a run, ``checkpoints/step-00000200/``; a folder with such a name is complete.

    Args:
        folder: of all checkpoints.
        keep_last: how many of the latest are kept.
        keep_best: how many with the best scores are kept besides.
    """

    def __init__(self, folder: Path, keep_last: int = 1, keep_best: int = 1) -> None:
        self.folder = folder
        self.keep_last = keep_last
        self.keep_best = keep_best

    def paths(self) -> list[Path]:
        """The complete checkpoints, oldest first."""
        return sorted(path for path in self.folder.glob(f"{PREFIX}*") if path.is_dir())

    def latest(self) -> Path | None:
        """The last complete checkpoint; None if there is none."""
        paths = self.paths()
        return paths[-1] if paths else None

    def save(self, accelerator: Accelerator, parts: Parts, progress: Progress) -> Path:
        """The folder of a new checkpoint with the state of all parts; all processes call it. Old ones are removed after it is complete."""
        path = self.folder / f"{PREFIX}{progress.step:08d}"
        if not can_checkpoint(accelerator):
            return path
        partial = partial_of(path)
        if accelerator.is_main_process:
            for leftover in self.folder.glob(f".{PREFIX}*"):
                shutil.rmtree(leftover, ignore_errors=True)
            partial.mkdir(parents=True)
        accelerator.wait_for_everyone()
        states = states_of(accelerator, parts)
        if accelerator.is_main_process:
            for name, state in states.items():
                save_state(partial, name, state)
        save_state(partial, f"random-{accelerator.process_index}", random_states(accelerator.device))
        accelerator.wait_for_everyone()
        if accelerator.is_main_process:
            write_json(partial / PROGRESS, asdict(progress))
            commit_folder(partial, path)
            self._prune()
        accelerator.wait_for_everyone()
        return path

    def load(self, accelerator: Accelerator, parts: Parts, path: Path, seed: int) -> Progress:
        """How far the run had come; restores the state of all parts.

        Random numbers of a process go on where they were. With another number of processes than wrote the checkpoint each begins anew, from `seed`
        and the step: what it draws then is the same at every such start.

        Raises:
            CheckpointError: the checkpoint is damaged, or of another model.
        """
        progress = read_progress(path)
        try:
            restore(accelerator, parts, {name: load_state(path, name) for name in parts})
            if progress.processes == accelerator.num_processes:
                restore_random_states(accelerator.device, load_state(path, f"random-{accelerator.process_index}"))
            else:
                key = [seed, progress.step, accelerator.num_processes, accelerator.process_index]
                set_seed(int(np.random.SeedSequence(key).generate_state(1)[0]))
        except (StateError, RuntimeError, ValueError, KeyError, TypeError, AttributeError) as error:
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


def can_checkpoint(accelerator: Accelerator) -> bool:
    """Whether the state of a run can be kept: not with DeepSpeed, which keeps its own in pickles, and reading these runs code."""
    return bool(accelerator.distributed_type != DistributedType.DEEPSPEED)


def states_of(accelerator: Accelerator, parts: Parts) -> dict[str, Mapping[str, Any]]:
    """The whole state of each part, on the main process; all processes call it, because each may hold a piece."""
    if accelerator.distributed_type != DistributedType.FSDP:
        return {name: part.state_dict() for name, part in parts.items()}
    from torch.distributed.checkpoint.state_dict import StateDictOptions, get_state_dict

    options = StateDictOptions(full_state_dict=True, cpu_offload=True)
    model, optimizer = get_state_dict(parts["model"], parts["optimizer"].optimizer, options=options)
    whole: dict[str, Mapping[str, Any]] = {"model": model, "optimizer": optimizer}
    return {name: whole[name] if name in whole else part.state_dict() for name, part in parts.items()}


def restore(accelerator: Accelerator, parts: Parts, states: dict[str, Any]) -> None:
    """Gives each part its state back.

    Raises:
        ValueError: a state belongs to another part; likewise `KeyError` and `RuntimeError`.
    """
    if accelerator.distributed_type == DistributedType.FSDP:
        from torch.distributed.checkpoint.state_dict import StateDictOptions, set_state_dict

        model, optimizer = parts["model"], parts["optimizer"].optimizer
        set_state_dict(
            model,
            optimizer,
            model_state_dict=states["model"],
            optim_state_dict=states["optimizer"],
            options=StateDictOptions(full_state_dict=True),
        )
    for name, part in parts.items():
        if accelerator.distributed_type != DistributedType.FSDP or name not in ("model", "optimizer"):
            part.load_state_dict(states[name])


def random_states(device: torch.device) -> dict[str, Any]:
    """The states of this process's random generators: of Python, numpy, torch, and its device."""
    states = {"python": random.getstate(), "numpy": np.random.get_state(), "torch": torch.get_rng_state()}  # noqa: NPY002 - libraries draw from it
    return states if device.type == "cpu" else {**states, "device": torch.get_device_module(device).get_rng_state()}


def restore_random_states(device: torch.device, states: dict[str, Any]) -> None:
    """Sets this process's random generators to the states that `random_states` gave."""
    random.setstate(states["python"])
    np.random.set_state(states["numpy"])  # noqa: NPY002 - libraries draw from it
    torch.set_rng_state(states["torch"])
    if device.type != "cpu":
        torch.get_device_module(device).set_rng_state(states["device"])


def read_progress(path: Path) -> Progress:
    """How far the run of a checkpoint had come.

    Raises:
        CheckpointError: the checkpoint does not say it.
    """
    try:
        values: dict[str, Any] = read_json(path / PROGRESS)
        return Progress(**values)
    except (OSError, ValueError, TypeError, BoundError) as error:
        raise CheckpointError(
            path, f"{PROGRESS} is not readable ({error})", "Remove the checkpoint to resume from the one before"
        ) from error


def broadcast_buffers(accelerator: Accelerator, model: torch.nn.Module) -> None:
    """Gives all processes the buffers of the first: each process gathers its own running statistics of batch normalisation."""
    if accelerator.distributed_type == DistributedType.NO or accelerator.num_processes == 1:
        return
    for buffer in model.buffers():
        torch.distributed.broadcast(buffer, src=0)
