"""The command ``affect-train compound``."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from affect_train.cli.common import Json, Workers, leave_process_group, out_console, print_json

COMMANDS = ("compound",)


def register(app: typer.Typer) -> None:
    """Adds the command to an application."""
    app.command(
        epilog="Example: `affect-train compound runs/teacher raf --split validation --bootstrap 1000 --shots 5`"
    )(compound)


def compound(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder or a model folder.")],
    dataset: Annotated[Path, typer.Argument(metavar="DATASET", help="A dataset folder.")],
    split: Annotated[str, typer.Option(help="Whose faces are named.")] = "validation",
    name: Annotated[
        list[str] | None,
        typer.Option(help="A compound expression; may be repeated. The eleven of RAF-DB by default."),
    ] = None,
    bootstrap: Annotated[
        int, typer.Option(min=0, help="Resamples of people behind 95% confidence intervals; 0 leaves them out.")
    ] = 0,
    shots: Annotated[
        list[int] | None,
        typer.Option(min=1, help="Fit a new last layer to as many examples of each class, too; may be repeated."),
    ] = None,
    draws: Annotated[int, typer.Option(min=1, help="Sets of examples for each number of shots.")] = 10,
    support: Annotated[str, typer.Option(help="The split that the examples come from.")] = "train",
    on: Annotated[
        Literal["outputs", "features"],
        typer.Option(help="What the new layer sees: what the model predicts, or its features."),
    ] = "outputs",
    seed: Annotated[int, typer.Option(min=0, help="Of the draws and resamples.")] = 0,
    output: Annotated[Path | None, typer.Option(help="JSON file to write.")] = None,
    workers: Workers = None,
    as_json: Json = False,
) -> None:
    """Name compound expressions with a model that never learned them: by the rule of FaceBehaviorNet, or with examples and a new last layer."""
    from affect_train.evaluation.compound import evaluate_compound
    from affect_train.evaluation.compound_rule import RAF_DB

    result = evaluate_compound(
        run,
        dataset,
        split,
        names=name or RAF_DB,
        bootstrap=bootstrap,
        shots=shots or [],
        draws=draws,
        support=support,
        on=on,
        seed=seed,
        workers=workers,
        output=output,
    )
    leave_process_group()
    if result is None:
        return
    if as_json:
        print_json(result)
    else:
        out_console.print(describe(result), markup=False)


def describe(result: Mapping[str, Any]) -> str:
    """The report as text: chance and each way of naming, then the recall of each class."""
    from affect_train.cli.tables import aligned

    found = result["zero_shot"]
    rows = [["", "UAR", "accuracy"]]
    rows.append(["zero-shot", *(_with_interval(found, key) for key in ("uar", "accuracy"))])
    for one in result.get("few_shot", {}).get("results", ()):
        count = len(one["draws"])
        rows.append(
            [
                f"{one['shots']} shot{'s' * (one['shots'] > 1)}, {count} draws",
                *(_spread(one[key]) for key in ("uar", "accuracy")),
            ]
        )
    chance = result["chance"]
    rows.append(["chance", f"{chance['uar']:.3f}", f"{chance['accuracy_of_commonest']:.3f}"])
    classes = [
        [name, "-" if one["recall"] is None else f"{one['recall']:.3f}", f"{one['labels']:,}"]
        for name, one in found["by_class"].items()
    ]
    apart = ", ".join(f"{count:,} with {reason}" for reason, count in result["left_out"].items() if count)
    lines = [
        f"{result['split']}: {result['rows']:,} rows of {len(result['classes'])} compound expressions"
        + (f" (left out: {apart})" if apart else ""),
        *aligned(rows),
        "",
        *aligned([["zero-shot", "recall", "labels"], *classes]),
    ]
    if "few_shot" in result:
        few = result["few_shot"]
        lines += ["", f"Shots: mean ± deviation over draws from {few['support']}; {few['fits']} (on {few['on']})."]
    return "\n".join(lines) + "\n"


def _with_interval(found: Mapping[str, Any], key: str) -> str:
    interval = found.get("intervals", {}).get("metrics", {}).get(key)
    return f"{found[key]:.3f}" + (f" [{interval[0]:.3f}, {interval[1]:.3f}]" if interval else "")


def _spread(summary: Mapping[str, float | None]) -> str:
    deviation = summary["deviation"]
    return f"{summary['mean']:.3f}" + (f" ± {deviation:.3f}" if deviation is not None else "")
