"""Proposes a data recipe for folders: databases that their readers recognise, and own data as `affect-data describe` sees it."""

import json
import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from affect_data.build.check import check
from affect_data.build.recipe import recipe_from, roots_under
from affect_data.databases.catalogue import facts
from affect_data.databases.recognition import holdings, recognised, recognised_below
from affect_data.databases.registry import OWN_NAME, canonical, database_named
from affect_data.databases.table.describe import Description, describe
from affect_data.databases.table.tables import KINDS, kind_of
from affect_data.errors import DataError, DefectsFoundError, RecipeError, UnknownNameError, UsageError
from affect_data.yaml12 import write_yaml

HEAD: Final = """\
# Which databases are merged, and how. `affect-data schema --recipe` and docs/data-recipe.md explain every key.
# No folder of this machine stands here, so that the recipe can be shared: --roots and --root name them.
#
#   affect-data check {recipe} {roots}
#   affect-data build {recipe} merged {roots}
#
# Where a database has no official validation part, `holdout: 0.1` in its entry takes a tenth of its people (or videos, or pictures) for one.
"""

TAIL: Final = """\
# strict: a video that one task trains on and another validates on counts as validation for both; what this loses is counted.
splits: {policy: strict}
# Processes that pack pictures.
workers: 2
"""


@dataclass
class Entry:
    """A database of the proposed recipe.

    Attributes:
        name: its name there.
        root: its folder.
        description: what was seen of own data; None for a database that has a reader.
        to_decide: what a person has to decide before it can be built.
    """

    name: str
    root: Path
    description: Description | None = None
    to_decide: list[str] = field(default_factory=list)

    @property
    def values(self) -> dict[str, Any]:
        """What the recipe says of it."""
        return {} if self.description is None else self.description.entry


@dataclass
class Place:
    """A folder or table in which something was recognised.

    Attributes:
        path: the folder, or the table.
        names: the databases that it looks like; none: it is own data.
    """

    path: Path
    names: list[str]


def look(argument: str) -> tuple[list[Place], list[Path]]:
    """What a folder, a table or ``NAME=FOLDER`` holds, and the folders in it that are passed over.

    Raises:
        UsageError: NAME is no database.
        DataError: there is nothing, or nothing that is known.
    """
    name, equals, named = argument.partition("=")
    if equals and not Path(argument).exists():
        known = canonical(name)
        if known is None:
            database_named(name)
            raise UnknownNameError("database", name, ())
        return [Place(_existing(named), [known])], []
    path = _existing(argument)
    if path.is_file():
        return [Place(path, [])], []
    if names := recognised(path):
        return [Place(path, names)], []
    below, others = recognised_below(path)
    if below:
        return [Place(folder, names) for folder, names in below.items()], others
    return [Place(_only_table(path) or path, [])], []


def own_entry(path: Path, taken: Iterable[str]) -> Entry:
    """The entry of own data as `describe` proposes it, under a name of its own.

    Args:
        path: a table or a folder.
        taken: names that other entries have.

    Raises:
        DataError: it is no data that can be read.
    """
    try:
        found = describe(path)
    except DataError as error:
        because = str(error.defects[0]) if isinstance(error, DefectsFoundError) else str(error)
        raise DataError(
            f"'{path}' looks like none of the databases that affectkit reads (`affect-data databases` lists them), nor like a table of your own: "
            f"{because}. {holdings(path) if path.is_dir() else ''}\nName another folder, or say which database it is: NAME={path}"
        ) from None
    root = path if path.is_dir() else path.parent
    called = re.sub(r"\W+", "_", root.resolve().name.lower(), flags=re.ASCII).strip("_")
    usable = OWN_NAME.fullmatch(called) and canonical(called) is None
    return Entry(next(name for name in _numbered(called if usable else "mine") if name not in set(taken)), root, found)


