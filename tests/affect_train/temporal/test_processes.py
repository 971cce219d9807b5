"""Runs over windows on several processes, and killed ones."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from python_processes import kill_at_first_checkpoint, run_python
from training_runs import fresh_accelerator, rows_of, same_bits, weights_of

from affect_data.dataset.loading import load_dataset
from affect_train.evaluation.evaluate import evaluate
from affect_train.inputs.labels import column_array
from affect_train.labelling.label import label
from affect_train.recipe.recipe import read_recipe, recipe_from
from affect_train.training.loop import train

Values = Callable[..., dict[str, Any]]


JUDGE = """
import sys
from pathlib import Path
from affect_train.cli.common import leave_process_group
from affect_train.evaluation.evaluate import evaluate
from affect_train.labelling.label import label
run, dataset, report, name = sys.argv[1:]
evaluate(run, dataset, ["train", "validation"], output=Path(report))
label(run, dataset, name)
leave_process_group()
"""


@pytest.mark.slow
def test_two_processes_train_evaluate_and_label_as_one(values: Values, videos: Path, tmp_path: Path) -> None:
    """Windows of two frames that overlap: 68 of the training split, more than a batch, so that both processes have some."""
    recipe = values({"window": 2, "stride": 1, "evaluation_stride": 1})
    file = tmp_path / "recipe.yaml"
    settings = ["training.record_rows=true", "training.epochs=2", "training.validation_split=null"]
    file.write_text(recipe_from(recipe, settings).to_yaml())
    train(read_recipe(file, [f"output={tmp_path / 'one'}"]))
    fresh_accelerator()
    done = run_python(["-m", "affect_train", file, f"output={tmp_path / 'two'}"], processes=2)
    assert done.returncode == 0, done.stderr[-4000:]
    parts = [rows_of(tmp_path / "two", rank) for rank in (0, 1)]
    whole = rows_of(tmp_path / "one")
    assert [first + second for first, second in zip(*parts, strict=True)] == whole
    assert {len(rows) for rows in parts[0]} == {6}
    alone, shared = weights_of(tmp_path / "one"), weights_of(tmp_path / "two")
    for name, value in alone.items():
        assert torch.allclose(value, shared[name], atol=2e-4), name

    reports = [tmp_path / "one.json", tmp_path / "two.json"]
    evaluate(tmp_path / "one", videos, ["train", "validation"], output=reports[0])
    fresh_accelerator()
    label(tmp_path / "one", videos, "alone")
    fresh_accelerator()
    done = run_python(["-c", JUDGE, tmp_path / "one", videos, reports[1], "shared"], processes=2)
    assert done.returncode == 0, done.stderr[-4000:]
    assert reports[0].read_text() == reports[1].read_text()
    for split in ("train", "validation"):
        joined = load_dataset(videos, split, ["alone", "shared"])
        for head in ("au", "expression", "valence", "arousal"):
            assert np.array_equal(
                column_array(joined, f"soft.alone.{head}"), column_array(joined, f"soft.shared.{head}")
            )


@pytest.mark.slow
def test_a_killed_run_over_windows_goes_on_to_the_same_bits(values: Values, tmp_path: Path) -> None:
    file = tmp_path / "recipe.yaml"
    settings = [
        "training.epochs=15",
        "training.save_every_steps=10",
        "training.validation_split=null",
        "model.dropout=0.2",
    ]
    file.write_text(recipe_from(values({"layers": 2}), [*settings, "training.record_rows=true"]).to_yaml())
    train(read_recipe(file, [f"output={tmp_path / 'whole'}"]))
    fresh_accelerator()
    cut = tmp_path / "cut"
    saved = kill_at_first_checkpoint(["-m", "affect_train", file, f"output={cut}"], cut)
    assert "step-00000090" not in saved
    train(read_recipe(file, [f"output={cut}"]))
    assert same_bits(tmp_path / "whole", cut)
