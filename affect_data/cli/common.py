"""What the commands of ``affect-data`` share: options and printing."""

import json
import sys
from typing import Annotated, Final

import typer
from rich.console import Console

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]
Debug = Annotated[
    bool, typer.Option("--debug", envvar="AFFECT_DEBUG", help="Show the traceback of an error; may stand anywhere.")
]

out_console: Final = Console(soft_wrap=True, highlight=False)


def print_json(document: object) -> None:
    """Prints one JSON document on stdout; paths as text."""
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False, default=str) + "\n")
