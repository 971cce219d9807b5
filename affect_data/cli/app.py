"""The command ``affect-data``: check, build and describe merged datasets.

Every command prints people's text, or one JSON document on stdout with ``--json``; progress and logs go to stderr. It ends with 0 (done),
1 (the data or the check is at fault) or 2 (the call is at fault).
"""

import sys
from pathlib import Path
from typing import Annotated

import typer

from affect_data.cli import align as cli_align
from affect_data.cli import audit as cli_audit
from affect_data.cli import balance as cli_balance
from affect_data.cli import copying as cli_copying
from affect_data.cli import demo as cli_demo
from affect_data.cli import describe as cli_describe
from affect_data.cli import erase as cli_erase
from affect_data.cli import export as cli_export
from affect_data.cli import frames as cli_frames
from affect_data.cli import hub as cli_hub
from affect_data.cli import init as cli_init
from affect_data.cli import report as cli_report
from affect_data.cli import review as cli_review
from affect_data.cli import view as cli_view
from affect_data.cli.command_line import CommandLine, Version
from affect_data.cli.common import Debug, Json, out_console, print_environment, print_json, print_next
from affect_data.cli.roots import FollowLinks, Root, Roots, named_roots
from affect_data.entry import ending, without_debug

app = CommandLine(help="Merge facial-affect databases into one trustworthy dataset.")

RecipePath = Annotated[Path, typer.Argument(metavar="RECIPE", help="A data recipe (YAML).")]


def main() -> None:
    """Runs the command line; errors become a message and an exit status, and a traceback only with ``--debug``."""
    with ending():
        app(without_debug(sys.argv[1:]), standalone_mode=True)


@app.callback()
def _options(debug: Debug = False, version: Version = False) -> None:
    """Merge facial-affect databases into one trustworthy dataset."""


