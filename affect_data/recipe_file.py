"""The one reader of recipes and of all other YAML files that people write: it gives the line of every key, and every mistake as a sentence.

All are YAML 1.2, so that a word or a number means the same in every file. A model of pydantic says what a file may hold; this module says what is
wrong with it, and where.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Generic, Self, TypeVar, get_args, get_type_hints

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from affect_data.bounds import RECIPE_BYTES, read_file
from affect_data.errors import RecipeError, UsageError, suggestion
from affect_data.yaml12 import KeyPath, NotYamlError, read_yaml

Model = TypeVar("Model", bound=BaseModel)
Rules = Callable[[Mapping[str, Any]], Iterable[tuple[KeyPath, str]]]
"""From the valid sections of a file to the contradictions between them: key paths with messages."""

COMMAND_LINE: Final = 0
"""The line number of entries that the command line sets."""

EXACT_INTEGERS: Final = 2.0**53
"""Below this number, every integer has a float of its own."""


@dataclass(frozen=True)
class FileKind:
    """A kind of file that people write.

    Attributes:
        name: for messages.
        keys: top-level keys that only this kind has all of.
        command: the command that reads it.
    """

    name: str
    keys: tuple[str, ...]
    command: str

    def recognises(self, values: Mapping[str, Any]) -> bool:
        """Whether a file looks like this kind, valid or not."""
        return all(key in values for key in self.keys)


DATA_RECIPE: Final = FileKind("data recipe", ("databases",), "affect-data check")
TRAINING_RECIPE: Final = FileKind("training recipe", ("tasks", "model"), "affect-train validate")
STUDY: Final = FileKind("study", ("steps", "scores"), "affect-train study")
PROTOCOL: Final = FileKind("protocol", ("metrics", "split"), "affect-train judge")
TEACHER_DESCRIPTION: Final = FileKind("teacher description", ("format", "file"), "affect-train label")
DATASET_DESCRIPTION: Final = FileKind("dataset description", ("dataset",), "affect-train evaluate")

# Without dataset descriptions: a training recipe has their key, too, and may serve as one.
_TOLD_APART: Final = (DATA_RECIPE, TRAINING_RECIPE, STUDY, TEACHER_DESCRIPTION)


@dataclass
class RecipeText:
    """The content of a file, with the line of every key.

    Attributes:
        name: the file, for messages.
        values: the mapping, with overrides applied; all keys are words.
        lines: the line of each key path, or `COMMAND_LINE`.
        mistakes: in the text itself.
        at: key path of `values` in the file; empty for the whole file.
    """

    name: str
    values: dict[str, Any] = field(default_factory=dict)
    lines: dict[KeyPath, int] = field(default_factory=dict)
    mistakes: list[str] = field(default_factory=list)
    at: KeyPath = ()

    @classmethod
    def of(cls, values: object, name: str = "recipe") -> Self:
        """A text with plain values, as YAML would give them.

        Raises:
            RecipeError: the values are no mapping.
        """
        if not isinstance(values, Mapping):
            raise RecipeError(name, [f"found {values!r}; expected `key: value` entries"])
        return cls(name, _with_words_as_keys(values))

    def part(self, *path: str) -> Self:
        """The text under a key path, an empty mapping if nothing is there. Mistakes still name the whole path."""
        values: Any = self.values
        for key in path:
            values = values[key]
        return replace(self, values={} if values is None else values, at=(*self.at, *path))

    def mistake(self, path: KeyPath, message: str) -> str:
        """A mistake as one line: where (``path:line``), which key, what is wrong."""
        path = (*self.at, *path)
        known = (self.lines[path[:end]] for end in range(len(path), 0, -1) if path[:end] in self.lines)
        return ": ".join(filter(None, (self._where(next(known, None)), dotted(path), message)))

    def override(self, setting: str) -> None:
        """Applies one ``key.key=value``, whose value is YAML; an override that cannot be applied becomes a mistake."""
        key, equals, text = setting.partition("=")
        path = tuple(key.strip().split("."))
        if not equals or not all(path):
            self.refuse(f"{setting!r} is no override; write key=value, for example optimizer.learning_rate=1e-4")
            return
        try:
            document = read_yaml(text)
        except NotYamlError:
            self.refuse(f"{key}: {text!r} is no YAML value; quote it, or close its brackets")
            return
        for twice, _, _ in document.twice:
            self.refuse(f"{dotted((*path, *twice))}: written twice; remove one")
        inner = self.values
        for depth, part in enumerate(path[:-1], start=1):
            if inner.get(part) is None:
                inner[part] = {}
                self.lines[path[:depth]] = COMMAND_LINE
            if not isinstance(inner[part], dict):
                self.refuse(f"{key}: {dotted(path[:depth])} is {inner[part]!r}, so it has no key {path[depth]!r}")
                return
            inner = inner[part]
        inner[path[-1]] = document.values
        self.lines = {place: line for place, line in self.lines.items() if place[: len(path)] != path}
        self.lines[path] = COMMAND_LINE

    def refuse(self, message: str) -> None:
        """Adds a mistake of the command line."""
        self.mistakes.append(f"{self._where(COMMAND_LINE)}: {message}")

    def _where(self, line: int | None) -> str:
        if line is None:
            return ""
        return "command line" if line == COMMAND_LINE else f"{self.name}:{line}"


# ---------------------------------------------------------------- reading


def read_recipe_text(path: Path, kind: FileKind, overrides: Iterable[str] = ()) -> RecipeText:
    """The content of a file, with overrides applied; it holds mistakes in keys and overrides, all others are raised.

    Args:
        path: the file.
        kind: the expected kind.
        overrides: ``key.key=value``, applied in order.

    Raises:
        UsageError: there is no such file, or it cannot be read.
        RecipeError: the file is no YAML mapping, or another kind of file.
    """
    try:
        written = read_file(path, RECIPE_BYTES)
    except FileNotFoundError:
        raise UsageError(f"{kind.name} '{path}' does not exist; recipes of the project are under recipes/") from None
    except OSError as error:
        raise UsageError(f"{kind.name} '{path}' cannot be read: {error.strerror}; name a YAML file") from None
    try:
        text = written.decode("utf-8")
    except UnicodeDecodeError as error:
        line = written.count(b"\n", 0, error.start) + 1
        message = f"{path}:{line}: not readable as YAML: no utf-8 text ({error.reason})"
        raise RecipeError(str(path), [message]) from None
    return parse_recipe_text(text, str(path), kind, overrides)


def parse_recipe_text(text: str, name: str, kind: FileKind, overrides: Iterable[str] = ()) -> RecipeText:
    """The content of a text, as `read_recipe_text` gives that of a file.

    Args:
        text: YAML.
        name: the file, for messages.
        kind: the expected kind.
        overrides: ``key.key=value``, applied in order.

    Raises:
        RecipeError: the text is no YAML mapping, or another kind of file.
    """
    try:
        document = read_yaml(text)
    except NotYamlError as error:
        where = name if error.line is None else f"{name}:{error.line}"
        raise RecipeError(name, [f"{where}: not readable as YAML: {error.problem}"]) from None
    values = {} if document.values is None else document.values
    if not isinstance(values, dict):
        raise RecipeError(name, [f"{name}:1: found {values!r}; expected `key: value` lines"])
    read = RecipeText(name, values, document.lines)
    for path, first, again in document.twice:
        read.mistakes.append(f"{name}:{again}: {dotted(path)}: written twice, first in line {first}; remove one")
    _refuse_another_kind(read, kind)
    for setting in overrides:
        read.override(setting)
    return read


def _refuse_another_kind(text: RecipeText, kind: FileKind) -> None:
    found = next((other for other in _TOLD_APART if other.recognises(text.values)), kind)
    if found is not kind and not kind.recognises(text.values):
        message = f"found the key of a {found.name}, which `{found.command}` reads; expected a {kind.name}"
        raise RecipeError(text.name, [text.mistake((found.keys[0],), message)])


def _with_words_as_keys(values: Any) -> Any:  # noqa: ANN401 - what YAML can hold
    if isinstance(values, Mapping):
        return {str(key): _with_words_as_keys(value) for key, value in values.items()}
    return [_with_words_as_keys(value) for value in values] if isinstance(values, list | tuple) else values


# ---------------------------------------------------------------- validating


@dataclass(frozen=True)
class Validation(Generic[Model]):
    """The result of validating a text.

    Attributes:
        result: the model; None if there is a mistake.
        sections: the valid top-level fields, defaults included.
        mistakes: each with its line.
    """

    result: Model | None
    sections: dict[str, Any]
    mistakes: list[str]


def validation(model: type[Model], text: RecipeText) -> Validation[Model]:
    """The result of validating a text by a model.

    Types are checked strictly: a number in quotes or a truth value is no number. An integer may be written as ``1e3``; `text` then holds 1000.
    """
    result, found = _validated(model, text.values)
    whole = [_path_in(text.values, error["loc"]) for error in found if _is_whole_number(error)]
    for path in whole:
        _make_whole(text.values, path)
    if whole:
        result, found = _validated(model, text.values)
    if result is not None:
        return Validation(result, {name: getattr(result, name) for name in model.model_fields}, [])
    mistakes = [_sentence(error, model, text) for error in found if not _follows(error, found)]
    return Validation(None, _valid_sections(model, text, found), mistakes)


def validated(model: type[Model], text: RecipeText, rules: Rules | None = None) -> Model:
    """The model of a valid text.

    Args:
        model: what the text may hold.
        text: the text.
        rules: give the contradictions between its sections.

    Raises:
        RecipeError: lists every mistake, with its line.
    """
    found = validation(model, text)
    together = [text.mistake(path, message) for path, message in rules(found.sections)] if rules is not None else []
    mistakes = [*text.mistakes, *found.mistakes, *together]
    if found.result is None or mistakes:
        raise RecipeError(text.name, mistakes)
    return found.result


def dotted(path: KeyPath) -> str:
    """``a.b[2]`` for ``("a", "b", 2)``."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")


