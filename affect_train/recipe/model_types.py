"""The kinds of networks that transformers knows, without importing it, which takes seconds."""

import ast
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final

_TABLE: Final = "MODEL_MAPPING_NAMES"


@cache
def known_model_types() -> frozenset[str]:
    """Every `model_type` of which `transformers.AutoModel` makes a network.

    They are read from the table in transformers' source; where it is written in another way than expected, transformers is imported.
    """
    found = find_spec("transformers")
    if found is not None and found.submodule_search_locations:
        source = Path(next(iter(found.submodule_search_locations))) / "models" / "auto" / "modeling_auto.py"
        try:
            return _keys_of_table(source.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            pass
    from transformers.models.auto.modeling_auto import MODEL_MAPPING_NAMES

    return frozenset(MODEL_MAPPING_NAMES)


def _keys_of_table(source: str) -> frozenset[str]:
    """The keys of the table, an `OrderedDict` of a list of pairs of names.

    Raises:
        ValueError: the table is missing, or is not written so.
    """
    begin = source.find(f"\n{_TABLE} = OrderedDict(")
    end = source.find("\n)\n", begin)
    if begin < 0 or end < 0:
        raise ValueError(f"{_TABLE} is not found")
    statement = ast.parse(source[begin + 1 : end + 2]).body[0]
    if not (isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Call)):
        raise ValueError(f"{_TABLE} is no call")
    (pairs,) = statement.value.args
    return frozenset(str(name) for name, _ in ast.literal_eval(pairs))