@app.command(epilog="Example: `affect-data databases disfa`")
def databases(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="One database in full; all in short without it.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show what affectkit knows about the databases: labels, classes, licence, citation, expected layout."""
    from affect_data.databases.catalogue import catalogue, describe_database, facts

    if as_json:
        print_json(facts(name) if name else catalogue())
    elif name:
        out_console.print(describe_database(name), markup=False)
    else:
        from affect_data.cli.tables import table
        from affect_data.databases.registry import UNUSABLE
        from affect_data.databases.unread import UNREAD

        rows = [
            [entry["name"], entry["title"], ", ".join(entry["tasks"]), entry["publishes"], ", ".join(entry["releases"])]
            for entry in catalogue()
        ]
        out_console.print(table(["name", "title", "labels", "may publish", "releases"], rows))
        for unusable, because in UNUSABLE.items():
            typer.echo(f"{unusable}: {because}", err=True)
        unread = ", ".join(database.title for database in UNREAD)
        typer.echo(f"Not read yet: {unread}; `affect-data databases NAME` says what is not known.", err=True)


@app.command(epilog="Example: `affect-data check recipes/demo/data.yaml --roots demo-databases`")
def check(
    recipe: RecipePath,
    root: Root = [],  # noqa: B006 - typer copies
    roots: Roots = None,
    full: Annotated[
        bool,
        typer.Option("--full", help="Also decode every picture, and read the files again by the rules of every copy."),
    ] = False,
    follow_links: FollowLinks = False,
    as_json: Json = False,
) -> None:
    """Check whether the databases are whole, incomplete or broken, without writing: what was found, every loss, every defect with its line."""
    from affect_data.build.check import check as run_check
    from affect_data.build.recipe import read_recipe
    from affect_data.build.verdicts import worst
    from affect_data.cli.tables import describe_check

    validated = read_recipe(recipe)
    checks = run_check(validated, named_roots(validated, root, roots), full=full, follow_links=follow_links)
    if as_json:
        print_json(
            {
                "clean": all(found.is_clean for found in checks),
                "verdict": str(worst(found.verdict for found in checks)),
                "databases": [found.to_json() for found in checks],
            }
        )
    else:
        for found in checks:
            out_console.print(describe_check(found), markup=False)
        if all(found.is_clean for found in checks):
            named = [f"--root {name}" for name in root] + ([f"--roots {roots}"] if roots is not None else [])
            print_next(" ".join([f"affect-data build {recipe} merged", *named]))
    if not all(found.is_clean for found in checks):
        raise typer.Exit(1)


@app.command(epilog="Example: `affect-data build recipes/demo/data.yaml merged --roots demo-databases`")
def build(
    recipe: RecipePath,
    out: Annotated[str, typer.Argument(metavar="DATASET", help="The dataset folder to make.")],
    root: Root = [],  # noqa: B006 - typer copies
    roots: Roots = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace another dataset at DATASET.")] = False,
    follow_links: FollowLinks = False,
    accept_incomplete: Annotated[
        bool,
        typer.Option("--accept-incomplete", help="Build databases that lack a part as they are; the lock says so."),
    ] = False,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes that pack images; else the recipe's.")] = None,
    part: Annotated[
        str | None, typer.Option("--part", metavar="I/N", help="Build one of N parts, on a disk that all share.")
    ] = None,
    finish: Annotated[bool, typer.Option("--finish", help="Make the dataset of parts that are all built.")] = False,
    as_json: Json = False,
) -> None:
    """Build the dataset of a recipe; a build that was killed goes on where it stopped."""
    from affect_data.build.recipe import read_recipe
    from affect_data.cli.building import Call

    validated = read_recipe(recipe)
    if workers is not None:
        validated = validated.model_copy(update={"workers": workers})
    call = Call(validated, out, named_roots(validated, root, roots), overwrite, follow_links, accept_incomplete)
    call.run(part, finish=finish, as_json=as_json)


@app.command(epilog="Example: `affect-data stats merged`")
def stats(
    dataset: Annotated[Path, typer.Argument(metavar="DATASET", help="A dataset folder.")],
    full: Annotated[
        bool, typer.Option("--full", help="Also imbalance, co-occurrence, lift, the VA plane, agreement.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show labels by database, mask coverage, class and AU counts, and what complete-case filtering would lose."""
    from affect_data.cli.statistics_tables import describe_full_statistics
    from affect_data.cli.tables import describe_statistics
    from affect_data.dataset.folder import open_dataset
    from affect_data.statistics.statistics import statistics

    found = statistics(open_dataset(dataset))
    if as_json:
        print_json(found.to_json())
    else:
        out_console.print(describe_statistics(found), markup=False)
        if full:
            out_console.print("\n" + describe_full_statistics(found), markup=False)


@app.command(epilog="Example: `affect-data diff merged other` or `affect-data diff old.lock.json merged`")
def diff(
    before: Annotated[Path, typer.Argument(metavar="A", help="A dataset folder, or its dataset.lock.json.")],
    after: Annotated[Path, typer.Argument(metavar="B", help="Another.")],
    as_json: Json = False,
) -> None:
    """Show how two datasets differ: databases, releases, options, files, rows by split; ends with 1 if they do."""
    from affect_data.build.diff import diff as run_diff

    found = run_diff(before, after)
    if as_json:
        print_json({"equal": not found.found, "differences": found.found, "wording": found.wording})
    else:
        same = ["the same rows, labels and pictures"] if not found.found else []
        worded = [f"another wording that makes no difference: {text}" for text in found.wording]
        out_console.print("\n".join([*found.found, *same, *worded]), markup=False)
    if found.found:
        raise typer.Exit(1)


@app.command(epilog="Example: `affect-data upgrade merged`")
def upgrade(
    dataset: Annotated[Path, typer.Argument(metavar="DATASET", help="A dataset folder that an older affectkit wrote.")],
    as_json: Json = False,
) -> None:
    """Bring a dataset folder to the current format: labels are stored again, no picture is written."""
    from affect_data.dataset.upgrade import upgrade as run_upgrade

    folder = run_upgrade(dataset)
    if as_json:
        print_json(
            {
                "dataset": str(dataset),
                "format_version": folder.manifest.format_version,
                "fingerprint": folder.fingerprint,
            }
        )
    else:
        out_console.print(
            f"{dataset} is in format {folder.manifest.format_version}; fingerprint {folder.fingerprint}", markup=False
        )


@app.command(epilog="Example: `affect-data env`")
def env(as_json: Json = False) -> None:
    """Show versions, caches and settings: what a report of a defect needs."""
    from affect_data.environment import environment

    print_environment(environment(), as_json=as_json)


@app.command(epilog="Example: `affect-data schema`")
def schema(
    recipe: Annotated[bool, typer.Option("--recipe", help="The JSON Schema of data recipes instead.")] = False,
    output: Annotated[
        str | None,
        typer.Option(metavar="COMMAND", help="The JSON Schema of what a command prints with --json instead."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Print the schema of a merged dataset: columns, fills and named rules."""
    if output is not None:
        from affect_data.cli.documents import DOCUMENTS, document_schema

        print_json(document_schema(output, DOCUMENTS))
        return
    if recipe:
        from affect_data.build.pages import data_recipe_schema

        print_json(data_recipe_schema())
        return
    from affect_data.dataset.schema import COLUMNS, RULES, SCHEMA_VERSION
    from affect_data.dataset.schema_page import schema_page, side_entries

    if as_json:
        columns = [
            {"name": c.name, "type": str(c.type), "group": c.group, "missing": c.missing, "values": c.values}
            for c in COLUMNS
        ]
        rules = [{"name": rule.name, "description": rule.description} for rule in RULES]
        print_json({"version": SCHEMA_VERSION, "columns": columns, "side": side_entries(), "rules": rules})
    else:
        sys.stdout.write(schema_page())


cli_init.register(app)
cli_frames.register(app)
cli_balance.register(app)
cli_demo.register(app)
cli_describe.register(app)
cli_align.register(app)
cli_audit.register(app)
cli_view.register(app)
cli_review.register(app)
cli_report.register(app)
cli_hub.register(app)
cli_copying.register(app)
cli_erase.register(app)
cli_export.register(app)
