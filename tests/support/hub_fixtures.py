"""Fixtures with a Hub on loopback that the real clients of this process talk to."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
from loopback_hub import Account, LoopbackHub


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[LoopbackHub]:
    """The Hub, with the token of a writer in the environment."""
    with running_hub(monkeypatch, tmp_path) as server:
        yield server


@contextmanager
def running_hub(patch: pytest.MonkeyPatch, folder: Path) -> Iterator[LoopbackHub]:
    """A Hub for a fixture that lives longer than a test.

    Args:
        patch: sends the clients of this process to it.
        folder: for the cache of the client.
    """
    from huggingface_hub import close_session, constants

    accounts = {
        "hf_writer": Account("anna", writes=True),
        "hf_reader": Account("anna"),
        "hf_other": Account("bert", writes=True),
    }
    with LoopbackHub(accounts) as server:
        patch.setattr(constants, "ENDPOINT", server.endpoint)
        patch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", server.endpoint + "/{repo_id}/resolve/{revision}/{filename}"
        )
        patch.setattr(constants, "HF_HUB_OFFLINE", False)
        patch.setattr(constants, "HF_HUB_CACHE", str(folder / "hub-cache"))
        patch.setattr(constants, "HF_TOKEN_PATH", str(folder / "no-token"))
        patch.setenv("HF_TOKEN", "hf_writer")
        close_session()
        yield server
        close_session()


@pytest.fixture
def hf(hub: LoopbackHub, tmp_path: Path) -> Callable[..., str]:
    """Runs the Hub's command ``hf`` against the Hub, as the writer; gives what it prints, and fails where it fails."""
    environment = {
        **os.environ, "HF_ENDPOINT": hub.endpoint, "HF_TOKEN": "hf_writer", "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1",
        "HF_HOME": str(tmp_path / "hf-home"),
    }  # fmt: skip

    def run(*arguments: str | Path) -> str:
        call = [sys.executable, "-W", "ignore", "-m", "huggingface_hub.cli.hf", *map(str, arguments)]
        ran = subprocess.run(call, capture_output=True, text=True, env=environment, check=False, timeout=120)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    return run


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long the client would have waited between its tries; it waits for nothing."""
    waits: list[float] = []
    monkeypatch.setattr("huggingface_hub.utils._http.time", SimpleNamespace(**{**vars(time), "sleep": waits.append}))
    return waits
