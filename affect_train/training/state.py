"""Nested state of tensors and plain values as two files: a safetensors file and a JSON file.

Reading these runs no code. ``torch.save`` and Accelerate's ``save_state`` write pickles, which may run any code when they are read.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from affect_data.bounds import BoundError, read_json
from affect_data.files import write_json

TENSORS: Final = ".safetensors"
VALUES: Final = ".json"


class StateError(ValueError):
    """The files hold no state, or a state has a value that they cannot hold."""


def save_state(folder: Path, name: str, state: object) -> None:
    """Writes a state to ``<name>.json`` and its tensors, if any, to ``<name>.safetensors``, named by their place in the state.

    Args:
        folder: an existing folder.
        name: of the state, with which the file names begin.
        state: tensors, numpy arrays, numbers, strings, None, and lists, tuples and mappings of these; keys are strings or integers.

    Raises:
        StateError: the state holds something else.
    """
    tensors: dict[str, Tensor] = {}
    values = _encoded(state, "", tensors)
    if tensors:
        save_file(tensors, folder / f"{name}{TENSORS}")
    write_json(folder / f"{name}{VALUES}", values)


def load_state(folder: Path, name: str) -> Any:  # noqa: ANN401 - whatever was saved
    """The state that `save_state` wrote, with tensors on the CPU.

    Raises:
        StateError: the files are missing, damaged, or do not fit one another.
    """
    try:
        values = read_json(folder / f"{name}{VALUES}")
        path = folder / f"{name}{TENSORS}"
        return _decoded(values, load_file(path) if path.exists() else {})
    except (OSError, ValueError, KeyError, TypeError, AttributeError, BoundError, SafetensorError) as error:
        raise StateError(f"the state '{name}' cannot be read ({type(error).__name__}: {error})") from error


def _encoded(value: object, path: str, tensors: dict[str, Tensor]) -> Any:  # noqa: ANN401 - JSON
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Tensor):
        # A copy, because a safetensors file cannot hold two names of one memory.
        tensors[path or "value"] = value.detach().cpu().clone().contiguous()
        return {"tensor": path or "value"}
    if isinstance(value, np.ndarray):
        tensors[path or "value"] = torch.from_numpy(value.copy())
        return {"array": path or "value"}
    if isinstance(value, list | tuple):
        items = [_encoded(item, _inside(path, place), tensors) for place, item in enumerate(value)]
        return {"list" if isinstance(value, list) else "tuple": items}
    if isinstance(value, Mapping):
        entries = []
        for key, item in value.items():
            if type(key) not in (str, int):
                raise StateError(
                    f"{path or 'state'}: a key is of type {type(key).__name__}; expected a string or an integer"
                )
            entries.append([key, _encoded(item, _inside(path, key), tensors)])
        return {"mapping": entries}
    raise StateError(
        f"{path}: {type(value).__name__} cannot be kept; expected tensors, numbers, texts, lists or mappings"
    )


def _inside(path: str, key: str | int) -> str:
    return f"{path}.{key}" if path else str(key)


def _decoded(value: Any, tensors: Mapping[str, Tensor]) -> Any:  # noqa: ANN401 - JSON
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    match kind:
        case "tensor":
            return tensors[content]
        case "array":
            return tensors[content].numpy()
        case "list":
            return [_decoded(item, tensors) for item in content]
        case "tuple":
            return tuple(_decoded(item, tensors) for item in content)
        case "mapping":
            return {key: _decoded(item, tensors) for key, item in content}
    raise StateError(f"unknown kind of value {kind!r}")
