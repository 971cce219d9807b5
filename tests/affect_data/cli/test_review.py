"""The commands of a review: started, interrupted, refused with a reason."""

import json
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import polars as pl
import pytest

from affect_data.audit.base import FINDINGS
from affect_data.audit.run import AUDIT, FINGERPRINT
from affect_data.build.build import build
from affect_data.build.recipe import recipe_from
from affect_data.dataset.folder import DatasetFolder, open_dataset

Command = Callable[..., CompletedProcess[str]]


@pytest.fixture
def dataset(tmp_path: Path, make_expw: Callable[..., Path]) -> DatasetFolder:
    root = make_expw(tmp_path / "expw")
    return build(recipe_from({"databases": {"expw": {}}}, "x"), {"expw": root}, tmp_path / "merged").dataset


def with_findings(dataset: DatasetFolder) -> None:
    uids = dataset.labels("train")["uid"]
    rows = [
        {"uid": uid, "split": "train", "check": check, "severity": "review", "score": 0.5, "evidence": "{}"}
        for uid, check in zip(uids, ["flicker", "codes", "codes"], strict=False)
    ]
    metadata = {FINGERPRINT: dataset.fingerprint}
    pl.DataFrame(rows, schema=FINDINGS).write_parquet(dataset.path / AUDIT, metadata=metadata)


def fetch(url: str) -> dict[str, object]:
    with urllib.request.urlopen(url, timeout=20) as answer:
        found: dict[str, object] = json.loads(answer.read())
    return found


def test_a_review_is_served_until_it_is_interrupted(dataset: DatasetFolder) -> None:
    with_findings(dataset)
    command = [sys.executable, "-m", "affect_data", "review", str(dataset.path), "--check", "codes", "--who", "ada"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("2 faces to review, 0 decided; decisions go to ")
        url = re.search(r"http://127\.0\.0\.1:\d+/\S+/", process.stdout.readline())
        assert url is not None
        body = json.dumps({"rows": [1], "action": "keep"}).encode()
        urllib.request.urlopen(url[0] + "decide", body, timeout=20).close()
        assert fetch(url[0] + "about")["actions"] == {"keep": 1}
        process.send_signal(signal.SIGINT)
        assert "Apply: affect-data review apply" in process.stdout.read()
    assert process.returncode == 0
    decisions = dataset.path.with_name("merged.decisions.jsonl")
    assert json.loads(decisions.read_text())["action"] == "keep"


def test_without_an_audit_the_command_names_it(dataset: DatasetFolder, affect_data: Command) -> None:
    refused = affect_data("review", dataset.path)
    assert refused.returncode == 1
    assert "was not audited. Audit it: `affect-data audit" in refused.stderr
    with_findings(dataset)
    refused = affect_data("review", dataset.path, "--check", "nonsense")
    assert refused.returncode == 2
    assert "unknown check 'nonsense'" in refused.stderr


def test_apply_changes_and_undo_say_what_they_did(dataset: DatasetFolder, affect_data: Command, tmp_path: Path) -> None:
    row = dataset.labels("train").row(0, named=True)
    decision = {name: row[name] for name in ("uid", "database", "image_digest", "face")} | {
        "id": "a",
        "split": "train",
        "dataset": "of another",
        "action": "mask",
        "old": {"expression": "anger"},
        "new": {"expression": None},
        "who": "ada",
        "when": "2026-11-22T10:00:00+00:00",
        "why": "blurred",
    }
    (tmp_path / "d.jsonl").write_text(json.dumps(decision) + "\n")
    applied = affect_data("review", "apply", tmp_path / "d.jsonl", dataset.path)
    assert applied.returncode == 0
    assert "decisions in force: mask 1\napplied 1, applied already 0\n1 were made on other labels" in applied.stdout
    assert f"labels are version 1; fingerprint {open_dataset(dataset.path).fingerprint}" in applied.stdout
    (change,) = json.loads(affect_data("review", "changes", dataset.path, "--json").stdout)
    assert (change["old"], change["new"]) == ({"expression": "anger"}, {"expression": None})
    assert "blurred" in affect_data("review", "changes", dataset.path).stdout
    undone = json.loads(affect_data("review", "undo", dataset.path, "--json").stdout)
    assert undone == {"dataset": str(dataset.path), "version": 0, "fingerprint": dataset.fingerprint}
    again = affect_data("review", "undo", dataset.path)
    assert again.returncode == 1
    assert "nothing to undo" in again.stderr


def test_decisions_that_do_not_fit_end_with_1_and_leave_everything(
    dataset: DatasetFolder, affect_data: Command, tmp_path: Path, digests: Callable[[Path], dict[str, str]]
) -> None:
    before = digests(dataset.path)
    (tmp_path / "d.jsonl").write_text("nonsense\n")
    refused = affect_data("review", "apply", tmp_path / "d.jsonl", dataset.path)
    assert refused.returncode == 1
    assert "d.jsonl:1: Invalid JSON" in refused.stderr
    assert affect_data("review", "apply", tmp_path / "none", dataset.path).returncode == 2
    assert digests(dataset.path) == before
