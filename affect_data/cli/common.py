"""What the commands of ``affect-data`` share: options and printing."""

import json
import sys
from typing import Annotated, Any, ClassVar, Final

import typer
from rich.console import Console
from rich.highlighter import RegexHighlighter
from rich.theme import Theme

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]
Debug = Annotated[
    bool, typer.Option("--debug", envvar="AFFECT_DEBUG", help="Show the traceback of an error; may stand anywhere.")
]


class States(RegexHighlighter):
    """Colours the words that say how something stands; nothing is coloured in a file or a pipe."""

    base_style = "state."
    highlights: ClassVar[list[str]] = [
        r"(?m)^[^\s:]+(?: \([^)]*\))?: (?:(?P<good>whole)|(?P<doubtful>incomplete)|(?P<bad>broken))\b",
        r"(?m)^(?:(?P<good>verified)|(?P<bad>refused|error)): ",
        r"(?m)^(?P<doubtful>not run|nothing known in|\S+: to decide)\b",
        r"(?m)^(?P<good>built|trained|applied) ",
    ]


COLOURS: Final = Theme({"state.good": "green", "state.doubtful": "yellow", "state.bad": "red"})

out_console: Final = Console(soft_wrap=True, highlighter=States(), theme=COLOURS)


def print_json(document: object) -> None:
    """Prints one JSON document on stdout; paths as text."""
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False, default=str) + "\n")


def print_next(*commands: str) -> None:
    """Prints the commands that usually come next, so that they can be copied."""
    for position, command in enumerate(commands):
        out_console.print(f"{'Next:' if position == 0 else '     '} {command}", markup=False, style="bold")


def print_environment(found: dict[str, Any], *, as_json: bool) -> None:
    """Prints what `environment.environment` found, a line for each fact."""
    if as_json:
        print_json(found)
        return
    for name, value in found.items():
        lines = value.items() if isinstance(value, dict) else [("", value)]
        for part, text in lines:
            out_console.print(f"{name} {part}".rstrip() + f": {text}", markup=False)
