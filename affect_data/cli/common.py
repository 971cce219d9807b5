"""What the commands of ``affect-data`` share: options and printing."""

import json
import sys
from typing import Annotated, Any, Final

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


def print_environment(found: dict[str, Any], *, as_json: bool) -> None:
    """Prints what `environment.environment` found, a line for each fact."""
    if as_json:
        print_json(found)
        return
    for name, value in found.items():
        lines = value.items() if isinstance(value, dict) else [("", value)]
        for part, text in lines:
            out_console.print(f"{name} {part}".rstrip() + f": {text}", markup=False)
