"""Runs in processes of their own: several at once, and killed ones."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from python_processes import MULTI_GPU, kill_at_first_checkpoint, run_python
from training_runs import fresh_accelerator, json_lines, rows_of, same_bits, train_until, weights_of

from affect_data.dataset.folder import open_dataset
from affect_data.dataset.loading import load_dataset
from affect_train.evaluation.evaluate import evaluate
from affect_train.inference import inference
from affect_train.inputs.labels import load_labels
from affect_train.inputs.sampler import batch_order
from affect_train.labelling.label import label
from affect_train.recipe.recipe import read_recipe
from affect_train.training.loop import train

pytestmark = pytest.mark.slow

Values = Callable[..., dict[str, Any]]


@pytest.fixture
def recipe_file(recipe_values: Values, tmp_path: Path) -> Path:
    path = tmp_path / "recipe.yaml"
    training = {"epochs": 2, "log_every": 1, "record_rows": True, "evaluate_every_steps": 3}
    values = recipe_values(training=training, optimizer={"learning_rate": 0.01})
    values["model"]["dropout"] = 0.0  # each process draws its own
    path.write_text(yaml.safe_dump(values))
    return path


def test_two_processes_train_as_one(recipe_file: Path, own_dataset: Path, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    recipe = read_recipe(recipe_file, [f"dataset={own_dataset}", f"output={one}"])
    train(recipe)
    launch = [
        "-m",
        "accelerate.commands.launch",
        "--config_file",
        MULTI_GPU,
        "--main_process_port",
        "0",
        "-m",
        "affect_train",
    ]
    command = [sys.executable, *launch, str(recipe_file), f"dataset={own_dataset}", f"output={two}", "--json"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr[-4000:]
    assert json.loads(done.stdout)["steps"] == 4
    assert "2 process(es) on cpu" in done.stderr
    assert "it/s]" not in done.stderr

    # together the processes saw the batches in their order
    tasks = recipe.tasks.task_set()
    order = batch_order(
        "task_balanced", load_labels(open_dataset(own_dataset), "train", tasks)[1].pools(tasks), 16, 12, seed=0
    )
    expected = [batch for epoch in (0, 1) for batch in order.of_epoch(epoch)[0].tolist()]
    parts = [rows_of(two, rank) for rank in (0, 1)]
    assert [first + second for first, second in zip(*parts, strict=True)] == expected
    assert rows_of(one) == expected

    # and the weights agree to rounding, because losses are normalised by the labels of both
    alone, shared = weights_of(one), weights_of(two)
    for name, value in alone.items():
        assert torch.allclose(value, shared[name], atol=2e-4), name


def test_a_run_goes_on_with_more_processes_and_with_fewer(recipe_file: Path, tmp_path: Path) -> None:
    # Plain descent: Adam divides by gradients that are rounding alone, such as those of the keys' biases.
    settings = ["training.validation_split=null", "training.save_every_steps=1", "optimizer.name=sgd"]
    whole, changed = tmp_path / "whole", tmp_path / "changed"
    train(read_recipe(recipe_file, [*settings, f"output={whole}"]))
    fresh_accelerator()
    settings.append(f"output={changed}")
    train_until(read_recipe(recipe_file, settings), 2)
    done = run_python(["-m", "affect_train", recipe_file, *settings], processes=2)
    assert done.returncode == 0, done.stderr[-4000:]
    assert "2 process(es) go on where 1 stopped: with the same rows in the same order" in done.stderr
    steps = [json_lines(changed / f"rows.rank{rank}.jsonl") for rank in (0, 1)]
    # It was interrupted before the checkpoint of its second step.
    assert [[line["step"] for line in lines] for lines in steps] == [list(range(1, 11)), list(range(2, 11))]
    first, second = rows_of(changed), rows_of(changed, 1)
    assert first[:1] + [one + other for one, other in zip(first[1:], second, strict=True)] == rows_of(whole)
    alone, shared = weights_of(whole), weights_of(changed)
    for name, value in alone.items():
        assert torch.allclose(value, shared[name], atol=1e-6), name


def test_a_run_of_two_processes_is_made_longer_by_one(recipe_file: Path, tmp_path: Path) -> None:
    settings = ["training.validation_split=null", "schedule.name=constant", "optimizer.name=sgd"]
    whole, changed = tmp_path / "whole", tmp_path / "changed"
    train(read_recipe(recipe_file, [*settings, f"output={whole}"]))
    settings.append(f"output={changed}")
    begun = [*settings, "training.epochs=1"]
    assert run_python(["-m", "affect_train", recipe_file, *begun], processes=2).returncode == 0
    fresh_accelerator()
    train(read_recipe(recipe_file, settings))
    first, second = rows_of(changed), rows_of(changed, 1)
    half = len(second)
    assert [one + other for one, other in zip(first[:half], second, strict=True)] + first[half:] == rows_of(whole)
    alone, shared = weights_of(whole), weights_of(changed)
    for name, value in alone.items():
        assert torch.allclose(value, shared[name], atol=1e-6), name


JUDGE = """
import json, sys
from pathlib import Path
from affect_train.inference import inference
from affect_train.cli.common import leave_process_group
from affect_train.evaluation.evaluate import evaluate
from affect_train.labelling.label import label
model, dataset, report = map(Path, sys.argv[1:4])
inference.INFERENCE_BATCH = 2
evaluate(model, dataset, output=report, **json.loads(sys.argv[4]))
for name in sys.argv[5:]:
    label(model, dataset, name)
