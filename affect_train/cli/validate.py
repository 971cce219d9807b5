"""The command ``affect-train validate``."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from affect_train.cli.common import Json, out_console, print_json

if TYPE_CHECKING:
    from affect_train.training.cost import Cost

COMMANDS = ("validate",)


def register(app: typer.Typer) -> None:
    """Adds the command to an application."""
    app.command(epilog="Example: `affect-train validate recipes/demo/teacher.yaml`")(validate)


def validate(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE", help="A training recipe (YAML).")],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY=VALUE]...", help="Entries to set, for example optimizer.learning_rate=1e-4."),
    ] = None,
    cost: Annotated[
        bool,
        typer.Option(help="Take a few steps with the dataset, and print what the run will cost: steps, memory, hours."),
    ] = False,
    as_json: Json = False,
) -> None:
    """List every mistake of a recipe at once, without data or GPU; print the resolved recipe if there is none."""
    from affect_data.faces.policies import BOX
    from affect_train.recipe.recipe import read_recipe

    resolved = read_recipe(recipe, overrides or [])
    if resolved.crop.policy != BOX:
        # Datasets take long to import, and only stored crops are looked up in one.
        from affect_train.inputs.crops import check_crops

        check_crops(resolved)
    if cost:
        from affect_train.training.cost import cost_of

        found = cost_of(resolved)
        if as_json:
            print_json(found.to_json())
        else:
            out_console.print(describe_cost(found), markup=False)
    elif as_json:
        print_json(resolved.model_dump(mode="json"))
    else:
        sys.stdout.write(resolved.to_yaml())


def describe_cost(cost: "Cost") -> str:
    """What a run will cost, a line for each figure."""
    from affect_train.training.cost import GPU_FLOPS, GPU_SHARE

    images = cost.images / cost.steps
    flops = cost.flops_of_a_step / max(images, 1)
    peak = GPU_FLOPS[cost.gpu_precision] / 1e12
    precision = "float32" if cost.gpu_precision == "no" else cost.gpu_precision
    judged = f"{cost.evaluations:,} times {cost.evaluated_rows:,} rows" if cost.evaluations else "none"
    return "\n".join(
        (
            f"steps        {cost.steps:,} of {cost.rows_of_a_step:,} rows; {cost.images:,} images",
            f"evaluations  {judged}; their time is not in the hours",
            f"network      {_millions(cost.parameters)} million weights, of which {_millions(cost.learning_parameters)} learn; "
            f"{flops / 1e9:,.3g} GFLOP an image, forward and backward",
            f"memory       {_size(cost.state_bytes)} of weights, gradients and optimizer; {_size(cost.activation_bytes)} of activations here",
            f"{cost.device:<12} {cost.seconds_of_a_step:,.3g} s a step, measured: {_time(cost.hours)}",
            f"{cost.gpu:<12} about {_size(cost.gpu_bytes)}, and {_time(cost.gpu_hours)} in {precision}, "
            f"if it reaches {GPU_SHARE:.0%} of its {peak:.0f} TFLOP/s and pictures arrive in time (not measured)",
        )
    )


def _millions(count: int) -> str:
    return f"{count / 1e6:,.4g}"


def _size(count: int) -> str:
    return f"{count / 1e9:,.3g} GB" if count >= 1e9 else f"{count / 1e6:,.3g} MB"


def _time(hours: float) -> str:
    return f"{hours:,.1f} h" if hours >= 1 else f"{60 * hours:,.2g} min"
