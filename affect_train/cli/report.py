"""The command ``affect-train report``."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from affect_train.cli.common import Json, Workers, leave_process_group, print_json, print_next

if TYPE_CHECKING:
    from affect_data.report.verdict import Verdict
    from affect_train.report.runs import ReportedRun

COMMANDS = ("report",)


def register(app: typer.Typer) -> None:
    """Adds the command to an application."""
    app.command(epilog="Example: `affect-train report runs/teacher runs/student --out report.html`")(report)


def report(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN", help="Run folders with an evaluation.")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="The HTML file to write.")] = Path("report.html"),
    dataset: Annotated[
        Path | None,
        typer.Option(metavar="DATASET", help="Compare the first run with the others face by face, on this dataset."),
    ] = None,
    bootstrap: Annotated[
        int, typer.Option(min=100, help="With --dataset: resamples of people behind the intervals.")
    ] = 1000,
    workers: Workers = None,
    as_json: Json = False,
) -> None:
    """Write a page about a run, or about several beside each other: verdicts, scores, curves and settings that differ."""
    from affect_train.report.page import write_run_report
    from affect_train.report.runs import read_runs
    from affect_train.report.verdicts import verdicts

    read = read_runs(runs)
    comparisons: list[dict[str, Any]] | None = []
    if dataset is not None:
        from affect_train.report.differences import face_by_face

        comparisons = face_by_face(read, dataset, resamples=bootstrap, workers=workers)
        leave_process_group()
    if comparisons is None:
        return
    found = verdicts(read, comparisons)
    write_run_report(out, read, found, comparisons)
    if as_json:
        print_json(report_document(out, read, found, comparisons))
        return
    sys.stdout.write(f"{out} written ({out.stat().st_size / 1e6:.1f} MB); open it in a browser\n")
    if dataset is None and len(read) > 1:
        print_next(f"affect-train report {' '.join(map(str, runs))} --dataset DATASET")


def report_document(
    out: Path,
    runs: "Sequence[ReportedRun]",
    verdicts: "Sequence[Verdict]",
    comparisons: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """What the page says, as values that JSON can hold."""
    from affect_data.report.evaluation_figures import METRICS, interval, value
    from affect_train.report.page import differing_settings
    from affect_train.report.runs import common_splits, judged

    scores = [
        {
            "run": run.letter,
            "split": split,
            "database": database,
            "metric": name,
            "value": value(one, name),
            "interval": interval(one, name),
        }
        for split in common_splits(runs)
        for database in [None, *runs[0].splits[split]["databases"]]
        for run, (_, one) in zip(runs, judged(runs, split, database), strict=True)
        for name in METRICS.values()
        if value(one, name) is not None
    ]
    return {
        "report": str(out),
        "bytes": out.stat().st_size,
        "runs": {run.letter: run.name for run in runs},
        "verdicts": [
            {"severity": one.severity.value, "what": one.what, "means": one.means, "do": one.do} for one in verdicts
        ],
        "scores": scores,
        "settings": differing_settings(runs),
        "comparisons": list(comparisons),
    }