leave_process_group()
"""


def test_two_processes_evaluate_and_label_as_one(
    recipe_file: Path, own_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # batches of 2: both processes get several, and one gets a smaller one at the end
    monkeypatch.setattr(inference, "INFERENCE_BATCH", 2)
    train(read_recipe(recipe_file, [f"dataset={own_dataset}", f"output={tmp_path / 'run'}", "training.max_steps=2"]))
    model = tmp_path / "run/model"
    reports = [tmp_path / "one.json", tmp_path / "two.json"]
    options = {"splits": ["train", "validation"], "bootstrap": 50}
    evaluate(model, own_dataset, output=reports[0], **options)
    label(model, own_dataset, "alone")
    done = run_python(["-c", JUDGE, model, own_dataset, reports[1], json.dumps(options), "shared"], processes=2)
    assert done.returncode == 0, done.stderr[-4000:]
    assert reports[0].read_text() == reports[1].read_text()
    found = json.loads(reports[0].read_text())["splits"]["validation"]
    assert found["rows"] == 9
    assert found["overall"]["intervals"]["metrics"]["score"]
    for split in ("train", "validation"):
        joined = load_dataset(own_dataset, split, ["alone", "shared"]).with_format("arrow")[:]
        for head in ("au", "expression", "valence", "arousal"):
            assert joined[f"soft.alone.{head}"].to_pylist() == joined[f"soft.shared.{head}"].to_pylist()


def test_three_processes_tune_and_evaluate_as_one(
    recipe_file: Path, own_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # 9 rows in batches of 2 are five batches: two processes get two, one gets one, and the last is smaller
    monkeypatch.setattr(inference, "INFERENCE_BATCH", 2)
    train(read_recipe(recipe_file, [f"dataset={own_dataset}", f"output={tmp_path / 'run'}", "training.max_steps=2"]))
    model, reports = tmp_path / "run/model", [tmp_path / "one.json", tmp_path / "three.json"]
    options = {"splits": ["validation"], "bootstrap": 50, "tune_thresholds": "train"}
    evaluate(model, own_dataset, output=reports[0], **options)
    done = run_python(["-c", JUDGE, model, own_dataset, reports[1], json.dumps(options)], processes=3)
    assert done.returncode == 0, done.stderr[-4000:]
    assert reports[0].read_text() == reports[1].read_text()
    assert json.loads(reports[0].read_text())["thresholds_from"]["split"] == "train"


@pytest.mark.parametrize(
    ("workers", "settings", "last"),
    [
        pytest.param(0, ("training.epochs=12", "training.evaluate_every_steps=4"), "step-00000060", id="no loaders"),
        # gone on with none: the number of loader processes may differ
        pytest.param(2, ("training.epochs=6", "training.save_every_steps=2"), "step-00000030", id="two loaders"),
    ],
)
def test_a_killed_run_goes_on_to_the_same_bits(
    recipe_file: Path, tmp_path: Path, workers: int, settings: tuple[str, ...], last: str
) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    settings += ("training.validation_split=null", "model.dropout=0.2")
    train(read_recipe(recipe_file, [f"output={whole}", *settings]))
    begun = [f"output={cut}", f"batches.workers={workers}", *settings]
    saved = kill_at_first_checkpoint(["-m", "affect_train", recipe_file, *begun], cut)
    assert last not in saved
    fresh_accelerator()
    train(read_recipe(recipe_file, [f"output={cut}", *settings]))
    assert same_bits(whole, cut)


DIE_WHILE_SAVING = """
import os, signal, sys
from pathlib import Path
from affect_train.training import checkpoint
from affect_train.training.loop import train
from affect_train.recipe.recipe import read_recipe
save_state = checkpoint.save_state

def killed(folder, name, state):
    save_state(folder, name, state)
    if folder.name == ".step-00000006.partial" and name.startswith("random"):
        weights = folder / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:100])
        os.kill(os.getpid(), signal.SIGKILL)

checkpoint.save_state = killed
train(read_recipe(Path(sys.argv[1]), sys.argv[2:]))
"""


def test_a_crash_inside_a_save_leaves_the_checkpoint_before_and_goes_on_to_the_same_bits(
    recipe_file: Path, tmp_path: Path
) -> None:
    settings = ["training.save_every_steps=2", "training.validation_split=null", "training.epochs=2"]
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    train(read_recipe(recipe_file, [f"output={whole}", *settings]))
    settings.append(f"output={cut}")
    assert run_python(["-c", DIE_WHILE_SAVING, recipe_file, *settings]).returncode == -signal.SIGKILL
    left = sorted(path.name for path in (cut / "checkpoints").iterdir())
    assert left == [".step-00000006.partial", "step-00000005"]
    fresh_accelerator()
    train(read_recipe(recipe_file, settings))
    assert [path.name for path in (cut / "checkpoints").iterdir()] == ["step-00000010"]
    assert same_bits(whole, cut)
