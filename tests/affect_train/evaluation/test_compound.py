"""Compound expressions by the published rule, and by a new last layer from a few examples."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, balanced_accuracy_score, confusion_matrix

from affect_data.dataset.loading import load_dataset
from affect_data.errors import NotADatasetError, UnknownNameError, UsageError
from affect_data.vocabulary import COMPOUND_EXPRESSIONS
from affect_train.cli.app import main
from affect_train.errors import ModelMismatchError
from affect_train.evaluation.compound import evaluate_compound
from affect_train.evaluation.compound_rule import RAF_DB, CompoundRule, intervals, metrics
from affect_train.evaluation.few_shot import draw, few_shot, fit, learned_classes
from affect_train.evaluation.intervals import Clusters
from affect_train.inference.inference import infer, open_model, predictions
from affect_train.inputs.loading import FaceImages
from affect_train.inputs.preprocess import Preprocessing
from affect_train.network.model import AffectModel
from affect_train.recipe.model import ModelOptions
from affect_train.runtime import Runtime
from affect_train.tasks import TaskSet

SEVEN = ("neutral", "anger", "disgust", "fear", "happiness", "sadness", "surprise")
TASKS = TaskSet((25, 1, 2, 4, 12, 15, 10, 17, 26), SEVEN, 5)
TWO = ("happily surprised", "sadly angry")


# ---------------------------------------------------------------- the rule


def test_the_score_is_units_plus_parts_plus_valence_by_hand():
    rule = CompoundRule.of(("happily surprised", "sadly angry", "angrily surprised"), TASKS)
    au = np.array([[0.9, 0.8, 0.7, 0.1, 0.6, 0.2, 0.3, 0.4, 0.5]])
    expression = np.array([[0.05, 0.1, 0.02, 0.03, 0.4, 0.1, 0.3]])

    pleased = rule.scores(au, expression, np.array([0.2]))[0]
    displeased = rule.scores(au, expression, np.array([-0.2]))[0]

    # AU1, AU2, AU12 and AU25 with 1, AU26 with .67; AU5 has no head.
    happily_surprised = (0.8 + 0.7 + 0.6 + 0.9 + 0.67 * 0.5) / 4.67 + (0.4 + 0.3)
    # AU4 and AU15 with 1, AU17 with .50.
    sadly_angry = (0.1 + 0.2 + 0.5 * 0.4) / 2.5 + (0.1 + 0.1)
    # AU4, AU25 and AU26 with 1, AU10 with .34.
    angrily_surprised = (0.1 + 0.9 + 0.5 + 0.34 * 0.3) / 3.34 + (0.1 + 0.3)
    assert pleased == pytest.approx([happily_surprised + 1, sadly_angry, angrily_surprised])
    assert displeased == pytest.approx([happily_surprised, sadly_angry, angrily_surprised])
    assert rule.scores(au, expression, np.array([0.0]))[0] == pytest.approx(displeased)
    assert rule.dropped == {"happily surprised": (5,), "sadly angry": (6, 7, 11), "angrily surprised": (5, 7)}


def test_positive_valence_speaks_for_the_two_pleasant_ones_alone():
    rule = CompoundRule.of(RAF_DB, TASKS)
    zero = np.zeros((1, len(TASKS.action_units))), np.zeros((1, 7)), np.array([0.5])
    assert len(RAF_DB) == 11
    assert [name for name, score in zip(RAF_DB, rule.scores(*zero)[0], strict=True) if score == 1] == [
        "happily surprised",
        "happily disgusted",
    ]


def test_a_face_as_the_tables_describe_it_gets_its_own_name():
    units = TaskSet((1, 2, 4, 5, 6, 7, 9, 10, 12, 15, 17, 20, 24, 25, 26), SEVEN, 5)
    rule = CompoundRule.of(RAF_DB, units)
    expression = np.zeros((11, 7))
    np.put_along_axis(expression, rule.parts, 0.5, axis=1)
    found = rule.scores((rule.units > 0).astype(float), expression, np.where(rule.pleasant, 0.5, -0.5))
    assert found.argmax(axis=1).tolist() == list(range(11))


@pytest.mark.parametrize(
    ("names", "error", "message"),
    [
        (("happily surprized", "sadly angry"), UnknownNameError, "unknown compound expression 'happily surprized'"),
        (("appalled", "sadly angry"), UsageError, "'appalled': its two basic expressions are not known"),
        (("happily sad", "sadly angry"), UsageError, "'happily sad': its action units are not known"),
        (("sadly angry",), UsageError, "found sadly angry; name two different ones at least, each once"),
        (("sadly angry",) * 3, UsageError, "name two different ones at least, each once"),
    ],
)
def test_names_that_cannot_be_scored_are_refused(names, error, message):
    with pytest.raises(error, match=message):
        CompoundRule.of(names, TASKS)


@pytest.mark.parametrize(
    ("tasks", "message"),
    [
        (TaskSet((12, 4), SEVEN, 0), "a model without valence; expected"),
        (TaskSet((12, 4), ("neutral", "happiness", "sadness"), 5), "without expression anger, expression surprise;"),
        (TaskSet((12,), SEVEN, 5), "without an action unit of sadly angry;"),
        (TaskSet((), SEVEN, 5), "without an action unit of happily surprised, an action unit of sadly angry;"),
    ],
)
def test_a_model_without_a_head_that_the_rule_takes_is_refused(tasks, message):
    with pytest.raises(ModelMismatchError, match=message):
        CompoundRule.of(TWO, tasks)


# ---------------------------------------------------------------- metrics


def test_metrics_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    labels, predicted = rng.integers(0, 4, 200), rng.integers(0, 5, 200)

    found = metrics(predicted, labels, ["a", "b", "c", "d", "never"])

    with pytest.warns(UserWarning, match="y_pred contains classes not in y_true"):
        assert found["uar"] == pytest.approx(balanced_accuracy_score(labels, predicted))
    assert found["accuracy"] == pytest.approx(accuracy_score(labels, predicted))
    assert found["confusion"] == confusion_matrix(labels, predicted, labels=range(5)).tolist()
    assert found["by_class"]["never"] == {"recall": None, "labels": 0}


def test_intervals_hold_what_resampling_people_one_by_one_gives():
    rng = np.random.default_rng(1)
    people = rng.integers(0, 30, 300)
    labels = rng.integers(0, 3, 300)
    predicted = np.where(rng.random(300) < 0.3 + 0.4 * (people % 2), labels, (labels + 1) % 3)
    clusters = Clusters.of(np.zeros(300, np.int64), people, np.full(300, -1))

    found = intervals(predicted, labels, 3, clusters, resamples=2000)

    again = np.random.default_rng(5)
    values = []
    for _ in range(1000):
        rows = np.concatenate([np.flatnonzero(people == one) for one in again.integers(0, 30, 30)])
        values.append(balanced_accuracy_score(labels[rows], predicted[rows]))
    assert found["clusters"] == {"subject": 30, "track": 0, "row": 0}
    assert found["metrics"]["uar"] == pytest.approx(np.quantile(values, [0.025, 0.975]), abs=0.015)
    low, high = found["metrics"]["accuracy"]
    assert low < np.mean(predicted == labels) < high


def test_one_person_gives_no_interval():
    clusters = Clusters.of(np.zeros(4, np.int64), np.zeros(4, np.int64), np.full(4, -1))
    found = intervals(np.array([0, 1, 0, 1]), np.array([0, 1, 1, 0]), 2, clusters, resamples=10)
    assert found["metrics"] == {"uar": None, "accuracy": None}


# ---------------------------------------------------------------- a few examples


def test_the_fitted_layer_is_that_of_scikit_learn():
    rng = np.random.default_rng(2)
    values, classes = rng.normal(size=(40, 6)), rng.integers(0, 4, 40)

    weights, biases = fit(torch.from_numpy(values), torch.from_numpy(classes), 4, penalty=0.5)

    reference = LogisticRegression(C=2.0, tol=1e-10, max_iter=10_000).fit(values, classes)
    assert weights.numpy() == pytest.approx(reference.coef_, abs=1e-4)
    centred = biases.numpy() - biases.numpy().mean()
    assert centred == pytest.approx(reference.intercept_ - reference.intercept_.mean(), abs=1e-4)


def test_a_few_examples_of_separate_classes_suffice():
    rng = np.random.default_rng(3)
    classes = np.repeat(np.arange(5), 30)
    values = 100 + 40 * np.eye(5)[classes] + rng.normal(size=(150, 5))
    values = np.concatenate([values, np.full((150, 1), 7.0)], axis=1)
    chosen = draw(classes, "abcde", 2, (0, 0))
    assert np.bincount(classes[chosen]).tolist() == [2] * 5
    assert learned_classes(values[chosen], classes[chosen], values, 5).tolist() == classes.tolist()


def test_draws_differ_are_repeatable_and_summarised():
    rng = np.random.default_rng(4)
    classes = np.repeat(np.arange(3), 20)
    values = np.eye(3)[classes] + rng.normal(size=(60, 3))

    def reach(seed: int) -> dict:
        def measured(found: np.ndarray) -> dict[str, float]:
            return {"accuracy": float(np.mean(found == classes))}

        return few_shot(values, classes, values, "abc", measured, shots=3, draws=4, seed=seed)

    found = reach(0)
    each = [one["accuracy"] for one in found["draws"]]
    assert found == reach(0)
    assert found["draws"] != reach(1)["draws"]
    assert len(set(each)) > 1
    assert found["accuracy"]["mean"] == pytest.approx(np.mean(each))
    assert found["accuracy"]["deviation"] == pytest.approx(np.std(each, ddof=1))


def test_too_few_examples_of_a_class_are_refused():
    with pytest.raises(UsageError, match="3 shots of each class: the support split has only b 2, c 0; ask for fewer"):
        draw(np.array([0, 0, 0, 1, 1]), "abc", 3, (0, 0))


# ---------------------------------------------------------------- a model on a dataset


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory, world: SimpleNamespace) -> Path:
    """A model with fresh weights."""
    torch.manual_seed(1)
    preprocessing = Preprocessing(32, 0.2)
    options = ModelOptions(backbone=world.tiny_vit, image_size=32)
    folder = tmp_path_factory.mktemp("models") / "model"
    AffectModel.build(TASKS, options, preprocessing.to_dict(), preprocessing.digest()).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def compounds(tmp_path_factory: pytest.TempPathFactory, world: SimpleNamespace) -> Path:
    """Of four rows one is without a compound expression, one is appalled, and two are of the eleven."""

    def edit(row: dict) -> dict:
        number = row["frame"]
        named = {0: None, 1: "appalled", 2: RAF_DB[number % 11], 3: RAF_DB[number % 11]}[number % 4]
        code = -1 if named is None else COMPOUND_EXPRESSIONS.index(named)
        return {**row, "compound_expression": code, "compound_expression_mask": code >= 0}

    rows = {"train": [(number, ()) for number in range(88)], "validation": [(number, ()) for number in range(100, 150)]}
    return world.write_dataset(tmp_path_factory.mktemp("data") / "raf", rows, edit=edit)


def test_the_report_is_that_of_the_rule_on_every_row(model: Path, compounds: Path, tmp_path: Path):
    found = evaluate_compound(model, compounds, bootstrap=50, output=tmp_path / "compound.json")

    loaded, preprocessing = open_model(model)
    dataset = load_dataset(compounds, "validation")
    said = predictions(loaded, infer(loaded, FaceImages(dataset, preprocessing), Runtime.start()))
    chosen = [row for row in range(50) if (100 + row) % 4 in (2, 3)]
    labels = np.array([(100 + row) % 11 for row in chosen])
    scores = CompoundRule.of(RAF_DB, TASKS).scores(said["au"], said["expression"], said["valence"])[chosen]
    assert found["rows"] == len(chosen) == 24
    assert found["left_out"] == {"no compound expression": 13, "another compound expression": 13}
    assert found["zero_shot"]["accuracy"] == pytest.approx(accuracy_score(labels, scores.argmax(axis=1)))
    assert found["zero_shot"]["confusion"] == confusion_matrix(labels, scores.argmax(1), labels=range(11)).tolist()
    assert found["chance"] == {
        "uar": pytest.approx(1 / 11),
        "accuracy_of_commonest": pytest.approx(np.bincount(labels).max() / 24),
    }
    assert found["zero_shot"]["intervals"]["metrics"]["uar"][0] <= found["zero_shot"]["uar"]
    assert json.loads((tmp_path / "compound.json").read_text())["zero_shot"]["uar"] == found["zero_shot"]["uar"]


def test_chosen_rows_are_those_rows_in_their_own_order(model: Path, compounds: Path):
    loaded, preprocessing = open_model(model)
    images = FaceImages(load_dataset(compounds, "validation"), preprocessing)
    rows = np.array([49, 3, 17])
    every = infer(loaded, images, Runtime.start())
    some = infer(loaded, images.showing(rows), Runtime.start(), rows=rows)
    assert some["au"] == pytest.approx(every["au"][rows], abs=1e-6)


@pytest.mark.parametrize(("on", "width"), [("outputs", len(TASKS.action_units) + 7 + 2), ("features", 32)])
def test_shots_are_reported_beside_the_rule(model: Path, compounds: Path, monkeypatch, on: str, width: int):
    seen = []

    def recorded(support, classes, query, count):
        seen.append((support.shape, query.shape, count))
        return learned_classes(support, classes, query, count)

    monkeypatch.setattr("affect_train.evaluation.few_shot.learned_classes", recorded)
    found = evaluate_compound(model, compounds, names=RAF_DB[:4], shots=[1, 2], draws=3, on=on)
    queries = sum((100 + row) % 4 in (2, 3) and (100 + row) % 11 < 4 for row in range(50))
    assert found["rows"] == queries
    assert seen == [((4 * shots, width), (queries, width), 4) for shots in (1, 2) for _ in range(3)]
    assert found["few_shot"]["fits"] == "a new last layer; nothing else of the model changes"
    assert [one["shots"] for one in found["few_shot"]["results"]] == [1, 2]
    assert found["zero_shot"] == evaluate_compound(model, compounds, names=RAF_DB[:4])["zero_shot"]


def test_examples_come_from_another_split(model: Path, compounds: Path):
    with pytest.raises(UsageError, match="the split 'train' is reported: draw examples from another split"):
        evaluate_compound(model, compounds, "train", shots=[1])
    with pytest.raises(UsageError, match="9 shots of each class: the support split has only happily surprised 4"):
        evaluate_compound(model, compounds, shots=[9])


def test_a_dataset_without_compound_expressions_is_refused(model: Path, dataset: Path, tmp_path: Path):
    with pytest.raises(ModelMismatchError, match="split validation: found no row with one of the compound expressions"):
        evaluate_compound(model, dataset)
    with pytest.raises(NotADatasetError):
        evaluate_compound(model, tmp_path)
    with pytest.raises(UnknownNameError, match="test"):
        evaluate_compound(model, dataset, "test")


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    def run(*arguments: str | Path) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["affect-train", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        return (ended.value.code or 0, *capsys.readouterr())

    return run


def test_the_command_prints_a_table_with_chance_in_it(model: Path, compounds: Path, command):
    status, shown, _ = command("compound", model, compounds, "--bootstrap", 20, "--shots", 2, "--draws", 3)
    lines = shown.splitlines()
    assert status == 0
    assert lines[0] == (
        "validation: 24 rows of 11 compound expressions (left out: 13 with no compound expression, 13 with another compound expression)"
    )
    assert lines[2].startswith("zero-shot ")
    assert "[" in lines[2]
    assert lines[3].startswith("2 shots, 3 draws ")
    assert "±" in lines[3]
    assert lines[4].split()[:2] == ["chance", "0.091"]
    assert "a new last layer; nothing else of the model changes (on outputs)" in shown


def test_the_command_speaks_json_and_explains_mistakes(model: Path, compounds: Path, command):
    names = ("--name", "happily surprised", "--name", "sadly angry")
    status, shown, _ = command("compound", model, compounds, *names, "--json")
    assert status == 0
    assert json.loads(shown)["classes"] == ["happily surprised", "sadly angry"]
    status, shown, error = command("compound", model, compounds, "--name", "happily surprized")
    assert (status, shown) == (2, "")
    assert "unknown compound expression 'happily surprized'" in error
