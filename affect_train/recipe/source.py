"""A recipe before it is validated: YAML with the line of every key, overrides from the command line, and mistakes as sentences."""

import json
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args, get_type_hints

import yaml
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from affect_data.errors import suggestion

KeyPath = tuple[str | int, ...]

COMMAND_LINE = "command line"


class _Yaml12Loader(yaml.SafeLoader):
    """YAML 1.2 scalars: `no` and `on` are words, `1e-3` is a number, a date is a word."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - declared so by PyYAML


_FLOAT = r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
for _tag, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+", list("-+0123456789")),
    ("float", _FLOAT, list("-+.0123456789")),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("merge", r"<<", ["<"]),
):
    _Yaml12Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), _first)


@dataclass
class RecipeSource:
    """What a recipe says, and where.

    Attributes:
        name: the file, for messages.
        values: the mapping, with overrides applied.
        places: for a key path, ``line 3`` or ``command line``.
        mistakes: what is wrong with the text itself.
    """

    name: str
    values: dict[str, Any] = field(default_factory=dict)
    places: dict[KeyPath, str] = field(default_factory=dict)
    mistakes: list[str] = field(default_factory=list)

    def mistake(self, path: KeyPath, message: str) -> str:
        """One line: where, which key, what is wrong."""
        known = next((self.places[path[:end]] for end in range(len(path), 0, -1) if path[:end] in self.places), "")
        return f"{known + ': ' if known else ''}{dotted(path)}: {message}"

    def override(self, setting: str) -> None:
        """Applies one ``key.key=value``, the value written as YAML; what cannot be applied becomes a mistake."""
        key, equals, text = setting.partition("=")
        path = tuple(key.strip().split("."))
        if not equals or not all(path):
            self.mistakes.append(
                f"{COMMAND_LINE}: {setting!r} is no override; write key=value, for example optimizer.learning_rate=1e-4"
            )
            return
        try:
            value = yaml.load(text, _Yaml12Loader)
        except yaml.YAMLError:
            self.mistakes.append(f"{COMMAND_LINE}: {key}: {text!r} is no YAML value; quote it, or close its brackets")
            return
        inner = self.values
        for depth, part in enumerate(path[:-1], start=1):
            if inner.get(part) is None:
                inner[part] = {}
                self.places[path[:depth]] = COMMAND_LINE
            if not isinstance(inner[part], dict):
                found = dotted(path[:depth])
                self.mistakes.append(
                    f"{COMMAND_LINE}: {key}: {found} is {inner[part]!r}, so it has no key {path[depth]!r}"
                )
                return
            inner = inner[part]
        inner[path[-1]] = value
        self.places = {place: line for place, line in self.places.items() if place[: len(path)] != path}
        self.places[path] = COMMAND_LINE


def read_source(path: Path, overrides: Iterable[str] = ()) -> RecipeSource:
    """A recipe file with overrides applied; a file that cannot be read or parsed gives mistakes and no values."""
    source = RecipeSource(str(path))
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        source.mistakes.append("no such file; name an existing recipe")
        return source
    except (OSError, UnicodeDecodeError) as error:
        source.mistakes.append(f"cannot be read: {error}")
        return source
    loader = _Yaml12Loader(text)
    try:
        node = loader.get_single_node()
        if node is not None:
            _record_lines(node, (), source)
            source.values = loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark is not None else ""
        source.mistakes.append(f"{where}not readable as YAML: {error.problem}")
        return source
    except yaml.YAMLError as error:
        source.mistakes.append(f"not readable as YAML: {error}")
        return source
    finally:
        loader.dispose()
    if not isinstance(source.values, dict):
        source.mistakes.append(f"line 1: found {source.values!r}; expected `key: value` lines")
        source.values = {}
        return source
    for setting in overrides:
        source.override(setting)
    return source


def _record_lines(node: yaml.Node, path: KeyPath, source: RecipeSource) -> None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            inner = (*path, str(key.value))
            line = f"line {key.start_mark.line + 1}"
            if inner in source.places:
                source.mistakes.append(
                    f"{line}: {dotted(inner)}: written twice, first in {source.places[inner]}; remove one"
                )
            source.places[inner] = line
            _record_lines(value, inner, source)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            source.places[*path, index] = f"line {value.start_mark.line + 1}"
            _record_lines(value, (*path, index), source)


def validation_mistakes(model: type[BaseModel], source: RecipeSource) -> tuple[list[str], frozenset[str]]:
    """Every mistake that a model finds in a source, and the names of the sections which have one.

    Types are checked strictly: a number in quotes or a truth value is no number.
    """
    try:
        model.model_validate_json(json.dumps(source.values, default=str), strict=True)
    except ValidationError as error:
        found = error.errors(include_url=False)
        return [_sentence(details, model, source) for details in found], frozenset(
            str(item["loc"][0]) for item in found
        )
    return [], frozenset()


def valid_sections(model: type[BaseModel], source: RecipeSource, invalid: Collection[str]) -> dict[str, Any]:
    """The validated values of those top-level fields that have no mistake, defaults included."""
    types = get_type_hints(model, include_extras=True)
    sections = {}
    for name, info in model.model_fields.items():
        if name in source.values and name not in invalid:
            text = json.dumps(source.values[name], default=str)
            sections[name] = TypeAdapter(types[name]).validate_json(text, strict=True)
        elif name not in invalid:
            sections[name] = info.get_default(call_default_factory=True)
    return sections


def dotted(path: KeyPath) -> str:
    """``a.b[2]`` for ``("a", "b", 2)``."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")


def _sentence(details: ErrorDetails, model: type[BaseModel], source: RecipeSource) -> str:
    path = _path_in(source.values, details["loc"], is_missing=details["type"] == "missing")
    context = details.get("ctx", {})
    match details["type"]:
        case "extra_forbidden":
            message = f"unknown key; {suggestion(str(path[-1]), _keys_beside(model, details['loc']))}"
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
        case _:
            message = f"found {details['input']!r}; {details['msg'].replace('Input should be', 'expected')}"
    return source.mistake(path, message)


def _path_in(values: Any, location: KeyPath, *, is_missing: bool) -> KeyPath:  # noqa: ANN401 - what YAML can hold
    """The keys of an error's location that stand in the recipe, or are missing: the name of the chosen member of a union is not one."""
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
        field_of = next((member.model_fields[part] for member in members if part in member.model_fields), None)
        tagged = [member for member in members if _tag(member) in (None, part)]
        members = tagged if field_of is None else list(_models_in(field_of.annotation))
    return [name for member in members for name in member.model_fields]


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:  # noqa: ANN401 - a type, or what typing makes of several
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        # A section that is chosen by its name is annotated as the base of what may be chosen.
        for chosen in annotation.__subclasses__():
            yield from _models_in(chosen)
    for member in get_args(annotation):
        yield from _models_in(member)


def _tag(member: type[BaseModel]) -> Any:  # noqa: ANN401 - any default
    return member.model_fields["name"].default if "name" in member.model_fields else None
