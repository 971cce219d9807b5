"""A dataset is opened once a command, and handed down."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from training_runs import fresh_accelerator

from affect_data.bounds import read_json
from affect_data.dataset.folder import MANIFEST
from affect_train.evaluation.evaluate import evaluate
from affect_train.recipe.recipe import recipe_from
from affect_train.runtime import Runtime
from affect_train.training.loop import train

Values = Callable[..., dict[str, Any]]


def test_a_runtime_carries_accelerator_reporter_and_workers() -> None:
    runtime = Runtime.start(workers=2)
    assert runtime.accelerator.is_main_process
    assert not runtime.reporter.console.quiet
    assert runtime.workers == 2
    fresh_accelerator()
    assert Runtime.start(runtime.accelerator).accelerator is runtime.accelerator


def test_training_and_evaluation_open_the_dataset_once(
    recipe_values: Values, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = list[Path]()

    def counted(path: Path) -> Any:
        if path.name == MANIFEST:
            opened.append(path)
        return read_json(path)

    monkeypatch.setattr("affect_data.dataset.folder.read_json", counted)
    train(recipe_from(recipe_values(), ["training.max_steps=1"]))
    assert opened == [dataset / MANIFEST]
    fresh_accelerator()
    evaluate(tmp_path / "run", dataset, ["train", "validation"])
    assert opened == [dataset / MANIFEST] * 2
