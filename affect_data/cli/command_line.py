"""What both command lines have in common: ``-h``, ``--version``, completion, and help without types."""

import sys
from collections.abc import Callable
from typing import Annotated, Any, Final

import typer
from typer.core import TyperCommand, TyperGroup

HELP: Final = ("-h", "--help")


def _without_types(parameters: list[Any]) -> list[Any]:
    """The parameters, whose help names what a person gives, not a type of Python: ``NUMBER`` for the library's ``<int range>``."""
    for parameter in parameters:
        described = parameter.type_descriptor
        if described.is_choice:
            continue
        if parameter.param_type_name == "argument":
            # Its name says what it is.
            parameter.display_type_rich = _nothing
        elif parameter.metavar is None:
            parameter.metavar = "" if getattr(parameter, "is_bool_flag", False) else _word(described)
    return parameters


def _nothing(ctx: Any) -> None:  # noqa: ANN401 - types of the library's own copy of click
    """What stands beside an argument."""


def _word(described: Any) -> str:  # noqa: ANN401 - a type of the library
    """What stands beside an option that takes a value."""
    named = str(described.annotation)
    if described.is_path or "Path" in named:
        return "PATH"
    return "NUMBER" if "int" in named or "float" in named else "TEXT"


class Command(TyperCommand):
    """A command whose help shows no types."""

    def get_params(self, ctx: Any) -> list[Any]:  # noqa: ANN401 - types of the library's own copy of click
        """The arguments and options."""
        return _without_types(super().get_params(ctx))


class Group(TyperGroup):
    """A group of commands whose help shows no types."""

    def get_params(self, ctx: Any) -> list[Any]:  # noqa: ANN401 - types of the library's own copy of click
        """The options."""
        return _without_types(super().get_params(ctx))


class CommandLine(typer.Typer):
    """An application with the habits of both command lines.

    Args:
        help: what the application is for, in a sentence.
        **options: of `typer.Typer`.
    """

    def __init__(self, *, help: str, **options: Any) -> None:  # noqa: A002, ANN401 - as typer names and types them
        settings: dict[str, Any] = {
            "cls": Group,
            "no_args_is_help": True,
            "pretty_exceptions_enable": False,
            "rich_markup_mode": "markdown",
            "context_settings": {"help_option_names": list(HELP)},
        }
        super().__init__(help=help, **settings | options)

    def command(self, *arguments: Any, **options: Any) -> Callable[[Any], Any]:  # noqa: ANN401 - as typer types them
        """A decorator that adds a command."""
        return super().command(*arguments, **{"cls": Command} | options)


def _say_version(wanted: bool) -> None:
    if wanted:
        from affect_data.environment import own_version

        sys.stdout.write(f"affectkit {own_version()}\n")
        raise typer.Exit


Version = Annotated[
    bool, typer.Option("--version", callback=_say_version, is_eager=True, help="Show the version and exit.")
]
