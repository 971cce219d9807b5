"""What a command needs in this process: Accelerate, a reporter, and the number of loader processes."""

from dataclasses import dataclass

import torch
from accelerate import Accelerator

from affect_train.reporting import Reporter


@dataclass(frozen=True)
class Runtime:
    """What training, inference and labelling need from their process.

    Attributes:
        accelerator: tells the processes apart and names the device.
        reporter: shows the progress; speaks on the main process.
        workers: loader processes; 0 decodes in this process.
    """

    accelerator: Accelerator
    reporter: Reporter
    workers: int = 0

    @classmethod
    def start(cls, accelerator: Accelerator | None = None, *, workers: int = 0) -> "Runtime":
        """The runtime of a command, with a new Accelerator if none is given."""
        accelerator = accelerator or build_accelerator()
        return cls(accelerator, Reporter(speaks=accelerator.is_main_process), workers)


def build_accelerator(**options: object) -> Accelerator:
    """The Accelerator of this process: on an accelerator device if there is one, otherwise on the CPU.

    Without a GPU, only ``cpu=True`` lets ``accelerate launch --multi_gpu --num_processes 2`` run.
    """
    return Accelerator(cpu=not torch.accelerator.is_available(), **options)


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
