"""The data recipe: which databases to merge, and how. It names databases, never machine paths."""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from affect_data.databases.base import Database, DatabaseOptions
from affect_data.databases.registry import DATABASES
from affect_data.errors import DatabaseNotFoundError, RecipeError, UsageError, suggestion
from affect_data.recipe_file import DATA_RECIPE, RecipeText, read_recipe_text, validation

NOT_CONTENT = ("root",)


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
    shard_rows: int = Field(2000, ge=1, description="rows in one Arrow file")
    decisions: tuple[str, ...] = Field((), description="files of `affect-data review`, relative to the recipe")

    def content(self) -> dict[str, Any]:
        """What decides the built bytes: everything but roots, the number of workers, and what stands in the decisions."""
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
        return {name: DATABASES[name](options) for name, options in sorted(self.databases.items())}

    def root_of(self, name: str, roots: Mapping[str, Path]) -> Path:
        """The folder of a database: from `roots`, else ``AFFECT_ROOT_<NAME>``, else the recipe.

        Raises:
            DatabaseNotFoundError: none of them names one.
        """
        named = roots.get(name) or os.environ.get(f"AFFECT_ROOT_{name.upper()}") or self.databases[name].root
        if named is None:
            raise DatabaseNotFoundError(name, None, DATABASES[name].layout(), because="no folder is named for it")
        return Path(named).expanduser()


def read_recipe(path: Path) -> DataRecipe:
    """The validated recipe of a YAML file.

    Raises:
        UsageError: the file does not exist.
        RecipeError: it is no data recipe, or does not validate; lists every mistake, with its line.
    """
    return _validated(read_recipe_text(path, DATA_RECIPE), path.parent)


def recipe_from(values: object, name: str = "recipe") -> DataRecipe:
    """The validated recipe of plain values, as YAML would give them.

    Args:
        values: a mapping.
        name: stands for them in errors.

    Raises:
        RecipeError: they do not validate; lists every mistake.
    """
    return _validated(RecipeText.of(values, name), Path())


def _validated(text: RecipeText, folder: Path) -> DataRecipe:
    """The recipe that a text in a folder says."""
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
    """The options of each database, by its name, and what is wrong with them: each has a class of options of its own."""
    named = text.values.get("databases")
    if not isinstance(named, dict) or not named:
        return {}, [text.mistake(("databases",), "name at least one, for example `databases: {expw: {}}`")]
    databases: dict[str, DatabaseOptions] = {}
    mistakes: list[str] = []
    for name in named:
        if name not in DATABASES:
            mistakes.append(
                text.mistake(("databases", name), f"unknown database; {suggestion(name, sorted(DATABASES))}")
            )
            continue
        options = text.part("databases", name)
        found = validation(DATABASES[name].Options, options)
        mistakes += found.mistakes
        if found.result is None:
            continue
        databases[name] = found.result
        release, known = found.result.release, DATABASES[name].releases
        if release is not None and release not in known:
            unknown = f"unknown release '{release}'; {suggestion(release, known)}"
            mistakes.append(options.mistake(("release",), unknown))
    return databases, mistakes


def parse_roots(arguments: list[str]) -> dict[str, Path]:
    """Folders by database name, from arguments ``name=PATH``.

    Raises:
        UsageError: an argument has another form or names an unknown database.
    """
    roots: dict[str, Path] = {}
    for argument in arguments:
        name, equals, path = argument.partition("=")
        if not equals or not path:
            raise UsageError(f"--root takes name=PATH, for example --root disfa=/data/disfa; found '{argument}'")
        if name not in DATABASES:
            raise UsageError(f"--root {argument}: unknown database '{name}'; {suggestion(name, sorted(DATABASES))}")
        roots[name] = Path(path)
    return roots
