"""Whole runs that learn the habits of databases."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from training_runs import fresh_accelerator, same_bits, train_until, weights_of
from typer.testing import CliRunner

from affect_data.errors import RecipeError, UnknownNameError
from affect_train.cli.app import app
from affect_train.recipe.recipe import Recipe, recipe_from
from affect_train.training.loop import train

Values = Callable[..., dict[str, Any]]

# In the tiny dataset rows of affwild2 have action units or valence and arousal, rows of expw expressions or both of the former.
STEPS = ["model.habits={}", "training.max_steps=4", "training.save_every_steps=1", "training.validation_split=null"]


@pytest.fixture
def recipe(recipe_values: Values, tmp_path: Path) -> Callable[..., Recipe]:
    def build(*overrides: str, run: str = "run") -> Recipe:
        return recipe_from(recipe_values(), [f"output={tmp_path / run}", *STEPS, *overrides])

    return build


def test_a_run_learns_habits_of_the_databases_that_it_does_not_follow(
    recipe: Callable[..., Recipe], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    train(recipe("model.habits.reference=affwild2"))
    habits = json.loads((tmp_path / "run/habits.json").read_text())
    assert habits["affwild2"] == {}
    # No other database has expressions, so that expw leads there although another reference is named.
    assert set(habits["expw"]) == {"gain", "offset", "logit_shift"}
    assert set(habits["expw"]["logit_shift"]) == {"AU1", "AU12", "AU25"}
    assert all(shift != 0 for shift in habits["expw"]["logit_shift"].values())
    printed = capfd.readouterr().err
    assert "habits of au: the network follows affwild2; learned: expw" in printed
    assert "habits of expression: the network follows expw; learned: none" in printed


def test_an_interrupted_run_ends_with_the_habits_of_one_that_was_not(
    recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    train(recipe("training.record_rows=true", run="whole"))
    fresh_accelerator()
    train_until(recipe("training.record_rows=true", run="parts"), 2)
    fresh_accelerator()
    train(recipe("training.record_rows=true", run="parts"))
    assert same_bits(tmp_path / "whole", tmp_path / "parts")
    assert (tmp_path / "whole/habits.json").read_bytes() == (tmp_path / "parts/habits.json").read_bytes()


def test_micro_batches_learn_what_one_batch_learns(recipe: Callable[..., Recipe], tmp_path: Path) -> None:
    # Dropout and augmentation would draw otherwise.
    still = [
        "model.dropout=0.0",
        "augmentation.noise=0.0",
        "augmentation.flip=false",
        "augmentation.rotation_degrees=0",
    ]
    order = ["batches.sampler=uniform", "training.max_steps=1", "training.save_every_steps=null"]
    train(recipe(*still, *order, "batches.size=40", run="one"))
    fresh_accelerator()
    train(recipe(*still, *order, "batches.size=20", "training.accumulation=2", run="two"))
    one, two = weights_of(tmp_path / "one"), weights_of(tmp_path / "two")
    for name in (name for name in one if name.startswith("habits.")):
        assert torch.allclose(one[name], two[name], atol=1e-4), name


def test_a_prediction_is_that_of_the_shared_network_unless_a_database_is_chosen(
    recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    train(recipe("model.habits.reference=affwild2", "model.habits.learning_rate=1000"))
    shift = json.loads((tmp_path / "run/habits.json").read_text())["expw"]["logit_shift"]["AU12"]
    Image.new("RGB", (32, 32), (90, 120, 60)).save(tmp_path / "face.png")
    call = ["predict", str(tmp_path / "run"), str(tmp_path / "face.png"), "--crop", "as-is", "--json"]
    fresh_accelerator()
    (plain,) = json.loads(CliRunner().invoke(app, call).stdout)
    fresh_accelerator()
    (chosen,) = json.loads(CliRunner().invoke(app, [*call, "--as", "expw"]).stdout)
    logits = [
        torch.tensor(one["action_units"]["AU12"]["probability"], dtype=torch.float64).logit().item()
        for one in (plain, chosen)
    ]
    assert logits[1] - logits[0] == pytest.approx(shift, abs=1e-4)


@pytest.mark.parametrize(
    ("overrides", "because"),
    [
        (["method={name: meta_auxiliary}"], r"model.habits.*judges its steps by the network's own outputs"),
        (
            ["method={name: supervised, coupling: {soft_co_annotation: {}}}"],
            r"method.coupling.*relates what faces show",
        ),
        (["augmentation.mixup=0.2"], r"augmentation.mixup.*may be of two databases"),
        (["model.habits.heads=[]"], "name one head at least"),
        (["tasks.valence_arousal=null", "model.habits.heads=[va]"], "found va, but `tasks` trains only au, expression"),
    ],
)
def test_a_recipe_that_cannot_learn_habits_is_refused(
    recipe: Callable[..., Recipe], overrides: list[str], because: str
) -> None:
    with pytest.raises(RecipeError, match=because):
        recipe(*overrides)


def test_the_reference_is_one_of_the_databases(recipe: Callable[..., Recipe]) -> None:
    with pytest.raises(UnknownNameError, match=r"model.habits.reference.*affectnet"):
        train(recipe("model.habits.reference=affectnet"))
