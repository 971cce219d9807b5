"""What a recipe may say of a dataset that is no dataset folder."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from affect_data.errors import RecipeError
from affect_train.recipe.dataset import ActionUnitListOptions, DatasetOptions, ExpressionColumnOptions
from affect_train.recipe.recipe import read_recipe, recipe_from

Values = Callable[..., dict[str, Any]]

COLUMNS = {
    "expression": "label",
    "action_units": {"column": "aus", "numbers": [1, 12, 25]},
    "valence": "v",
    "arousal": "a",
}
STREAMED = {"path": "someone/faces", "streaming": True, "columns": COLUMNS}


def mistakes(values: dict[str, Any]) -> list[str]:
    with pytest.raises(RecipeError) as caught:
        recipe_from(values)
    return list(caught.value.mistakes)


def test_a_section_names_a_dataset_of_the_hub_and_is_stored_with_the_run(recipe_values: Values, tmp_path: Path) -> None:
    columns = {
        **COLUMNS,
        "expression": {"column": "label", "names": {1: "fear"}},
        "missing": {"v": [-5, -2.5], "label": "none"},
    }
    section = {"path": "someone/faces", "configuration": "large", "revision": "v2", "columns": columns}
    recipe = recipe_from(recipe_values(dataset=section))
    assert isinstance(recipe.dataset, DatasetOptions)
    assert str(recipe.dataset) == "someone/faces:large@v2"
    assert recipe.dataset.columns.expression == ExpressionColumnOptions(column="label", names={"1": "fear"})
    assert recipe.dataset.columns.action_units == ActionUnitListOptions(column="aus", numbers=(1, 12, 25))
    assert recipe.dataset.columns.missing == {"v": [-5, -2.5], "label": ["none"]}
    recipe.write(tmp_path / "recipe.yaml")
    assert read_recipe(tmp_path / "recipe.yaml") == recipe
    assert read_recipe(tmp_path / "recipe.yaml", ["dataset=merged"]).dataset == "merged"
    assert read_recipe(tmp_path / "recipe.yaml", ["dataset.revision=v3"]).dataset.revision == "v3"


def test_all_mistakes_of_the_section_are_listed_with_the_keys_that_there_are(recipe_values: Values) -> None:
    section = {
        "path": "",
        "revison": "v2",
        "columns": {"image": 3, "expresion": "label", "action_units": {"column": "aus", "number": [1]}},
    }
    assert mistakes(recipe_values(dataset=section)) == [
        "dataset.path: found ''; String should have at least 1 character",
        "dataset.columns.image: found 3; expected a valid string",
        "dataset.columns.action_units.numbers: missing; the recipe has to say it",
        "dataset.columns.action_units.number: unknown key; did you mean 'numbers'? known: column, numbers",
        "dataset.columns.expresion: unknown key; did you mean 'expression'? known: image, uid, subject, track, expression, valence, arousal, "
        "valence_arousal_range, action_units, action_unit_threshold, face_box, face_box_format, missing",
        "dataset.revison: unknown key; did you mean 'revision'? known: path, configuration, revision, columns, streaming, shuffle_buffer, share_by, "
        "follow_links",
    ]


def test_a_task_without_a_column_is_a_mistake(recipe_values: Values) -> None:
    section = {"path": "someone/faces", "columns": {"expression": "label"}}
    assert mistakes(recipe_values(dataset=section)) == [
        "dataset.columns: `tasks` trains au, but no column is named for it; add `action_units`",
        "dataset.columns: `tasks` trains va, but no column is named for it; add `valence` and `arousal`",
    ]


def test_column_groups_take_a_dataset_folder(recipe_values: Values) -> None:
    values = recipe_values(
        dataset={**STREAMED, "streaming": False},
        soft_labels=["teacher"],
        method={"name": "distillation"},
        batches={"size": 8, "balance": "rare"},
        training={"held_out": {"folds": "five", "fold": 0}},
    )
    values["model"] |= {"features": "dino", "freeze_backbone": True}
    remedy = "takes a dataset folder, whose column groups hold it; build one with `affect-data build`, or leave it out"
    keys = ("soft_labels", "batches.balance", "training.held_out", "model.features")
    assert mistakes(values) == [f"{key}: {remedy}" for key in keys]


def test_a_stream_refuses_what_takes_all_rows(recipe_values: Values) -> None:
    method = {"name": "supervised", "au_class_weights": "inverse_rate"}
    values = recipe_values(dataset=STREAMED, batches={"size": 8, "cache": True, "workers": 2}, method=method)
    assert mistakes(values) == [
        "batches.sampler: found 'task_balanced', which picks rows from the whole dataset; a streamed one takes 'uniform', "
        "or set `dataset.streaming: false`",
        "batches.cache: streamed faces are not kept; set it to false",
        "batches.workers: a stream is read by one process; set it to 0, and `batches.threads` to more",
        "batches.steps_per_epoch: a stream does not know its length; say how many batches an epoch has, or set `training.max_steps`",
        "method.au_class_weights: 'inverse_rate' looks at the labels of all rows before the first step; set `dataset.streaming: false`",
    ]
    stream = {"size": 8, "sampler": "uniform"}
    assert (
        recipe_from(recipe_values(dataset=STREAMED, batches={**stream, "steps_per_epoch": 9})).batches.steps_per_epoch
        == 9
    )
    assert (
        recipe_from(recipe_values(dataset=STREAMED, batches=stream, training={"max_steps": 9})).training.max_steps == 9
    )


def test_a_list_of_classes_that_names_one_twice_is_a_mistake(recipe_values: Values) -> None:
    section = {
        "path": "someone/faces",
        "columns": {**COLUMNS, "expression": {"column": "label", "names": ["sad", "Happy", "joy"]}},
    }
    assert mistakes(recipe_values(dataset=section)) == [
        "dataset.columns.expression.names: names: Happy, joy are the same class; a list gives each code a class of its own"
    ]
