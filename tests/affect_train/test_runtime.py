"""A dataset is opened once a command, and handed down."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from training_runs import fresh_accelerator

from affect_data.bounds import read_json
from affect_data.dataset.folder import MANIFEST
from affect_train.evaluation.evaluate import evaluate
from affect_train.recipe.recipe import recipe_from
from affect_train.runtime import Runtime, loader_processes, precision_for
from affect_train.training.loop import train

Values = Callable[..., dict[str, Any]]


def test_a_runtime_carries_accelerator_reporter_and_workers() -> None:
    runtime = Runtime.start(workers=2)
    assert runtime.accelerator.is_main_process
    assert not runtime.reporter.console.quiet
    assert runtime.workers == 2
    fresh_accelerator()
    assert Runtime.start(runtime.accelerator).accelerator is runtime.accelerator


def test_loader_processes_are_what_the_machine_has_beside_an_accelerator(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu, other = torch.device("cpu"), torch.device("cuda", 0)
    assert loader_processes(None, cpu) == 0
    assert loader_processes(3, cpu) == loader_processes(3, other) == 3
    for cores, training, expected in ((16, 1, 12), (8, 1, 7), (8, 2, 3), (2, 2, 1), (96, 8, 11)):
        monkeypatch.setattr("affect_train.runtime.processors", lambda cores=cores: cores)
        monkeypatch.setenv("LOCAL_WORLD_SIZE", str(training))
        assert loader_processes(None, other) == expected


def test_the_precision_is_that_of_the_machine_unless_one_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [precision_for(asked) for asked in ("auto", "no", "bf16", "fp16")] == ["no", "no", "bf16", "fp16"]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    for has, expected in ((True, "bf16"), (False, "no")):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda *, including_emulation, has=has: has)
        assert precision_for("auto") == expected


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
