import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from affect_train.evaluation.ranking import Ranking, auroc


def test_the_rank_statistic_is_the_area_that_scikit_learn_gives_with_and_without_ties() -> None:
    rng = np.random.default_rng(0)
    for size in (2, 3, 50, 400):
        for scores in (rng.normal(size=size), rng.integers(0, 4, size) / 4, np.zeros(size)):
            positive = rng.random(size) < 0.4
            positive[:2] = True, False
            assert auroc(scores, positive) == pytest.approx(roc_auc_score(positive, scores), abs=1e-12)


def test_perfect_and_reversed_orders_have_area_one_and_zero_and_one_kind_alone_has_none() -> None:
    assert auroc(np.array([0.1, 0.2, 0.9]), np.array([False, False, True])) == 1.0
    assert auroc(np.array([0.9, 0.8, 0.1]), np.array([False, False, True])) == 0.0
    assert auroc(np.array([0.9, 0.8]), np.array([True, True])) is None
    assert auroc(np.array([]), np.array([], dtype=bool)) is None


def test_average_precision_is_that_of_scikit_learn_with_and_without_ties() -> None:
    rng = np.random.default_rng(1)
    for size in (2, 3, 50, 400):
        for scores in (rng.normal(size=size), rng.integers(0, 4, size) / 4, np.zeros(size)):
            present = rng.random(size) < 0.3
            present[:2] = True, False
            (found,), _ = Ranking.of(scores, present).scores(np.ones((1, size)))
            assert found == pytest.approx(average_precision_score(present, scores), abs=1e-12)


def test_rows_that_count_several_times_weigh_as_much_in_both_as_scikit_learn_says() -> None:
    rng = np.random.default_rng(2)
    scores, present = rng.integers(0, 20, 80) / 20, rng.random(80) < 0.4
    times = rng.integers(0, 4, (6, 80)).astype(float)
    averages, areas = Ranking.of(scores, present).scores(times)
    for count, average, area in zip(times, averages, areas, strict=True):
        assert average == pytest.approx(average_precision_score(present, scores, sample_weight=count), abs=1e-12)
        assert area == pytest.approx(roc_auc_score(present, scores, sample_weight=count), abs=1e-12)


def test_a_resample_of_one_kind_alone_has_neither() -> None:
    ranking = Ranking.of(np.array([0.2, 0.8]), np.array([True, False]))
    averages, areas = ranking.scores(np.array([[1.0, 0.0], [0.0, 2.0], [1.0, 1.0]]))
    assert np.isnan(averages).tolist() == np.isnan(areas).tolist() == [True, True, False]
    # the present row comes last of two
    assert (averages[2], areas[2]) == (0.5, 0.0)