def _validated(model: type[Model], values: object) -> tuple[Model | None, list[ErrorDetails]]:
    try:
        return model.model_validate_json(json.dumps(values, default=str), strict=True), []
    except ValidationError as error:
        return None, error.errors(include_url=False)


def _valid_sections(model: type[BaseModel], text: RecipeText, found: list[ErrorDetails]) -> dict[str, Any]:
    if not all(error["loc"] for error in found):
        return {}
    invalid = {error["loc"][0] for error in found}
    types = get_type_hints(model, include_extras=True)
    sections = {}
    for name, info in model.model_fields.items():
        if name in text.values and name not in invalid:
            as_json = json.dumps(text.values[name], default=str)
            sections[name] = TypeAdapter(types[name]).validate_json(as_json, strict=True)
        elif name not in invalid:
            sections[name] = info.get_default(call_default_factory=True)
    return sections


def _is_whole_number(error: ErrorDetails) -> bool:
    number = error["input"]
    is_number = error["type"] == "int_type" and isinstance(number, float)
    return is_number and number.is_integer() and abs(number) < EXACT_INTEGERS


def _follows(error: ErrorDetails, found: list[ErrorDetails]) -> bool:
    """Whether a list is too short only because an entry of it is wrong."""
    loc = error["loc"]
    return error["type"] == "too_short" and any(
        len(other["loc"]) > len(loc) and other["loc"][: len(loc)] == loc for other in found
    )


