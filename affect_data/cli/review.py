"""The commands ``affect-data review``, ``review apply``, ``review undo`` and ``review changes``."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from affect_data.cli.command_line import HELP, CommandLine, Group
from affect_data.cli.common import Json, print_json
from affect_data.cli.view import (
    DatasetArgument,
    DecisionsOption,
    PortOption,
    WhoOption,
    open_desk,
    say_apply,
    serve_page,
)

SERVE = "serve"


class _ServesByDefault(Group):
    """A group in which ``review DATASET`` is short for ``review serve DATASET``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 - a type of the library's own copy of click
        if args and args[0] not in (*self.commands, *HELP):
            args = [SERVE, *args]
        return super().parse_args(ctx, args)


def register(app: typer.Typer) -> None:
    """Adds the commands to an application."""
    review = CommandLine(
        cls=_ServesByDefault,
        help="Look at doubtful labels in a browser and decide; `review DATASET` is short for `review serve DATASET`. "
        "All of them take `--json`.",
        epilog="Example: `affect-data review merged`",
    )
    review.command(SERVE, epilog="Example: `affect-data review merged`")(serve)
    review.command("apply", epilog="Example: `affect-data review apply merged.decisions.jsonl merged`")(apply)
    review.command("undo", epilog="Example: `affect-data review undo merged`")(undo)
    review.command("changes", epilog="Example: `affect-data review changes merged`")(changes)
    app.add_typer(review, name="review")


def serve(
    dataset: DatasetArgument,
    uids: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Rows to look at, one uid a line; else the audit's findings.")
    ] = None,
    check: Annotated[
        list[str], typer.Option("--check", metavar="NAME", help="Only findings of this check; may be repeated.")
    ] = [],  # noqa: B006 - typer copies
    decisions: DecisionsOption = None,
    who: WhoOption = None,
    port: PortOption = 0,
    as_json: Json = False,
) -> None:
    """Serve the page to a browser on this machine until Ctrl-C, with the doubtful faces one by one; decisions are saved at once."""
    from affect_data.viewing.queue import named_queue, read_uids, review_queue
    from affect_data.viewing.routes import Page

    listed = None if uids is None else read_uids(uids)
    desk, file = open_desk(dataset, decisions, who, listed)
    queue = review_queue(desk.table, check) if listed is None else named_queue(desk.table, listed)
    page = Page(desk, queue.address, review=True, skipped=queue.skipped)
    items, decided = queue.progress(page.engine)
    told = f"{items:,} faces to review, {decided:,} decided; decisions go to {file}"
    if queue.skipped:
        told += f"\n{queue.skipped:,} rows of the list are not in the dataset and were left out"
    counts = {"items": items, "decided": decided, "skipped": queue.skipped}
    serve_page(page, port, "affect-data review", told, {"decisions": str(file), **counts}, as_json=as_json)
    say_apply(desk, file, dataset, as_json=as_json)


def apply(
    decisions: Annotated[Path, typer.Argument(metavar="DECISIONS", help="A file that `affect-data review` wrote.")],
    dataset: DatasetArgument,
    fitting: Annotated[
        bool, typer.Option("--fitting", help="Leave out decisions that do not fit, instead of refusing all.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Write a new version of the labels; the old one stays beside it."""
    from affect_data.corrections.versions import apply_decisions

    report = apply_decisions(dataset, decisions, fitting=fitting)
    if as_json:
        print_json(report.to_json())
        return
    summary = report.matching.summary()
    actions = ", ".join(f"{name} {count:,}" for name, count in report.actions.items()) or "none"
    lines = [
        f"decisions in force: {actions}",
        f"applied {summary['applied']:,}, applied already {summary['already']:,}",
    ]
    lines += [f"left out: {count:,}: {reason}" for reason, count in summary["misfits"].items()]
    if report.matching.foreign:
        lines.append(
            f"{report.matching.foreign:,} were made on other labels or another dataset; they were matched by picture and face"
        )
    lines.append(f"labels are version {report.version}; fingerprint {report.dataset.fingerprint}")
    lines += _stale(report.stale)
    sys.stdout.write("\n".join(lines) + "\n")


def undo(dataset: DatasetArgument, as_json: Json = False) -> None:
    """Restore the labels from before the last application of decisions, byte by byte."""
    from affect_data.corrections.versions import undo_version
    from affect_data.dataset.kinds.registry import stale_groups

    folder, version = undo_version(dataset)
    if as_json:
        print_json({"dataset": str(folder.path), "version": version, "fingerprint": folder.fingerprint})
        return
    lines = [f"labels are version {version} again; fingerprint {folder.fingerprint}", *_stale(stale_groups(folder))]
    sys.stdout.write("\n".join(lines) + "\n")


def changes(dataset: DatasetArgument, as_json: Json = False) -> None:
    """List what decisions have changed: who, when, why, old value, new value."""
    from affect_data.cli.tables import table
    from affect_data.corrections.versions import read_changes
    from affect_data.dataset.folder import open_dataset

    found = read_changes(open_dataset(dataset))
    if as_json:
        print_json(
            [
                {**row, "old": json.loads(row["old"]), "new": json.loads(row["new"])}
                for row in found.iter_rows(named=True)
            ]
        )
        return
    columns = ["version", "uid", "old", "new", "who", "when", "why"]
    sys.stdout.write(table(columns, found.select(columns).iter_rows()) + "\n")


def _stale(commands: Mapping[str, str]) -> list[str]:
    if not commands:
        return []
    return [
        f"made for other labels, and refused until they are made again: {', '.join(commands)}",
        *(f"  {group}: `{command}`" for group, command in commands.items()),
    ]
