"""The command ``affect-data balance``."""

from pathlib import Path
from typing import Annotated, Any

import typer

from affect_data.cli.common import Json, out_console, print_json, print_next


def register(app: typer.Typer) -> None:
    """Adds the command to an application."""
    app.command(epilog="Example: `affect-data balance merged deng2020_au --name rare --option target=2`")(balance)


def balance(
    dataset: Annotated[Path | None, typer.Argument(metavar="DATASET", help="A dataset folder.")] = None,
    plan: Annotated[str | None, typer.Argument(metavar="PLAN", help="A plan; --list lists them.")] = None,
    name: Annotated[str | None, typer.Option(help="What to call the weights; the plan's name without it.")] = None,
    option: Annotated[
        list[str], typer.Option("--option", metavar="KEY=VALUE", help="An option of the plan; may be repeated.")
    ] = [],  # noqa: B006 - typer copies
    seed: Annotated[int, typer.Option(help="Decides clones and the epoch that is reported.", min=0)] = 0,
    draws: Annotated[int | None, typer.Option(help="Rows of that epoch; else as many as the pool has.", min=1)] = None,
    list_: Annotated[bool, typer.Option("--list", help="List the plans, with their options.")] = False,
    as_json: Json = False,
) -> None:
    """Weigh the training rows by a plan, write the weights as a column group, and report an epoch drawn by them."""
    from affect_data.balance import balance as run_balance
    from affect_data.balance import make_plan
    from affect_data.cli.statistics_tables import describe_balance
    from affect_data.errors import UsageError

    if list_:
        _list_plans(as_json=as_json)
        return
    if dataset is None or plan is None:
        raise UsageError("affect-data balance needs the folder of a DATASET and a PLAN, or --list")
    report = run_balance(dataset, make_plan(plan, parse_options(option)), name or plan, seed, draws)
    if as_json:
        print_json(report.to_json())
    else:
        out_console.print(describe_balance(report), markup=False)
        print_next(f"affect-train train RECIPE dataset={dataset} batches.balance={name or plan}")


def _list_plans(*, as_json: bool) -> None:
    from affect_data.balance.registry import PLANS
    from affect_data.recipe_reference import keys_of

    plans: list[dict[str, Any]] = [
        {
            "name": name,
            "description": (plan.__doc__ or "").split("\n\n")[0].replace("\n    ", " "),
            "options": {key.name: {"holds": key.holds, "default": key.default} for key in keys_of(plan)},
        }
        for name, plan in PLANS.items()
    ]
    if as_json:
        print_json(plans)
        return
    for plan in plans:
        out_console.print(f"{plan['name']}: {plan['description']}", markup=False)
        for option, said in plan["options"].items():
            out_console.print(f"  {option}: {said['holds']}; by default {said['default']}", markup=False)


def parse_options(entries: list[str]) -> dict[str, Any]:
    """Options given as ``key=value``; values are read as YAML, and a list may be written without brackets: ``1,2,4``.

    Raises:
        UsageError: an entry is no ``key=value``, or names a key twice.
    """
    from affect_data.errors import UsageError
    from affect_data.yaml12 import NotYamlError, read_yaml

    options: dict[str, Any] = {}
    for entry in entries:
        key, equals, text = entry.partition("=")
        if not equals or not key or key in options:
            raise UsageError(f"--option {entry}: expected KEY=VALUE, each key once")
        is_list = "," in text and not text.lstrip().startswith(("[", "{"))
        try:
            value = read_yaml(f"[{text}]" if is_list else text).values
        except NotYamlError:
            raise UsageError(f"--option {entry}: the value is no valid YAML") from None
        is_scalar_list = key in ("databases", "action_units") and not isinstance(value, list) and value is not None
        options[key] = [value] if is_scalar_list else value
    return options
