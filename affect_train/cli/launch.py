"""The command ``affect-train launch``: what ``accelerate launch -m affect_train`` does, with a recipe's mistakes found before any process starts."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from affect_data.errors import DataError

COMMANDS = ("launch",)


class ProcessesFailedError(DataError):
    """A process of several ended with an error, which it has printed."""

    def __init__(self, status: int) -> None:
        super().__init__(f"a process ended with status {status}; its message stands above")
        self.exit_status = status if status in (1, 2, 130) else 1


def register(app: typer.Typer, commands: Sequence[str]) -> None:
    """Adds the command to an application whose other commands are named."""

    @app.command(
        epilog="Example: `affect-train launch --processes 2 recipes/demo/teacher.yaml dataset=merged`",
        context_settings={"ignore_unknown_options": True},
    )
    def launch(
        words: Annotated[
            list[str],
            typer.Argument(
                metavar="RECIPE|COMMAND [ARGUMENT]...",
                help="A training recipe with KEY=VALUE, or a command such as label.",
            ),
        ],
        config: Annotated[
            Path | None, typer.Option(metavar="FILE", help="A configuration of Accelerate, as in recipes/accelerate.")
        ] = None,
        processes: Annotated[int | None, typer.Option(min=1, help="How many; else as the configuration says.")] = None,
    ) -> None:
        """Run a training, or a command, in as many processes as Accelerate is configured for.

        `accelerate launch -m affect_train ...` does the same; this one reads the recipe first, and ends without a traceback.
        With `--json` after the other words it prints what they print.
        """
        if words[0] not in commands or words[0] == "train":
            from affect_train.recipe.recipe import read_recipe

            recipe, *others = words[words[0] == "train" :]
            read_recipe(recipe, [word for word in others if not word.startswith("-")])
        _run(words, config, processes)


def _run(words: Sequence[str], config: Path | None, processes: int | None) -> None:
    from affect_data.processes import run_program

    options = [] if config is None else ["--config_file", str(config)]
    options += [] if processes is None else _so_many(processes)
    command = [sys.executable, "-m", "affect_train.cli.launcher", *options, "-m", "affect_train", *words]
    status = run_program(command, {"OMP_NUM_THREADS": _threads(processes or 1), **os.environ}, stdout=sys.stdout)
    if status:
        raise ProcessesFailedError(status)


def _so_many(processes: int) -> list[str]:
    """Options of Accelerate for a number of processes on this machine, on any free port."""
    return ["--num_processes", str(processes), *(["--multi_gpu", "--main_process_port", "0"] if processes > 1 else [])]


def _threads(processes: int) -> str:
    """How many threads each process has on a machine whose cores they share."""
    return str(max(1, (os.cpu_count() or 1) // processes))
