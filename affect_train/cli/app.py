"""The command ``affect-train``: train, label, evaluate and predict.

Every command prints people's text, or one JSON document on stdout with ``--json``; progress and logs go to stderr. It ends with 0 (done),
1 (the data or the check is at fault) or 2 (the call is at fault).
"""

import difflib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from affect_data.cli.command_line import CommandLine, Version
from affect_data.cli.common import print_environment
from affect_data.entry import ending, without_debug
from affect_data.interrupts import STATUS
from affect_train.cli import compare as cli_compare
from affect_train.cli import compound as cli_compound
from affect_train.cli import cross_database as cli_cross_database
from affect_train.cli import evaluate as cli_evaluate
from affect_train.cli import launch as cli_launch
from affect_train.cli import predict as cli_predict
from affect_train.cli import publish as cli_publish
from affect_train.cli import recipe as cli_recipe
from affect_train.cli import report as cli_report
from affect_train.cli import score as cli_score
from affect_train.cli import separation as cli_separation
from affect_train.cli import soft_labels as cli_soft_labels
from affect_train.cli import study as cli_study
from affect_train.cli import validate as cli_validate
from affect_train.cli.common import (
    BatchSize,
    Debug,
    Json,
    PriorName,
    PriorStrength,
    Workers,
    leave_process_group,
    out_console,
    print_json,
    print_next,
    target_prior,
)

if TYPE_CHECKING:
    from affect_train.recipe.recipe import Recipe

# Libraries show bars of their own when they load and save models: they would disturb ours.
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")

app = CommandLine(help="Learn facial affect from partial labels, and label with what was learned.")

COMMANDS = (
    "train",
    "label",
    "features",
    "demo",
    "env",
    "schema",
    *cli_evaluate.COMMANDS,
    *cli_predict.COMMANDS,
    *cli_soft_labels.COMMANDS,
    *cli_study.COMMANDS,
    *cli_compare.COMMANDS,
    *cli_compound.COMMANDS,
    *cli_cross_database.COMMANDS,
    *cli_separation.COMMANDS,
    *cli_publish.COMMANDS,
    *cli_recipe.COMMANDS,
    *cli_launch.COMMANDS,
    *cli_validate.COMMANDS,
    *cli_score.COMMANDS,
    *cli_report.COMMANDS,
)

RecipePath = Annotated[Path, typer.Argument(metavar="RECIPE", help="A training recipe (YAML).")]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="[KEY=VALUE]...", help="Entries to set, for example optimizer.learning_rate=1e-4."),
]
TeacherSource = Annotated[
    str,
    typer.Argument(
        metavar="TEACHER",
        help="A run or model folder, a description (.yaml) of an ONNX or TFLite file, a published model or an image classifier, by Hub id or folder.",
    ),
]
DatasetPath = Annotated[Path, typer.Argument(metavar="DATASET", help="A dataset folder.")]


def main(arguments: list[str] | None = None) -> None:
    """Runs the command line; errors become a message and an exit status, and a traceback only with ``--debug``."""
    with ending():
        app(without_debug(sys.argv[1:] if arguments is None else arguments), standalone_mode=True)


@app.callback()
def _options(debug: Debug = False, version: Version = False) -> None:
    """Learn facial affect from partial labels, and label with what was learned."""


def _read_recipe(recipe: Path, overrides: list[str] | None) -> "Recipe":
    from affect_train.recipe.recipe import read_recipe

    return read_recipe(recipe, overrides or [])


