"""The command ``affect-data copy``."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from affect_data.cli.common import Json, out_console, print_json
from affect_data.errors import UsageError
from affect_data.progress import progress_bars


def register(app: typer.Typer) -> None:
    """Adds the command to the application."""
    app.command(epilog="Example: `affect-data copy merged s3://bucket/merged`")(copy)


def copy(
    source: Annotated[str, typer.Argument(metavar="FROM", help="An address such as s3://bucket/expw, or a dataset.")],
    target: Annotated[str, typer.Argument(metavar="TO", help="A folder for an address, or an address for a dataset.")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace another dataset at an address.")] = False,
    workers: Annotated[int, typer.Option(min=1, help="Files that are copied at a time.")] = 8,
    as_json: Json = False,
) -> None:
    """Copy databases or datasets from an object store, or a finished dataset to one; again, only what differs."""
    from affect_data.stores.addresses import is_address
    from affect_data.stores.fetch import fetch
    from affect_data.stores.upload import upload

    if is_address(source) == is_address(target):
        which = "both are addresses" if is_address(source) else "neither is an address such as s3://bucket/folder"
        raise UsageError(f"copy {source} {target}: {which}; name an address and a folder of this machine")
    with progress_bars() as progress:
        if is_address(source):
            if overwrite:
                raise UsageError("--overwrite is for a dataset at an address; a folder is only ever filled by copies")
            report = fetch(source, Path(target), workers, progress)
        else:
            report = upload(Path(source), target, overwrite=overwrite, workers=workers, progress=progress)
    if as_json:
        print_json(asdict(report))
        return
    text = f"{report.target} holds {report.files:,} files of {report.source}, {report.bytes / 1e6:,.1f} MB: {report.copied:,} copied"
    out_console.print(text + (f", {report.removed:,} removed" if report.removed else ""), markup=False)
