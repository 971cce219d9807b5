"""Merging logits: means of probabilities and expectations, by name, and fitted weights."""

import math

import numpy as np
import pytest
import torch
from scipy.special import expit, softmax

from affect_train.errors import ModelMismatchError
from affect_train.labelling.averaging import equal_weights, fit_weights, merge, merged_tasks, predictions_of
from affect_train.losses import expectation
from affect_train.tasks import TaskSet


def test_expressions_are_averaged_in_probability_and_by_name() -> None:
    first = TaskSet(expressions=("neutral", "anger", "fear")), {"expression": torch.tensor([[2.0, 0.0, -1.0]])}
    second = TaskSet(expressions=("fear", "neutral", "anger")), {"expression": torch.tensor([[0.5, 1.0, 3.0]])}
    tasks = merged_tasks([("a", first[0]), ("b", second[0])])

    found = merge(tasks, [first, second], {"expression": (0.25, 0.75)})["expression"]

    expected = 0.25 * softmax([2.0, 0.0, -1.0]) + 0.75 * softmax([1.0, 3.0, 0.5])
    np.testing.assert_allclose(softmax(found.numpy(), axis=1)[0], expected, rtol=1e-6)


def test_the_expectation_of_the_result_is_the_mean_of_the_expectations() -> None:
    tasks = TaskSet(valence_arousal_bins=20)
    generator = torch.Generator().manual_seed(1)
    parts = [{axis: torch.randn(5, 20, generator=generator) * 3 for axis in ("valence", "arousal")} for _ in range(3)]

    found = merge(tasks, [(tasks, part) for part in parts])

    for axis in ("valence", "arousal"):
        each = [expectation(part[axis], tasks.bin_centres()) for part in parts]
        torch.testing.assert_close(
            expectation(found[axis], tasks.bin_centres()), torch.stack(each).mean(0), atol=1e-5, rtol=1e-5
        )


def test_an_action_unit_is_averaged_over_the_members_that_have_it() -> None:
    first = TaskSet(action_units=(1, 12)), {"au": torch.tensor([[2.0, -1.0]])}
    second = TaskSet(action_units=(25, 1)), {"au": torch.tensor([[0.3, -4.0]])}
    tasks = merged_tasks([("a", first[0]), ("b", second[0])])
    assert tasks.action_units == (1, 12, 25)

    found = merge(tasks, [first, second], {"au": (0.2, 0.8)})["au"]

    expected = [0.2 * expit(2.0) + 0.8 * expit(-4.0), expit(-1.0), expit(0.3)]
    np.testing.assert_allclose(expit(found.numpy())[0], expected, rtol=1e-6)


def test_certain_teachers_give_finite_logits() -> None:
    tasks = TaskSet(action_units=(1,), expressions=("neutral", "anger"))
    logits = {"au": torch.tensor([[60.0], [-60.0]]), "expression": torch.tensor([[80.0, -80.0], [-80.0, 80.0]])}

    found = merge(tasks, [(tasks, logits), (tasks, logits)])

    assert all(bool(values.half().isfinite().all()) for values in found.values())
    assert found["au"].flatten().tolist() == pytest.approx([60, -60])


def test_a_member_with_all_the_weight_elsewhere_still_counts_where_it_is_alone() -> None:
    first = TaskSet(action_units=(1,)), {"au": torch.tensor([[2.0]])}
    second = TaskSet(action_units=(12,)), {"au": torch.tensor([[-3.0]])}

    found = merge(TaskSet(action_units=(1, 12)), [first, second], {"au": (1.0, 0.0)})["au"]

    assert found[0].tolist() == pytest.approx([2.0, -3.0])


def test_members_of_other_classes_are_averaged_over_those_that_they_share() -> None:
    first = TaskSet(expressions=("neutral", "anger", "fear")), {"expression": torch.tensor([[2.0, 0.0, -1.0]])}
    second = (
        TaskSet(expressions=("contempt", "fear", "neutral", "sadness")),
        {"expression": torch.tensor([[5.0, 0.5, 1.0, 3.0]])},
    )
    tasks = merged_tasks([("a", first[0]), ("b", second[0])])
    assert tasks.expressions == ("neutral", "fear")

    found = merge(tasks, [first, second], {"expression": (0.25, 0.75)})["expression"]

    # each member renormalised over neutral and fear: e^2 / (e^2 + e^-1) and e^1 / (e^1 + e^0.5)
    neutral = 0.25 / (1 + math.exp(-3)) + 0.75 / (1 + math.exp(-0.5))
    np.testing.assert_allclose(softmax(found.numpy(), axis=1)[0], [neutral, 1 - neutral], rtol=1e-6)


def test_classes_without_two_in_common_and_other_bins_are_refused_with_both() -> None:
    seven, eight = TaskSet(expressions=("neutral", "anger")), TaskSet(expressions=("neutral", "fear"))
    with pytest.raises(
        ModelMismatchError,
        match=r"'b' beside 'a', expression classes: found neutral, fear; expected two classes at least of .*: neutral, anger;",
    ):
        merged_tasks([("a", seven), ("b", eight)])
    with pytest.raises(ModelMismatchError, match=r"'b' beside 'a', valence and arousal bins: found 10; expected 20"):
        merged_tasks([("a", TaskSet(valence_arousal_bins=20)), ("b", TaskSet(valence_arousal_bins=10))])


def test_fitting_finds_the_member_that_knows_and_ignores_the_one_that_guesses() -> None:
    rng = np.random.default_rng(0)
    tasks = TaskSet(expressions=("neutral", "anger", "fear"))
    truth = rng.integers(0, 3, 200)
    good = torch.from_numpy(np.eye(3)[truth] * 2 + rng.normal(size=(200, 3)) * 0.3).float()
    bad = torch.from_numpy(rng.normal(size=(200, 3)) * 6).float()
    labels = {"expression": truth, "expression_mask": np.ones(200, bool)}

    fitted = fit_weights(tasks, [(tasks, {"expression": bad}), (tasks, {"expression": good})], labels)["expression"]

    assert sum(fitted) == pytest.approx(1)
    assert fitted[1] > 0.8
    merged = merge(tasks, [(tasks, {"expression": bad}), (tasks, {"expression": good})], {"expression": fitted})
    assert (predictions_of(tasks, merged)["expression"].argmax(1) == truth).mean() > 0.98


def test_without_labels_weights_stay_equal() -> None:
    tasks = TaskSet(valence_arousal_bins=4)
    logits = {axis: torch.zeros(3, 4) for axis in ("valence", "arousal")}
    labels = {"valence": np.zeros(3), "arousal": np.zeros(3), "va_mask": np.zeros(3, bool)}
    assert fit_weights(tasks, [(tasks, logits)] * 2, labels) == {"va": (0.5, 0.5)} == equal_weights(tasks, 2)


def test_predictions_are_probabilities_and_the_bins_expectation() -> None:
    tasks = TaskSet(action_units=(1,), valence_arousal_bins=2)
    logits = {"au": torch.tensor([[0.0]]), "valence": torch.tensor([[0.0, math.log(3)]]), "arousal": torch.zeros(1, 2)}
    found = predictions_of(tasks, logits)
    assert found["au"].tolist() == [[0.5]]
    assert found["valence"].tolist() == pytest.approx([0.25])  # (-0.5 * 1 + 0.5 * 3) / 4
    assert found["arousal"].tolist() == pytest.approx([0.0], abs=1e-7)
