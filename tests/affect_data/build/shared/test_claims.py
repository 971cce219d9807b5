"""Claims: they divide work, and nobody waits for somebody who is gone."""

import json
import os
import subprocess
import time
from pathlib import Path

import pytest

from affect_data.build.shared import claims
from affect_data.build.shared.claims import Claim, Watch


def written(path: Path, **values: object) -> Path:
    """The claim of somebody on another machine."""
    path.write_text(json.dumps({"host": "elsewhere", "process": 1, "token": "t", "beats": 1, **values}))
    return path


def test_only_one_can_hold_a_claim_and_it_is_free_afterwards(tmp_path: Path) -> None:
    first = Claim.take(tmp_path / "claim")
    assert first is not None
    with first:
        assert Claim.take(tmp_path / "claim") is None
    assert list(tmp_path.iterdir()) == []


def test_whoever_holds_a_claim_is_seen_to_beat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "BEAT", 0.01)
    monkeypatch.setattr(claims, "PATIENCE", 0.5)
    claim = Claim.take(tmp_path / "claim")
    assert claim is not None
    with claim:
        watch = Watch(tmp_path / "claim")
        until = time.monotonic() + 60
        while not watch.beats and time.monotonic() < until:
            time.sleep(0.01)
        assert watch.beats
        assert not watch.is_left
        assert watch.holder().startswith(f"process {os.getpid()} on ")


def test_a_claim_that_does_not_beat_is_left_whatever_its_time_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "PATIENCE", 0.05)
    path = written(tmp_path / "claim")
    os.utime(path, (4e9, 4e9))
    watch = Watch(path)
    assert not watch.is_left
    time.sleep(0.06)
    assert watch.is_left
    assert not watch.beats
    written(path, beats=2)
    assert not watch.is_left


def test_a_process_of_this_machine_that_has_ended_is_not_waited_for(tmp_path: Path) -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    watch = Watch(written(tmp_path / "claim", host=claims.socket.gethostname(), process=ended.pid))
    assert watch.is_left
    watch.remove()
    watch.remove()
    assert Claim.take(tmp_path / "claim") is not None


def test_a_claim_that_somebody_took_over_is_not_removed_by_the_first(tmp_path: Path) -> None:
    first = Claim.take(tmp_path / "claim")
    assert first is not None
    with first:
        Watch(tmp_path / "claim").remove()
        second = Claim.take(tmp_path / "claim")
        assert second is not None
    assert Watch(tmp_path / "claim").token() == second.token
    with second:
        pass
    assert not (tmp_path / "claim").exists()


def test_a_claim_that_says_nothing_yet_is_waited_for(tmp_path: Path) -> None:
    (tmp_path / "claim").touch()
    watch = Watch(tmp_path / "claim")
    assert (watch.is_left, watch.beats, watch.holder()) == (False, False, "another process")
