"""What a command needs in this process: Accelerate, a reporter, and the number of loader processes."""

import os
from dataclasses import dataclass
from typing import Any, Final

import torch
from accelerate import Accelerator

from affect_data.environment import processors
from affect_data.errors import UsageError
from affect_train.reporting import Reporter

MOST_WORKERS: Final = 12
"""Loader processes that are started unless more are asked for; they decode enough for the fastest GPU of today."""

FLOAT32_SETTINGS: tuple[Any, ...] = (torch.backends.cuda.matmul, torch.backends.cudnn.conv)  # type: ignore[attr-defined]
"""Where torch keeps how products of float32 are computed on a GPU. Torch's type stubs do not know these."""


@dataclass(frozen=True)
class Runtime:
    """What training, inference and labelling need from their process.

    Attributes:
        accelerator: tells the processes apart and names the device.
        reporter: shows the progress; speaks on the main process.
        workers: loader processes; 0 decodes in this process.
        batch_size: rows that a model sees at a time in inference; None: as in the model's run.
        precision: of forward passes in inference, ``no`` for float32, ``bf16`` or ``fp16``; None: that of the model's run, where the device has it.
    """

    accelerator: Accelerator
    reporter: Reporter
    workers: int = 0
    batch_size: int | None = None
    precision: str | None = None

    @classmethod
    def start(
        cls,
        accelerator: Accelerator | None = None,
        *,
        workers: int | None = 0,
        batch_size: int | None = None,
        precision: str | None = None,
    ) -> "Runtime":
        """The runtime of a command, with a new Accelerator if none is given; `workers` is as for `loader_processes`.

        Raises:
            UsageError: the device does not compute in the precision.
        """
        accelerator = accelerator or build_accelerator()
        if precision == "fp16" and accelerator.device.type == "cpu":
            raise UsageError("--precision: fp16 takes a GPU; use bf16, or no")
        reporter = Reporter(speaks=accelerator.is_main_process)
        processes = loader_processes(None, accelerator.device) if workers is None else workers
        return cls(accelerator, reporter, processes, batch_size, precision)


def build_accelerator(**options: object) -> Accelerator:
    """The Accelerator of this process: on an accelerator device if there is one, otherwise on the CPU.

    Without a GPU, only ``cpu=True`` lets ``accelerate launch --multi_gpu --num_processes 2`` run.
    """
    return Accelerator(cpu=not torch.accelerator.is_available(), **options)


def precision_for(asked: str) -> str:
    """The precision of forward passes on this machine: ``no`` for float32, ``bf16`` or ``fp16``.

    Args:
        asked: one of these, or ``auto``: bf16 on a GPU that computes in it.
    """
    if asked != "auto":
        return asked
    return "bf16" if torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False) else "no"


def loader_processes(asked: int | None, device: torch.device) -> int:
    """How many processes decode for this one.

    Args:
        asked: for; None: what the machine has. Beside a GPU these are its cores, less one for each training process, in equal parts. On a CPU
            there are none, because the model has all cores.
        device: of the model.
    """
    if asked is not None:
        return asked
    if device.type == "cpu":
        return 0
    training = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    return min(MOST_WORKERS, max(1, processors() // training - 1))


def devices() -> dict[str, str]:
    """The processors that torch can compute on: their kind and the torch build, and each accelerator by its number."""
    found = {"torch": f"{torch.__version__} with {torch.get_num_threads()} thread(s)"}
    accelerator = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    if accelerator is None:
        return {**found, "accelerator": "none"}
    for number in range(torch.accelerator.device_count()):
        name = torch.cuda.get_device_name(number) if accelerator.type == "cuda" else accelerator.type
        found[f"{accelerator.type}:{number}"] = name
    return found
