"""The reference of a recipe, written from its sections: every key with what it may hold, its default and what it does."""

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel

Schema = Mapping[str, Any]

HEAD: Final = "| key | holds | default | |\n|---|---|---|---|"
_KINDS: Final = {"boolean": "true or false", "integer": "a whole number", "number": "a number", "string": "text"}
_BOUNDS: Final = (
    ("minimum", "at least {}"),
    ("exclusiveMinimum", "above {}"),
    ("maximum", "at most {}"),
    ("exclusiveMaximum", "below {}"),
)


@dataclass(frozen=True)
class Key:
    """One key of a recipe.

    Attributes:
        name: with those of the sections that it lies in, such as ``model.head.hidden``.
        holds: what may stand there, in words.
        default: as it would be written; "must be given" or "nothing" without one.
        description: what it does.
    """

    name: str
    holds: str
    default: str
    description: str


def keys_of(section: type[BaseModel], prefix: str = "") -> list[Key]:
    """The keys of a section and of those in it, in the order of their definition.

    Args:
        section: of a recipe.
        prefix: the keys that lead to it, with a dot at the end.
    """
    schema = section.model_json_schema()
    return list(_keys(schema, schema.get("$defs", {}), prefix))


def table_of(section: type[BaseModel], prefix: str = "", leave_out: Collection[str] = ()) -> str:
    """The keys of a section as a Markdown table.

    Args:
        section: as for `keys_of`.
        prefix: as for `keys_of`.
        leave_out: keys, without the prefix, that stand elsewhere.
    """
    rows = [
        f"| `{key.name}` | {_cell(key.holds)} | {_cell(key.default)} | {_cell(key.description)} |"
        for key in keys_of(section, prefix)
        if key.name.removeprefix(prefix) not in leave_out
    ]
    return "\n".join([HEAD, *rows])


def _keys(schema: Schema, shared: Mapping[str, Schema], prefix: str) -> Iterator[Key]:
    for name, found in schema.get("properties", {}).items():
        value = _resolved(found, shared)
        nested = _section_in(value, shared)
        default = "must be given" if name in schema.get("required", ()) else "nothing"
        if "default" in found:
            default = f"`{_written(found['default'])}`"
        if nested is None or found.get("default", {}) is None or "description" in found:
            yield Key(prefix + name, _holds(value, shared), default, found.get("description", ""))
        if nested is not None:
            # A section that may be left out has keys of its own only where it is given.
            inside = f"{prefix}{name}.*." if _is_mapping(value) else f"{prefix}{name}."
            yield from _keys(nested, shared, inside)


def _resolved(schema: Schema, shared: Mapping[str, Schema]) -> Schema:
    reference = schema.get("$ref")
    return schema if reference is None else shared[reference.rpartition("/")[2]]


def _is_mapping(schema: Schema) -> bool:
    return isinstance(schema.get("additionalProperties"), dict)


def recipe_schema(section: type[BaseModel], title: str) -> dict[str, Any]:
    """The JSON Schema of a recipe, for editors and programs.

    Args:
        section: the whole recipe.
        title: of the schema.
    """
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **section.model_json_schema(), "title": title}


def _section_in(schema: Schema, shared: Mapping[str, Schema]) -> Schema | None:
    """The section that a value is, that may stand there among others, or that every entry of a mapping is; None if there is none."""
    if "properties" in schema:
        return schema
    if _is_mapping(schema):
        return _section_in(_resolved(schema["additionalProperties"], shared), shared)
    for choice in schema.get("anyOf", schema.get("oneOf", ())):
        found = _section_in(_resolved(choice, shared), shared)
        if found is not None:
            return found
    return None


def _holds(schema: Schema, shared: Mapping[str, Schema]) -> str:
    """What may stand at a key, in words."""
    schema = _resolved(schema, shared)
    choices = schema.get("anyOf", schema.get("oneOf"))
    if choices is not None:
        return " or ".join(dict.fromkeys(_holds(choice, shared) for choice in choices))
    if "enum" in schema or "const" in schema:
        return ", ".join(f"`{_written(value)}`" for value in schema.get("enum", [schema.get("const")]))
    kind = schema.get("type")
    if kind == "null":
        return "null"
    if kind == "array":
        items: Schema = schema.get("items", {}) or next(iter(schema.get("prefixItems", ())), {})
        count = schema.get("maxItems") if schema.get("maxItems") == schema.get("minItems") else None
        return f"a list of {f'{count} times ' if count else ''}{_holds(items, shared) if items else 'anything'}"
    if "properties" in schema:
        return "a section"
    if _is_mapping(schema):
        return f"a mapping of names to {_holds(schema['additionalProperties'], shared)}"
    if kind == "object":
        return "a mapping"
    bounds = [text.format(_written(schema[bound])) for bound, text in _BOUNDS if bound in schema]
    return ", ".join([_KINDS.get(str(kind), "anything"), *bounds])


def _written(value: object) -> str:
    return value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
