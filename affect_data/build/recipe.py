"""The data recipe: which databases to merge, and how. It names databases, never machine paths."""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from affect_data.databases.base import Database, DatabaseOptions
from affect_data.databases.registry import DATABASES
from affect_data.errors import DatabaseNotFoundError, RecipeError, UsageError, suggestion

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


class _UniqueKeysLoader(yaml.SafeLoader):
    """YAML in which a key that stands twice is an error: the first of its values would be lost without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 - PyYAML's signature
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key '{key.value}' stands twice", key.start_mark
                )
            if isinstance(key, yaml.ScalarNode):
                seen.add(key.value)
        return super().construct_mapping(node, deep)


def read_recipe(path: Path) -> DataRecipe:
    """The validated recipe of a YAML file.

    Raises:
        UsageError: the file does not exist.
        RecipeError: it is no YAML mapping, or does not validate; all mistakes at once.
    """
    try:
        loaded = yaml.load(path.read_text(encoding="utf-8"), _UniqueKeysLoader)
    except FileNotFoundError:
        raise UsageError(f"recipe '{path}' does not exist; recipes of the project are under recipes/") from None
    except OSError as error:
        raise UsageError(f"recipe '{path}' cannot be read: {error.strerror}; name a YAML file") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark is not None else str(path)
        raise RecipeError(
            str(path), [f"{where}: not readable as YAML: {getattr(error, 'problem', None) or error}"]
        ) from None
    recipe = recipe_from(loaded, str(path))
    decisions = tuple(str(path.parent / file) for file in recipe.decisions)
    missing = [f"decisions: the file '{file}' does not exist" for file in decisions if not Path(file).is_file()]
    if missing:
        raise RecipeError(str(path), missing)
    return recipe.model_copy(update={"decisions": decisions})


def recipe_from(loaded: object, source: str) -> DataRecipe:
    """The validated recipe of a parsed YAML document; `source` names it in errors.

    Raises:
        RecipeError: it does not validate; all mistakes at once.
    """
    if not isinstance(loaded, dict):
        raise RecipeError(source, [f"a recipe is a mapping with the key `databases`, found {type(loaded).__name__}"])
    mistakes: list[str] = []
    databases: dict[str, DatabaseOptions] = {}
    named = loaded.get("databases")
    if not isinstance(named, dict) or not named:
        mistakes.append("databases: name at least one, for example `databases: {expw: {}}`")
        named = {}
    for name, options in named.items():
        if name not in DATABASES:
            mistakes.append(f"databases.{name}: unknown database; known: {', '.join(sorted(DATABASES))}")
            continue
        try:
            databases[name] = DATABASES[name].Options.model_validate({} if options is None else options)
        except ValidationError as error:
            mistakes += _mistakes(error, f"databases.{name}", DATABASES[name].Options)
            continue
        release, known = databases[name].release, DATABASES[name].releases
        if release is not None and release not in known:
            mistakes.append(
                f"databases.{name}.release: unknown release '{release}'; known: {', '.join(known) or 'none'}"
            )
    try:
        recipe = DataRecipe.model_validate({**loaded, "databases": {}})
    except ValidationError as error:
        mistakes += _mistakes(error, "", DataRecipe)
    if mistakes:
        raise RecipeError(source, mistakes)
    return recipe.model_copy(update={"databases": databases})


def _mistakes(error: ValidationError, under: str, model: type[BaseModel]) -> list[str]:
    found = []
    for mistake in error.errors():
        message = f"{mistake['msg']}, found {mistake['input']!r}"
        if mistake["type"] == "extra_forbidden":
            message = f"unknown key; {suggestion(str(mistake['loc'][-1]), _keys_of(model, mistake['loc'][:-1]))}"
        found.append(f"{'.'.join(filter(None, (under, *map(str, mistake['loc']))))}: {message}")
    return found


def _keys_of(model: type[BaseModel], path: Sequence[int | str]) -> list[str]:
    """The keys that a mapping of the recipe takes, by its place."""
    for part in path:
        inner = model.model_fields[str(part)].annotation
        assert isinstance(inner, type)
        assert issubclass(inner, BaseModel)
        model = inner
    return list(model.model_fields)


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
            raise UsageError(f"--root {argument}: unknown database '{name}'; known: {', '.join(sorted(DATABASES))}")
        roots[name] = Path(path)
    return roots
