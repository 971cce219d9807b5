"""The data recipe: which databases to merge, and how. It names databases, never machine paths."""

import contextlib
import hashlib
import json
import os
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from affect_data.databases.base import Database, DatabaseOptions
from affect_data.databases.registry import DATABASES, OWN_NAME, UNUSABLE, canonical, canonical_release, reader_of
from affect_data.databases.table.options import TableOptions
from affect_data.databases.table.reader import TABLE
from affect_data.errors import DatabaseNotFoundError, RecipeError, UsageError, suggestion
from affect_data.recipe_file import DATA_RECIPE, RecipeText, read_recipe_text, validation

NOT_CONTENT = ("root", "incomplete")


VARIABLE: Final = "AFFECT_ROOT_"


class SplitOptions(BaseModel):
    """How rows are put into splits."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    policy: Literal["strict", "follow_task", "official"] = Field(
        "strict", description="what happens to a track that is train in one task and validation in another"
    )
    seed: int = Field(0, description="decides which groups a holdout takes")


class DataRecipe(BaseModel):
    """A validated data recipe."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    databases: dict[str, DatabaseOptions]
    splits: SplitOptions = SplitOptions()
    workers: int = Field(1, ge=1, description="processes that pack images")
    engine: Literal["local", "ray"] = Field(
        "local",
        description="where `affect-data build` works: on this machine, or on the cluster that `RAY_ADDRESS` names",
    )
    shard_rows: int | None = Field(None, ge=1, description="rows in one Arrow file; by default as many as make 256 MB")
    decisions: tuple[str, ...] = Field((), description="files of `affect-data review`, relative to the recipe")

    def content(self) -> dict[str, Any]:
        """What decides the built bytes: everything except roots, workers, the engine, and the text of the decisions."""
        return {
            "databases": {
                name: options.model_dump(mode="json", exclude=set(NOT_CONTENT))
                for name, options in sorted(self.databases.items())
            },
            "splits": self.splits.model_dump(mode="json"),
            "shard_rows": self.shard_rows,
        }

    def digest(self) -> str:
        """sha256 of `content`, hexadecimal."""
        return hashlib.sha256(json.dumps(self.content(), sort_keys=True).encode()).hexdigest()

    def readers(self) -> dict[str, Database]:
        """One reader for each database, with its options, by name in alphabetical order."""
        return {name: reader_of(name, options)(options) for name, options in sorted(self.databases.items())}

    def root_of(self, name: str, roots: Mapping[str, Path]) -> Path:
        """The folder of a database: from `roots`, otherwise from ``AFFECT_ROOT_<NAME>`` or that of an alias, otherwise from the recipe.

        A dataset of the Hub for which none is named is downloaded.

        Raises:
            DatabaseNotFoundError: none of them names a folder.
        """
        options = self.databases[name]
        named = roots.get(name) or root_in_environment(name) or options.root
        if named is None:
            reader = reader_of(name, options)
            named = reader(options).default_root()
            if named is None:
                raise DatabaseNotFoundError(name, None, reader.layout(), because="no folder is named for it")
        return Path(named).expanduser()

    def other_roots(self, name: str, roots: Mapping[str, Path]) -> dict[str, Path]:
        """The folders of the other databases for which one is named."""
        others = {}
        for other in self.databases:
            with contextlib.suppress(DatabaseNotFoundError):
                others[other] = self.root_of(other, roots)
        return {other: root for other, root in others.items() if other != name}


def read_recipe(path: Path) -> DataRecipe:
    """The validated recipe of a YAML file.

    Raises:
        UsageError: the file does not exist.
        RecipeError: it is not a data recipe, or not valid; lists every mistake, with its line.
    """
    return _validated(read_recipe_text(path, DATA_RECIPE), path.parent)


def recipe_from(values: object, name: str = "recipe") -> DataRecipe:
    """The validated recipe of plain values, as YAML would give them.

    Args:
        values: a mapping.
        name: of the recipe in errors.

    Raises:
        RecipeError: they are not valid; lists every mistake.
    """
    return _validated(RecipeText.of(values, name), Path())


def _validated(text: RecipeText, folder: Path) -> DataRecipe:
    """The recipe of a text; its decisions are relative to the folder."""
    databases, mistakes = _databases(text)
    found = validation(DataRecipe, replace(text, values={**text.values, "databases": {}}))
    named = found.sections.get("decisions", ())
    decisions = tuple(str(folder / file) for file in named)
    missing = [
        text.mistake(("decisions", position), f"the file '{file}' does not exist")
        for position, file in enumerate(decisions)
        if not Path(file).is_file()
    ]
    mistakes = [*text.mistakes, *mistakes, *found.mistakes, *missing]
    if found.result is None or mistakes:
        raise RecipeError(text.name, mistakes)
    return found.result.model_copy(update={"databases": databases, "decisions": decisions})