def settle(entry: Entry) -> None:
    """Reads own data by its entry, and keeps as `to_decide` what stands in the way of a build."""
    if entry.description is None:
        return
    try:
        recipe = recipe_from({"databases": {entry.name: entry.values}}, entry.name)
    except RecipeError as error:
        entry.to_decide = [*entry.description.questions, *error.mistakes]
        return
    found = check(recipe, {entry.name: entry.root})[0]
    if not found.is_clean:
        reasons = [found.problem] if found.problem else [str(defect) for defect in found.defects[:3]]
        entry.to_decide = entry.description.questions or reasons or [found.headline]


def recipe_text(entries: Sequence[Entry], recipe: Path, where: str) -> str:
    """The proposed recipe, with comments.

    Args:
        entries: its databases.
        recipe: where it will be.
        where: the options that name the folders, for the comment, without the folders of this machine.
    """
    lines = [HEAD.format(recipe=recipe.name, roots=where).rstrip(), "databases:"]
    for entry in entries:
        lines += [f"  {line}" for line in _comment(entry)]
        written = f"{entry.name}: {{}}\n" if not entry.values else write_yaml({entry.name: entry.values})
        lines += [f"  {line}" for line in written.splitlines()]
    return "\n".join([*lines, TAIL])


def root_options(entries: Sequence[Entry]) -> str:
    """The options of the commands that name the folders of the entries."""
    parents = {entry.root.resolve().parent for entry in entries}
    if len(parents) == 1:
        parent = entries[0].root.parent if entries[0].root.name else parents.copy().pop()
        own = [entry.name for entry in entries if entry.description is not None]
        try:
            placed = roots_under(parent, own)
        except UsageError:
            placed = {}
        if all(entry.name in placed and placed[entry.name].resolve() == entry.root.resolve() for entry in entries):
            return f"--roots {_quoted(parent)}"
    return " ".join(f"--root {_quoted(f'{entry.name}={entry.root}')}" for entry in entries)


def shared_options(entries: Sequence[Entry]) -> str:
    """The same options with placeholders for the folders."""
    if root_options(entries).startswith("--roots"):
        return "--roots FOLDER"
    return " ".join(f"--root {entry.name}=FOLDER" for entry in entries)


def _comment(entry: Entry) -> list[str]:
    if entry.description is None:
        said = facts(entry.name)
        lines = [f"# {said['title']}: {', '.join(said['tasks'])}. What may be published: {said['publishes']}."]
        if said["releases"]:
            lines.append(f"#   release: {', '.join(said['releases'])}; by default recognised from the files")
        return lines + [
            f"#   {name}: {option['description']}{_default(option['default'])}"
            for name, option in said["options"].items()
        ]
    lines = [f"# Own data, {entry.description.rows:,} rows; its keys: docs/own-data.md."]
    if entry.description.unread:
        lines.append(f"#   not used: {', '.join(entry.description.unread)}")
    notes = [f"to decide: {text}" for text in entry.to_decide] or [f"look: {q}" for q in entry.description.questions]
    return lines + [f"#   {line}" for note in notes for line in note.splitlines()]


def _default(value: object) -> str:
    return "" if value is None else f" (default {json.dumps(value)})"


def _existing(text: str) -> Path:
    path = Path(text).expanduser()
    if not path.exists():
        shown = holdings(path)
        raise DataError(f"'{text}' does not exist; name a folder, or a table.{f' {shown}' if shown else ''}")
    return path


def _only_table(folder: Path) -> Path | None:
    """The only table directly in a folder; None if there is none or there are several."""
    tables = [path for path in sorted(folder.iterdir()) if path.is_file() and kind_of(path.name) in KINDS]
    return tables[0] if len(tables) == 1 else None


def _numbered(name: str) -> Iterable[str]:
    yield name
    number = 2
    while True:
        yield f"{name}_{number}"
        number += 1


def _quoted(value: object) -> str:
    return shlex.quote(str(value))
