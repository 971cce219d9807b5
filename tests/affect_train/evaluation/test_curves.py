"""What drawings of an evaluation are made of, against scikit-learn and numpy."""

import json

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, precision_recall_curve

from affect_train.evaluation.curves import BINS, POINTS, curves, precision_recall
from affect_train.tasks import TaskSet

TASKS = TaskSet((1, 12), ("neutral", "anger", "happiness"), 20)
ROWS = 300


def drawn(seed: int = 0) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    rng = np.random.default_rng(seed)
    expression = rng.integers(0, 3, ROWS)
    predictions = {
        "au": rng.random((ROWS, 2)).round(2),
        "expression": rng.dirichlet(np.ones(3), ROWS),
        "valence": rng.uniform(-1, 1, ROWS),
        "arousal": rng.uniform(-1, 1, ROWS),
    }
    labels = {
        "au": rng.integers(0, 2, (ROWS, 2)),
        "au_mask": rng.random((ROWS, 2)) < 0.7,
        "expression": np.where(rng.random(ROWS) < 0.8, expression, -1),
        "valence": rng.uniform(-1, 1, ROWS),
        "arousal": rng.uniform(-1, 1, ROWS),
        "va_mask": rng.random(ROWS) < 0.5,
    }
    return predictions, {**labels, "expression_mask": labels["expression"] >= 0}


def test_points_of_a_curve_are_precisions_and_recalls_that_scikit_learn_finds() -> None:
    predictions, labels = drawn()
    valid = labels["au_mask"][:, 1]
    truth, scores = labels["au"][valid, 1], predictions["au"][valid, 1]
    found = curves(predictions, labels, TASKS)["au"]["12"]
    precision, recall, _ = precision_recall_curve(truth, scores)
    known = {(round(r, 4), round(p, 4)) for r, p in zip(recall, precision, strict=True)}
    assert set(zip(found["recall"], found["precision"], strict=True)) <= known
    assert found["recall"] == sorted(set(found["recall"]))
    assert found["recall"][-1] == 1.0
    assert 10 < len(found["recall"]) <= POINTS
    assert found["rate"] == pytest.approx(truth.mean())


def test_a_class_that_is_never_or_always_present_has_no_curve() -> None:
    scores = np.linspace(0, 1, 5)
    assert precision_recall(scores, np.zeros(5, bool)) == {"rate": 0.0, "recall": [], "precision": []}
    assert precision_recall(scores, np.ones(5, bool)) == {"rate": 1.0, "recall": [], "precision": []}
    assert precision_recall(scores[:0], np.zeros(0, bool))["rate"] is None


def test_the_confusion_is_that_of_scikit_learn_over_labelled_rows() -> None:
    predictions, labels = drawn(1)
    valid = labels["expression_mask"]
    expected = confusion_matrix(
        labels["expression"][valid], predictions["expression"][valid].argmax(axis=1), labels=[0, 1, 2]
    )
    assert curves(predictions, labels, TASKS)["expression"]["confusion"] == expected.tolist()


def test_planes_are_histograms_of_labelled_rows_with_the_ends_inside() -> None:
    predictions, labels = drawn(2)
    labels["valence"][:2], labels["va_mask"][:2] = [-1.0, 1.0], True
    valid, edges = labels["va_mask"], np.linspace(-1, 1, BINS + 1)
    found = curves(predictions, labels, TASKS)["va"]
    pairs = {
        "valence": (labels["valence"], predictions["valence"]),
        "labelled": (labels["valence"], labels["arousal"]),
        "predicted": (predictions["valence"], predictions["arousal"]),
    }
    for name, (across, up) in pairs.items():
        assert found[name] == np.histogram2d(across[valid], up[valid], [edges, edges])[0].tolist()


def test_tasks_that_a_model_lacks_are_absent_and_all_is_json() -> None:
    predictions, labels = drawn()
    found = curves(predictions, labels, TaskSet((), TASKS.expressions, 0))
    assert list(json.loads(json.dumps(found, allow_nan=False))) == ["expression"]
