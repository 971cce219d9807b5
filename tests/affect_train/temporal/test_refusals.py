"""What a recurrent stage cannot be trained on."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from training_runs import fresh_accelerator

from affect_data.errors import RecipeError
from affect_train.errors import NoWindowsError
from affect_train.inference.features import store_features
from affect_train.recipe.recipe import recipe_from
from affect_train.training.loop import train

Values = Callable[..., dict[str, Any]]

Edit = Callable[[dict[str, Any]], dict[str, Any]]


def test_a_recurrent_stage_takes_stored_features_and_no_balance(recipe_values: Values) -> None:
    model = {"backbone": "somewhere", "temporal": {"window": 8, "stride": 9}}
    with pytest.raises(RecipeError, match=r"model.temporal.stride: 9 is more than the window of 8 frames") as error:
        recipe_from(recipe_values(model=model))
    model["temporal"] = {"window": 8, "evaluation_stride": 9}
    with pytest.raises(RecipeError, match=r"model.temporal.evaluation_stride: 9 is more than the window of 8 frames"):
        recipe_from(recipe_values(model=model))
    model["temporal"] = {}
    with pytest.raises(RecipeError) as error:
        recipe_from(recipe_values(model=model, batches={"balance": "plan"}))
    assert "model.temporal: windows are read from stored features; run `affect-train features`" in str(error.value)
    assert "batches.balance: found 'plan', which weighs rows, but a recurrent stage draws windows" in str(error.value)
    with pytest.raises(RecipeError, match=r"method.name: 'meta_auxiliary' judges its steps by rows, but a recurrent"):
        recipe_from(recipe_values(model=model, method={"name": "meta_auxiliary"}))
    resolved = recipe_from(recipe_values(model={**model, "features": "tiny", "freeze_backbone": True}))
    assert resolved.model.temporal.strides == (16, 32)


def test_a_dataset_without_videos_is_refused(values: Values, videos: Path, world: SimpleNamespace) -> None:
    def still(row: dict[str, Any]) -> dict[str, Any]:
        return {**row, "track": "", "subject": f"s{row['frame']}"}

    photographs = world.write_dataset(
        videos.parent / "photographs",
        {"train": [(n, world.all) for n in range(8)], "validation": [(9, world.all)]},
        edit=still,
    )
    store_features(values()["model"]["backbone"], photographs, "tiny", image_size=32)
    fresh_accelerator()
    with pytest.raises(NoWindowsError, match=r"split train: no row has a track and a frame number.*remove `model.temp"):
        train(recipe_from({**values(), "dataset": str(photographs)}))


def test_a_task_that_only_photographs_are_labelled_for_is_named(
    values: Values, videos: Path, world: SimpleNamespace, backbone: Path, video_row: Edit
) -> None:
    mixed = world.write_dataset(
        videos.parent / "mixed",
        {
            "train": [(number, ("expression",) if number // 10 == 3 else ("au",)) for number in range(40)],
            "validation": [(number, world.all) for number in range(200, 210)],
        },
        edit=video_row,
    )
    store_features(str(backbone), mixed, "tiny", image_size=32)
    fresh_accelerator()
    settings = {**values(), "dataset": str(mixed), "tasks": {"action_units": [1, 12], "expression": "aff_wild2_7"}}
    with pytest.raises(
        NoWindowsError, match=r"no row with a label of expression has a track.*remove expression from `t"
    ):
        train(recipe_from(settings))
    proportional = recipe_from(settings, ["batches.sampler=database_proportional", "training.max_steps=2"])
    fresh_accelerator()
    assert train(proportional)["steps"] == 2
