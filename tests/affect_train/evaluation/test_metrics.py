import json
import math

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, average_precision_score, f1_score, roc_auc_score
from torchmetrics.functional.regression import concordance_corrcoef

from affect_train.evaluation.metrics import (
    best_thresholds,
    concordance_correlation,
    evaluate_predictions,
    f1,
    track_concordances,
)
from affect_train.tasks import TaskSet

TASKS = TaskSet((1, 2, 12), ("neutral", "anger", "happiness"), 20)


@pytest.fixture
def sample():
    generator = np.random.default_rng(11)
    n = 300
    au = (generator.random((n, 3)) < (0.5, 0.1, 0.3)).astype(np.float32)
    expression = generator.integers(0, 3, n)
    valence, arousal = generator.uniform(-1, 1, (2, n))
    labels = {
        "au": au,
        "au_mask": generator.random((n, 3)) < 0.6,
        "expression": expression,
        "expression_mask": generator.random(n) < 0.5,
        "valence": valence,
        "arousal": arousal,
        "va_mask": generator.random(n) < 0.4,
    }
    scores = generator.random((n, 3))
    predictions = {
        "au": np.clip(0.6 * au + 0.5 * generator.random((n, 3)), 0, 1),
        "expression": scores + np.eye(3)[expression] * 0.3,
        "valence": 0.5 * valence + generator.normal(0, 0.3, n),
        "arousal": 0.2 * arousal,
    }
    return predictions, labels


def test_f1_of_action_units_agrees_with_scikit_learn_on_the_labelled_entries(sample):
    predictions, labels = sample
    thresholds = (0.5, 0.3, 0.7)

    report = evaluate_predictions(predictions, labels, TASKS, thresholds)["au"]

    expected, right, total = [], 0, 0
    for column, number in enumerate((1, 2, 12)):
        valid = labels["au_mask"][:, column]
        truth, found = labels["au"][valid, column], predictions["au"][valid, column] >= thresholds[column]
        expected.append(f1_score(truth, found))
        right, total = right + (truth == found).sum(), total + valid.sum()
        assert report["by_action_unit"][str(number)]["f1"] == pytest.approx(expected[-1])
        assert report["by_action_unit"][str(number)]["labels"] == valid.sum()
        assert report["by_action_unit"][str(number)]["present"] == truth.sum()
    assert report["mean_f1"] == pytest.approx(np.mean(expected))
    assert report["accuracy"] == pytest.approx(right / total)
    assert report["labels"] == labels["au_mask"].sum()


def test_expression_scores_agree_with_scikit_learn(sample):
    predictions, labels = sample
    valid = labels["expression_mask"]
    truth, found = labels["expression"][valid], predictions["expression"].argmax(1)[valid]

    report = evaluate_predictions(predictions, labels, TASKS)["expression"]

    assert report["macro_f1"] == pytest.approx(f1_score(truth, found, average="macro"))
    assert report["accuracy"] == pytest.approx(accuracy_score(truth, found))
    assert report["labels"] == valid.sum()
    assert [one["labels"] for one in report["by_class"].values()] == np.bincount(truth).tolist()


def test_concordance_uses_population_variances():
    # covariance 4/3, variances 2/3 and 8/3, means 2 and 4
    assert concordance_correlation(np.array([1, 2, 3]), np.array([2, 4, 6])) == pytest.approx((8 / 3) / (10 / 3 + 4))


def test_concordance_comes_near_torchmetrics_on_many_rows():
    generator = np.random.default_rng(0)
    y = generator.uniform(-1, 1, 20_000)
    x = 0.5 * y + generator.normal(0, 0.2, 20_000)

    found = concordance_correlation(x, y)

    assert found == pytest.approx(concordance_corrcoef(torch.from_numpy(x), torch.from_numpy(y)).item(), abs=1e-4)


def test_concordance_of_a_perfect_a_reversed_and_a_constant_prediction():
    y = np.linspace(-1, 1, 9)

    assert concordance_correlation(y, y) == pytest.approx(1)
    assert concordance_correlation(-y, y) == pytest.approx(-1)
    assert concordance_correlation(np.zeros(9), y) == 0
    assert math.isnan(concordance_correlation(np.ones(1), np.ones(1)))
    assert math.isnan(concordance_correlation(np.ones(5), np.ones(5)))


def test_masked_rows_do_not_count(sample):
    predictions, labels = sample
    hidden = {
        **labels,
        "au": labels["au"].copy(),
        "valence": labels["valence"].copy(),
        "expression": labels["expression"].copy(),
    }
    hidden["au"][~labels["au_mask"]] = np.nan
    hidden["valence"][~labels["va_mask"]] = np.nan
    hidden["expression"][~labels["expression_mask"]] = -1

    assert evaluate_predictions(predictions, hidden, TASKS) == evaluate_predictions(predictions, labels, TASKS)


