"""A word or a number means the same in a data recipe and in a training recipe."""

import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from affect_data.build.recipe import read_recipe as read_data_recipe
from affect_data.errors import RecipeError
from affect_train.recipe.recipe import read_recipe as read_training_recipe

DATA = "databases:\n  expw: {{holdout: {share}, root: {word}}}\nshard_rows: {count}\n"
TRAINING = (
    "dataset: d\noutput: {word}\ntasks: {{action_units: [1]}}\nmodel: {{backbone: b}}\n"
    "batches: {{size: {count}}}\naugmentation: {{shift: {share}}}\n"
)
SOUND = {"count": "1", "share": "0.5", "word": "w"}


def outcome(text: str, read: Callable[[Path], Any], value_of: Callable[[Any], object]) -> object:
    """The value and its type; or what is said of it, without its place and key."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "recipe.yaml"
        path.write_text(text, encoding="utf-8")
        try:
            value = value_of(read(path))
        except RecipeError as error:
            (only,) = error.mistakes
            return re.sub(r"^.*?: ((\w|\.)+: )?", "", only)
    return value, type(value)


def in_data(**written: str) -> object:
    (key,) = written
    values: dict[str, Callable[[Any], object]] = {
        "count": lambda recipe: recipe.shard_rows,
        "share": lambda recipe: recipe.databases["expw"].holdout,
        "word": lambda recipe: recipe.databases["expw"].root,
    }
    return outcome(DATA.format(**{**SOUND, **written}), read_data_recipe, values[key])


def in_training(**written: str) -> object:
    (key,) = written
    values: dict[str, Callable[[Any], object]] = {
        "count": lambda recipe: recipe.batches.size,
        "share": lambda recipe: recipe.augmentation.shift,
        "word": lambda recipe: recipe.output,
    }
    return outcome(TRAINING.format(**{**SOUND, **written}), read_training_recipe, values[key])


WORDS = [
    "yes",
    "no",
    "on",
    "off",
    "y",
    "n",
    "true",
    "1_000",
    "12:30",
    "2026-01-02",
    "1e",
    "0x",
    "0o8",
    "'3'",
    "=",
    "e3",
]
NUMBERS = [
    "1e3",
    "6e1",
    "1E3",
    "0x10",
    "0o17",
    "017",
    "09",
    "+3",
    "-0",
    "2.0",
    ".5",
    "5e-1",
    "1e30",
    ".inf",
    ".nan",
    "0",
]


@pytest.mark.parametrize("written", [*NUMBERS, *WORDS])
def test_a_count_and_a_share_mean_the_same(written: str) -> None:
    assert in_data(count=written) == in_training(count=written)
    assert in_data(share=written) == in_training(share=written)


@given(st.from_regex(r"[-+]?[0-9]{0,3}\.?[0-9]{1,3}([eE][-+]?[0-9]{1,2})?|0[xob][0-9a-f]{1,4}", fullmatch=True))
@example("1e3")
@example("0x10")
def test_whatever_looks_like_a_number_means_the_same(written: str) -> None:
    assert in_data(count=written) == in_training(count=written)
    assert in_data(share=written) == in_training(share=written)


@pytest.mark.parametrize("written", [word for word in WORDS if word not in ("true", "'3'")])
def test_a_word_is_a_word(written: str) -> None:
    assert in_data(word=written) == in_training(word=written) == (written, str)


@pytest.mark.parametrize(("written", "count"), [("1e3", 1000), ("6e1", 60), ("0x10", 16), ("0o17", 15), ("017", 17)])
def test_a_number_is_a_number(written: str, count: int) -> None:
    assert in_data(count=written) == in_training(count=written) == (count, int)


@pytest.mark.parametrize("written", ["yes", "no", "on", "off", "true", "'3'", "1_000"])
def test_no_word_is_a_number(written: str) -> None:
    found = in_data(count=written)
    assert found == in_training(count=written)
    assert str(found).endswith("expected a valid integer")
