"""Two models on the same rows, against differences worked out another way."""

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from affect_train.evaluation.differences import LEAST_PEOPLE, Group, Pair, differences
from affect_train.evaluation.intervals import Clusters
from affect_train.tasks import TaskSet

TASKS = TaskSet((1,), ("neutral", "anger"), 0)
PEOPLE, EACH = 40, 6


def pair(strengths: tuple[float, float], people: int = PEOPLE, seed: int = 0) -> Pair:
    """Two models that see an action unit and an expression this well, on some rows of each of several people."""
    rng = np.random.default_rng(seed)
    rows = people * EACH
    present, angry = rng.random((2, rows)) < 0.5
    labels = {
        "au": present[:, None].astype(float),
        "au_mask": np.ones((rows, 1), bool),
        "expression": angry.astype(int),
        "expression_mask": np.ones(rows, bool),
    }
    predictions = []
    for strength in strengths:
        seen = 1 / (1 + np.exp(-(strength * (present - 0.5) + rng.normal(size=rows))))
        felt = 1 / (1 + np.exp(-(strength * (angry - 0.5) + rng.normal(size=rows))))
        predictions.append({"au": seen[:, None], "expression": np.stack([1 - felt, felt], axis=1)})
    subjects = np.repeat(np.arange(people), EACH)
    clusters = Clusters.of(np.zeros(rows, int), subjects, np.full(rows, -1))
    return Pair((predictions[0], predictions[1]), labels, TASKS, ([0.5], [0.5]), clusters)


def everything(compared: Pair) -> list[Group]:
    return [Group("all", np.arange(len(compared.labels["expression"])), ("au", "expression"))]


def test_a_difference_of_means_has_the_interval_and_the_p_value_of_a_paired_t_test_over_people() -> None:
    compared = pair((2.0, 0.5))

    found = {line.metric: line for line in differences(compared, everything(compared), resamples=4000)[0]}

    line, truth = found["expression.accuracy"], compared.labels["expression"]
    right = [one["expression"].argmax(axis=1) == truth for one in compared.predictions]
    # all people have as many rows, so that the accuracy is a mean over people
    apart = (right[0].astype(float) - right[1]).reshape(PEOPLE, EACH).mean(axis=1)
    expected = stats.ttest_1samp(apart, 0)
    assert line.difference == pytest.approx(apart.mean())
    assert line.interval == pytest.approx(tuple(expected.confidence_interval(0.95)), abs=0.006)
    assert line.p == pytest.approx(expected.pvalue, abs=1e-3)
    assert (line.people, line.verdict) == (PEOPLE, "first")
    area = found["au.by_action_unit.1.auroc"]
    scores = [roc_auc_score(compared.labels["au"][:, 0], one["au"][:, 0]) for one in compared.predictions]
    assert (area.first, area.second) == pytest.approx(tuple(scores))


def test_the_rates_of_false_discoveries_are_those_of_scipy_over_the_whole_table() -> None:
    compared = pair((1.0, 0.6), seed=2)

    found, _ = differences(compared, everything(compared), resamples=300)

    assert [line.q for line in found] == pytest.approx(list(stats.false_discovery_control([line.p for line in found])))
    assert {line.verdict for line in found} <= {"first", "second", "not shown"}
    assert all((line.verdict == "not shown") == (line.q > 0.05) for line in found)


def test_a_model_does_not_differ_from_itself() -> None:
    compared = pair((1.0, 1.0))
    same = Pair((compared.predictions[0],) * 2, compared.labels, TASKS, ([0.5], [0.5]), compared.clusters)

    found, _ = differences(same, everything(same), resamples=100)

    assert {(line.difference, line.interval, line.p, line.verdict) for line in found} == {
        (0.0, (0.0, 0.0), 1.0, "not shown")
    }


def test_two_models_that_are_equally_good_are_seldom_said_to_differ() -> None:
    tables = [pair((0.8, 0.8), people=20, seed=seed) for seed in range(40)]

    found = [line for table in tables for line in differences(table, everything(table), resamples=200)[0]]

    assert np.mean([line.verdict != "not shown" for line in found]) <= 0.025
    assert np.mean([line.interval[0] <= 0 <= line.interval[1] for line in found]) == pytest.approx(0.95, abs=0.04)


def test_what_cannot_be_compared_says_why() -> None:
    compared = pair((1.0, 0.5))
    compared.labels["au"][:] = 1
    few = Group("few", np.arange(3 * EACH), ("expression",))

    found, left_out = differences(compared, [*everything(compared), few], resamples=100)

    assert left_out["all: au.mean_auroc"] == "not defined: there is no label, or all labels are the same"
    assert left_out["few: expression.accuracy"] == (
        f"it depends on 3 people, fewer than {LEAST_PEOPLE}, from whom little follows about others"
    )
    assert {line.group for line in found} == {"all"}