def test_abaw_scores_are_the_published_mixtures(sample):
    report = evaluate_predictions(*sample, TASKS)

    au, expression, va = report["au"], report["expression"], report["va"]
    assert report["abaw"] == pytest.approx(
        {
            "au_2020": 0.5 * au["mean_f1"] + 0.5 * au["accuracy"],
            "au_2022": au["mean_f1"],
            "expression_2020": 0.67 * expression["macro_f1"] + 0.33 * expression["accuracy"],
            "expression_2022": expression["macro_f1"],
            "va": (va["valence_ccc"] + va["arousal_ccc"]) / 2,
            "multi_task": au["mean_f1"] + expression["macro_f1"] + va["mean_ccc"],
        }
    )
    assert report["score"] == pytest.approx((au["mean_f1"] + expression["macro_f1"] + va["mean_ccc"]) / 3)


@pytest.mark.parametrize("absent", ["skip", "zero"])
def test_abaw_counts_zero_for_what_is_neither_present_nor_predicted_as_scikit_learn_does(sample, absent):
    predictions, labels = sample
    labels["au"][:, 1], predictions["au"][:, 1] = 0, 0.1
    shown = labels["expression"] != 2
    labels["expression_mask"] &= shown
    predictions["expression"][:, 2] = -1
    valid = labels["expression_mask"]

    report = evaluate_predictions(predictions, labels, TASKS, absent=absent)

    scores = [
        f1_score(labels["au"][mask, i], predictions["au"][mask, i] >= 0.5, zero_division=0)
        for i, mask in enumerate(labels["au_mask"].T)
    ]
    truth, found = labels["expression"][valid], predictions["expression"][valid].argmax(1)
    macro = f1_score(truth, found, labels=[0, 1, 2], average="macro", zero_division=0)
    assert report["abaw"]["au_2022"] == pytest.approx(np.mean(scores))
    assert report["abaw"]["expression_2022"] == pytest.approx(macro)
    assert report["absent"] == absent
    own = (report["au"]["mean_f1"], report["expression"]["macro_f1"])
    zero, skip = (np.mean(scores), macro), (np.mean(scores) * 3 / 2, macro * 3 / 2)
    assert own == pytest.approx(zero if absent == "zero" else skip)


def test_an_action_unit_without_a_label_is_left_out_even_where_absent_ones_count(sample):
    predictions, labels = sample
    labels["au_mask"][:, 1] = False

    report = evaluate_predictions(predictions, labels, TASKS, absent="zero")

    kept = [report["au"]["by_action_unit"][number]["f1"] for number in ("1", "12")]
    assert report["au"]["mean_f1"] == report["abaw"]["au_2022"] == pytest.approx(np.mean(kept))


def test_average_precision_and_auroc_agree_with_scikit_learn_on_the_labelled_entries(sample):
    predictions, labels = sample
    labels["au"][:, 2] = 1

    report = evaluate_predictions(predictions, labels, TASKS, (0.1, 0.2, 0.3))["au"]

    areas, averages = [], []
    for column in (0, 1):
        valid = labels["au_mask"][:, column]
        truth, scores = labels["au"][valid, column], predictions["au"][valid, column]
        areas.append(roc_auc_score(truth, scores))
        averages.append(average_precision_score(truth, scores))
    units = report["by_action_unit"]
    assert [units[number]["auroc"] for number in ("1", "2")] == pytest.approx(areas)
    assert [units[number]["average_precision"] for number in ("1", "2")] == pytest.approx(averages)
    assert (units["12"]["auroc"], units["12"]["average_precision"]) == (None, None)
    assert report["mean_auroc"] == pytest.approx(np.mean(areas))
    assert report["mean_average_precision"] == pytest.approx(np.mean(averages))


def test_what_is_not_defined_is_none_and_the_report_is_json(sample):
    predictions, labels = sample
    labels = {**labels, "va_mask": np.zeros(300, bool), "au_mask": labels["au_mask"] & (np.arange(3) != 1)}

    report = json.loads(json.dumps(evaluate_predictions(predictions, labels, TASKS), allow_nan=False))

    assert report["va"] == {"valence_ccc": None, "arousal_ccc": None, "mean_ccc": None, "labels": 0}
    assert report["au"]["by_action_unit"]["2"]["f1"] is None
    assert report["au"]["mean_f1"] is not None
    assert report["abaw"]["multi_task"] is None
    assert report["score"] == pytest.approx((report["au"]["mean_f1"] + report["expression"]["macro_f1"]) / 2)


