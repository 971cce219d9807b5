"""Whole runs of `meta_auxiliary`: what they write, how they go on, and on how many processes."""

import hashlib
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
import yaml
from pickles import pickles_in
from python_processes import kill_at_first_checkpoint, run_python
from safetensors.torch import load_file
from training_runs import fresh_accelerator, json_lines, rows_of, same_bits, train_until

from affect_data.dataset.folder import open_dataset
from affect_data.dataset.loading import load_dataset
from affect_data.errors import DataError, UsageError
from affect_data.leaks.folds import write_folds
from affect_train.inputs.labels import column_array
from affect_train.recipe.recipe import Recipe, recipe_from
from affect_train.training.loop import train

Values = Callable[..., dict[str, Any]]
OWN_BATCH = ("method.meta_batch={size: 4}", "method.every=2", "model.dropout=0.2")


@pytest.fixture
def values(recipe_values: Values) -> dict[str, Any]:
    made = recipe_values(
        method={"name": "meta_auxiliary", "weight_network": {"learning_rate": 0.05, "hidden": 8}},
        optimizer={"learning_rate": 0.01},
        training={"epochs": 2, "log_every": 1, "record_rows": True, "validation_split": None, "trackers": []},
    )
    made["tasks"]["valence_arousal"] = None
    made["model"]["dropout"] = 0.0
    return made


@pytest.fixture
def recipe(values: dict[str, Any], tmp_path: Path) -> Callable[..., Recipe]:
    return lambda *overrides, run="run": recipe_from(values, [f"output={tmp_path / run}", *overrides])


def same_results(one: Path, other: Path) -> bool:
    """Whether two runs ended with the same bits: model, weight network and the rows' weights."""
    first, second = (load_file(run / "weight_network.safetensors") for run in (one, other))
    tables = [pq.read_table(run / "weights.parquet") for run in (one, other)]
    same_network = all(torch.equal(value, second[name]) for name, value in first.items())
    return same_bits(one, other) and same_network and tables[0].equals(tables[1])


def test_meta_batches_leave_out_what_cannot_be_decoded_too(
    recipe: Callable[..., Recipe], tmp_path: Path, world: SimpleNamespace
) -> None:
    rows = {"train": [(number, world.all) for number in range(24)], "validation": [(100, world.all)]}
    data = world.write_dataset(
        tmp_path / "damaged", rows, face=lambda number: b"broken" if number == 9 else world.face_bytes(number)
    )
    settings = (f"dataset={data}", *OWN_BATCH, "batches.undecodable=skip")
    assert train(recipe(*settings))["undecodable_rows"] == 1
    uids = pq.read_table(tmp_path / "run/weights.parquet").to_pydict()["uid"]
    assert "expw:clip2/00009#0" not in uids
    assert len(uids) > 15


