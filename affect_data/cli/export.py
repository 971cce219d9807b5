"""The command ``affect-data export``: the labels of a database as the database's own files."""

from pathlib import Path
from typing import Annotated

import typer

from affect_data.cli.common import Json, out_console, print_json


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(epilog="Example: `affect-data export merged --native disfa --out disfa-labels`")(export)


def export(
    dataset: Annotated[Path, typer.Argument(metavar="DATASET", help="A dataset folder.")],
    native: Annotated[str, typer.Option("--native", metavar="NAME", help="The database whose files are written.")],
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="A new folder.")],
    as_json: Json = False,
) -> None:
    """Write the labels of a database, corrected ones too, as the database's own files; they stay under its licence."""
    from affect_data.exporting.native import export_native

    done = export_native(dataset, native, out)
    if as_json:
        print_json(
            {"database": done.database, "rows": done.rows, "files": done.files, "out": str(out), "losses": done.losses}
        )
        return
    lines = [f"wrote {done.files:,} file(s) of {native} to {out}, from {done.rows:,} rows; they stay under its licence"]
    lines += ["not in them:", *(f"  {loss}" for loss in done.losses)]
    out_console.print("\n".join(lines), markup=False)
