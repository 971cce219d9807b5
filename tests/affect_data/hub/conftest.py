"""A Hub on loopback that the real clients of this process talk to, and a small dataset of drawn faces with what was made from it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hub_fixtures import hf, hub, slept  # noqa: F401 - fixtures
from published_faces import add_teacher

from affect_data.build.build import build
from affect_data.build.recipe import recipe_from
from affect_data.dataset.folder import LOCK, open_dataset
from affect_data.leaks.folds import write_folds

RECIPE = recipe_from({"databases": {"expw": {"holdout": 0.3}}, "shard_rows": 8}, "faces")


@pytest.fixture(scope="session")
def faces_root(make_expw: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_expw(tmp_path_factory.mktemp("hub") / "expw", faces=24)


@pytest.fixture(scope="session")
def built_faces(faces_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 faces of ExpW in two splits, with soft labels and folds; for reading only."""
    folder = build(RECIPE, {"expw": faces_root}, tmp_path_factory.mktemp("hub") / "faces").dataset
    add_teacher(folder.path, "teacher")
    write_folds(open_dataset(folder.path), "cv", 2)
    return folder.path


@pytest.fixture
def faces(built_faces: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(built_faces, tmp_path / "faces"))


@pytest.fixture
def licensed_faces(faces: Path) -> Path:
    """The same as if people had been photographed: ExpW's licence holds."""
    lock = json.loads((faces / LOCK).read_text())
    lock["databases"]["expw"]["drawn"] = False
    (faces / LOCK).write_text(json.dumps(lock))
    return faces
