"""The commands ``affect-train cross-label`` and ``affect-train ensemble``."""

from pathlib import Path
from typing import Annotated

import typer

from affect_train.cli.common import Json, Workers, leave_process_group, out_console, print_json

COMMANDS = ("cross-label", "ensemble")


def register(app: typer.Typer) -> None:
    """Adds the commands to an application."""
    app.command(epilog="Example: `affect-train cross-label teacher.yaml --folds 5 --name teacher-oof`")(cross_label)
    app.command(epilog="Example: `affect-train ensemble merged --soft one --soft two --fit-on train --name both`")(
        ensemble
    )


def cross_label(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE", help="The training recipe of the teachers (YAML).")],
    overrides: Annotated[list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Entries to set.")] = None,
    folds: Annotated[int, typer.Option(help="How many teachers; each is trained without one fold.", min=2)] = 5,
    name: Annotated[str | None, typer.Option(help="Of the soft labels; the output folder's name without it.")] = None,
    as_json: Json = False,
) -> None:
    """Train a teacher for each fold, and label every row by the teacher that was trained without it."""
    from affect_train.recipe.recipe import read_recipe

    validated = read_recipe(recipe, overrides or [])
    from affect_train.labelling.cross_label import cross_label as run_cross_label

    result = run_cross_label(validated, folds, name)
    leave_process_group()
    if result is None:
        return
    if as_json:
        print_json(result)
    else:
        counted = ", ".join(f"{split} {rows:,}" for split, rows in result["rows"].items())
        apart = result["folds"]["-1"]
        out_console.print(f"soft labels '{result['name']}', out of fold: {counted} rows", markup=False)
        out_console.print(
            f"{folds} teachers; {apart:,} training rows share a subject with another split, were trained on by none and have the mean of all",
            markup=False,
        )


def ensemble(
    dataset: Annotated[Path, typer.Argument(metavar="DATASET", help="A dataset folder.")],
    models: Annotated[
        list[str] | None, typer.Argument(metavar="[TEACHER]...", help="Runs, model folders or teacher descriptions.")
    ] = None,
    soft: Annotated[list[str] | None, typer.Option(help="Soft labels of the dataset; may be repeated.")] = None,
    name: Annotated[str | None, typer.Option(help="Write the merged logits as these soft labels.")] = None,
    split: Annotated[list[str] | None, typer.Option(help="A split to evaluate; may be repeated.")] = None,
    fit_on: Annotated[
        str | None, typer.Option(help="The split whose labels decide the weights; else all are equal.")
    ] = None,
    tune_thresholds: Annotated[
        str | None, typer.Option(metavar="SPLIT", help="Choose each action unit's threshold on this other split.")
    ] = None,
    optimistic: Annotated[
        bool, typer.Option("--optimistic", help="Evaluate a split that chose a member's checkpoint, too.")
    ] = False,
    workers: Workers = None,
    as_json: Json = False,
) -> None:
    """Merge models and soft labels by mean probability and mean expectation; evaluate the result, or write it as soft labels."""
    from affect_train.labelling.ensemble import ensemble as run_ensemble

    result = run_ensemble(
        dataset,
        models or [],
        soft or [],
        name=name,
        splits=split or [],
        fit_on=fit_on,
        tune_thresholds=tune_thresholds,
        optimistic=optimistic,
        workers=workers,
    )
    leave_process_group()
    if result is None:
        return
    if as_json:
        print_json(result)
        return
    from affect_train.cli.tables import describe_evaluation

    for task, shares in result["weights"].items():
        pairs = zip(result["members"], shares, strict=True)
        out_console.print(f"{task}: {', '.join(f'{member} {share:.2f}' for member, share in pairs)}", markup=False)
    for evaluated, evaluation in result["splits"].items():
        out_console.print(describe_evaluation(evaluated, evaluation), markup=False)
    if name is not None:
        out_console.print(f"soft labels '{name}' written to {dataset}", markup=False)
