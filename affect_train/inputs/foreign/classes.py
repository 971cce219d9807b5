"""Expressions of a foreign column, by name: an integer means nothing until the dataset or the recipe names it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from affect_data.dataset.schema import MISSING_CLASS
from affect_data.errors import suggestion
from affect_data.vocabulary import EXPRESSIONS, NotInVocabularyError, expression_named
from affect_train.inputs.foreign.values import Known
from affect_train.recipe.dataset import Value

Names = Sequence[str] | Mapping[str, str] | None
"""Names in a recipe: a list of the expressions of codes 0, 1, ..., or a mapping from a code or a name of the dataset to an expression."""


@dataclass(frozen=True)
class Classes:
    """The meaning of the values of an expression column.

    Attributes:
        names: from a value to the name of an expression, in any spelling.
        missing: values that stand for no label, besides null and NaN.
        text: whether a value that is not in `names` may be the name of an expression itself.
    """

    names: Mapping[Value, str]
    missing: frozenset[Value] = frozenset()
    text: bool = False

    def code(self, value: Value | None) -> int | None:
        """The class of one value in the vocabulary; -1 for a missing label, None for an unknown value."""
        if value is None or value in self.missing:
            return MISSING_CLASS
        name = self.names.get(value, value if self.text else None)
        try:
            return None if name is None else EXPRESSIONS.index(expression_named(str(name)))
        except NotInVocabularyError:
            return None

    def codes(self, values: pa.Array) -> tuple[NDArray[np.int64], Known]:
        """The class of every value, int64 [n] (-1: no label); and which values are unknown, bool [n]."""
        encoded = values.dictionary_encode()
        found = [self.code(_plain(value)) for value in encoded.dictionary.to_pylist()]
        codes = np.array([*(MISSING_CLASS if code is None else code for code in found), MISSING_CLASS], dtype=np.int64)
        unknown = np.array([*(code is None for code in found), False])
        places = encoded.indices.fill_null(len(found)).to_numpy(zero_copy_only=False)
        return codes[places], unknown[places]

    def expected(self) -> str:
        """The known values, for messages."""
        named = {value: name for value, name in self.names.items() if value not in self.missing}
        if self.text:
            return f"a name of the vocabulary ({', '.join(EXPRESSIONS)})" + "".join(
                f", or {value!r}" for value in named
            )
        return f"one of {', '.join(f'{value} ({name})' for value, name in named.items())}"


def _plain(value: Value | None) -> Value | None:
    """A whole floating-point number as an integer, because codes with missing values are often stored as floats; NaN as None."""
    if isinstance(value, float):
        return None if math.isnan(value) else int(value) if value.is_integer() else value
    return value


def named_classes(labels: Sequence[str], names: Names, missing: Sequence[Value]) -> tuple[Classes, list[str]]:
    """The classes of a ClassLabel column, and the mistakes in them.

    Args:
        labels: names of the column's classes.
        names: other names, for its codes (a list) or for its names (a mapping).
        missing: codes or names that stand for no label; -1, the Hub's own sign for it, need not be named.
    """
    mistakes: list[str] = []
    called = dict[Value, str](enumerate(labels))
    if isinstance(names, Mapping):
        mistakes += [
            f"names: the column has no class {name!r}; {suggestion(name, labels)}"
            for name in names
            if name not in labels
        ]
        called = {code: names.get(str(label), str(label)) for code, label in called.items()}
    elif names is not None and len(names) != len(labels):
        mistakes.append(f"names: found {len(names)}, but the column has {len(labels)} classes: {', '.join(labels)}")
    elif names is not None:
        called = dict(enumerate(names))
    for value in missing:
        if isinstance(value, str) and value not in labels:
            mistakes.append(f"missing: the column has no class {value!r}; {suggestion(value, labels)}")
    absent = {MISSING_CLASS, *missing, *(code for code, label in enumerate(labels) if label in missing)}
    classes = Classes(called, frozenset(absent))
    return classes, [*mistakes, *_unknown_names(classes)]


def coded_classes(names: Names, missing: Sequence[Value]) -> tuple[Classes, list[str]]:
    """The classes of a column of numbers, and the mistakes in them."""
    mistakes: list[str] = []
    if isinstance(names, Mapping):
        mistakes += [f"names: {code!r} is no code, the column holds numbers" for code in names if not _is_code(code)]
        called = dict[Value, str]({int(code): name for code, name in names.items() if _is_code(code)})
    else:
        called = dict(enumerate(names or ()))
    if names is None:
        mistakes.append(
            "holds codes without names; say what they are called: `{column: ..., names: [happiness, sadness, ...]}`"
        )
    mistakes += [
        f"missing: {value!r} is no code, the column holds numbers" for value in missing if isinstance(value, str)
    ]
    classes = Classes(called, frozenset(missing))
    return classes, [*mistakes, *_unknown_names(classes)]


def text_classes(names: Names, missing: Sequence[Value]) -> tuple[Classes, list[str]]:
    """The classes of a column of texts, and the mistakes in them."""
    mistakes = []
    if names is not None and not isinstance(names, Mapping):
        mistakes.append("names: a list names codes, but the column holds texts; write `{text: expression}`")
        names = {}
    classes = Classes(dict((names or {}).items()), frozenset(missing), text=True)
    return classes, [*mistakes, *_unknown_names(classes)]


def _is_code(text: str) -> bool:
    return text.removeprefix("-").isdecimal()


def _unknown_names(classes: Classes) -> list[str]:
    unknown = dict.fromkeys(name for value, name in classes.names.items() if classes.code(value) is None)
    return [
        f"{name!r} is no expression; {suggestion(name, EXPRESSIONS)}. Name the expression under `names`, or the class under `columns.missing`"
        for name in unknown
    ]
