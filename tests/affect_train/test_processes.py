"""Runs in processes of their own: several at once, and killed ones."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from accelerate import Accelerator, debug_launcher
from accelerate.state import AcceleratorState
from safetensors.torch import load_file

from affect_data.store import load_dataset
from affect_train import inference
from affect_train.evaluate import evaluate
from affect_train.label import label
from affect_train.labels import load_labels
from affect_train.loop import train
from affect_train.recipe import read_recipe
from affect_train.sampler import batch_plan

pytestmark = pytest.mark.slow

Values = Callable[..., dict[str, Any]]
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}
LAUNCH = [
    "accelerate.commands.launch",
    "--config_file",
    str(Path(__file__).parents[2] / "recipes/accelerate/multi_gpu.yaml"),
    "--main_process_port",
    "0",
    "-m",
    "affect_train",
]


@pytest.fixture(autouse=True)
def _fresh_accelerator() -> Iterator[None]:
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.fixture
def recipe_file(recipe_values: Values, tmp_path: Path) -> Path:
    path = tmp_path / "recipe.yaml"
    training = {"epochs": 2, "log_every": 1, "record_rows": True, "evaluate_every_steps": 3}
    values = recipe_values(training=training, optimizer={"learning_rate": 0.01})
    values["model"]["dropout"] = 0.0  # each process draws its own
    path.write_text(yaml.safe_dump(values))
    return path


def rows_of(path: Path) -> list[list[int]]:
    return [json.loads(line)["rows"][0] for line in path.read_text().splitlines()]


def test_two_processes_train_as_one(recipe_file: Path, own_dataset: Path, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    recipe = read_recipe(recipe_file, [f"dataset={own_dataset}", f"output={one}"])
    train(recipe)
    command = [sys.executable, "-m", *LAUNCH, str(recipe_file), f"dataset={own_dataset}", f"output={two}", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=ENVIRONMENT)
    assert done.returncode == 0, done.stderr[-4000:]
    assert json.loads(done.stdout)["steps"] == 4
    assert "2 process(es) on cpu" in done.stderr
    assert "it/s]" not in done.stderr

    # together the processes saw the plan, in order
    tasks = recipe.tasks.task_set()
    plan = batch_plan("task_balanced", load_labels(own_dataset, "train", tasks)[1].pools(tasks), 16, 12, seed=0)
    expected = [batch for epoch in (0, 1) for batch in plan.plan(epoch)[0].tolist()]
    parts = [rows_of(two / f"rows.rank{rank}.jsonl") for rank in (0, 1)]
    assert [first + second for first, second in zip(*parts, strict=True)] == expected
    assert rows_of(one / "rows.rank0.jsonl") == expected

    # and the weights agree to rounding, because losses are normalised by the labels of both
    alone, shared = (load_file(folder / "model/model.safetensors") for folder in (one, two))
    for name, value in alone.items():
        assert torch.allclose(value, shared[name], atol=2e-4), name


def evaluate_and_label(model: Path, dataset: Path, report: Path, name: str) -> None:
    torch.set_num_threads(1)
    evaluate(model, dataset, ["train", "validation"], output=report, bootstrap=50)
    label(model, dataset, name)


def test_two_processes_evaluate_and_label_as_one(
    recipe_file: Path, own_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # batches of 2: both processes get several, and one gets a smaller one at the end
    monkeypatch.setattr(inference, "INFERENCE_BATCH", 2)
    train(read_recipe(recipe_file, [f"dataset={own_dataset}", f"output={tmp_path / 'run'}", "training.max_steps=2"]))
    model = tmp_path / "run/model"
    reports = [tmp_path / "one.json", tmp_path / "two.json"]
    evaluate_and_label(model, own_dataset, reports[0], "alone")
    AcceleratorState._reset_state(reset_partial_state=True)
    debug_launcher(evaluate_and_label, (model, own_dataset, reports[1], "shared"), num_processes=2)
    assert reports[0].read_text() == reports[1].read_text()
    found = json.loads(reports[0].read_text())["splits"]["validation"]
    assert found["rows"] == 9
    assert found["overall"]["intervals"]["metrics"]["score"]
    for split in ("train", "validation"):
        joined = load_dataset(own_dataset, split, ["alone", "shared"]).with_format("arrow")[:]
        for head in ("au", "expression", "valence", "arousal"):
            assert joined[f"soft.alone.{head}"].to_pylist() == joined[f"soft.shared.{head}"].to_pylist()


def evaluate_alone(model: Path, dataset: Path, report: Path) -> None:
    torch.set_num_threads(1)
    evaluate(model, dataset, ["validation"], output=report, bootstrap=50, tune_thresholds="train")


def test_three_processes_tune_and_evaluate_as_one(
    recipe_file: Path, own_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # 9 rows in batches of 2 are five batches: two processes get two, one gets one, and the last is smaller
    monkeypatch.setattr(inference, "INFERENCE_BATCH", 2)
    train(read_recipe(recipe_file, [f"dataset={own_dataset}", f"output={tmp_path / 'run'}", "training.max_steps=2"]))
    reports = [tmp_path / "one.json", tmp_path / "three.json"]
    evaluate_alone(tmp_path / "run/model", own_dataset, reports[0])
    AcceleratorState._reset_state(reset_partial_state=True)
    debug_launcher(evaluate_alone, (tmp_path / "run/model", own_dataset, reports[1]), num_processes=3)
    assert reports[0].read_text() == reports[1].read_text()
    assert json.loads(reports[0].read_text())["thresholds_from"]["split"] == "train"


def test_a_killed_run_goes_on_to_the_same_bits(recipe_file: Path, tmp_path: Path) -> None:
    settings = [
        "training.epochs=12",
        "training.evaluate_every_steps=4",
        "training.validation_split=null",
        "model.dropout=0.2",
    ]
    train(read_recipe(recipe_file, [f"output={tmp_path / 'whole'}", *settings]))
    cut = tmp_path / "cut"
    AcceleratorState._reset_state(reset_partial_state=True)
    process = get_context("fork").Process(target=train, args=(read_recipe(recipe_file, [f"output={cut}", *settings]),))
    process.start()
    deadline = time.monotonic() + 120
    while not list(cut.glob("checkpoints/step-*")) and time.monotonic() < deadline:
        time.sleep(0.002)
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    saved = [path.name for path in cut.glob("checkpoints/step-*")]
    assert saved
    assert "step-00000060" not in saved
    train(read_recipe(recipe_file, [f"output={cut}", *settings]))
    whole, resumed = (load_file(folder / "model/model.safetensors") for folder in (tmp_path / "whole", cut))
    assert all(torch.equal(value, resumed[name]) for name, value in whole.items())
    assert (cut / "rows.rank0.jsonl").read_text() == (tmp_path / "whole/rows.rank0.jsonl").read_text()


def test_the_number_of_workers_may_differ_after_a_kill(recipe_file: Path, tmp_path: Path) -> None:
    """Begun with two loader processes, killed, and gone on with none: the rows and the bits of a run that was never stopped."""
    settings = [
        "training.epochs=6",
        "training.save_every_steps=2",
        "training.validation_split=null",
        "model.dropout=0.2",
    ]
    train(read_recipe(recipe_file, [f"output={tmp_path / 'whole'}", *settings]))
    cut = tmp_path / "cut"
    command = [sys.executable, "-m", "affect_train", str(recipe_file), f"output={cut}", "batches.workers=2", *settings]
    process = subprocess.Popen(command, env=ENVIRONMENT, stderr=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + 120
    while not list(cut.glob("checkpoints/step-*")) and time.monotonic() < deadline:
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    saved = [path.name for path in cut.glob("checkpoints/step-*")]
    assert saved
    assert "step-00000030" not in saved
    AcceleratorState._reset_state(reset_partial_state=True)
    train(read_recipe(recipe_file, [f"output={cut}", *settings]))
    whole, resumed = (load_file(folder / "model/model.safetensors") for folder in (tmp_path / "whole", cut))
    assert all(torch.equal(value, resumed[name]) for name, value in whole.items())
    assert (cut / "rows.rank0.jsonl").read_text() == (tmp_path / "whole/rows.rank0.jsonl").read_text()


def train_and_die_while_saving(recipe: Any, at: int) -> None:
    save_state = Accelerator.save_state

    def killed(self: Accelerator, folder: str, *arguments: Any, **options: Any) -> str:
        done = save_state(self, folder, *arguments, **options)
        if Path(folder).name == f".step-{at:08d}.partial":
            weights = Path(folder) / "model.safetensors"
            weights.write_bytes(weights.read_bytes()[:100])
            os.kill(os.getpid(), signal.SIGKILL)
        return done

    Accelerator.save_state = killed
    train(recipe)


def test_a_crash_inside_a_save_leaves_the_checkpoint_before_and_goes_on_to_the_same_bits(
    recipe_file: Path, tmp_path: Path
) -> None:
    settings = ["training.save_every_steps=2", "training.validation_split=null", "training.epochs=2"]
    train(read_recipe(recipe_file, [f"output={tmp_path / 'whole'}", *settings]))
    cut = tmp_path / "cut"
    AcceleratorState._reset_state(reset_partial_state=True)
    made = read_recipe(recipe_file, [f"output={cut}", *settings])
    process = get_context("fork").Process(target=train_and_die_while_saving, args=(made, 6))
    process.start()
    process.join(120)
    assert process.exitcode == -signal.SIGKILL
    left = sorted(path.name for path in (cut / "checkpoints").iterdir())
    assert left == [".step-00000006.partial", "step-00000005"]
    train(made)
    assert [path.name for path in (cut / "checkpoints").iterdir()] == ["step-00000010"]
    whole, resumed = (load_file(folder / "model/model.safetensors") for folder in (tmp_path / "whole", cut))
    assert all(torch.equal(value, resumed[name]) for name, value in whole.items())
