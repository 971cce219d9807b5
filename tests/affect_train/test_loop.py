import json
import math
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState
from safetensors.torch import load_file

from affect_data.errors import DataError, NotADatasetError, UnknownNameError, UsageError
from affect_train.errors import CheckpointError, NoLabelsError, NonFiniteLossError
from affect_train.inference import open_model
from affect_train.labels import load_labels
from affect_train.logs import Logs
from affect_train.loop import train
from affect_train.preparation import learning_rate_factor, parameter_groups
from affect_train.recipe import Recipe, recipe_from
from affect_train.sampler import batch_plan

Values = Callable[..., dict[str, Any]]


@pytest.fixture(autouse=True)
def _fresh_accelerator() -> Iterator[None]:
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.fixture
def recipe(recipe_values: Values, tmp_path: Path) -> Callable[..., Recipe]:
    """A recipe from the tiny values and overrides; `run` names the output folder."""

    def build(*overrides: str, run: str = "run", **sections: Any) -> Recipe:
        return recipe_from(recipe_values(**sections), [f"output={tmp_path / run}", *overrides])

    return build


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model" / "model.safetensors")


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_run_writes_its_recipe_metrics_model_checkpoint_and_evaluation(
    recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    result = train(recipe("training.evaluate_every_steps=3"))
    run = tmp_path / "run"
    # 20 rows with AU labels and as many with VA are the longest pools; a batch of 12 has 4 of each
    assert result["steps"] == 5
    assert recipe_from_file(run / "recipe.yaml") == recipe("training.evaluate_every_steps=3")
    records = lines(run / "metrics.jsonl")
    assert [(record["kind"], record["step"]) for record in records] == [
        ("train", 2),
        ("evaluation", 3),
        ("train", 4),
        ("train", 5),
        ("evaluation", 5),
    ]
    assert [path.name for path in (run / "checkpoints").iterdir()] != []
    evaluation = json.loads((run / "evaluation.json").read_text())
    best = max(
        (record for record in records if record["kind"] == "evaluation"), key=lambda record: record["metrics"]["score"]
    )
    assert evaluation["step"] == best["step"]
    assert evaluation["splits"]["validation"]["overall"] == best["metrics"]
    assert set(evaluation["splits"]["validation"]["databases"]) == {"affwild2", "expw"}
    assert result["best_score"] == best["metrics"]["score"]
    assert list((run / "tensorboard").iterdir())
    model, preprocessing = open_model(run / "model")
    assert preprocessing.image_size == 32
    assert model.config.task_set().action_units == (1, 12, 25)
    assert "/" not in json.dumps([record for record in evaluation if record != "dataset"])


def recipe_from_file(path: Path) -> Recipe:
    from affect_train.recipe import read_recipe

    return read_recipe(path)


def test_training_lowers_the_loss_on_faces_that_can_be_told_apart(
    recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    train(
        recipe(
            "training.epochs=8", "training.log_every=5", "training.validation_split=null", "optimizer.learning_rate=0.01",
            "augmentation={flip: false, rotation_degrees: 0, scale: 0, shift: 0, brightness: 0, contrast: 0}",
        )
    )  # fmt: skip
    losses = [record["losses"] for record in lines(tmp_path / "run" / "metrics.jsonl")]
    assert losses[-1]["expression"] < 0.8 * losses[0]["expression"]
    assert losses[-1]["au"] < 0.95 * losses[0]["au"]
    assert losses[-1]["valence"] < 0.95 * losses[0]["valence"]


def test_accumulated_micro_batches_make_the_step_of_one_large_batch(
    recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    # CCC is a function of a whole batch: it is left out, all other losses are sums over labels.
    settings = (
        "training.max_steps=2",
        "model.dropout=0",
        "method={name: supervised, ccc_weight: 0}",
        "schedule.name=constant",
    )
    train(recipe(*settings, "batches.size=12", run="large"))
    train(recipe(*settings, "batches.size=4", "training.accumulation=3", run="small"))
    large, small = weights(tmp_path / "large"), weights(tmp_path / "small")
    for name, value in large.items():
        assert torch.allclose(value, small[name], atol=2e-5), name


def test_an_interrupted_run_goes_on_to_the_same_bits(
    recipe: Callable[..., Recipe], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = (
        "training.epochs=2",
        "training.evaluate_every_steps=3",
        "training.record_rows=true",
        "training.accumulation=2",
        "batches.size=6",
    )
    train(recipe(*settings, run="whole"))
    take_step = Logs.step

    def interrupted(self: Logs, step: int, *arguments: Any) -> None:
        take_step(self, step, *arguments)
        if step == 8:
            raise KeyboardInterrupt

    monkeypatch.setattr(Logs, "step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(recipe(*settings, run="cut"))
    monkeypatch.undo()
    assert [path.name for path in sorted((tmp_path / "cut/checkpoints").iterdir())][-1] == "step-00000006"
    torch.rand(7)
    train(recipe(*settings, run="cut"))
    whole, cut = weights(tmp_path / "whole"), weights(tmp_path / "cut")
    assert all(torch.equal(value, cut[name]) for name, value in whole.items())
    assert (tmp_path / "cut/rows.rank0.jsonl").read_text() == (tmp_path / "whole/rows.rank0.jsonl").read_text()

    def without_time(run: str) -> list[dict[str, Any]]:
        return [
            {key: value for key, value in line.items() if key != "faces_per_second"}
            for line in lines(tmp_path / run / "metrics.jsonl")
        ]

    steps = [(line["kind"], line["step"]) for line in without_time("cut")]
    assert steps == [(line["kind"], line["step"]) for line in without_time("whole")]
    evaluations = [[line for line in without_time(run) if line["kind"] == "evaluation"] for run in ("cut", "whole")]
    assert evaluations[0] == evaluations[1]


def test_the_rows_of_an_epoch_are_those_of_the_plan(
    recipe: Callable[..., Recipe], tmp_path: Path, dataset: Path
) -> None:
    made = recipe("training.record_rows=true", "training.epochs=2")
    train(made)
    tasks = made.tasks.task_set()
    pools = load_labels(dataset, "train", tasks)[1].pools(tasks)
    plan = batch_plan("task_balanced", pools, 40, 12, seed=0)
    seen = [line["rows"] for line in lines(tmp_path / "run/rows.rank0.jsonl")]
    expected = [[batch] for epoch in (0, 1) for batch in plan.plan(epoch)[0].tolist()]
    assert seen == expected


def test_a_finished_run_is_not_trained_again(recipe: Callable[..., Recipe], tmp_path: Path) -> None:
    train(recipe())
    before = weights(tmp_path / "run")
    assert train(recipe())["steps"] == 5
    assert all(torch.equal(value, before[name]) for name, value in weights(tmp_path / "run").items())


def test_a_run_of_another_recipe_is_not_taken_up(recipe: Callable[..., Recipe], tmp_path: Path) -> None:
    train(recipe())
    with pytest.raises(
        UsageError,
        match=r"checkpoints of another recipe:\n  optimizer.learning_rate: was 0.001, now 0.1\n  seed: was 0, now 1\n",
    ):
        train(recipe("optimizer.learning_rate=0.1", "seed=1", "training.log_every=1"))


def test_checkpoints_of_the_last_and_the_best_steps_stay(recipe: Callable[..., Recipe], tmp_path: Path) -> None:
    train(
        recipe(
            "training.evaluate_every_steps=1",
            "training.keep_last=2",
            "training.keep_best=1",
            "optimizer.learning_rate=0.02",
        )
    )
    scores = {
        line["step"]: line["metrics"]["score"]
        for line in lines(tmp_path / "run/metrics.jsonl")
        if line["kind"] == "evaluation"
    }
    best = max(scores, key=lambda step: (scores[step], step))
    kept = {int(path.name.removeprefix("step-")) for path in (tmp_path / "run/checkpoints").iterdir()}
    assert kept == {4, 5, best}


def test_without_best_checkpoints_the_model_is_the_last(recipe: Callable[..., Recipe], tmp_path: Path) -> None:
    train(recipe("training.evaluate_every_steps=1", "training.keep_best=0", "optimizer.learning_rate=0.02"))
    assert json.loads((tmp_path / "run/evaluation.json").read_text())["step"] == 5
    saved = load_file(tmp_path / "run/checkpoints/step-00000005/model.safetensors")
    trained = open_model(tmp_path / "run/model")[0].state_dict()
    assert all(torch.equal(trained[name], value) for name, value in saved.items())


def test_a_damaged_checkpoint_is_an_error_that_says_what_to_do(recipe: Callable[..., Recipe], tmp_path: Path) -> None:
    train(recipe())
    (tmp_path / "run/checkpoints/step-00000005/model.safetensors").write_bytes(b"damaged")
    with pytest.raises(CheckpointError, match=r"it cannot be restored: .*Remove it to resume from the one before"):
        train(recipe())


def test_what_a_killed_save_left_is_no_checkpoint(recipe: Callable[..., Recipe], tmp_path: Path) -> None:
    train(recipe(run="whole"))
    (tmp_path / "run/checkpoints/.step-00000003.partial").mkdir(parents=True)
    train(recipe())
    assert [path.name for path in (tmp_path / "run/checkpoints").iterdir()] == ["step-00000005"]
    whole = weights(tmp_path / "whole")
    assert all(torch.equal(value, whole[name]) for name, value in weights(tmp_path / "run").items())


def test_a_loss_that_is_no_number_stops_the_run_and_leaves_the_last_checkpoint(
    recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    diverging = recipe(
        "optimizer.learning_rate=1e20",
        "schedule.name=constant",
        "training.evaluate_every_steps=1",
        "training.validation_split=null",
    )
    with pytest.raises(
        NonFiniteLossError, match=r"step [2-5]: the loss of .*au.* is not finite; the batch holds (affwild2|expw):clip"
    ):
        train(diverging)
    kept = sorted((tmp_path / "run/checkpoints").iterdir())
    assert len(kept) == 1
    saved = load_file(kept[-1] / "model.safetensors")
    assert all(bool(torch.isfinite(value).all()) for value in saved.values())


def test_a_dry_run_trains_one_step_and_writes_nothing(recipe: Callable[..., Recipe], tmp_path: Path) -> None:
    result = train(recipe(), dry_run=True)
    assert result["steps"] == 5
    assert set(result["losses"]) == {"au", "expression", "valence", "arousal", "valence_ccc", "arousal_ccc"}
    assert all(math.isfinite(value) for value in result["losses"].values())
    assert not (tmp_path / "run").exists()


def test_an_unbuilt_dataset_is_refused_with_the_command_that_builds_it(
    recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    with pytest.raises(
        NotADatasetError, match=r"the folder does not exist. Build it with `affect-data build RECIPE .*nowhere`"
    ):
        train(recipe(f"dataset={tmp_path / 'nowhere'}"))


def test_a_task_without_labels_is_an_error_that_names_it(recipe: Callable[..., Recipe]) -> None:
    with pytest.raises(NoLabelsError, match=r"split train: no row has a label of au"):
        train(recipe("tasks.action_units=[45]"))


def test_a_validation_split_without_the_deciding_label_is_an_error(
    recipe: Callable[..., Recipe], tmp_path: Path, world: SimpleNamespace
) -> None:
    rows = {
        "train": [(number, world.all) for number in range(16)],
        "validation": [(number, ("va",)) for number in range(5)],
    }
    made = recipe(
        f"dataset={world.write_dataset(tmp_path / 'other', rows)}", "training.best_metric=expression.macro_f1"
    )
    with pytest.raises(
        DataError, match=r"training.best_metric 'expression.macro_f1' is not defined on the validation split"
    ):
        train(made)


def test_unknown_splits_and_soft_labels_are_refused_before_training(recipe: Callable[..., Recipe]) -> None:
    with pytest.raises(UnknownNameError, match=r"'test'; known: train, validation"):
        train(recipe("training.validation_split=test"))
    with pytest.raises(UnknownNameError, match=r"unknown soft labels in .* 'teacher'; known: "):
        train(recipe("method={name: distillation}", "soft_labels=[teacher]"))


def test_biases_and_scales_have_no_weight_decay(recipe: Callable[..., Recipe]) -> None:
    network = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.LayerNorm(4))
    network[0].bias.requires_grad_(requires_grad=False)
    decayed, others = parameter_groups(network, recipe().optimizer)
    assert [tuple(parameter.shape) for parameter in decayed["params"]] == [(4, 3)]
    assert [tuple(parameter.shape) for parameter in others["params"]] == [(4,), (4,)]
    assert (decayed["weight_decay"], others["weight_decay"]) == (0.05, 0.0)


def test_the_learning_rate_warms_up_and_falls_along_half_a_cosine(recipe: Callable[..., Recipe]) -> None:
    factor = learning_rate_factor(recipe("schedule.warmup_steps=4"), steps=104)
    assert [factor(step) for step in range(5)] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert [factor(4 + done) for done in (25, 50, 100)] == pytest.approx([(1 + 0.5**0.5) / 2, 0.5, 0.0])
    assert learning_rate_factor(recipe("schedule.name=constant"), steps=104)(90) == 1.0


def test_bfloat16_trains(recipe: Callable[..., Recipe], tmp_path: Path) -> None:
    train(recipe("training.mixed_precision=bf16", "training.max_steps=2", "training.validation_split=null"))
    assert {value.dtype for value in weights(tmp_path / "run").values()} == {torch.float32}


def test_the_model_survives_a_crash_between_two_renames(recipe: Callable[..., Recipe], tmp_path: Path) -> None:
    train(recipe())
    before = weights(tmp_path / "run")
    shutil.move(tmp_path / "run/model", tmp_path / "run/.model.old")
    train(recipe())
    assert all(torch.equal(value, before[name]) for name, value in weights(tmp_path / "run").items())
    assert np.array_equal(
        sorted(path.name for path in (tmp_path / "run/model").iterdir()), ["config.json", "model.safetensors"]
    )