def test_only_the_tasks_of_the_model_are_reported(sample):
    predictions, labels = sample

    report = evaluate_predictions(
        {"valence": predictions["valence"], "arousal": predictions["arousal"]}, labels, TaskSet(valence_arousal_bins=4)
    )

    assert set(report) == {"va", "score", "abaw", "absent"}


def test_f1_is_undefined_only_where_the_class_is_neither_present_nor_predicted():
    none, some = np.zeros(3, bool), np.array([True, False, False])

    assert math.isnan(f1(none, none))
    assert f1(some, none) == 0
    assert f1(none, some) == 0
    assert f1(some, some) == 1


def test_the_best_threshold_beats_every_other(sample):
    predictions, labels = sample
    found = best_thresholds(predictions["au"], labels["au"], labels["au_mask"])

    for column in range(3):
        valid = labels["au_mask"][:, column]
        truth, probabilities = labels["au"][valid, column], predictions["au"][valid, column]
        best = max(f1_score(truth, probabilities >= limit) for limit in np.linspace(0.01, 0.99, 197))
        assert f1_score(truth, probabilities >= found[column]) >= best


def test_a_hand_made_threshold_lies_between_the_classes():
    probabilities = np.array([[0.1], [0.2], [0.3], [0.4]])
    labels = np.array([[0], [0], [1], [1]])

    assert best_thresholds(probabilities, labels, np.ones((4, 1), bool)) == pytest.approx([0.25])


def test_the_default_threshold_stands_where_it_is_as_good_or_nothing_is_known():
    probabilities = np.array([[0.1, 0.9], [0.9, 0.8]])
    labels = np.array([[0, 0], [1, 0]])
    mask = np.array([[True, True], [True, True]])

    assert best_thresholds(probabilities, labels, mask).tolist() == [0.5, 0.5]
    assert best_thresholds(probabilities, labels, np.zeros((2, 2), bool)).tolist() == [0.5, 0.5]


def test_concordance_within_tracks_agrees_with_each_track_by_itself(sample):
    predictions, labels = sample
    index = np.random.default_rng(2).permutation(np.repeat(np.arange(20), 15))

    found = track_concordances(predictions["valence"], labels["valence"], index)

    for track, score in enumerate(found):
        own = index == track
        x, y = (torch.tensor(values["valence"][own]) for values in (predictions, labels))
        expected = concordance_correlation(predictions["valence"][own], labels["valence"][own])
        assert score == pytest.approx(expected)
        # torchmetrics divides variances by n - 1: it agrees where n is corrected for
        assert score == pytest.approx(float(concordance_corrcoef(x, y)), abs=0.02)


def test_concordance_per_video_leaves_out_videos_that_cannot_have_one():
    tasks = TaskSet((), (), 5)
    labels = {
        "valence": np.array([0.1, 0.5, 0.9, 0.3, 0.3, 0.7, -0.9, 0.4]),
        "arousal": np.array([0.0, 0.0, 0.0, 0.1, 0.2, 0.7, -0.9, 0.4]),
        "va_mask": np.array([True, True, True, True, True, True, False, True]),
    }
    predictions = {"valence": labels["valence"].copy(), "arousal": labels["arousal"] + 0.2}
    predictions["valence"][:3] = (0.9, 0.5, 0.1)
    # videos: three rows, two rows (constant valence), one labelled row; the last row is of no video
    tracks = np.array([4, 4, 4, 9, 9, 7, 7, -1])

    report = evaluate_predictions(predictions, labels, tasks, tracks=tracks)["va"]["per_track"]

    # the mirrored video has concordance -1; arousal only varies in the second: 2 * 0.0025 / (0.0025 * 2 + 0.2 ** 2)
    assert report["valence_ccc"] == pytest.approx(-1.0)
    assert report["arousal_ccc"] == pytest.approx(0.005 / 0.045)
    assert report["mean_ccc"] == pytest.approx((-1 + 1 / 9) / 2)
    assert (report["valence_tracks"], report["arousal_tracks"]) == (1, 1)


def test_tuned_thresholds_stand_beside_one_half(sample):
    predictions, labels = sample

    assert "at_half" not in evaluate_predictions(predictions, labels, TASKS)["au"]
    tuned = evaluate_predictions(predictions, labels, TASKS, (0.5, 0.3, 0.7))["au"]
    half = evaluate_predictions(predictions, labels, TASKS)["au"]

    assert tuned["at_half"] == half
    assert tuned["mean_f1"] != half["mean_f1"]
