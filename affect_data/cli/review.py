"""The commands ``affect-data review``, ``review apply`` and ``review undo``."""

import getpass
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from affect_data.cli.command_line import HELP, CommandLine, Group
from affect_data.cli.common import Json, print_json

Dataset = Annotated[Path, typer.Argument(metavar="DATASET", help="A dataset folder.")]

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
    dataset: Dataset,
    uids: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Rows to look at, one uid a line; else the audit's findings.")
    ] = None,
    check: Annotated[
        list[str], typer.Option("--check", metavar="NAME", help="Only findings of this check; may be repeated.")
    ] = [],  # noqa: B006 - typer copies
    decisions: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Where decisions are kept; else DATASET.decisions.jsonl beside it."),
    ] = None,
    who: Annotated[str | None, typer.Option(help="Your name, for the record; else the login name.")] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: a free one.")] = 0,
    as_json: Json = False,
) -> None:
    """Serve the review page to a browser on this machine until Ctrl-C; decisions are saved one by one."""
    from affect_data.corrections.decisions import DecisionFile
    from affect_data.dataset.folder import open_dataset
    from affect_data.review.server import review_routes
    from affect_data.review.session import ReviewSession, default_decisions
    from affect_data.serving import LocalServer

    folder = open_dataset(dataset)
    file = decisions or default_decisions(folder.path.resolve())
    session = ReviewSession(folder, _queue(folder, uids, check), DecisionFile(file), who or _login())
    with LocalServer(review_routes(session), port, "affect-data review") as server:
        overview = session.overview()
        if as_json:
            counts = {name: overview[name] for name in ("items", "decided", "skipped")}
            print_json({"url": server.url, "decisions": str(file), **counts})
        else:
            _print_start(overview, file, server.url)
        sys.stdout.flush()
        server.wait()
    if not as_json:
        sys.stdout.write(f"\nApply: affect-data review apply {file} {dataset}\n")


def apply(
    decisions: Annotated[Path, typer.Argument(metavar="DECISIONS", help="A file that `affect-data review` wrote.")],
    dataset: Dataset,
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


def undo(dataset: Dataset, as_json: Json = False) -> None:
    """Restore the labels from before the last application of decisions, byte by byte."""
    from affect_data.corrections.versions import undo_version
    from affect_data.dataset.kinds.registry import stale_groups

    folder, version = undo_version(dataset)
    if as_json:
        print_json({"dataset": str(folder.path), "version": version, "fingerprint": folder.fingerprint})
        return
    lines = [f"labels are version {version} again; fingerprint {folder.fingerprint}", *_stale(stale_groups(folder))]
    sys.stdout.write("\n".join(lines) + "\n")


def changes(dataset: Dataset, as_json: Json = False) -> None:
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


def _print_start(overview: Mapping[str, Any], file: Path, url: str) -> None:
    sys.stdout.write(
        f"{overview['items']:,} faces to review, {overview['decided']:,} decided; decisions go to {file}\n"
    )
    if overview["skipped"]:
        sys.stdout.write(f"{overview['skipped']:,} rows of the list are not in the dataset and were left out\n")
    sys.stdout.write(f"Open {url}  (Ctrl-C ends; nothing is lost)\n")


def _queue(folder: Any, uids: Path | None, checks: list[str]) -> Any:  # noqa: ANN401 - the types are imported late
    import polars as pl

    from affect_data.audit.registry import audit_named
    from affect_data.audit.run import read_audit
    from affect_data.review.queue import queue_of_findings, queue_of_uids, read_uids

    if uids is not None:
        return queue_of_uids(folder, read_uids(uids))
    findings = read_audit(folder.path)
    names = [audit_named(name).name for name in checks]
    return queue_of_findings(folder, findings.filter(pl.col("check").is_in(names)) if names else findings)


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def _stale(commands: Mapping[str, str]) -> list[str]:
    if not commands:
        return []
    return [
        f"made for other labels, and refused until they are made again: {', '.join(commands)}",
        *(f"  {group}: `{command}`" for group, command in commands.items()),
    ]
