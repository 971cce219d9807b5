"""The command ``affect-train evaluate``."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from affect_train.cli.common import (
    BatchSize,
    Json,
    Precision,
    PriorName,
    PriorStrength,
    Workers,
    leave_process_group,
    named_fold,
    out_console,
    print_json,
    print_next,
    target_prior,
)

COMMANDS = ("evaluate",)

RunPath = Annotated[
    Path,
    typer.Argument(
        metavar="RUN", help="A run folder, a model folder, or a model on the Hub (user/name, user/name@revision)."
    ),
]
EvaluatedDataset = Annotated[
    Path,
    typer.Argument(metavar="DATASET", help="A dataset folder, or a description (.yaml) of another dataset."),
]
FoldName = Annotated[
    str | None, typer.Option(metavar="NAME:NUMBER", help="Only the rows of this fold, such as jaa:0, count.")
]

TunedOn = Annotated[
    str | None,
    typer.Option(
        metavar="SPLIT", help="Choose each action unit's threshold on this other split; stored with the model."
    ),
]
Absent = Annotated[
    Literal["skip", "zero"],
    typer.Option(
        help="What a class neither predicted nor present does to a mean F1: left out, or 0. ABAW scores count 0."
    ),
]


def register(app: typer.Typer) -> None:
    """Adds the command to an application."""
    app.command(epilog="Example: `affect-train evaluate runs/teacher merged --split validation`")(evaluate)


def evaluate(
    run: RunPath,
    dataset: EvaluatedDataset,
    split: Annotated[list[str] | None, typer.Option(help="May be repeated; validation by default.")] = None,
    output: Annotated[
        Path | None, typer.Option(help="JSON file to write; `evaluation.json` of the run by default.")
    ] = None,
    bootstrap: Annotated[
        int, typer.Option(min=0, help="Resamples of people behind 95% confidence intervals; 0 leaves them out.")
    ] = 0,
    tune_thresholds: TunedOn = None,
    fold: FoldName = None,
    absent: Absent = "skip",
    optimistic: Annotated[
        bool, typer.Option("--optimistic", help="Report a split that chose the checkpoint, too; the report says so.")
    ] = False,
    prior: PriorName = None,
    prior_strength: PriorStrength = 1.0,
    workers: Workers = None,
    batch_size: BatchSize = None,
    precision: Precision = None,
    as_json: Json = False,
) -> None:
    """Show F1, average precision, AUROC, CCC, calibration and the ABAW scores of a model, with the number of labels behind each."""
    from affect_train.evaluation.evaluate import evaluate as run_evaluate
    from affect_train.runtime import Runtime

    result = run_evaluate(
        run,
        dataset,
        split or ["validation"],
        runtime=Runtime.start(workers=workers, batch_size=batch_size, precision=precision),
        output=output,
        bootstrap=bootstrap,
        tune_thresholds=tune_thresholds,
        target=target_prior(prior, prior_strength),
        fold=None if fold is None else named_fold(fold),
        absent=absent,
        optimistic=optimistic,
    )
    leave_process_group()
    if result is None:
        return
    if as_json:
        print_json(result)
    else:
        from affect_train.cli.tables import describe_evaluation

        for name, evaluation in result["splits"].items():
            out_console.print(describe_evaluation(name, evaluation), markup=False)
        print_next(
            f"affect-data report {dataset} --run {run}", f"affect-train predict {run} PHOTOGRAPH... --out results"
        )
