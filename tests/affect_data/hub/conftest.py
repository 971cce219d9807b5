"""A Hub on loopback that the real clients of this process talk to, and a small dataset of drawn faces with what was made from it."""

import json
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from loopback_hub import Account, LoopbackHub
from published_faces import add_teacher

from affect_data.build.build import build
from affect_data.build.recipe import recipe_from
from affect_data.dataset.folder import LOCK, open_dataset
from affect_data.leaks.folds import write_folds

RECIPE = recipe_from({"databases": {"expw": {"holdout": 0.3}}, "shard_rows": 8}, "faces")


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[LoopbackHub]:
    """The Hub, with the token of a writer in the environment."""
    from huggingface_hub import close_session, constants

    accounts = {
        "hf_writer": Account("anna", writes=True),
        "hf_reader": Account("anna"),
        "hf_other": Account("bert", writes=True),
    }
    with LoopbackHub(accounts) as server:
        monkeypatch.setattr(constants, "ENDPOINT", server.endpoint)
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", server.endpoint + "/{repo_id}/resolve/{revision}/{filename}"
        )
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
        monkeypatch.setenv("HF_TOKEN", "hf_writer")
        close_session()
        yield server
        close_session()


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long the client would have waited between its tries; it waits for nothing."""
    waits: list[float] = []
    monkeypatch.setattr("huggingface_hub.utils._http.time", SimpleNamespace(**{**vars(time), "sleep": waits.append}))
    return waits


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
