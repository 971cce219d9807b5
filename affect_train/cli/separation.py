"""The command ``affect-train separation``."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from affect_train.cli.common import Json, out_console, print_json

COMMANDS = ("separation",)


def register(app: typer.Typer) -> None:
    """Adds the command to an application."""
    app.command(epilog="Example: `affect-train separation runs/mal merged merged-truth`")(separation)


def separation(
    run: Annotated[
        Path, typer.Argument(metavar="RUN", help="A finished run of `meta_auxiliary` or `confidence_weighted`.")
    ],
    dataset: Annotated[Path, typer.Argument(metavar="DATASET", help="That it was trained on.")],
    truth: Annotated[
        Path,
        typer.Argument(metavar="TRUTH", help="The same rows with their true expressions (`affect-data reveal`)."),
    ],
    split: Annotated[str, typer.Option(help="That it was trained on.")] = "train",
    output: Annotated[Path | None, typer.Option(help="JSON file to write.")] = None,
    as_json: Json = False,
) -> None:
    """Show how well the row weights that a run has learned separate right expressions from wrong ones."""
    from affect_train.evaluation.separation import separation as run_separation

    result = run_separation(run, dataset, truth, split, output)
    if as_json:
        print_json(result)
    else:
        out_console.print(describe(result), markup=False)


def describe(result: Mapping[str, Any]) -> str:
    """The report as text: all rows, then those of each label."""
    from affect_train.cli.tables import aligned

    rows = [["label", "AUROC", "clean", "weight", "corrupted", "weight"], _cells("all", result)]
    rows += [_cells(name, one) for name, one in result["by_expression"].items()]
    apart = f"{result['not_compared']:,} rows without a true expression, {result['without_weight']:,} that never came"
    return "\n".join([*aligned(rows), "", f"[{result['split']}; apart: {apart}]"]) + "\n"


def _cells(name: str, one: Mapping[str, Any]) -> list[str]:
    cells = [name, _number(one["auroc"])]
    for kind in ("clean", "corrupted"):
        cells += [f"{one[kind]['rows']:,}", _number(one[kind]["mean_weight"])]
    return cells


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
