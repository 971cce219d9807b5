"""YAML 1.2, with the line of every key.

PyYAML reads YAML 1.1, in which `no` is a truth value and `1e3` a word. Here `no` and `on` are words; `1e3`, `0x10` and `0o17` are numbers; a date is
a word. Keys are words as written.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import yaml

from affect_data.bounds import RECIPE_BYTES, RECIPE_VALUES, Limit

KeyPath = tuple[str | int, ...]

_FLOAT = r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
_SCALARS: Final = (
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    ("float", _FLOAT, list("-+.0123456789")),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("merge", r"<<", ["<"]),
)


class NotYamlError(ValueError):
    """A text that is no YAML.

    Attributes:
        problem: what is wrong.
        line: from 1; None for the whole text.
    """

    def __init__(self, problem: str, line: int | None = None) -> None:
        self.problem = problem
        self.line = line
        super().__init__(problem)


@dataclass(frozen=True)
class Document:
    """The content of a YAML text, with lines.

    Attributes:
        values: None if the text is empty.
        lines: the line, from 1, of every key and list entry.
        twice: keys that are written twice: key path, and both lines.
    """

    values: Any
    lines: dict[KeyPath, int]
    twice: list[tuple[KeyPath, int, int]]


def read_yaml(text: str) -> Document:
    """The content of a text, with lines.

    Raises:
        NotYamlError: the text is no YAML, is too large, or holds anything but mappings, lists, words and numbers.
    """
    document = Document(None, {}, [])
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > RECIPE_BYTES.value():
        raise NotYamlError(_exceeds(RECIPE_BYTES))
    try:
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            if node is None:
                return document
            most = RECIPE_VALUES.value()
            for count, (path, line) in enumerate(_places(node, (), ()), start=1):
                # Aliases of aliases can stand for a huge number of values, all of which would be made.
                if count > most:
                    raise NotYamlError(_exceeds(RECIPE_VALUES))
                if path in document.lines:
                    document.twice.append((path, document.lines[path], line))
                document.lines[path] = line
            return Document(loader.construct_document(node), document.lines, document.twice)
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        column = f" (column {mark.column + 1})" if mark is not None else ""
        raise NotYamlError(f"{error.problem}{column}", mark.line + 1 if mark is not None else None) from None
    except yaml.reader.ReaderError as error:
        raise NotYamlError(error.reason, text.count("\n", 0, error.position) + 1) from None
    except RecursionError:
        raise NotYamlError("brackets or lists stand too deep in one another") from None


def write_yaml(values: Mapping[str, Any]) -> str:
    """A text from which `read_yaml`, and any reader of YAML 1.1, reads equal values."""
    return yaml.dump(dict(values), Dumper=_Dumper, sort_keys=False, allow_unicode=True)


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - declared so by PyYAML

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 - PyYAML's signature
        if not isinstance(node, yaml.MappingNode):
            raise _refusal("expected a mapping", node)
        self.flatten_mapping(node)
        return {key.value: self.construct_object(value, deep=deep) for key, value in node.value}

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        text = str(self.construct_scalar(node))
        try:
            return int(text, {"0x": 16, "0o": 8}.get(text[:2], 10))
        except ValueError as error:
            raise _refusal(str(error), node) from None


class _Dumper(yaml.SafeDumper):
    """Quotes a word that YAML 1.1 or 1.2 would take for something else."""


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_yaml_int)
for _tag, _pattern, _first in _SCALARS:
    for _resolver in (_Loader, _Dumper):
        _resolver.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), _first)


def _exceeds(limit: Limit) -> str:
    return f"more than {limit.value():,} {limit.unit}; set the environment variable {limit.variable} to accept it"


def _refusal(problem: str, node: yaml.Node) -> yaml.constructor.ConstructorError:
    return yaml.constructor.ConstructorError(None, None, problem, node.start_mark)


def _places(node: yaml.Node, path: KeyPath, within: tuple[yaml.Node, ...]) -> Iterator[tuple[KeyPath, int]]:
    """Every key and list entry with its line; values that JSON cannot hold are refused."""
    if any(node is outer for outer in within):
        raise _refusal("a value that holds itself", node)
    if isinstance(node, yaml.ScalarNode) and any("\ud800" <= character <= "\udfff" for character in node.value):
        raise _refusal("half a character", node)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise _refusal("a key has to be a word", key)
            yield from _places(key, (), ())
            yield (*path, key.value), key.start_mark.line + 1
            yield from _places(value, (*path, key.value), (*within, node))
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield (*path, index), value.start_mark.line + 1
            yield from _places(value, (*path, index), (*within, node))
