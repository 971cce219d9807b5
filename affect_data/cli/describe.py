"""The command ``affect-data describe``: what own data holds, and the entry of a recipe for it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from affect_data.cli.common import Json, out_console, print_json

if TYPE_CHECKING:
    from affect_data.databases.table.describe import Description


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(epilog="Example: `affect-data describe faces/labels.csv`")(describe)


def describe(
    data: Annotated[
        Path, typer.Argument(metavar="FILE", help="A table, class folders, or the folder of a Hugging Face dataset.")
    ],
    as_json: Json = False,
) -> None:
    """Look at own data and propose the entry of a recipe: what each value would mean, and what contradicts it; nothing is written."""
    from affect_data.databases.table.describe import describe as run_describe

    found = run_describe(data)
    if as_json:
        print_json(
            {
                "rows": found.rows,
                "entry": found.entry,
                "values": found.values,
                "questions": found.questions,
                "unread": found.unread,
            }
        )
    else:
        out_console.print(_text(found), markup=False)


def _text(found: "Description") -> str:
    from affect_data.cli.tables import table
    from affect_data.yaml12 import write_yaml

    parts = [f"{found.rows:,} rows", write_yaml({"databases": {"mine": found.entry}}).rstrip()]
    for column, values in found.values.items():
        rows = [[value, name or "?", count] for value, name, count in values]
        parts.append(table([column, "class", "rows"], rows))
    if found.unread:
        parts.append(f"not used: {', '.join(found.unread)}")
    parts.append("\n".join(f"to decide: {question}" for question in found.questions) or "nothing to decide")
    return "\n\n".join(parts)
