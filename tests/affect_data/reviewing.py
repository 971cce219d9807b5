"""A small dataset to review, and decisions about its rows as the page would write them."""

import itertools
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from affect_data.build.build import BuildReport
from affect_data.corrections.decisions import Decision
from affect_data.dataset.folder import DatasetFolder, open_dataset

Decide = Callable[..., Decision]


@pytest.fixture
def dataset(demo_report: BuildReport, tmp_path: Path) -> DatasetFolder:
    """A copy of the demo dataset, for writing."""
    shutil.copytree(demo_report.dataset.path, tmp_path / "merged")
    return open_dataset(tmp_path / "merged")


@pytest.fixture
def decide(dataset: DatasetFolder) -> Decide:
    """A function that makes a decision about the row of a split that has the position `row`."""
    numbers = itertools.count()

    def make(split: str, row: int, action: str, old: Any = None, new: Any = None, **more: Any) -> Decision:
        labels = dataset.labels(split).row(row, named=True)
        about = {name: labels[name] for name in ("uid", "image_digest", "face", "database")}
        change = {"old": old, "new": new} if old is not None else {}
        document = {
            **about,
            **change,
            "id": f"d{next(numbers)}",
            "split": split,
            "dataset": dataset.fingerprint,
            "action": action,
            "who": "ada",
            "when": "2026-11-22T10:00:00+00:00",
            "why": "by hand",
            **more,
        }
        return Decision.model_validate_json(json.dumps(document))

    return make


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """A function that writes decisions to a file."""

    def to_file(*decisions: Decision, name: str = "decisions.jsonl") -> Path:
        (tmp_path / name).write_text("".join(decision.to_line() for decision in decisions), encoding="utf-8")
        return tmp_path / name

    return to_file
