"""The command ``affect-data balance``."""

from pathlib import Path
from typing import Annotated, Any

import typer

from affect_data.cli.common import Json, out_console, print_json


def register(app: typer.Typer) -> None:
    """Adds the command to an application."""
    app.command(epilog="Example: `affect-data balance merged deng2020_au --name rare --option target=2`")(balance)


def balance(
    dataset: Annotated[Path, typer.Argument(metavar="DATASET", help="A dataset folder.")],
    plan: Annotated[str, typer.Argument(metavar="PLAN", help="A plan; an unknown name lists them.")],
    name: Annotated[str | None, typer.Option(help="What to call the weights; the plan's name without it.")] = None,
    option: Annotated[
        list[str], typer.Option("--option", metavar="KEY=VALUE", help="An option of the plan; may be repeated.")
    ] = [],  # noqa: B006 - typer copies
    seed: Annotated[int, typer.Option(help="Decides clones and the epoch that is reported.", min=0)] = 0,
    draws: Annotated[int | None, typer.Option(help="Rows of that epoch; else as many as the pool has.", min=1)] = None,
    as_json: Json = False,
) -> None:
    """Weigh the training rows by a plan, write the weights as a column group, and report an epoch drawn by them."""
    from affect_data.balance import balance as run_balance
    from affect_data.balance import make_plan
    from affect_data.cli.statistics_tables import describe_balance

    report = run_balance(dataset, make_plan(plan, parse_options(option)), name or plan, seed, draws)
    if as_json:
        print_json(report.to_json())
    else:
        out_console.print(describe_balance(report), markup=False)


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
