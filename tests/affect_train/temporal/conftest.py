"""A dataset of videos with stored features, and runs over its windows."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from training_runs import fresh_accelerator

from affect_train.inference.features import store_features
from affect_train.recipe.recipe import recipe_from
from affect_train.training.loop import train

Values = Callable[..., dict[str, Any]]
Edit = Callable[[dict[str, Any]], dict[str, Any]]


def _video_row(row: dict[str, Any]) -> dict[str, Any]:
    """Videos of ten frames with a gap after the sixth; every eleventh video's worth of rows is photographs."""
    number = row["frame"]
    photograph = number // 10 % 4 == 3
    row = {**row, "database": int(photograph), "track": "" if photograph else f"clip{number // 10}"}
    row["frame"] = -1 if photograph else number + (number % 10 > 5)
    row["subject"] = f"s{number // 10}"
    return row


@pytest.fixture(scope="session")
def video_row() -> Edit:
    """What makes a row of the tiny world one of a video, or a photograph."""
    return _video_row


@pytest.fixture
def videos(tmp_path: Path, world: SimpleNamespace, backbone: Path) -> Path:
    """80 rows for training and 40 for validation, a quarter of them photographs, with the features `tiny`."""
    partial = (("au",), ("expression",), ("va",), ("au", "va"))
    splits = {
        "train": [(number, partial[number // 7 % 4]) for number in range(80)],
        "validation": [(number, world.all) for number in range(200, 240)],
    }
    path = world.write_dataset(tmp_path / "videos", splits, edit=_video_row)
    store_features(str(backbone), path, "tiny", image_size=32)
    fresh_accelerator()
    return path


@pytest.fixture
def values(recipe_values: Values, backbone: Path, videos: Path) -> Values:
    def build(temporal: dict[str, Any] | None = None, **sections: Any) -> dict[str, Any]:
        model = {
            "backbone": str(backbone),
            "image_size": 32,
            "freeze_backbone": True,
            "features": "tiny",
            "temporal": {"window": 4, "projection": 8, "hidden": 6, **(temporal or {})},
        }
        defaults = {"batches": {"size": 6}, "optimizer": {"learning_rate": 0.01}}
        return recipe_values(dataset=str(videos), model=model, **{**defaults, **sections})

    return build


@pytest.fixture
def trained(values: Values, tmp_path: Path) -> Callable[..., Path]:
    """A function from overrides and sections of a recipe to the folder of its run."""

    def run(*overrides: str, **arguments: Any) -> Path:
        train(recipe_from(values(**arguments), ["training.epochs=2", *overrides]))
        fresh_accelerator()
        return tmp_path / "run"

    return run
