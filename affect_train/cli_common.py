"""What the commands of ``affect-train`` share: options, how they print, and how their processes end."""

import json
import sys
from typing import Annotated

import typer
from rich.console import Console

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]
Workers = Annotated[int, typer.Option(min=0, help="Processes that decode images; 0 decodes in the main process.")]

out_console = Console(soft_wrap=True, highlight=False)


def print_json(document: object) -> None:
    """Prints one JSON document on stdout."""
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")


def leave_process_group() -> None:
    """Ends the use of several processes: torch complains where a process ends inside a group."""
    # Without several processes torch.distributed is not in use, and importing it takes seconds.
    distributed = sys.modules.get("torch.distributed")
    if distributed is not None and distributed.is_available() and distributed.is_initialized():
        distributed.destroy_process_group()
