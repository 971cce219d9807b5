"""The command that merges models and soft labels: one evaluation, or one new group."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import expit, softmax
from sklearn.metrics import f1_score
from training_runs import fresh_accelerator
from typer.testing import CliRunner

from affect_data.dataset.folder import open_dataset
from affect_data.dataset.kinds.soft_labels import SOFT_LABELS, SoftLabelProvenance
from affect_data.dataset.loading import load_dataset
from affect_data.dataset.soft_labels import write_soft_labels
from affect_data.errors import UnknownNameError, UsageError
from affect_train.cli.app import app
from affect_train.inputs.labels import load_labels
from affect_train.labelling.ensemble import ensemble
from affect_train.labelling.label import label
from affect_train.recipe.recipe import recipe_from
from affect_train.tasks import TaskSet
from affect_train.training.loop import train

Values = Callable[..., dict[str, Any]]
CLASSES = ("neutral", "anger", "disgust", "fear", "happiness", "sadness", "surprise")


@pytest.fixture
def two_groups(own_dataset: Path) -> dict[str, dict[str, dict[str, np.ndarray]]]:
    """Two groups of soft labels: one that knows the expressions, with the classes reversed, and one that guesses."""
    folder, rng = open_dataset(own_dataset), np.random.default_rng(0)
    made: dict[str, dict[str, dict[str, np.ndarray]]] = {}
    for name, strength in (("knows", 3.0), ("guesses", 0.0)):
        classes = CLASSES[::-1] if name == "knows" else CLASSES
        made[name] = {}
        for split in folder.splits:
            labels = load_labels(open_dataset(own_dataset), split, TaskSet(expressions=classes))[1]
            rows = folder.rows(split)
            known = np.eye(7)[np.maximum(labels.expression, 0)] * labels.expression_mask[:, None]
            made[name][split] = {
                "au": rng.normal(size=(rows, 2)).astype(np.float16),
                "expression": (known * strength + rng.normal(size=(rows, 7)) * 2).astype(np.float16),
            }
        provenance = SoftLabelProvenance(
            name=name,
            teacher_id=f"id-{name}",
            teacher_revision=name,
            made_from=SOFT_LABELS.made_from(folder),
            view="v",
            action_units=(1, 12),
            expressions=classes,
            out_of_fold=name == "knows",
        )
        write_soft_labels(own_dataset, provenance, made[name])
    return made


def test_the_new_group_holds_the_mean_probability_by_name(own_dataset: Path, two_groups: Any) -> None:
    result = ensemble(own_dataset, soft_labels=["knows", "guesses"], name="both")

    assert result["weights"] == {"au": [0.5, 0.5], "expression": [0.5, 0.5]}
    stored = load_dataset(own_dataset, "train", ["both"])
    first, second = (two_groups[name]["train"] for name in ("knows", "guesses"))
    expected = (
        softmax(first["expression"].astype(float), 1) + softmax(second["expression"].astype(float)[:, ::-1], 1)
    ) / 2
    np.testing.assert_allclose(softmax(np.array(stored["soft.both.expression"][:]), 1), expected, atol=2e-3)
    expected = (expit(first["au"].astype(float)) + expit(second["au"].astype(float))) / 2
    np.testing.assert_allclose(expit(np.array(stored["soft.both.au"][:])), expected, atol=1e-3)
    origin = SOFT_LABELS.read(open_dataset(own_dataset), "both")
    assert origin.expressions == CLASSES[::-1]
    assert origin.teacher_id == "mean of id-knows, id-guesses (au 0.5 0.5; expression 0.5 0.5)"
    assert not origin.out_of_fold  # one of the two was not


def test_weights_are_fitted_on_one_split_and_judged_on_another(own_dataset: Path, two_groups: Any) -> None:
    result = ensemble(own_dataset, soft_labels=["guesses", "knows"], splits=["validation"], fit_on="train")

    assert result["weights"]["expression"][1] > 0.5
    labels = load_labels(open_dataset(own_dataset), "validation", TaskSet(expressions=CLASSES))[1]
    shares = result["weights"]["expression"]
    first, second = (two_groups[name]["validation"]["expression"].astype(float) for name in ("guesses", "knows"))
    merged = shares[0] * softmax(first, 1) + shares[1] * softmax(second[:, ::-1], 1)
    found = result["splits"]["validation"]["overall"]["expression"]["macro_f1"]
    expected = f1_score(
        labels.expression,
        merged.argmax(1),
        average="macro",
        labels=sorted(set(labels.expression) | set(merged.argmax(1))),
    )
    assert found == pytest.approx(expected)
    assert set(result["splits"]["validation"]["databases"]) == {"affwild2", "expw"}


def test_models_and_the_soft_labels_that_they_wrote_merge_to_the_same(
    own_dataset: Path, recipe_values: Values, tmp_path: Path
) -> None:
    runs = [tmp_path / f"run{seed}" for seed in (0, 1)]
    for seed, run in enumerate(runs):
        train(
            recipe_from(recipe_values(dataset=str(own_dataset), output=str(run), seed=seed, training={"max_steps": 1}))
        )
        fresh_accelerator()
        label(run, own_dataset, run.name)
    both = ["run0", "run1"]
    stored = ensemble(own_dataset, soft_labels=both, splits=["validation"])
    computed = ensemble(own_dataset, runs, splits=["validation"], name="fresh")
    assert computed["splits"] == stored["splits"]
    mixed = ensemble(own_dataset, runs[:1], both[1:], splits=["validation"])
    assert mixed["splits"] == stored["splits"]
    ensemble(own_dataset, soft_labels=both, name="again")
    columns = [load_dataset(own_dataset, "train", [name])[f"soft.{name}.valence"][:] for name in ("fresh", "again")]
    assert columns[0] == columns[1]


def test_one_member_is_evaluated_as_it_is(own_dataset: Path, two_groups: Any) -> None:
    result = ensemble(own_dataset, soft_labels=["knows"], splits=["validation"])
    labels = load_labels(open_dataset(own_dataset), "validation", TaskSet(expressions=CLASSES[::-1]))[1]
    predicted = two_groups["knows"]["validation"]["expression"].argmax(1)
    accuracy = result["splits"]["validation"]["overall"]["expression"]["accuracy"]
    assert accuracy == pytest.approx((predicted == labels.expression).mean())


def test_thresholds_of_the_merged_probabilities_are_tuned_on_another_split(own_dataset: Path, two_groups: Any) -> None:
    both, tasks = ["knows", "guesses"], TaskSet((1, 12))
    result = ensemble(own_dataset, soft_labels=both, splits=["validation"], tune_thresholds="train")

    merged, labels = {}, {}
    for split in ("train", "validation"):
        merged[split] = np.mean([expit(two_groups[name][split]["au"].astype(float)) for name in both], axis=0)
        labels[split] = load_labels(open_dataset(own_dataset), split, tasks)[1]
    assert result["thresholds_from"] == "train"
    report = result["splits"]["validation"]["overall"]["au"]
    for column, unit in enumerate(("1", "12")):
        known = labels["train"].au_mask[:, column]
        truth, values = labels["train"].au[known, column], merged["train"][known, column]
        threshold = report["by_action_unit"][unit]["threshold"]
        best = max(f1_score(truth, values >= limit) for limit in values)
        assert f1_score(truth, values >= threshold) == pytest.approx(best)
        known = labels["validation"].au_mask[:, column]
        shown = merged["validation"][known, column] >= threshold
        expected = f1_score(labels["validation"].au[known, column], shown, zero_division=np.nan)
        assert report["by_action_unit"][unit]["f1"] == pytest.approx(expected, nan_ok=True)
    assert report["at_half"]["by_action_unit"]["1"]["threshold"] == 0.5


def test_calls_without_members_aim_or_honest_split_are_refused(own_dataset: Path, two_groups: Any) -> None:
    with pytest.raises(UsageError, match="an ensemble needs members"):
        ensemble(own_dataset, name="x")
    with pytest.raises(UsageError, match="nothing to do: name the new soft labels"):
        ensemble(own_dataset, soft_labels=["knows"])
    with pytest.raises(UsageError, match="the weights are fitted on 'train', so they cannot be judged on it"):
        ensemble(own_dataset, soft_labels=["knows"], splits=["train"], fit_on="train")
    with pytest.raises(UsageError, match="the thresholds are tuned on 'train', so they cannot be judged on it"):
        ensemble(own_dataset, soft_labels=["knows"], splits=["train"], tune_thresholds="train")
    with pytest.raises(UsageError, match="'knows' is a member of the ensemble"):
        ensemble(own_dataset, soft_labels=["knows"], name="knows")
    with pytest.raises(UsageError, match=r"soft labels cannot be called '\.\./x'; use letters, digits"):
        ensemble(own_dataset, soft_labels=["knows"], name="../x")
    with pytest.raises(UnknownNameError, match=r"unknown soft labels in .* 'nobody'; known: guesses, knows"):
        ensemble(own_dataset, soft_labels=["nobody"], name="x")


def test_the_command_speaks_json_and_tables(own_dataset: Path, two_groups: Any) -> None:
    call = ["ensemble", str(own_dataset), "--soft", "knows", "--soft", "guesses", "--split", "validation"]
    shown = CliRunner().invoke(app, [*call, "--name", "both", "--json"])
    assert shown.exit_code == 0, shown.output
    assert json.loads(shown.stdout)["provenance"]["name"] == "both"
    fresh_accelerator()
    shown = CliRunner().invoke(app, call)
    assert "expression: knows 0.50, guesses 0.50" in shown.stdout
    assert "validation: 9 rows" in shown.stdout
