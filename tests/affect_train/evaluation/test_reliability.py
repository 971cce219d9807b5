import json

import numpy as np
import pytest
import torch
from torchmetrics.functional.classification import binary_calibration_error, multiclass_calibration_error

from affect_train.evaluation.reliability import reliability, reliability_curve
from affect_train.tasks import TaskSet

TASKS = TaskSet((1, 2, 12), ("neutral", "anger", "happiness"), 20)


@pytest.fixture
def sample():
    generator = np.random.default_rng(5)
    n = 400
    logits = generator.normal(0, 2, (n, 3))
    expression = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    predictions = {"au": generator.random((n, 3)).astype(np.float32), "expression": expression.astype(np.float32)}
    labels = {
        "au": (generator.random((n, 3)) < 0.8 * predictions["au"]).astype(np.float32),
        "au_mask": generator.random((n, 3)) < 0.7,
        "expression": generator.integers(0, 3, n),
        "expression_mask": generator.random(n) < 0.6,
    }
    return predictions, labels


def test_the_error_of_expressions_agrees_with_torchmetrics_on_the_labelled_rows(sample):
    predictions, labels = sample
    valid = labels["expression_mask"]

    found = reliability(predictions, labels, TASKS)["expression"]

    probabilities, truth = (torch.from_numpy(x[valid]) for x in (predictions["expression"], labels["expression"]))
    expected = multiclass_calibration_error(probabilities, truth, num_classes=3, n_bins=15, norm="l1")
    assert found["ece"] == pytest.approx(float(expected), abs=1e-6)
    assert found["ece"] > 0.1
    assert found["labels"] == valid.sum() == sum(found["count"])


def test_the_error_of_each_action_unit_agrees_with_torchmetrics_on_its_labels(sample):
    predictions, labels = sample

    found = reliability(predictions, labels, TASKS)["au"]

    expected = []
    for column, number in enumerate((1, 2, 12)):
        valid = labels["au_mask"][:, column]
        probabilities, truth = (torch.from_numpy(x[valid, column]) for x in (predictions["au"], labels["au"]))
        expected.append(float(binary_calibration_error(probabilities, truth.int(), n_bins=15, norm="l1")))
        assert found["by_action_unit"][str(number)]["ece"] == pytest.approx(expected[-1], abs=1e-6)
        assert found["by_action_unit"][str(number)]["labels"] == valid.sum()
    assert found["mean_ece"] == pytest.approx(np.mean(expected), abs=1e-6)


def test_the_bins_are_those_that_a_hand_would_fill():
    happened = np.array([False, True, True, True, False])

    found = reliability_curve(np.array([0.1, 0.2, 0.5, 1.0, 1.0]), happened, bins=2)

    # [0, 0.5): 0.1 and 0.2, one happened; [0.5, 1]: 0.5, 1 and 1, two happened
    assert found["count"] == [2, 3]
    assert found["probability"] == pytest.approx([0.15, 2.5 / 3])
    assert found["frequency"] == pytest.approx([0.5, 2 / 3])
    assert found["ece"] == pytest.approx(2 / 5 * 0.35 + 3 / 5 * (0.5 / 3))


def test_probabilities_that_are_right_have_no_error():
    probabilities = np.repeat([0.25, 0.75], 4)
    happened = np.array([1, 0, 0, 0, 1, 1, 1, 0], bool)

    assert reliability_curve(probabilities, happened)["ece"] == 0.0


def test_labels_that_are_missing_do_not_count(sample):
    predictions, labels = sample
    hidden = {name: values.copy() for name, values in labels.items()}
    hidden["au"][~labels["au_mask"]] = np.nan
    hidden["expression"][~labels["expression_mask"]] = -1

    assert reliability(predictions, hidden, TASKS) == reliability(predictions, labels, TASKS)


def test_without_labels_there_is_no_error_and_the_document_is_json(sample):
    predictions, labels = sample
    none = {**labels, "au_mask": np.zeros((400, 3), bool), "expression_mask": np.zeros(400, bool)}

    found = json.loads(json.dumps(reliability(predictions, none, TASKS), allow_nan=False))

    assert found["expression"]["ece"] is None
    assert found["au"]["mean_ece"] is None
    assert found["expression"]["frequency"] == [None] * 15


def test_only_the_tasks_of_the_model_are_there(sample):
    predictions, labels = sample

    assert set(reliability(predictions, labels, TaskSet((), ("neutral", "anger", "happiness"), 0))) == {
        "bins",
        "expression",
    }
