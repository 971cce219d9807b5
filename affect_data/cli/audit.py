"""The commands ``affect-data audit`` and ``affect-data folds``."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import polars as pl
import typer
from rich.console import Console

from affect_data.cli.common import Json, out_console, print_json, print_next
from affect_data.errors import UsageError


def register(app: typer.Typer) -> None:
    """Adds the commands to the application."""
    app.command(epilog="Example: `affect-data audit merged --check duplicates --check leakage`")(audit)
    app.command(epilog="Example: `affect-data folds merged --count 5 --name cv5`")(folds)


def audit(
    dataset: Annotated[Path | None, typer.Argument(metavar="DATASET", help="A dataset folder.")] = None,
    check: Annotated[list[str], typer.Option("--check", metavar="NAME", help="Only this check; may be repeated.")] = [],  # noqa: B006 - typer copies
    list_: Annotated[bool, typer.Option("--list", help="List the checks, their rules and sources.")] = False,
    workers: Annotated[int, typer.Option(help="Processes that decode pictures.")] = 1,
    fiftyone: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Write faces and findings for FiftyOne to a new folder.")
    ] = None,
    acknowledge: Annotated[
        list[str],
        typer.Option(metavar="DATABASE", help="Copy its faces out for FiftyOne although its licence keeps them in."),
    ] = [],  # noqa: B006 - typer copies
    as_json: Json = False,
) -> None:
    """Look for wrong labels and pictures; findings go to audit.parquet in the dataset. Ends with 1 if one is an error."""
    from affect_data.audit.export import check_acknowledged, write_fiftyone
    from affect_data.audit.run import run_audits
    from affect_data.dataset.folder import open_dataset

    if list_:
        _list_checks(as_json)
        return
    if dataset is None:
        raise UsageError("affect-data audit needs the folder of a DATASET, or --list")
    if fiftyone is not None:
        check_acknowledged(open_dataset(dataset), acknowledge)
    with _progress() as progress:
        report = run_audits(open_dataset(dataset), check, workers=workers, progress=progress)
    exported = write_fiftyone(dataset, fiftyone, acknowledge) if fiftyone is not None else 0
    if as_json:
        print_json({**report.to_json(), **({"fiftyone_samples": exported} if fiftyone is not None else {})})
    else:
        _print_report(report.by_check(), report.skipped, dataset)
        if fiftyone is not None:
            sys.stdout.write(f"{exported:,} samples for FiftyOne under {fiftyone}\n")
        print_next(f"affect-data review {dataset}", f"affect-data report {dataset} --out report.html")
    if report.has_errors:
        raise typer.Exit(1)


def folds(
    dataset: Annotated[Path, typer.Argument(metavar="DATASET", help="A dataset folder.")],
    count: Annotated[int, typer.Option(help="Number of folds.")] = 5,
    name: Annotated[str, typer.Option(help="The column group becomes folds.NAME.")] = "",
    seed: Annotated[int, typer.Option(help="Decides among equals.")] = 0,
    literature: Annotated[
        str | None, typer.Option(metavar="DATABASE", help="The published folds of a database instead.")
    ] = None,
    copies: Annotated[
        bool, typer.Option("--copies", help="Keep near-duplicate pictures in one fold (decodes all pictures).")
    ] = False,
    workers: Annotated[int, typer.Option(help="Processes that decode pictures.")] = 1,
    as_json: Json = False,
) -> None:
    """Add folds for cross-validation as a column group: disjoint by subject, track and copies, stratified over AU, expression and VA."""
    from affect_data.audit.base import AuditedDataset
    from affect_data.dataset.folder import open_dataset
    from affect_data.dataset.kinds.folds import FOLDS
    from affect_data.leaks.folds import write_folds, write_literature_folds

    folder = open_dataset(dataset)
    if literature is not None:
        group = FOLDS.group(literature)
        written = write_literature_folds(folder, literature)
    else:
        name = name or f"{count}fold"
        group = FOLDS.group(name)
        with _progress() as progress:
            found = AuditedDataset(folder, workers, progress).copies.of_row if copies else None
        written = write_folds(folder, name, count, seed=seed, copies=found)
    provenance = written.manifest.provenance[group]
    if as_json:
        print_json({"group": group, **provenance})
        return
    rows = ", ".join(f"{'none' if fold == '-1' else fold}: {count:,}" for fold, count in provenance["rows"].items())
    sys.stdout.write(f"{group} written; rows by fold: {rows}\n")


def _list_checks(as_json: bool) -> None:
    from affect_data.audit.registry import AUDITS

    checks = [
        {"name": a.name, "title": a.title, "severity": a.severity.value, "rule": a.rule, "source": a.source}
        for a in AUDITS.values()
    ]
    if as_json:
        print_json(checks)
        return
    for entry in checks:
        sys.stdout.write(
            f"{entry['name']} ({entry['severity']}): {entry['title']}\n  rule: {entry['rule']}.\n  source: {entry['source']}.\n"
        )


def _print_report(checks: pl.DataFrame, skipped: dict[str, str], dataset: Path) -> None:
    from affect_data.audit.run import AUDIT
    from affect_data.cli.tables import table

    lines = [table(checks.columns, checks.iter_rows())]
    lines += [f"not run: {name}: {because}" for name, because in skipped.items()]
    out_console.print("\n".join([*lines, "", f"Findings are in {dataset / AUDIT}, worst first."]), markup=False)


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int], None]]:
    """Yields a function that shows the progress of each step: a changing line on a terminal, nothing elsewhere."""
    log = Console(stderr=True)
    if not log.is_terminal:
        yield lambda *_: None
        return
    with log.status("auditing") as status:
        yield lambda step, done, total: status.update(f"{step} {done}/{total}")
