"""The command ``affect-train score``."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from affect_train.cli.common import Json, out_console, print_json

COMMANDS = ("score",)


def register(app: typer.Typer) -> None:
    """Adds the command to an application."""
    app.command(epilog="Example: `affect-train score predicted/abaw AffWild2 --split validation`")(score)


def score(
    submission: Annotated[
        Path, typer.Argument(metavar="SUBMISSION", help="The folder `abaw` that `predict --format abaw` wrote.")
    ],
    annotations: Annotated[
        Path, typer.Argument(metavar="ROOT", help="The root of Aff-Wild2, or a folder of its annotations.")
    ],
    split: Annotated[str, typer.Option(help="Whose annotations: train or validation.")] = "validation",
    as_json: Json = False,
) -> None:
    """Score files of predictions as the ABAW challenges do: over every annotated frame, also where there is no face or crop."""
    from affect_train.evaluation.submission import score_submission

    result = score_submission(submission, annotations, split)
    if as_json:
        print_json(result)
    else:
        out_console.print(describe(result), markup=False)


def describe(result: Mapping[str, Any]) -> str:
    """The scores as text, a line for each task and what it is made of."""
    from affect_train.cli.tables import aligned

    rows = [["task", "score", "frames", "not annotated", "videos"]]
    for task, one in result["tasks"].items():
        counts = [f"{one[key]:,}" for key in ("frames", "frames_without_annotation", "videos")]
        rows += [[task, f"{one['score']:.4f}", *counts]]
        rows += [[f"  {name}", f"{value:.4f}", "", "", ""] for name, value in one["parts"].items()]
    return "\n".join([*aligned(rows), "", f"[{result['split']} of {' or '.join(result['release'])}]"])
