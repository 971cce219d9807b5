"""The command ``affect-data report``."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from affect_data.cli.common import Json, print_next


def register(app: typer.Typer) -> None:
    """Adds the command to an application."""
    app.command(epilog="Example: `affect-data report merged --out report.html --run runs/teacher`")(report)


def report(
    dataset: Annotated[Path, typer.Argument(metavar="DATASET", help="A dataset folder.")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="The HTML file to write.")] = Path("report.html"),
    run: Annotated[
        Path | None, typer.Option(metavar="RUN", help="A training run whose evaluation belongs into the report.")
    ] = None,
    faces: Annotated[
        bool, typer.Option("--faces", help="Show faces, of databases whose licence lets them leave and of drawn ones.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Write a report on a dataset, and on a training run with it, as one HTML file that needs no script and no network."""
    from affect_data.dataset.folder import open_dataset
    from affect_data.report.page import write_report

    write_report(open_dataset(dataset), out, run, with_faces=faces)
    if as_json:
        sys.stdout.write(json.dumps({"report": str(out), "bytes": out.stat().st_size}) + "\n")
    else:
        sys.stdout.write(f"{out} written ({out.stat().st_size / 1e6:.1f} MB); open it in a browser\n")
        if run is None:
            print_next(f"affect-train train RECIPE dataset={dataset} output=runs/teacher")
