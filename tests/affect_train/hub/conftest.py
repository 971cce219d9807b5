"""A run on drawn faces, evaluated with intervals, and a Hub on loopback to publish it to."""

import shutil
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hub_fixtures import hf, hub, slept  # noqa: F401 - fixtures
from loopback_hub import LoopbackHub, Repository
from PIL import Image
from training_runs import fresh_accelerator

from affect_train.evaluation.evaluate import evaluate
from affect_train.hub.publish import planned, publish
from affect_train.recipe.recipe import recipe_from
from affect_train.training.loop import train

Put = Callable[..., str]

TURNED = 6
"""EXIF orientation of a picture that lies on its side."""


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, dataset: Path, world: SimpleNamespace) -> Path:
    """A run of one epoch; for reading only."""
    folder = tmp_path_factory.mktemp("published") / "run"
    values = {
        "dataset": str(dataset),
        "output": str(folder),
        "tasks": {
            "action_units": [25, 1],
            "expression": ["happiness", "neutral", "sadness"],
            "valence_arousal": {"bins": 4},
        },
        "model": {"backbone": world.tiny_vit, "image_size": 32},
        "batches": {"size": 20},
        "training": {"epochs": 1, "trackers": []},
    }
    train(recipe_from(values))
    fresh_accelerator()
    evaluate(folder, dataset, ["validation"], bootstrap=20, tune_thresholds="train")
    fresh_accelerator()
    return folder


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(trained, tmp_path / "run"))


@pytest.fixture
def put(dataset: Path) -> Put:
    """Publishes a run; returns the commit."""

    def put(run: Path, repository: str = "anna/teacher", **options: Any) -> str:
        with planned(run, repository, **{"dataset": dataset, **options}) as plan:
            return publish(plan)

    return put


@pytest.fixture(scope="session")
def _kept() -> list[Repository]:
    """The repository of `teacher`, once a test has needed it."""
    return []


@pytest.fixture
def teacher(hub: LoopbackHub, trained: Path, put: Put, _kept: list[Repository]) -> str:  # noqa: F811 - the fixture
    """The name of a published model; the commit comes after the ``@``."""
    if not _kept:
        put(trained)
        _kept.append(deepcopy(hub.repositories["model", "anna/teacher"]))
    hub.repositories["model", "anna/teacher"] = deepcopy(_kept[0])
    return f"anna/teacher@{_kept[0].head}"


@pytest.fixture(scope="session")
def faces(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Square pictures: JPEG files that are decoded at their full size, half of it and an eighth, one of them turned; and a PNG file."""
    folder = tmp_path_factory.mktemp("faces")
    paths = []
    for number, size in enumerate((32, 47, 65, 301, 96)):
        drawn = Image.effect_mandelbrot((size, size), (-2.0 + number / 9, -1.5, 1.0, 1.5), 40 + number)
        picture = Image.merge("RGB", (drawn, drawn.transpose(Image.Transpose(number)), drawn.rotate(30)))
        exif = Image.Exif()
        exif[274] = TURNED if size == 65 else 1
        paths.append(folder / f"{size}.{'png' if size == 96 else 'jpg'}")
        picture.save(paths[-1], exif=exif)
    return paths