def test_a_run_writes_the_weight_network_and_the_weights_of_all_rows_with_an_expression(
    recipe: Callable[..., Recipe], tmp_path: Path, dataset: Path
) -> None:
    train(recipe())
    table = pq.read_table(tmp_path / "run/weights.parquet").to_pydict()
    rows = load_dataset(dataset, "train")
    labelled = np.flatnonzero(column_array(rows, "expression_mask"))
    drawn = rows_of(tmp_path / "run")
    seen = [row for rows in drawn for row in rows]
    expected = [rows[int(row)]["uid"] for row in labelled if row in seen]
    assert table["uid"] == expected
    assert all(0 < weight < 1 for weight in table["weight"])
    assert all(0 < loss < 10 for loss in table["loss"])
    epoch = [row for rows in drawn[len(drawn) // 2 :] for row in rows]
    assert table["times"] == [epoch.count(row) if row in epoch else seen.count(row) for row in labelled if row in seen]
    network = load_file(tmp_path / "run/weight_network.safetensors")
    width = load_file(tmp_path / "run/model/model.safetensors")["norm.weight"].shape[0]
    assert network["layers.0.weight"].shape == (8, width + 1)
    logged = [line["losses"]["expression_weight"] for line in json_lines(tmp_path / "run/metrics.jsonl")]
    assert all(0 < value < 1 for value in logged)
    assert len(set(logged)) == len(logged)


def test_weights_by_confidence_are_kept_over_an_interruption_and_are_those_of_the_losses(
    recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    settings = ("method={name: confidence_weighted, after_steps: 2}", "training.save_every_steps=2")
    train(recipe(*settings, run="whole"))
    train_until(recipe(*settings, run="cut"), 4)
    train(recipe(*settings, run="cut"))
    tables = [pq.read_table(tmp_path / run / "weights.parquet") for run in ("whole", "cut")]
    assert tables[0].equals(tables[1])
    assert same_bits(tmp_path / "whole", tmp_path / "cut")
    weight, loss = (tables[0].column(name).to_numpy() for name in ("weight", "loss"))
    # A row comes several times: the mean of exp(-loss) is at least exp(-mean loss), and hardly more while the loss hardly changes.
    assert len(weight) == 10
    assert (weight >= 0.999 * np.exp(-loss)).all()
    assert weight == pytest.approx(np.exp(-loss), rel=0.2)


def test_an_interrupted_run_goes_on_to_the_same_bits(recipe: Callable[..., Recipe], tmp_path: Path) -> None:
    settings = (*OWN_BATCH, "training.save_every_steps=2")
    train(recipe(*settings, run="whole"))
    train_until(recipe(*settings, run="cut"), 4)
    assert [path.name for path in (tmp_path / "cut/checkpoints").iterdir()] == ["step-00000002"]
    torch.rand(7)
    train(recipe(*settings, run="cut"))
    assert same_results(tmp_path / "whole", tmp_path / "cut")


@pytest.mark.writes_pickles
def test_what_a_run_keeps_is_no_pickle_and_one_that_somebody_left_there_is_not_read(
    recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    settings = (*OWN_BATCH, "training.save_every_steps=2", "training.ema_decay=0.9")
    train(recipe(*settings, run="whole"))
    assert pickles_in(tmp_path / "whole") == []
    train_until(recipe(*settings, run="cut"), 4)
    (checkpoint,) = (tmp_path / "cut/checkpoints").iterdir()
    kept = {path.name.partition(".")[0] for path in checkpoint.iterdir()}
    assert kept == {"model", "optimizer", "schedule", "average", "weight_learning", "random-0", "progress"}
    for name in ("custom_checkpoint_0.pkl", "random_states_0.pkl", "optimizer.bin"):
        (checkpoint / name).write_bytes(pickle.dumps(Trap()))
    assert pickles_in(checkpoint) != []
    train(recipe(*settings, run="cut"))
    assert same_results(tmp_path / "whole", tmp_path / "cut")


class Trap:
    """Ends the process of whoever unpickles it."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os._exit, (3,)


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_same_bits(
    values: dict[str, Any], recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    settings = (*OWN_BATCH, "training.save_every_steps=2", "training.epochs=8")
    train(recipe(*settings, run="whole"))
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(values))
    cut = tmp_path / "cut"
    command = ["-m", "affect_train", tmp_path / "recipe.yaml", f"output={cut}", *settings]
    kill_at_first_checkpoint(command, cut)
    assert len(rows_of(cut)) < len(rows_of(tmp_path / "whole"))
    fresh_accelerator()
    train(recipe(*settings, run="cut"))
    assert same_results(tmp_path / "whole", cut)


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        ("method.meta_batch={share: 0.5}",),
        ("method.meta_batch={size: 4}", "method.gradient=second_order"),
        ("method.meta_batch={size: 4}", "method.trial=shared"),
        ("method.meta_batch={size: 4}",),
    ],
)
def test_two_processes_train_as_one(
    values: dict[str, Any], recipe: Callable[..., Recipe], tmp_path: Path, settings: tuple[str, ...]
) -> None:
    train(recipe(*settings, run="one"))
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(values))
    command = ["-m", "affect_train", tmp_path / "recipe.yaml", f"output={tmp_path / 'two'}", *settings]
    done = run_python(command, processes=2)
    assert done.returncode == 0, done.stderr[-4000:]
    assert "2 process(es)" in done.stderr
    for name, atol in (("model/model.safetensors", 5e-4), ("weight_network.safetensors", 5e-3)):
        one, two = (load_file(tmp_path / run / name) for run in ("one", "two"))
        for key, value in one.items():
            assert torch.allclose(value, two[key], atol=atol), (name, key, (value - two[key]).abs().max())
    tables = [pq.read_table(tmp_path / run / "weights.parquet").to_pydict() for run in ("one", "two")]
    assert tables[0]["uid"] == tables[1]["uid"]
    assert tables[0]["times"] == tables[1]["times"]
    assert tables[0]["weight"] == pytest.approx(tables[1]["weight"], abs=2e-3)


@pytest.mark.slow
@pytest.mark.parametrize("meta", ["{share: 0.35}", "{size: 4}"])
def test_heads_that_normalise_over_a_batch_weigh_its_rows_alike_on_two_processes(
    values: dict[str, Any], recipe: Callable[..., Recipe], tmp_path: Path, meta: str
) -> None:
    settings = (f"method.meta_batch={meta}", "model.head={normalisation: batch}", "training.max_steps=3")
    train(recipe(*settings, run="one"))
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(values))
    command = ["-m", "affect_train", tmp_path / "recipe.yaml", f"output={tmp_path / 'two'}", *settings]
    done = run_python(command, processes=2)
    assert done.returncode == 0, done.stderr[-4000:]
    steps = [json_lines(tmp_path / run / "metrics.jsonl") for run in ("one", "two")]
    for one, two in zip(*steps, strict=True):
        assert one["losses"]["au"] == pytest.approx(two["losses"]["au"], rel=1e-4)
        # What the weight network learns from are differences of nearly equal losses.
        assert one["losses"] == pytest.approx(two["losses"], abs=0.01)
    tables = [pq.read_table(tmp_path / run / "weights.parquet").to_pydict() for run in ("one", "two")]
    assert tables[0]["uid"] == tables[1]["uid"]
    assert tables[0]["weight"] == pytest.approx(tables[1]["weight"], abs=5e-3)
    assert tables[0]["loss"] == pytest.approx(tables[1]["loss"], abs=5e-3)


def test_meta_batches_come_from_a_fold_that_is_not_trained_on(
    recipe: Callable[..., Recipe],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    world: SimpleNamespace,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from affect_train.methods.meta.meta_rows import MetaLoader

    path = people_dataset(world, tmp_path)
    folds = column_array(open_dataset(path).load("train", ["folds.mine"]), "folds.mine")
    seen: list[torch.Tensor] = []
    batch = MetaLoader.batch

    def watched(self: MetaLoader, number: int) -> Any:
        found = batch(self, number)
        seen.append(found.pixels)
        return found

    monkeypatch.setattr(MetaLoader, "batch", watched)
    meta = "method.meta_batch={size: 3, held_out: {folds: mine, fold: 1}}"
    train(recipe(f"dataset={path}", meta, "batches.size=6"))
    drawn = rows_of(tmp_path / "run")
    trained = {row for rows in drawn for row in rows}
    assert trained == set(np.flatnonzero(folds == 0).tolist())
    assert f"; {len(trained)} rows (labelled: au " in capsys.readouterr().err
    assert {len(pixels) for pixels in seen} == {3}
    assert len(seen) == len(drawn)
    with pytest.raises(UsageError, match=r"method.meta_batch.held_out: the folds 'mine' go from 0 to 1; found 2"):
        train(recipe(f"dataset={path}", meta.replace("fold: 1", "fold: 2"), run="other"))


def people_dataset(world: SimpleNamespace, folder: Path) -> Path:
    """Twelve rows of six people, in two folds."""

    def edit(row: dict[str, Any]) -> dict[str, Any]:
        number = row["frame"]
        subject = f"p{number % 6}" if number < 100 else "v"
        return {
            **row,
            "database": 0,
            "subject": subject,
            "track": f"t{number}",
            "image_digest": hashlib.sha256(str(number).encode()).hexdigest(),
        }

    rows = {"train": [(number, world.all) for number in range(12)], "validation": [(200, world.all)]}
    path = world.write_dataset(folder / "people", rows, edit=edit)
    write_folds(open_dataset(path), "mine", 2)
    return path


def test_a_dataset_without_expressions_is_refused_with_what_to_do(
    recipe: Callable[..., Recipe], tmp_path: Path, world: SimpleNamespace
) -> None:
    rows = {"train": [(number, ("au",)) for number in range(8)], "validation": [(100, world.all)]}
    path = world.write_dataset(tmp_path / "units", rows)
    with pytest.raises(DataError, match=r"split train: no row has a label of expression"):
        train(recipe(f"dataset={path}"))
