"""The command ``affect-data view``, and how a page is served until Ctrl-C."""

import getpass
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from affect_data.cli.common import Json, print_json

DatasetArgument = Annotated[Path, typer.Argument(metavar="DATASET", help="A dataset folder.")]
DecisionsOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Where decisions are kept; else DATASET.decisions.jsonl beside it."),
]
WhoOption = Annotated[str | None, typer.Option(help="Your name, for the record; else the login name.")]
PortOption = Annotated[int, typer.Option(min=0, max=65535, help="0: a free one.")]


def register(app: typer.Typer) -> None:
    """Adds the command to an application."""
    app.command(epilog="Example: `affect-data view merged`")(view)


def view(
    dataset: DatasetArgument,
    filters: Annotated[
        str,
        typer.Option(metavar="ADDRESS", help="What to begin with, as in the page's address: `database=disfa&au=12`."),
    ] = "",
    decisions: DecisionsOption = None,
    who: WhoOption = None,
    port: PortOption = 0,
    as_json: Json = False,
) -> None:
    """Look at the faces in a browser on this machine until Ctrl-C: filter, sort, open one, decide about many."""
    from affect_data.viewing.filters import check_view
    from affect_data.viewing.routes import Page

    desk, file = open_desk(dataset, decisions, who)
    check_view(desk.table, filters)
    page = Page(desk, filters)
    told = f"{len(desk.table):,} faces; decisions go to {file}"
    serve_page(page, port, "affect-data view", told, {"rows": len(desk.table), "decisions": str(file)}, as_json=as_json)
    say_apply(desk, file, dataset, as_json=as_json)


def open_desk(
    dataset: Path, decisions: Path | None, who: str | None, uids: list[str] | None = None
) -> tuple[Any, Path]:
    """The desk of a dataset, and the file of its decisions."""
    from affect_data.corrections.decisions import DecisionFile
    from affect_data.dataset.folder import open_dataset
    from affect_data.viewing.desk import Desk, default_decisions
    from affect_data.viewing.table import label_table, with_listed

    folder = open_dataset(dataset)
    file = decisions or default_decisions(folder.path.resolve())
    kept = DecisionFile(file)
    table = label_table(folder)
    return Desk(folder, table if uids is None else with_listed(table, uids), kept, who or _login()), file


def serve_page(page: Any, port: int, command: str, told: str, facts: dict[str, Any], *, as_json: bool) -> None:  # noqa: ANN401
    """Serves a page until Ctrl-C, and prints its address."""
    from affect_data.serving import LocalServer

    with LocalServer(page.routes(), port, command) as server:
        if as_json:
            print_json({"url": server.url, **facts})
        else:
            sys.stdout.write(f"{told}\nOpen {server.url}  (Ctrl-C ends; nothing is lost)\n")
        sys.stdout.flush()
        server.wait()


def say_apply(desk: Any, file: Path, dataset: Path, *, as_json: bool) -> None:  # noqa: ANN401
    """Names the command that applies what was decided, if anything was."""
    if desk.progress()["actions"] and not as_json:
        sys.stdout.write(f"\nApply: affect-data review apply {file} {dataset}\n")


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
