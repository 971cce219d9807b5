"""The command ``affect-data init``: the first recipe, written for the folders that one has."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from affect_data.cli.common import Json, out_console, print_json, print_next

if TYPE_CHECKING:
    from affect_data.build.proposal import Entry, Place
    from affect_data.databases.table.describe import Description

NO_LABEL = "none"


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(epilog="Example: `affect-data init demo-databases --out recipe.yaml`")(init)


def init(
    folders: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[FOLDER]...",
            help="A database's folder, one that holds several, a table of your own, or NAME=FOLDER; asked for if none is named.",
        ),
    ] = None,
    out: Annotated[Path, typer.Option(metavar="RECIPE", help="The recipe to write; never one that exists.")] = Path(
        "recipe.yaml"
    ),
    yes: Annotated[bool, typer.Option("--yes", help="Ask nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Write a first data recipe: recognises the databases in folders, and proposes what the columns of own tables mean."""
    from affect_data.build.proposal import recipe_text, root_options, shared_options
    from affect_data.errors import UsageError
    from affect_data.files import write_text

    if out.exists():
        raise UsageError(f"'{out}' exists, and is not overwritten; name another by --out")
    asks = not yes and sys.stdin.isatty()
    if not folders and not asks:
        raise UsageError("name at least one FOLDER: a database's, one that holds several, or a table of your own")
    entries, passed_over = _from_arguments(folders, asks=asks) if folders else _asked_for()
    write_text(out, recipe_text(entries, out, shared_options(entries)))
    commands = [f"affect-data {command} {root_options(entries)}" for command in (f"check {out}", f"build {out} merged")]
    to_decide = {entry.name: entry.to_decide for entry in entries if entry.to_decide}
    if as_json:
        found = {entry.name: {"root": str(entry.root), "own_data": entry.description is not None} for entry in entries}
        others = [str(folder) for folder in passed_over]
        print_json(
            {"recipe": str(out), "databases": found, "to_decide": to_decide, "passed_over": others, "next": commands}
        )
        return
    for folder in passed_over:
        out_console.print(f"nothing known in {folder}", markup=False)
    for name, reasons in to_decide.items():
        for reason in reasons:
            out_console.print(f"{name}: to decide: {reason}", markup=False)
    out_console.print(f"{out} written: {', '.join(entry.name for entry in entries)}", markup=False)
    print_next(*commands if not to_decide else commands[:1])


def _from_arguments(folders: list[str], *, asks: bool) -> "tuple[list[Entry], list[Path]]":
    """The entries for the folders that the call names, and folders in them that are passed over."""
    entries: list[Entry] = []
    passed_over: list[Path] = []
    for folder in folders:
        passed_over += _add(entries, folder, asks=asks)
    return entries, passed_over


def _asked_for() -> "tuple[list[Entry], list[Path]]":
    """The entries for folders that a person names, one after another."""
    from affect_data.errors import AffectError

    entries: list[Entry] = []
    passed_over: list[Path] = []
    _say("Folders of databases, a folder that holds several, or tables of your own; one a line, an empty line ends.")
    while True:
        folder = typer.prompt("Folder", default="", show_default=False, err=True).strip()
        if folder:
            try:
                passed_over += _add(entries, folder, asks=True)
            except AffectError as error:
                _say(str(error))
        elif entries:
            return entries, passed_over
        else:
            _say("Name at least one; Ctrl-C ends.")


def _add(entries: "list[Entry]", folder: str, *, asks: bool) -> "list[Path]":
    """Adds the entries for a folder; returns the folders in it that are passed over.

    Raises:
        UsageError: it looks like several databases and nobody is asked, or like one that there is already.
    """
    from affect_data.build.proposal import Entry, look, own_entry, settle
    from affect_data.errors import UsageError

    places, passed_over = look(folder)
    new: list[Entry] = []
    for place in places:
        taken = {entry.name: entry.root for entry in (*entries, *new)}
        if not place.names:
            entry = own_entry(place.path, taken)
            if asks and entry.description is not None:
                _ask_what_values_mean(entry.description)
            settle(entry)
        else:
            entry = Entry(_which(place, asks=asks), place.path)
        if entry.name in taken:
            both = f"'{taken[entry.name]}' and '{place.path}' are both {entry.name}"
            raise UsageError(f"{both}, which a recipe holds once; name one of the two folders")
        new.append(entry)
        _say(f"{place.path}: {_titled(entry)}")
    entries += new
    return passed_over


def _which(place: "Place", *, asks: bool) -> str:
    from affect_data.errors import UsageError

    if len(place.names) == 1:
        return place.names[0]
    alike = ", ".join(place.names)
    if not asks:
        options = " or ".join(f"{name}={place.path}" for name in place.names)
        raise UsageError(f"'{place.path}' looks like {alike}; say which it is: {options}")
    return _choice(f"'{place.path}' looks like {alike}. Which is it?", place.names)


def _ask_what_values_mean(found: "Description") -> None:
    """Asks for the meaning of values that nothing explains, and writes the answers into the entry."""
    from affect_data.vocabulary import EXPRESSIONS

    columns = found.entry["columns"]
    column, strange = found.strange_splits
    if strange:
        names = {
            value: _choice(f"{column} = {value}: which split?", ["train", "validation", "test"]) for value in strange
        }
        columns["split"] = {"column": column, "names": names}
        found.questions = [question for question in found.questions if not question.startswith(f"{column}: say which")]
    for column, values in found.values.items():
        unknown = {value: rows for value, name, rows in values if not name}
        if not unknown:
            continue
        _say(f"{column}: the expressions are {', '.join(EXPRESSIONS)}; {NO_LABEL} where a value is no label")
        means = {
            value: _choice(f"{column} = {value} ({rows:,} rows)", [*EXPRESSIONS, NO_LABEL])
            for value, rows in unknown.items()
        }
        known = columns["expression"]["names"] | {v: name for v, name in means.items() if name != NO_LABEL}
        columns["expression"]["names"] = known
        if missing := [value for value, name in means.items() if name == NO_LABEL]:
            columns.setdefault("missing", {})[column] = missing
        found.questions = [question for question in found.questions if not question.startswith(f"{column}: say what")]


def _choice(question: str, known: list[str]) -> str:
    """One of the known answers; asked again until it is one. An answer may be shortened as long as it fits one alone."""
    from affect_data.errors import suggestion

    while True:
        answer = typer.prompt(question, err=True).strip().lower()
        fitting = [name for name in known if name == answer] or [name for name in known if name.startswith(answer)]
        if len(fitting) == 1:
            return fitting[0]
        _say(suggestion(answer, known))


def _titled(entry: "Entry") -> str:
    if entry.description is not None:
        return f"own data, {entry.description.rows:,} rows, named {entry.name}"
    from affect_data.databases.registry import DATABASES

    return f"{DATABASES[entry.name].title} ({entry.name})"


def _say(text: str) -> None:
    typer.echo(text, err=True)
