import json
import math
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from training_runs import fresh_accelerator, json_lines, same_bits, train_until, weights_of

from affect_data.dataset.folder import open_dataset
from affect_data.errors import DataError, NotADatasetError, UnknownNameError, UsageError
from affect_train.errors import BackboneError, CheckpointError, NoLabelsError, NonFiniteLossError
from affect_train.evaluation.evaluate import evaluate
from affect_train.inference.inference import open_model
from affect_train.inputs.labels import load_labels
from affect_train.inputs.sampler import batch_order
from affect_train.labelling.ensemble import ensemble
from affect_train.network.model import AffectModel
from affect_train.recipe.recipe import Recipe, recipe_from
from affect_train.run_folder import RunFolder, run_lock
from affect_train.training.loop import train

Values = Callable[..., dict[str, Any]]


@pytest.fixture
def recipe(recipe_values: Values, tmp_path: Path) -> Callable[..., Recipe]:
    """A recipe from the tiny values and overrides; `run` names the output folder."""

    def build(*overrides: str, run: str = "run", **sections: Any) -> Recipe:
        return recipe_from(recipe_values(**sections), [f"output={tmp_path / run}", *overrides])

    return build


def test_a_run_writes_its_recipe_metrics_model_checkpoint_and_evaluation(
    recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    result = train(recipe("training.evaluate_every_steps=3"))
    run = tmp_path / "run"
    # 20 rows with AU labels and as many with VA are the longest pools; a batch of 12 has 4 of each
    assert result["steps"] == 5
    # Equal but for the places on this machine, of which the last name stays.
    names = ("dataset=merged", "output=run")
    assert recipe_from_file(run / "recipe.yaml") == recipe("training.evaluate_every_steps=3", *names)
    records = json_lines(run / "metrics.jsonl")
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
    from affect_train.recipe.recipe import read_recipe

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
    losses = [record["losses"] for record in json_lines(tmp_path / "run" / "metrics.jsonl")]
    assert losses[-1]["expression"] < 0.8 * losses[0]["expression"]
    assert losses[-1]["au"] < 0.95 * losses[0]["au"]
    assert losses[-1]["valence"] < 0.95 * losses[0]["valence"]


def test_accumulated_micro_batches_make_the_step_of_one_large_batch(
    recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    settings = ("training.max_steps=2", "model.dropout=0", "schedule.name=constant")
    train(recipe(*settings, "batches.size=12", run="large"))
    train(recipe(*settings, "batches.size=4", "training.accumulation=3", run="small"))
    large, small = weights_of(tmp_path / "large"), weights_of(tmp_path / "small")
    for name, value in large.items():
        assert torch.allclose(value, small[name], atol=2e-5), name


def test_an_interrupted_run_goes_on_to_the_same_bits(recipe: Callable[..., Recipe], tmp_path: Path) -> None:
    settings = (
        "training.epochs=2",
        "training.evaluate_every_steps=3",
        "training.record_rows=true",
        "training.accumulation=2",
        "batches.size=6",
    )
    train(recipe(*settings, run="whole"))
    train_until(recipe(*settings, run="cut"), 8)
    assert [path.name for path in sorted((tmp_path / "cut/checkpoints").iterdir())][-1] == "step-00000006"
    torch.rand(7)
    train(recipe(*settings, run="cut"))
    assert same_bits(tmp_path / "whole", tmp_path / "cut")

    def without_time(run: str) -> list[dict[str, Any]]:
        return [
            {key: value for key, value in line.items() if key != "faces_per_second"}
            for line in json_lines(tmp_path / run / "metrics.jsonl")
        ]

    steps = [(line["kind"], line["step"]) for line in without_time("cut")]
    assert steps == [(line["kind"], line["step"]) for line in without_time("whole")]
    evaluations = [[line for line in without_time(run) if line["kind"] == "evaluation"] for run in ("cut", "whole")]
    assert evaluations[0] == evaluations[1]


def test_the_rows_of_an_epoch_are_those_of_the_order(
    recipe: Callable[..., Recipe], tmp_path: Path, dataset: Path
) -> None:
    made = recipe("training.record_rows=true", "training.epochs=2")
    train(made)
    tasks = made.tasks.task_set()
    pools = load_labels(open_dataset(dataset), "train", tasks)[1].pools(tasks)
    order = batch_order("task_balanced", pools, 40, 12, seed=0)
    seen = [line["rows"] for line in json_lines(tmp_path / "run/rows.rank0.jsonl")]
    expected = [[batch] for epoch in (0, 1) for batch in order.of_epoch(epoch)[0].tolist()]
    assert seen == expected


def test_a_finished_run_is_not_trained_again(recipe: Callable[..., Recipe], tmp_path: Path) -> None:
    train(recipe())
    before = weights_of(tmp_path / "run")
    assert train(recipe())["steps"] == 5
    assert all(torch.equal(value, before[name]) for name, value in weights_of(tmp_path / "run").items())


def test_a_run_folder_says_nothing_of_the_machine(
    recipe: Callable[..., Recipe], tmp_path: Path, dataset: Path, backbone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The real name may be two letters, which weights hold by chance.
    monkeypatch.setattr(socket, "gethostname", lambda: "machine-of-somebody")
    settings = ("training.save_every_steps=2", "training.record_rows=true", "training.ema_decay=0.9")
    train(recipe(*settings, f"model.backbone={backbone}"))
    train(recipe(*settings, f"model.backbone={backbone}", "training.max_steps=6", "training.epochs=2"))
    private = {"the host's name": socket.gethostname(), "a path": str(tmp_path.parent), "data": str(dataset.parent)}
    private |= {"the backbone's path": str(backbone.parent), "a home": str(Path.home()) + "/"}
    files = [path for path in (tmp_path / "run").rglob("*") if path.is_file()]
    assert len(files) > 10
    for path in files:
        for what, text in private.items():
            assert text not in str(path.relative_to(tmp_path)), what
            assert text.encode() not in path.read_bytes(), (what, path.name)


def test_tensorboard_reads_the_scalars_of_a_run(recipe: Callable[..., Recipe], tmp_path: Path) -> None:
    train(recipe())
    events = EventAccumulator(str(tmp_path / "run/tensorboard"))
    events.Reload()
    trained = [line for line in json_lines(tmp_path / "run/metrics.jsonl") if line["kind"] == "train"]
    seen = [(point.step, point.value) for point in events.Scalars("loss/expression")]
    assert [step for step, _ in seen] == [line["step"] for line in trained]
    assert [value for _, value in seen] == pytest.approx([line["losses"]["expression"] for line in trained])
    assert events.Scalars("validation/score")[0].step == 5


def test_a_run_goes_on_with_the_same_data_in_another_place(
    recipe: Callable[..., Recipe], tmp_path: Path, dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(recipe(run="whole"))
    train_until(recipe("training.save_every_steps=2"), 3)
    moved = Path(shutil.copytree(dataset, tmp_path / "b" / "elsewhere"))
    monkeypatch.chdir(moved.parent)
    train(recipe("training.save_every_steps=2", "dataset=../b/elsewhere"))
    assert all(
        torch.equal(value, weights_of(tmp_path / "whole")[name]) for name, value in weights_of(tmp_path / "run").items()
    )
    # Spelled in yet another way, and finished: nothing is left to do.
    assert train(recipe("training.save_every_steps=2", "dataset=elsewhere"))["steps"] == 5


def test_another_dataset_of_the_same_name_is_not_taken_for_the_one_that_was_trained_on(
    recipe: Callable[..., Recipe], tmp_path: Path, world: SimpleNamespace
) -> None:
    train(recipe())
    rows = {"train": [(number, world.all) for number in range(16)], "validation": [(100, world.all)]}
    other = world.write_dataset(tmp_path / "other" / "merged", rows)
    with pytest.raises(UsageError, match=r"contents of dataset: was 'merged' \(\w+\), now 'merged' \(\w+\)\n"):
        train(recipe(f"dataset={other}"))
    (tmp_path / "run" / "contents.json").write_text("[" * 200 + "]" * 200)
    with pytest.raises(
        UsageError, match=r"contents.json' cannot be read, so that nobody knows which data .*at most 100 brackets"
    ):
        train(recipe())


def test_a_backbone_is_known_again_by_its_files(recipe: Callable[..., Recipe], tmp_path: Path, backbone: Path) -> None:
    train(recipe(f"model.backbone={backbone}"))
    copied = Path(shutil.copytree(backbone, tmp_path / "copied"))
    assert train(recipe(f"model.backbone={copied}"))["steps"] == 5
    (copied / "config.json").write_text((copied / "config.json").read_text() + " ")
    with pytest.raises(UsageError, match=r"contents of model.backbone: was \w+, now \w+"):
        train(recipe(f"model.backbone={copied}"))


def test_a_finished_run_is_made_longer_and_says_from_where(
    recipe: Callable[..., Recipe], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = ("schedule.name=constant", "training.keep_best=0", "training.record_rows=true")
    train(recipe(*settings, "training.epochs=2", run="whole"))
    train(recipe(*settings))
    capsys.readouterr()
    assert train(recipe(*settings, "training.epochs=2"))["steps"] == 10
    said = capsys.readouterr().err
    assert "made longer: from 5 to 10 steps, going on after step 5" in said
    assert "not the run that it would have been" not in said
    # A constant rate does not know how long a run is: this is the longer run, to the bit.
    assert same_bits(tmp_path / "whole", tmp_path / "run")


def test_a_longer_cosine_jumps_back_up_and_says_so(
    recipe: Callable[..., Recipe], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(recipe("training.log_every=1", "training.max_steps=4"))
    train(recipe("training.log_every=1", "training.max_steps=8", "training.epochs=2"))
    said = capsys.readouterr().err
    assert (
        "The learning rate ended at 0 and goes on at 0.0005, where the cosine schedule of 8 steps has it; this is not"
        in said
    )
    rates = [line["learning_rate"] for line in json_lines(tmp_path / "run/metrics.jsonl") if line["kind"] == "train"]
    # What is logged is the rate of the step to come.
    assert rates == pytest.approx(
        [
            0.001 * (1 + math.cos(math.pi * step / steps)) / 2
            for steps, some in ((4, range(1, 5)), (8, range(5, 9)))
            for step in some
        ]
    )
    first = load_file(sorted((tmp_path / "run/checkpoints").iterdir())[0] / "model.safetensors")
    assert all(bool(torch.isfinite(value).all()) for value in first.values())


def test_a_longer_run_that_was_killed_goes_on_to_the_same_bits(recipe: Callable[..., Recipe], tmp_path: Path) -> None:
    longer = ("training.epochs=3", "training.save_every_steps=1", "training.record_rows=true")
    for run in ("whole", "cut"):
        train(recipe("training.save_every_steps=1", "training.record_rows=true", run=run))
    train(recipe(*longer, run="whole"))
    # Once before the first step of the longer run was saved, and once in the middle of it.
    train_until(recipe(*longer, run="cut"), 6)
    train_until(recipe(*longer, run="cut"), 9)
    train(recipe(*longer, run="cut"))
    assert same_bits(tmp_path / "whole", tmp_path / "cut")


def test_an_unfinished_run_is_not_made_longer_nor_a_finished_one_shorter(
    recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    train_until(recipe("training.save_every_steps=1"), 3)
    refused = r"training.epochs: was 1, now 2\n.*\nThe run has done 2 of 5 steps: let it finish by its own recipe"
    with pytest.raises(UsageError, match=refused):
        train(recipe("training.save_every_steps=1", "training.epochs=2"))
    train(recipe("training.save_every_steps=1"))
    with pytest.raises(UsageError, match=r"training.max_steps: was None, now 4"):
        train(recipe("training.save_every_steps=1", "training.max_steps=4"))
    # The same length by another entry is the same run.
    assert train(recipe("training.save_every_steps=1", "training.max_steps=5"))["steps"] == 5


def damaged_dataset(world: SimpleNamespace, path: Path) -> Path:
    """40 training rows of which one, with a label of each task's pool but expression, is no picture."""
    rows = {
        "train": [(number, world.all) for number in range(40)],
        "validation": [(number, world.all) for number in range(100, 109)],
    }
    return world.write_dataset(path, rows, face=lambda number: b"broken" if number == 9 else world.face_bytes(number))


def test_a_run_leaves_out_an_undecodable_row_where_it_is_told_to_and_a_resume_gives_the_same_bits(
    recipe: Callable[..., Recipe], tmp_path: Path, world: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    data = f"dataset={damaged_dataset(world, tmp_path / 'damaged')}"
    settings = (data, "training.epochs=3", "training.save_every_steps=1", "training.record_rows=true")
    with pytest.raises(DataError, match=r"row 9 \(expw:clip2/00009#0\): the image cannot be decoded"):
        train(recipe(*settings))
    capsys.readouterr()
    skipping = (*settings, "batches.undecodable=skip")
    whole = train(recipe(*skipping, run="whole"))
    said = capsys.readouterr().err
    assert said.count("row expw:clip2/00009#0 cannot be decoded and is left out: the image cannot be decoded") == 1
    assert whole["undecodable_rows"] == 1
    lines = json_lines(tmp_path / "whole/undecodable.rank0.jsonl")
    assert {line["uid"] for line in lines} == {"expw:clip2/00009#0"}
    assert {line["epoch"] for line in lines} == {0, 1, 2}
    # The run that stopped at the row goes on by the changed option.
    train_until(recipe(*skipping), whole["steps"] - 2)
    cut = train(recipe(*skipping))
    assert cut["undecodable_rows"] == 1
    assert same_bits(tmp_path / "whole", tmp_path / "run")
    assert json_lines(tmp_path / "run/undecodable.rank0.jsonl") == lines


def test_evaluation_stops_at_an_undecodable_row_whatever_training_does(
    recipe: Callable[..., Recipe], tmp_path: Path, world: SimpleNamespace
) -> None:
    rows = {
        "train": [(number, world.all) for number in range(16)],
        "validation": [(number, world.all) for number in range(100, 105)],
    }
    data = world.write_dataset(
        tmp_path / "damaged", rows, face=lambda number: b"broken" if number == 102 else world.face_bytes(number)
    )
    with pytest.raises(DataError, match=r"row 2 \(affwild2:clip25/00102#0\): the image cannot be decoded"):
        train(recipe(f"dataset={data}", "batches.undecodable=skip"))


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
        for line in json_lines(tmp_path / "run/metrics.jsonl")
        if line["kind"] == "evaluation"
    }
    best = max(scores, key=lambda step: (scores[step], step))
    kept = {int(path.name.removeprefix("step-")) for path in (tmp_path / "run/checkpoints").iterdir()}
    assert kept == {4, 5, best}
    chosen_on = open_model(tmp_path / "run/model")[0].config.selected_on
    assert (chosen_on["dataset"], chosen_on["split"], chosen_on["metric"]) == ("merged", "validation", "score")
    dataset = recipe().dataset
    with pytest.raises(
        UsageError, match=r"the split 'validation' of 'merged' is reported, and it chose the checkpoint"
    ):
        evaluate(tmp_path / "run", dataset, ["train", "validation"])
    with pytest.raises(UsageError, match="it chose the checkpoint"):
        ensemble(dataset, [tmp_path / "run"], splits=["validation"])
    assert evaluate(tmp_path / "run", dataset, ["train"])["selected_on"] == chosen_on
    assert evaluate(tmp_path / "run", dataset, ["validation"], optimistic=True)["selected_on"] == chosen_on


def test_without_best_checkpoints_the_model_is_the_last(recipe: Callable[..., Recipe], tmp_path: Path) -> None:
    train(recipe("training.evaluate_every_steps=1", "training.keep_best=0", "optimizer.learning_rate=0.02"))
    assert json.loads((tmp_path / "run/evaluation.json").read_text())["step"] == 5
    saved = load_file(tmp_path / "run/checkpoints/step-00000005/model.safetensors")
    model = open_model(tmp_path / "run/model")[0]
    assert model.config.selected_on is None
    trained = model.state_dict()
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
    whole = weights_of(tmp_path / "whole")
    assert all(torch.equal(value, whole[name]) for name, value in weights_of(tmp_path / "run").items())


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
        "validation": [(number, ("va",)) for number in range(100, 105)],
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


def test_bfloat16_computes_in_it_and_keeps_full_weights(
    recipe: Callable[..., Recipe], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = set()
    classify = AffectModel.classify

    def watched(self: AffectModel, features: torch.Tensor) -> Any:
        seen.add(self.heads["au"](features).dtype)
        return classify(self, features)

    monkeypatch.setattr(AffectModel, "classify", watched)
    train(recipe("training.mixed_precision=bf16", "training.max_steps=2", "training.validation_split=null"))
    assert torch.bfloat16 in seen
    assert {value.dtype for value in weights_of(tmp_path / "run").values()} == {torch.float32}


@pytest.mark.skipif(torch.accelerator.is_available(), reason="an accelerator trains in fp16")
def test_half_precision_without_a_gpu_is_refused(recipe: Callable[..., Recipe]) -> None:
    with pytest.raises(UsageError, match=r"training.mixed_precision is fp16, which takes a GPU; use bf16"):
        train(recipe("training.mixed_precision=fp16"))


def test_clipping_bounds_the_step_that_plain_descent_takes(
    recipe: Callable[..., Recipe], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Adam hides the size of a gradient: plain descent shows it.
    def descent(parameters: Any, lr: float, betas: Any) -> torch.optim.SGD:
        return torch.optim.SGD(parameters, lr=lr)

    monkeypatch.setattr(torch.optim, "AdamW", descent)
    common = (
        "training.max_steps=1",
        "training.validation_split=null",
        "optimizer.weight_decay=0",
        "schedule.name=constant",
        "optimizer.learning_rate=1",
    )
    train(recipe(*common, "training.clip_norm=0.05", run="clipped"))
    train(recipe(*common, "training.clip_norm=1000000", run="free"))
    train(recipe(*common, "training.clip_norm=0.00000001", run="start"))
    start, clipped, free = (weights_of(tmp_path / run) for run in ("start", "clipped", "free"))
    lengths = [
        sum(float((moved[name] - start[name]).square().sum()) for name in start) ** 0.5 for moved in (clipped, free)
    ]
    assert lengths[0] == pytest.approx(0.05, rel=1e-3)
    assert lengths[1] > 0.1


def test_an_average_of_the_weights_is_kept_in_their_place_and_survives_an_interruption(
    recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    settings = ("training.ema_decay=0.9", "training.evaluate_every_steps=1", "training.keep_best=0")
    settings += ("optimizer.learning_rate=0.02", "training.keep_last=5", "model.dropout=0")
    train(recipe(*settings, run="whole"))
    # By hand from the weights of every step: step n keeps n / (9 + n), at most the decay, of the average so far.
    steps = [load_file(tmp_path / f"whole/checkpoints/step-{n:08d}/model.safetensors") for n in range(1, 6)]
    average = open_model(tmp_path / "whole/model")[0].state_dict()
    start = {name: value.clone() for name, value in fresh_weights(recipe(*settings)).items()}
    for number, step in enumerate(steps, start=1):
        kept = min(0.9, number / (9 + number))
        start = {name: kept * value + (1 - kept) * step[name] for name, value in start.items()}
    name = "heads.expression.1.weight"
    assert torch.allclose(average[name], start[name], atol=1e-6)
    assert not torch.allclose(average[name], steps[-1][name], atol=1e-3)

    train_until(recipe(*settings, run="cut"), 4)
    train(recipe(*settings, run="cut"))
    whole, cut = weights_of(tmp_path / "whole"), weights_of(tmp_path / "cut")
    assert all(torch.equal(value, cut[name]) for name, value in whole.items())


def fresh_weights(made: Recipe) -> dict[str, torch.Tensor]:
    from affect_train.training.learner import Learner, training_accelerator

    fresh_accelerator()
    learner = Learner.build(made, training_accelerator(made), steps=5)
    return learner.model.state_dict()


def test_recomputed_activations_give_the_same_weights_at_twice_the_forward_passes(
    recipe: Callable[..., Recipe], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers.models.vit.modeling_vit import ViTAttention

    calls: list[bool] = []
    forward = ViTAttention.forward

    def counted(self: Any, *arguments: Any, **options: Any) -> Any:
        calls.append(self.training)
        return forward(self, *arguments, **options)

    monkeypatch.setattr(ViTAttention, "forward", counted)
    settings = ("training.max_steps=2", "training.validation_split=null")
    train(recipe(*settings, run="kept"))
    kept = calls.count(True)
    calls.clear()
    train(recipe(*settings, "model.gradient_checkpointing=true", run="recomputed"))
    assert kept == 2
    assert calls.count(True) == 4
    first, second = weights_of(tmp_path / "kept"), weights_of(tmp_path / "recomputed")
    assert all(torch.allclose(value, second[name], atol=1e-6) for name, value in first.items())


def test_a_backbone_without_such_layers_cannot_recompute_activations(recipe: Callable[..., Recipe]) -> None:
    backbone = {"model_type": "levit", "hidden_sizes": [16, 16, 16], "num_attention_heads": [1, 1, 1]}
    backbone |= {"depths": [1, 1, 1], "key_dim": [8, 8, 8]}
    model = {"backbone": backbone, "image_size": 32, "gradient_checkpointing": True}
    with pytest.raises(
        BackboneError, match=r"'levit': it cannot recompute activations .*gradient_checkpointing: false"
    ):
        train(recipe(model=model))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_compiled_model_trains_to_the_same_weights(recipe: Callable[..., Recipe], tmp_path: Path) -> None:
    settings = ("training.max_steps=2", "training.validation_split=null", "model.dropout=0")
    train(recipe(*settings, run="plain"))
    compiled = torch._dynamo.utils.counters["stats"]["calls_captured"]
    train(recipe(*settings, "training.compile=aot_eager", run="compiled"))
    assert torch._dynamo.utils.counters["stats"]["calls_captured"] > compiled
    first, second = weights_of(tmp_path / "plain"), weights_of(tmp_path / "compiled")
    assert all(torch.allclose(value, second[name], atol=1e-4) for name, value in first.items())


def test_a_run_without_trackers_writes_no_tensorboard(recipe: Callable[..., Recipe], tmp_path: Path) -> None:
    train(recipe("training.trackers=[]", "training.max_steps=1"))
    assert (tmp_path / "run/metrics.jsonl").exists()
    assert not (tmp_path / "run/tensorboard").exists()


def test_a_tracker_that_is_not_installed_is_an_error(recipe: Callable[..., Recipe]) -> None:
    with pytest.raises(
        UsageError, match=r"training.trackers: swanlab not installed; install it with pip, or use .*tensorboard"
    ):
        train(recipe("training.trackers=[tensorboard, swanlab]"))


def test_a_run_stops_when_its_metric_does_not_become_better(recipe: Callable[..., Recipe], tmp_path: Path) -> None:
    settings = ("training.evaluate_every_steps=1", "training.epochs=20", "training.patience=3")
    # With no learning rate worth its name, the first evaluation stays the best.
    settings += ("optimizer.learning_rate=1e-30", "training.best_metric=va.mean_ccc")
    result = train(recipe(*settings))
    assert result["steps"] == 4
    assert json.loads((tmp_path / "run/evaluation.json").read_text())["step"] == 1
    # it is finished: started again it trains no further, given more patience it does
    assert train(recipe(*settings))["steps"] == 4
    assert train(recipe(*settings, "training.patience=5"))["steps"] == 6


def test_a_metric_that_becomes_better_renews_the_patience(
    recipe: Callable[..., Recipe], monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = iter([0.1, 0.05, 0.2, 0.2, 0.1, 0.3, 0.3])
    monkeypatch.setattr("affect_train.training.loop.metric", lambda metrics, name: next(scores))
    result = train(recipe("training.evaluate_every_steps=1", "training.epochs=4", "training.patience=2"))
    assert result["steps"] == 5
    assert result["best_score"] == 0.2


def test_checkpoints_are_saved_at_the_steps_that_the_recipe_asks_for(
    recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    train(recipe("training.save_every_steps=2", "training.keep_last=9", "training.epochs=2"))
    kept = [path.name for path in sorted((tmp_path / "run/checkpoints").iterdir())]
    assert kept == [f"step-{step:08d}" for step in (2, 4, 5, 6, 8, 10)]


def test_a_second_run_in_the_same_folder_is_refused(recipe: Callable[..., Recipe], tmp_path: Path) -> None:
    from affect_train.runtime import build_accelerator

    with run_lock(RunFolder(tmp_path / "run"), build_accelerator()):
        fresh_accelerator()
        with pytest.raises(
            UsageError, match=r"another run is writing to '.*run'; wait for it to end, or choose another"
        ):
            train(recipe())
    assert [path.name for path in (tmp_path / "run").iterdir()] == [".lock"]
    assert train(recipe())["steps"] == 5


def test_a_balanced_run_draws_by_the_weights(recipe: Callable[..., Recipe], tmp_path: Path, own_dataset: Path) -> None:
    from affect_data.balance import balance, load_weights, make_plan

    balance(own_dataset, make_plan("deng2020_va"), "rare")
    train(
        recipe(
            f"dataset={own_dataset}",
            "batches.balance=rare",
            "training.record_rows=true",
            "tasks={valence_arousal: {bins: 5}}",
            "batches.size=4",
        )
    )
    drawn = [row for line in json_lines(tmp_path / "run/rows.rank0.jsonl") for row in line["rows"][0]]
    weighed = np.flatnonzero(load_weights(own_dataset, "rare")["va"])
    assert set(drawn) <= set(weighed.tolist())
    assert len(weighed) < 8


def test_the_model_survives_a_crash_between_two_renames(recipe: Callable[..., Recipe], tmp_path: Path) -> None:
    train(recipe())
    before = weights_of(tmp_path / "run")
    shutil.move(tmp_path / "run/model", tmp_path / "run/.model.old")
    train(recipe())
    assert all(torch.equal(value, before[name]) for name, value in weights_of(tmp_path / "run").items())
    assert np.array_equal(
        sorted(path.name for path in (tmp_path / "run/model").iterdir()), ["config.json", "model.safetensors"]
    )