def _make_whole(values: Any, path: KeyPath) -> None:  # noqa: ANN401 - what YAML can hold
    for part in path[:-1]:
        values = values[part]
    values[path[-1]] = int(values[path[-1]])


def _sentence(error: ErrorDetails, model: type[BaseModel], text: RecipeText) -> str:
    path = _path_in(text.values, error["loc"], is_missing=error["type"] == "missing")
    context = error.get("ctx", {})
    match error["type"]:
        case "extra_forbidden":
            message = f"unknown key; {suggestion(str(path[-1]), _keys_beside(model, error['loc']))}"
        case "missing":
            message = "missing; the recipe has to say it"
        case "union_tag_not_found":
            path = (*path, "name")
            message = "missing; the recipe has to say it"
        case "union_tag_invalid":
            tag = str(context["tag"])
            path = (*path, "name")
            message = f"found {tag!r}; {suggestion(tag, context['expected_tags'].replace(chr(39), '').split(', '))}"
        case "value_error":
            message = str(context["error"])
        case "model_type" | "dict_type":
            message = f"found {error['input']!r}; expected `key: value` entries"
        case "none_required":
            message = f"found {error['input']!r}; expected no value; remove it"
        case "too_short":
            message = f"found {error['input']!r}; expected {context['min_length']} or more"
        case "tuple_type" | "list_type":
            message = f"found {error['input']!r}; expected a list"
        case _:
            message = f"found {error['input']!r}; {error['msg'].replace('Input should be', 'expected')}"
    return text.mistake(path, message)


def _path_in(values: Any, location: KeyPath, *, is_missing: bool = False) -> KeyPath:  # noqa: ANN401 - what YAML can hold
    """The keys of an error's location that are in the file, or missing from it; the name of a union's member is no such key."""
    path: list[str | int] = []
    for depth, part in enumerate(location, start=1):
        inside = (
            part in values
            if isinstance(values, dict)
            else (isinstance(values, list) and isinstance(part, int) and part < len(values))
        )
        if inside:
            values = values[part]
            path.append(part)
        elif is_missing and depth == len(location):
            path.append(part)
    return tuple(path)


def _keys_beside(model: type[BaseModel], location: KeyPath) -> list[str]:
    members = [model]
    for part in location[:-1]:
        field_of = next((member.model_fields[str(part)] for member in members if part in member.model_fields), None)
        tagged = [member for member in members if _tag(member) in (None, part)]
        members = tagged if field_of is None else list(_models_in(field_of.annotation))
    return [name for member in members for name in member.model_fields]


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:  # noqa: ANN401 - a type, or what typing makes of several
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        # A section that is chosen by its name is annotated with the base class of the candidates.
        for chosen in annotation.__subclasses__():
            yield from _models_in(chosen)
    for member in get_args(annotation):
        yield from _models_in(member)


def _tag(member: type[BaseModel]) -> Any:  # noqa: ANN401 - any default
    return member.model_fields["name"].default if "name" in member.model_fields else None
