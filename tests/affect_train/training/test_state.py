"""States as safetensors and JSON: what goes in comes out, and no file runs code."""

import json
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from affect_train.training.state import StateError, load_state, save_state

PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
STATES = st.recursive(
    PLAIN,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=5) | st.integers(-9, 9), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(state=STATES)
def test_plain_values_come_back_as_they_were(state: object, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("state")
    save_state(folder, "any", state)
    found = load_state(folder, "any")
    assert found == state
    assert repr(found) == repr(state)  # types too: a tuple is no list, 1 is no True, -0.0 is no 0.0


def test_an_optimizers_state_comes_back_to_the_bit(tmp_path: Path) -> None:
    layer = torch.nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(layer.parameters(), lr=0.1)
    layer(torch.ones(4, 3)).sum().backward()
    optimizer.step()
    save_state(tmp_path, "optimizer", optimizer.state_dict())
    other = torch.optim.AdamW(layer.parameters(), lr=9.0)
    other.load_state_dict(load_state(tmp_path, "optimizer"))
    assert other.param_groups[0]["lr"] == 0.1
    assert other.param_groups[0]["betas"] == (0.9, 0.999)
    for parameter in layer.parameters():
        for name, value in optimizer.state[parameter].items():
            assert torch.equal(other.state[parameter][name], value)


def test_random_states_come_back(tmp_path: Path) -> None:
    state = {
        "python": random.getstate(),
        "numpy": np.random.default_rng(3).bit_generator.state,
        "torch": torch.get_rng_state(),
    }
    save_state(tmp_path, "random", state)
    found = load_state(tmp_path, "random")
    assert found["python"] == state["python"]
    assert found["numpy"] == state["numpy"]
    assert torch.equal(found["torch"], state["torch"])


def test_two_names_of_one_tensor_are_kept_apart(tmp_path: Path) -> None:
    shared = torch.arange(3)
    save_state(tmp_path, "shared", {"a": shared, "b": shared, "array": np.arange(2)})
    found = load_state(tmp_path, "shared")
    assert torch.equal(found["a"], shared)
    assert torch.equal(found["b"], shared)
    assert found["array"].tolist() == [0, 1]


def test_only_json_and_safetensors_are_written(tmp_path: Path) -> None:
    save_state(tmp_path, "state", {"weights": torch.ones(2), "step": 3})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["state.json", "state.safetensors"]
    assert json.loads((tmp_path / "state.json").read_text()) == {
        "mapping": [["weights", {"tensor": "weights"}], ["step", 3]]
    }


@pytest.mark.parametrize(
    ("state", "found"), [({"f": print}, "f: builtin_function_or_method"), ({1.5: 2}, "a key is of type float")]
)
def test_what_no_such_file_can_hold_is_refused(tmp_path: Path, state: object, found: str) -> None:
    with pytest.raises(StateError, match=found):
        save_state(tmp_path, "state", state)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        '{"pickle": "x"}',
        '{"tensor": "gone"}',
        '{"list": 3}',
        "[" * 100_000,
        '{"mapping": [[1]]}',
        '{"a": 1, "b": 2}',
    ],
)
def test_a_damaged_state_is_an_error_that_names_it(tmp_path: Path, text: str) -> None:
    (tmp_path / "state.json").write_text(text)
    with pytest.raises(StateError, match="the state 'state' cannot be read"):
        load_state(tmp_path, "state")
