"""What both command lines have in common: ``-h``, ``--version``, completion, and flags without a type in their help."""

import sys
from collections.abc import Callable
from typing import Annotated, Any, Final

import typer
from typer.core import TyperCommand, TyperGroup

HELP: Final = ("-h", "--help")


def _flags_without_type(parameters: list[Any]) -> list[Any]:
    for parameter in parameters:
        # The library writes `<bool>` beside every option that takes no value.
        if getattr(parameter, "is_bool_flag", False) and parameter.metavar is None:
            parameter.metavar = ""
    return parameters


class Command(TyperCommand):
    """A command whose flags show no type in its help."""

    def get_params(self, ctx: Any) -> list[Any]:  # noqa: ANN401 - types of the library's own copy of click
        """The arguments and options."""
        return _flags_without_type(super().get_params(ctx))


class Group(TyperGroup):
    """A group of commands whose flags show no type in its help."""

    def get_params(self, ctx: Any) -> list[Any]:  # noqa: ANN401 - types of the library's own copy of click
        """The options."""
        return _flags_without_type(super().get_params(ctx))


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
