"""Leaving out each database in turn, by a protocol: trained and judged for real on a tiny dataset."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import f1_score
from typer.testing import CliRunner

from affect_data.dataset.folder import open_dataset
from affect_data.errors import DataError, RecipeError, UnknownNameError, UsageError
from affect_train.cli.app import app, run_command
from affect_train.evaluation.metrics import best_thresholds
from affect_train.evaluation.protocol import Protocol, read_protocol
from affect_train.inference.inference import infer, open_model, predictions
from affect_train.inference.inputs import split_of
from affect_train.inputs.source import OwnFolder
from affect_train.recipe.recipe import Recipe, recipe_from
from affect_train.runtime import Runtime
from affect_train.study.cross_database import chains_of, cross_database, same_protocol
from affect_train.training.held_out import rows_in

pytestmark = pytest.mark.usefixtures("loaded_chains")

TEXT = "title: tiny\nsplit: validation\nmetrics: {au: mean_auroc, expression: accuracy}\nthreshold: 0.4\n"


@pytest.fixture
def recipe(recipe_values: Callable[..., dict[str, Any]], tmp_path: Path) -> Callable[..., Recipe]:
    def build(*overrides: str) -> Recipe:
        return recipe_from(recipe_values(), [f"output={tmp_path / 'unused'}", "training.max_steps=1", *overrides])

    return build


@pytest.fixture
def protocol(tmp_path: Path) -> Path:
    path = tmp_path / "protocol.yaml"
    path.write_text(TEXT, encoding="utf-8")
    return path


def test_each_database_is_left_out_of_training_and_judged(
    recipe: Callable[..., Recipe], protocol: Path, dataset: Path, tmp_path: Path
) -> None:
    out, judged_by = tmp_path / "cross", read_protocol(protocol)

    found = cross_database(recipe(), judged_by, TEXT, out, run_command, resamples=20)

    assert found["families"] == {"affwild": ["affwild2"]}
    assert found["left_out"] == {"expw": "no other database has labels of expression to train on"}
    assert list(found["figures"]) == ["all", "without-affwild"]
    assert found["protocol"] == judged_by.stated()
    assert json.loads((out / "cross-database.json").read_text()) == found
    # The figure of the database that was not seen, computed here from the model that did not see it.
    folder, run = open_dataset(dataset), out / "without-affwild" / "run"
    model, preprocessing = open_model(run / "model")
    runtime = Runtime.start()
    split = split_of(model, preprocessing, OwnFolder(folder), "validation", runtime)
    logits = infer(model, split.inputs, runtime)
    assert logits is not None
    scores, (data, labels) = predictions(model, logits)["au"], split.passed()
    own = np.array(data["database"][:]) == 0
    truth, mask, scores = labels.au[own], labels.au_mask[own], scores[own]
    limits = best_thresholds(scores, truth, mask)
    mean_f1 = [
        np.mean([f1_score(truth[m, i], scores[m, i] >= at[i], zero_division=0) for i, m in enumerate(mask.T)])
        for at in ([0.4] * scores.shape[1], limits)
    ]
    figure = found["figures"]["without-affwild"]["affwild2"]["au"]
    assert figure["regret"] == pytest.approx(mean_f1[1] - mean_f1[0])
    assert figure["labels"] == mask.sum()
    # Again: nothing is trained a second time, and another recipe or protocol is not mixed in.
    stamp = (run / "model" / "config.json").stat().st_mtime_ns
    assert cross_database(recipe(), judged_by, TEXT, out, run_command, resamples=20) == found
    assert (run / "model" / "config.json").stat().st_mtime_ns == stamp
    with pytest.raises(UsageError, match=r"recipe\.yaml' is of another call: figures of both would be mixed"):
        cross_database(recipe("seed=3"), judged_by, TEXT, out, run_command)
    _the_command_shows_it(recipe, out, protocol, tmp_path, found)


def _the_command_shows_it(
    recipe: Callable[..., Recipe], out: Path, protocol: Path, tmp_path: Path, found: dict[str, Any]
) -> None:
    """The table, and what a table of several refuses."""
    recipe().write(tmp_path / "recipe.yaml")
    words = ["cross-database", str(tmp_path / "recipe.yaml"), "--out", str(out), "--bootstrap", "20"]
    shown = CliRunner().invoke(app, [*words, "--protocol", str(protocol), "--beside", str(out)])
    assert shown.exit_code == 0
    assert shown.stdout.count(f"[protocol tiny: {found['protocol']['hash']}; figures of one hash are comparable]") == 2
    rows = [line.split() for line in shown.stdout.splitlines()]
    assert ["au", "mean_auroc", "affwild2", "expw"] in rows
    value = found["figures"]["without-affwild"]["affwild2"]["au"]["value"]
    assert any(
        row[:1] == ["without-affwild"] and f"{value:.3f} [" in " ".join(row) and "]*" in " ".join(row) for row in rows
    )
    other = tmp_path / "other.yaml"
    other.write_text(TEXT.replace("0.4", "0.6"))
    refused = CliRunner().invoke(app, [*words, "--protocol", str(other), "--beside", str(out)])
    assert isinstance(refused.exception, DataError)
    assert "figures of different protocols are not comparable" in str(refused.exception)


def test_rows_of_a_database_are_not_trained_on(recipe: Callable[..., Recipe], dataset: Path) -> None:
    folder = open_dataset(dataset)
    kept = rows_in(recipe("training.without_databases=[expw]"), folder)
    assert kept is not None
    assert kept.tolist() == (folder.labels("train")["database"] != "expw").to_list()
    with pytest.raises(UnknownNameError, match=r"training\.without_databases 'nowhere'"):
        rows_in(recipe("training.without_databases=[nowhere]"), folder)
    with pytest.raises(UsageError, match="has no row of another database"):
        rows_in(recipe("training.without_databases=[expw,affwild2]"), folder)


def test_databases_of_one_family_leave_nothing_to_train_on(
    recipe: Callable[..., Recipe], dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from affect_train.study import cross_database as module

    folder, judged_by = open_dataset(dataset), Protocol(title="t", split="validation", metrics={"au": "mean_f1"})
    with monkeypatch.context() as patched:
        patched.setattr(module, "source_family", lambda name: "one")
        with pytest.raises(
            UsageError, match=r"of one source family, one \(affwild2, expw\): nothing is left to train on"
        ):
            chains_of(recipe(), judged_by, folder)
    with pytest.raises(UsageError, match="may have seen the database that is left out"):
        chains_of(recipe().model_copy(update={"soft_labels": ("teacher",)}), judged_by, folder)


def test_a_database_that_alone_has_a_task_is_not_left_out(
    recipe: Callable[..., Recipe], world: SimpleNamespace, tmp_path: Path
) -> None:
    rows = [(number, world.all if number % 2 else ("expression",)) for number in range(16)]
    path = world.write_dataset(tmp_path / "one", {"train": rows, "validation": [(101, world.all), (102, world.all)]})
    judged_by = Protocol(title="t", split="validation", metrics={"au": "mean_f1"})
    families, left_out = chains_of(recipe(), judged_by, open_dataset(path))
    assert families == {"affwild": ("affwild2",)}
    assert left_out == {"expw": "no other database has labels of au, va to train on"}


def test_the_hash_is_of_all_that_a_figure_depends_on_and_the_title_is_not(protocol: Path) -> None:
    first = read_protocol(protocol)
    assert first.digest() == first.model_copy(update={"title": "other"}).digest()
    assert first.digest() != first.model_copy(update={"absent": "zero"}).digest()
    assert same_protocol({"a": first.stated(), "b": first.stated()}) == first.stated()


def test_a_protocol_that_does_not_fit_says_why(
    recipe: Callable[..., Recipe], protocol: Path, dataset: Path, tmp_path: Path
) -> None:
    def wanted(text: str) -> Protocol:
        protocol.write_text(TEXT + text)
        return read_protocol(protocol)

    with pytest.raises(RecipeError, match="au: found 'mean_f2'; expected one of mean_average_precision"):
        read_protocol(_written(tmp_path, TEXT.replace("mean_auroc", "mean_f2")))
    for text, because in (
        ("action_units: [43]\n", "names AU43, of which '.*' has no row"),
        ("databases: [disfa]\n", "names disfa, of which '.*' has no row"),
        ("occurrence_from: {expw: 3}\n", "counts action units of expw from an intensity of 3"),
    ):
        with pytest.raises((UsageError, DataError), match=because):
            cross_database(recipe(), wanted(text), text, tmp_path / "x", run_command)


def _written(folder: Path, text: str) -> Path:
    path = folder / "mistaken.yaml"
    path.write_text(text)
    return path
