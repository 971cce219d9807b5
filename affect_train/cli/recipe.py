"""The commands ``affect-train recipe list``, ``recipe copy`` and ``affect-train backbones``."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from affect_data.cli.command_line import CommandLine
from affect_train.cli.common import Json, out_console, print_json, print_next

COMMANDS = ("recipe", "backbones")


def register(app: typer.Typer) -> None:
    """Adds the commands to an application."""
    recipe = CommandLine(
        help="Training recipes for real photographs, to copy and change. Both take `--json`.",
        epilog="Example: `affect-train recipe copy photographs-224`",
    )
    recipe.command("list", epilog="Example: `affect-train recipe list`")(list_recipes)
    recipe.command("copy", epilog="Example: `affect-train recipe copy photographs-224 teacher.yaml`")(copy)
    app.add_typer(recipe, name="recipe")
    app.command(epilog="Example: `affect-train backbones`")(backbones)


def list_recipes(as_json: Json = False) -> None:
    """List the recipes to start from, with what each is for."""
    from affect_train.recipe.starters.catalogue import starters

    found = starters()
    if as_json:
        print_json([{"name": name, "description": description} for name, description in found.items()])
        return
    for name, description in found.items():
        out_console.print(f"{name}: {description}", markup=False)
    print_next("affect-train recipe copy NAME")


def copy(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the recipe; `recipe list` lists them.")],
    out: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="A new file; NAME.yaml by default.")] = None,
    as_json: Json = False,
) -> None:
    """Write a recipe to a new file, with comments; never over one that exists."""
    from affect_train.recipe.starters.catalogue import copy_starter

    file = out or Path(f"{name}.yaml")
    copy_starter(name, file)
    commands = [f"affect-train validate {file}", f"accelerate launch -m affect_train {file} dataset=DATASET"]
    if as_json:
        print_json({"recipe": str(file), "next": commands})
        return
    out_console.print(f"{file} written", markup=False)
    print_next(*commands)


def backbones(as_json: Json = False) -> None:
    """List kinds of pretrained backbones that are known to work; any other vision model of transformers may work too."""
    from affect_data.cli.tables import table
    from affect_train.recipe.starters.catalogue import BACKBONES

    if as_json:
        print_json([asdict(backbone) for backbone in BACKBONES])
        return
    rows = [[b.on_the_hub, b.model_type, str(b.millions), b.sizes] for b in BACKBONES]
    out_console.print(table(["model.backbone", "kind", "million weights", "model.image_size"], rows), markup=False)
