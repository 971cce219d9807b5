"""The command ``affect-train compare``."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from affect_train.cli.common import Json, Workers, leave_process_group, out_console, print_json

COMMANDS = ("compare",)

Side = "A run, a model folder, a model on the Hub, or soft:NAME for soft labels of the dataset."


def register(app: typer.Typer) -> None:
    """Adds the command to an application."""
    app.command(epilog="Example: `affect-train compare runs/student runs/teacher merged --split validation`")(compare)


def compare(
    first: Annotated[str, typer.Argument(metavar="A", help=Side)],
    second: Annotated[str, typer.Argument(metavar="B", help="The other one.")],
    dataset: Annotated[Path, typer.Argument(metavar="DATASET", help="A dataset folder.")],
    split: Annotated[str, typer.Option(help="On which they are compared.")] = "validation",
    bootstrap: Annotated[int, typer.Option(min=100, help="Resamples of people behind the intervals.")] = 1000,
    plot: Annotated[Path | None, typer.Option(help="SVG file to draw the differences into.")] = None,
    output: Annotated[Path | None, typer.Option(help="JSON file to write.")] = None,
    optimistic: Annotated[
        bool, typer.Option("--optimistic", help="Compare on a split that chose a checkpoint, too; the report says so.")
    ] = False,
    workers: Workers = None,
    as_json: Json = False,
) -> None:
    """Show where two models differ by more than chance: row by row, over people, by task, action unit, database and group of people."""
    from affect_data.files import write_json, write_text
    from affect_train.study.compare import compare as run_compare

    result = run_compare(first, second, dataset, split, resamples=bootstrap, optimistic=optimistic, workers=workers)
    leave_process_group()
    if result is None:
        return
    if output is not None:
        write_json(output, result)
    if plot is not None:
        write_text(plot, drawn(result))
    if as_json:
        print_json(result)
    else:
        out_console.print(describe(result), markup=False)


def describe(result: Mapping[str, Any]) -> str:
    """The differences as a table, one group below the other."""
    from affect_train.cli.tables import aligned

    verdicts = {"first": "A is better", "second": "B is better", "not shown": "not shown"}
    rows = [["group", "metric", "A", "B", "A - B", "95% interval", "p", "q", "people", "verdict"]]
    before = ""
    for line in result["differences"]:
        low, high = line["interval"]
        rows.append(
            [
                line["group"] if line["group"] != before else "",
                short(line["metric"]),
                f"{line['first']:.3f}",
                f"{line['second']:.3f}",
                f"{line['difference']:+.3f}",
                f"[{low:+.3f}, {high:+.3f}]",
                f"{line['p']:.3f}",
                f"{line['q']:.3f}",
                f"{line['people']:,}",
                verdicts[line["verdict"]],
            ]
        )
        before = line["group"]
    people = ", ".join(f"{count:,} {kind}s" for kind, count in result["people"].items() if count)
    notes = [
        f"[A: {result['first']}; B: {result['second']}; {result['split']}: {result['rows']:,} rows, {people}]",
        f"[a verdict where q is at most {result['rate']:g}: of all verdicts of this table, at most {result['rate']:.0%} on average are chance]",
    ]
    own = ["its own thresholds" if any(at != 0.5 for at in one) else "0.5" for one in result["thresholds"].values()]
    if own[0] != own[1]:
        notes.append(f"[F1 of action units: A at {own[0]}, B at {own[1]}]")
    if result["left_out"]:
        notes.append(f"[{len(result['left_out'])} metrics without a comparison: `left_out` in the JSON says why]")
    notes += [f"[the checkpoint of {name} was chosen on this data]" for name in result["selected_on"]]
    return "\n".join([*aligned(rows), "", *notes]) + "\n"


def short(metric: str) -> str:
    """A metric's name for a table: ``AU12 average_precision``."""
    parts = metric.split(".")
    if parts[1] == "by_action_unit":
        return f"AU{parts[2]} {parts[3]}"
    return f"{parts[2]} {parts[3]}" if parts[1] == "by_class" else f"{parts[0]} {parts[1]}"


def drawn(result: Mapping[str, Any]) -> str:
    """The differences as an SVG drawing."""
    from affect_data.report.charts import forest, standing_alone

    lines = result["differences"]
    labels = [f"{line['group']}: {short(line['metric'])}" for line in lines]
    values = [(line["difference"], *line["interval"], line["verdict"] != "not shown") for line in lines]
    title = f"differences between {result['first']} and {result['second']} on {result['split']}"
    return standing_alone(forest(labels, values, title, ("B is better", "A is better")))