@app.command(epilog="Example: `accelerate launch -m affect_train recipes/demo/teacher.yaml training.epochs=2`")
def train(
    recipe: RecipePath,
    overrides: Overrides = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything, train one step, write nothing.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Train by a recipe; a run that was killed goes on where it stopped.

    The same as `python -m affect_train RECIPE [KEY=VALUE]...`, the form that `accelerate launch` takes.
    """
    validated = _read_recipe(recipe, overrides)
    from affect_data.dataset.folder import open_dataset

    # Opened before the imports that take seconds, so that a missing dataset is reported at once.
    folder = open_dataset(validated.dataset) if isinstance(validated.dataset, str) else None
    from affect_train.training.loop import train as run_training

    result = run_training(validated, folder, dry_run=dry_run)
    leave_process_group()
    if result is None:
        return
    if as_json:
        print_json(result)
    elif dry_run:
        losses = ", ".join(f"{name} {value:.4f}" for name, value in result["losses"].items())
        out_console.print(
            f"everything fits: one of {result['steps']:,} steps ran, losses {losses}; nothing was written", markup=False
        )
    else:
        best = (
            f", best {validated.training.best_metric} {result['best_score']:.4f}"
            if result["best_score"] is not None
            else ""
        )
        lost = result["undecodable_rows"]
        without = f"; {lost:,} row(s) could not be decoded and were left out" if lost else ""
        out_console.print(f"trained {result['steps']:,} steps{best}{without}; model: {result['model']}", markup=False)
        if folder is not None:
            run, data = validated.output, validated.dataset
            # The split that chose the checkpoint is only reported when that is said.
            chosen = " --optimistic" if best and validated.training.keep_best else ""
            print_next(f"affect-train evaluate {run} {data}{chosen}", f"affect-train label {run} {data} --name NAME")


@app.command(epilog="Example: `affect-train schema --output train`")
def schema(
    output: Annotated[
        str | None,
        typer.Option(metavar="COMMAND", help="The JSON Schema of what a command prints with --json instead."),
    ] = None,
    as_json: Json = False,  # noqa: ARG001 - it prints JSON anyway
) -> None:
    """Print the JSON Schema of training recipes: every key with what it may hold, its default and what it does."""
    if output is not None:
        from affect_data.cli.documents import document_schema
        from affect_train.cli.documents import DOCUMENTS

        print_json(document_schema(output, DOCUMENTS))
        return
    from affect_train.recipe.pages import training_recipe_schema

    print_json(training_recipe_schema())


@app.command(epilog="Example: `affect-train env`")
def env(as_json: Json = False) -> None:
    """Show versions, devices, caches and settings: what a report of a defect needs."""
    from affect_data.environment import environment
    from affect_train.runtime import devices

    print_environment({**environment(), "devices": devices()}, as_json=as_json)


@app.command(epilog="Example: `affect-train label runs/teacher merged --name teacher`")
def label(
    teacher: TeacherSource,
    dataset: DatasetPath,
    name: Annotated[str, typer.Option(help="What the soft labels are called: columns `soft.NAME.*`.")],
    prior: PriorName = None,
    prior_strength: PriorStrength = 1.0,
    workers: Workers = None,
    batch_size: BatchSize = None,
    as_json: Json = False,
) -> None:
    """Write a teacher's logits for every row of every split into the dataset; a run that was killed goes on where it stopped."""
    from affect_train.labelling.label import label as run_label

    result = run_label(
        teacher, dataset, name, workers=workers, batch_size=batch_size, target=target_prior(prior, prior_strength)
    )
    leave_process_group()
    if result is None:
        return
    if as_json:
        print_json(result)
    else:
        counted = ", ".join(f"{split} {rows:,}" for split, rows in result["rows"].items())
        out_console.print(f"soft labels '{name}' in {dataset}: {counted} rows", markup=False)
        out_console.print(
            f"A student learns from them by `soft_labels: [{name}]` and `method: {{name: distillation}}` in its recipe",
            markup=False,
        )
        print_next(
            f"affect-train recipe copy student && affect-train train student.yaml dataset={dataset} soft_labels=[{name}]"
        )


@app.command(epilog="Example: `affect-train features facebook/dinov2-small merged --name dinov2 --image-size 112`")
def features(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="A run, or a backbone: a folder of transformers or a Hub id.")
    ],
    dataset: DatasetPath,
    name: Annotated[str, typer.Option(help="What the features are called: column `features.NAME`.")],
    image_size: Annotated[int, typer.Option(min=16, help="Side of a backbone's input; a run has its own.")] = 112,
    margin: Annotated[
        float, typer.Option(min=0.0, help="Around the face box, for a backbone; a run has its own.")
    ] = 0.2,
    workers: Workers = None,
    batch_size: BatchSize = None,
    as_json: Json = False,
) -> None:
    """Store a backbone's features of every row, so that heads can be trained without decoding images."""
    from affect_train.inference.features import store_features
    from affect_train.runtime import Runtime

    runtime = Runtime.start(workers=workers, batch_size=batch_size)
    result = store_features(model, dataset, name, image_size=image_size, margin=margin, runtime=runtime)
    leave_process_group()
    if result is None:
        return
    if as_json:
        print_json(result)
    else:
        counted = ", ".join(f"{split} {rows:,}" for split, rows in result["rows"].items())
        out_console.print(f"features '{name}' in {dataset}: {counted} rows", markup=False)
        out_console.print(f"Next: `model: {{features: {name}, freeze_backbone: true, ...}}` in a recipe", markup=False)


@app.command(epilog="Example: `python -m affect_train demo demo --seed 0`")
def demo(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A new folder.")],
    overrides: Overrides = None,
    seed: Annotated[int, typer.Option(help="Of the faces and of both trainings.")] = 0,
    faces: Annotated[int | None, typer.Option(min=1, help="About how many faces to draw.")] = None,
    as_json: Json = False,
) -> None:
    """The whole path on drawn faces: databases, one dataset, a teacher, its soft labels, a student, one table."""
    from affect_train.study.demo import run_demo, table

    result = run_demo(out, seed, overrides or [], faces)
    if as_json:
        print_json(result)
        return
    out_console.print(f"\nValidation split, {result['seconds']} s in all:\n\n{table(result)}\n", markup=False)
    for what, path in result["paths"].items():
        out_console.print(f"{what:8} {path}", markup=False)


def run_command(words: Sequence[str]) -> object:
    """The exit status of a command of `affect-data` or `affect-train` run in this process (program first); None for 0.

    Raises:
        KeyboardInterrupt: the command was interrupted, which is not a failure of it.
    """
    program, *arguments = words
    try:
        if program == "affect-data":
            from affect_data.cli.app import app as data_app

            status = data_app(arguments, standalone_mode=False)
        else:
            status = app(arguments, standalone_mode=False)
    except typer.Abort:
        raise KeyboardInterrupt from None
    if status == STATUS:
        raise KeyboardInterrupt
    return status


cli_evaluate.register(app)
cli_predict.register(app)
cli_soft_labels.register(app)
cli_study.register(app, run_command)
cli_compare.register(app)
cli_compound.register(app)
cli_cross_database.register(app, run_command)
cli_separation.register(app)
cli_publish.register(app)
cli_recipe.register(app)
cli_validate.register(app)
cli_score.register(app)
cli_launch.register(app, COMMANDS)
cli_report.register(app)


def main_with_recipe(arguments: list[str]) -> list[str]:
    """The arguments, with ``train`` before them if they name no command, so that ``python -m affect_train RECIPE`` trains.

    A word that is no file and nearly a command is left to the command line, which asks whether that was meant.
    """
    words = [argument for argument in arguments if not argument.startswith("-")]
    if not words or words[0] in COMMANDS:
        return arguments
    is_slip = not Path(words[0]).exists() and difflib.get_close_matches(words[0], COMMANDS, n=1)
    return arguments if is_slip else ["train", *arguments]


def module_main() -> None:
    """Runs ``python -m affect_train``."""
    main(main_with_recipe(sys.argv[1:]))
