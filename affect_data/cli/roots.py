"""Options that name the folders of databases."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from affect_data.progress import log

if TYPE_CHECKING:
    from affect_data.build.recipe import DataRecipe

Root = Annotated[
    list[str], typer.Option("--root", metavar="NAME=PATH", help="The folder or address of a database; may be repeated.")
]
Roots = Annotated[
    Path | None,
    typer.Option(
        "--roots", metavar="FOLDER", help="A folder that holds one folder a database, named as in the recipe."
    ),
]
FollowLinks = Annotated[
    bool, typer.Option("--follow-links", help="Read files to which symbolic links lead out of a database's folder.")
]


def named_roots(recipe: "DataRecipe", named: list[str], folder: Path | None) -> dict[str, Path]:
    """Folders by database name, as the options name them.

    Args:
        recipe: whose databases they are.
        named: arguments ``name=PATH`` or ``name=ADDRESS``.
        folder: holds one folder a database; None where no such option is given.

    Raises:
        UsageError: an argument has another form, or names a database that the recipe does not merge.
    """
    from affect_data.build.recipe import parse_roots, refuse_unused, root_in_environment, roots_under
    from affect_data.databases.table.options import TableOptions

    named = [_of_this_machine(argument) for argument in named]
    own_data = [name for name, options in recipe.databases.items() if isinstance(options, TableOptions)]
    own = parse_roots(named, own_data)
    refuse_unused(recipe, own)
    if folder is None:
        return own
    # A database that no other option places is looked for below --roots, so that the message says what is there.
    missed = {
        name: folder / name
        for name, options in recipe.databases.items()
        if not (options.root or root_in_environment(name))
        and not (isinstance(options, TableOptions) and options.is_downloaded)
    }
    return {**missed, **roots_under(folder, own_data), **own}


def _of_this_machine(argument: str) -> str:
    """An argument of ``--root``, with a folder in place of an address."""
    if "://" not in argument:
        return argument
    from affect_data.stores.mirror import mirrored

    log.print(f"copying what is new in {argument.partition('=')[2]}", markup=False)
    return mirrored(argument)