def _databases(text: RecipeText) -> tuple[dict[str, DatabaseOptions], list[str]]:
    """The options of each database, each of its own class, by name, and the mistakes in them."""
    named = text.values.get("databases")
    if not isinstance(named, dict) or not named:
        return {}, [text.mistake(("databases",), "name at least one, for example `databases: {expw: {}}`")]
    databases: dict[str, DatabaseOptions] = {}
    mistakes: list[str] = []
    written: dict[str, str] = {}
    for alias in named:
        if isinstance(named[alias], dict) and "reader" in named[alias]:
            described, found_mistakes = _own_data(text, alias)
            mistakes += found_mistakes
            databases |= {alias: described} if described is not None else {}
            continue
        name = canonical(alias)
        if name is None:
            mistakes.append(
                text.mistake(
                    ("databases", alias),
                    UNUSABLE.get(alias)
                    or f"unknown database; {suggestion(alias, sorted(DATABASES))}. Own data has `reader: {TABLE}`",
                )
            )
            continue
        if name in written:
            again = f"the same database as '{written[name]}'; remove one"
            mistakes.append(text.mistake(("databases", alias), again))
            continue
        written[name] = alias
        options = text.part("databases", alias)
        release = options.values.get("release") if isinstance(options.values, dict) else None
        own = canonical_release(name, release) if isinstance(release, str) else None
        found = validation(
            DATABASES[name].Options, replace(options, values={**options.values, "release": own}) if own else options
        )
        mistakes += found.mistakes
        if found.result is None:
            continue
        databases[name] = found.result
        if found.result.release is not None and own is None:
            unknown = f"unknown release '{release}'; {suggestion(str(release), DATABASES[name].releases)}"
            mistakes.append(options.mistake(("release",), unknown))
    return databases, mistakes


def _own_data(text: RecipeText, name: str) -> tuple[TableOptions | None, list[str]]:
    """The options of an entry of own data, and the mistakes in them."""
    taken = canonical(name)
    if taken is not None:
        message = f"is a name of {DATABASES[taken].title}, whose reader takes no `reader`; call own data otherwise"
        return None, [text.mistake(("databases", name), message)]
    if OWN_NAME.fullmatch(name) is None:
        message = "is no name for own data; it takes a small letter, then small letters, digits and _"
        return None, [text.mistake(("databases", name), message)]
    found = validation(TableOptions, text.part("databases", name))
    return found.result, found.mistakes


def parse_roots(arguments: list[str], own: Collection[str] = ()) -> dict[str, Path]:
    """Folders by database name, from arguments ``name=PATH``.

    Args:
        arguments: of the command line.
        own: names that the recipe gives to own data.

    Raises:
        UsageError: an argument has another form, or names an unknown database or one for the second time.
    """
    roots: dict[str, Path] = {}
    for argument in arguments:
        name, equals, path = argument.partition("=")
        if not equals or not path:
            raise UsageError(f"--root takes name=PATH, for example --root disfa=/data/disfa; found '{argument}'")
        known = name if name in own else canonical(name)
        if known is None:
            known_names = sorted({*DATABASES, *own})
            raise UsageError(f"--root {argument}: unknown database '{name}'; {suggestion(name, known_names)}")
        if known in roots and roots[known] != Path(path):
            raise UsageError(f"--root {argument}: '{known}' has a root already, '{roots[known]}'; leave one out")
        roots[known] = Path(path)
    return roots


def roots_under(folder: Path, own: Collection[str] = ()) -> dict[str, Path]:
    """The folders of databases in a folder, each named like its database in any spelling.

    Args:
        folder: that holds them.
        own: names that the recipe gives to own data.

    Raises:
        UsageError: the folder does not exist, or two folders in it are named like the same database.
    """
    if not folder.is_dir():
        raise UsageError(f"--roots {folder}: the folder does not exist")
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        name = path.name if path.name in own else canonical(path.name)
        if name is None or not path.is_dir() or ((folder / name).is_dir() and path.name != name):
            continue
        if name in found:
            several = f"'{found[name].name}' and '{path.name}' are both named like {name}"
            raise UsageError(f"--roots {folder}: {several}; say which by --root {name}=PATH")
        found[name] = path
    return found


def root_in_environment(name: str) -> str | None:
    """The value of ``AFFECT_ROOT_<NAME>`` for a database, otherwise of the variable of one of its aliases; None if there is none."""
    exact = os.environ.get(f"{VARIABLE}{name.upper()}")
    aliases = (variable for variable in sorted(os.environ) if variable.startswith(VARIABLE))
    return exact or next((os.environ[v] for v in aliases if canonical(v.removeprefix(VARIABLE)) == name), None)


def root_of(name: str, arguments: list[str]) -> Path:
    """The folder of one database, from arguments ``name=PATH`` or the environment.

    Raises:
        UsageError: an argument has another form or names another database, or nothing names a folder.
    """
    roots = parse_roots(arguments)
    if other := sorted(set(roots) - {name}):
        raise UsageError(f"--root {other[0]}={roots[other[0]]}: the command is about {name}")
    found = roots.get(name) or root_in_environment(name)
    if found is None:
        raise UsageError(f"the folder of {name} is not named: add --root {name}=PATH, or set {VARIABLE}{name.upper()}")
    return Path(found)


def refuse_unused(recipe: DataRecipe, roots: Mapping[str, Path]) -> None:
    """Refuses roots of databases that a recipe does not merge.

    Raises:
        UsageError: there is such a root.
    """
    unused = sorted(set(roots) - set(recipe.databases))
    if unused:
        options = " ".join(f"--root {name}={roots[name]}" for name in unused)
        raise UsageError(
            f"{options}: not used, the recipe merges {', '.join(sorted(recipe.databases))}. Leave it out, or add "
            f"`{': {}`, `'.join(unused)}: {{}}` under `databases:` in the recipe"
        )
