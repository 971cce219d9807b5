import numpy as np
import pytest
from scipy.stats import bootstrap
from sklearn.metrics import accuracy_score, average_precision_score, f1_score, roc_auc_score

from affect_train.evaluation.intervals import (
    Clusters,
    confidence_intervals,
    draws,
    metrics_of,
    resampled_metrics,
    row_sums,
)
from affect_train.evaluation.metrics import concordance_correlation, evaluate_predictions
from affect_train.tasks import TaskSet

TASKS = TaskSet((1, 2, 12), ("neutral", "anger", "happiness"), 20)
HALF = np.full(3, 0.5)


@pytest.fixture
def sample():
    """300 rows of 30 people in 2 databases, with labels missing here and there."""
    rng = np.random.default_rng(5)
    n = 300
    au, expression = (rng.random((n, 3)) < (0.5, 0.1, 0.3)).astype(np.float32), rng.integers(0, 3, n)
    valence, arousal = rng.uniform(-1, 1, (2, n)).astype(np.float32)
    labels = {
        "au": au,
        "au_mask": rng.random((n, 3)) < 0.6,
        "expression": expression,
        "expression_mask": rng.random(n) < 0.5,
        "valence": valence,
        "arousal": arousal,
        "va_mask": rng.random(n) < 0.4,
    }
    predictions = {
        "au": np.clip(0.4 * au + 0.6 * rng.random((n, 3)), 0, 1).astype(np.float32),
        "expression": rng.random((n, 3)) + np.eye(3)[expression] * 0.3,
        "valence": 0.5 * valence + rng.normal(0, 0.3, n),
        "arousal": 0.2 * arousal,
    }
    return predictions, labels


def alone(n):
    return Clusters.of(np.zeros(n, int), np.full(n, -1), np.full(n, -1))


def test_rows_of_a_subject_belong_together_else_of_a_track_else_each_is_alone():
    databases = np.array([0, 0, 0, 1, 1, 1, 1, 1])
    subjects = np.array([3, 3, -1, 3, -1, -1, -1, -1])
    tracks = np.array([0, 1, 5, 0, 5, 5, -1, -1])

    clusters = Clusters.of(databases, subjects, tracks)

    # the same subject or track number in another database is someone else
    together = [[int(clusters.index[a] == clusters.index[b]) for b in range(8)] for a in range(8)]
    pairs = {(a, b) for a in range(8) for b in range(a) if together[a][b]}
    assert pairs == {(1, 0), (5, 4)}
    assert clusters.count == 6
    assert clusters.kinds == {"subject": 2, "track": 2, "row": 2}
    part = clusters.rows(np.array([0, 1, 4, 7]))
    assert (part.count, part.kinds) == (3, {"subject": 1, "track": 1, "row": 1})
    assert part.index[0] == part.index[1] != part.index[2]


def test_sums_over_all_rows_give_the_metrics_of_the_evaluation(sample):
    predictions, labels = sample
    sums = {name: rows.sum(axis=0, keepdims=True) for name, rows in row_sums(predictions, labels, TASKS, HALF).items()}

    found = {name: float(values[0]) for name, values in metrics_of(sums, TASKS).items()}

    report = evaluate_predictions(predictions, labels, TASKS)
    expected = {"score": report["score"]}
    for name in found.keys() - {"score"}:
        value = report
        for key in name.split("."):
            value = value[key]
        expected[name] = value
    assert found == pytest.approx(expected, rel=1e-9)
    assert len(found) == 1 + (2 + 3) + (2 + 3) + 3


def test_a_resample_counts_its_rows_as_often_as_it_drew_them(sample):
    predictions, labels = sample
    drawn = np.random.default_rng(1).integers(0, 300, 300)
    times = np.bincount(drawn, minlength=300)[None].astype(float)
    sums = {name: times @ rows for name, rows in row_sums(predictions, labels, TASKS, HALF).items()}

    found = metrics_of(sums, TASKS)

    valid = labels["au_mask"][drawn, 1]
    truth, hits = labels["au"][drawn, 1][valid], predictions["au"][drawn, 1][valid] >= 0.5
    assert found["au.by_action_unit.2.f1"][0] == pytest.approx(f1_score(truth, hits))
    valid = labels["expression_mask"][drawn]
    truth, classes = labels["expression"][drawn][valid], predictions["expression"][drawn].argmax(1)[valid]
    assert found["expression.macro_f1"][0] == pytest.approx(f1_score(truth, classes, average="macro"))
    assert found["expression.accuracy"][0] == pytest.approx(accuracy_score(truth, classes))
    valid = labels["va_mask"][drawn]
    expected = concordance_correlation(predictions["valence"][drawn][valid], labels["valence"][drawn][valid])
    assert found["va.valence_ccc"][0] == pytest.approx(expected)


def test_rankings_are_resampled_with_the_same_people_as_the_other_metrics(sample):
    predictions, labels = sample
    index = np.arange(300) // 10
    clusters = Clusters.of(np.zeros(300, int), index, np.full(300, -1))

    values, deciding = resampled_metrics(predictions, labels, TASKS, clusters, thresholds=HALF, resamples=7, seed=3)

    drawn = np.concatenate(list(draws(30, 30, resamples=7, seed=3)))
    valid = labels["au_mask"][:, 0]
    truth, scores, people = labels["au"][valid, 0], predictions["au"][valid, 0], index[valid]
    for resample in range(7):
        times = drawn[resample, people]
        expected = roc_auc_score(truth, scores, sample_weight=times)
        assert values["au.by_action_unit.1.auroc"][resample] == pytest.approx(expected)
        expected = average_precision_score(truth, scores, sample_weight=times)
        assert values["au.by_action_unit.1.average_precision"][resample] == pytest.approx(expected)
    each = np.stack([values[f"au.by_action_unit.{number}.auroc"] for number in (1, 2, 12)])
    assert values["au.mean_auroc"] == pytest.approx(each.mean(axis=0))
    kinds = [set(people[truth == present]) for present in (0, 1)]
    assert deciding["au.by_action_unit.1.auroc"] == min(map(len, kinds))


def test_intervals_agree_with_scipy_on_rows_that_stand_alone(sample):
    predictions, labels = sample
    found = confidence_intervals(predictions, labels, TASKS, alone(300), thresholds=HALF, resamples=4000)
    valid = labels["va_mask"]
    x, y = predictions["valence"], labels["valence"].astype(float)

    def statistic(rows):
        rows = rows.astype(int)
        kept = rows[valid[rows]]
        return concordance_correlation(x[kept], y[kept])

    expected = bootstrap(
        (np.arange(300),),
        statistic,
        method="percentile",
        n_resamples=4000,
        vectorized=False,
        rng=np.random.default_rng(3),
    ).confidence_interval
    assert found["metrics"]["va.valence_ccc"] == pytest.approx([expected.low, expected.high], abs=0.02)
    assert found["clusters"] == {"subject": 0, "track": 0, "row": 300}


def test_intervals_over_people_are_wider_where_faces_of_a_person_are_alike():
    """Every person is either always recognised or never: 200 people say no more than 200 faces."""
    tasks = TaskSet((), ("neutral", "anger"), 0)
    people = np.repeat(np.arange(200), 10)
    right = people % 2 == 0
    labels = {"expression": people % 4 // 2, "expression_mask": np.ones(2000, bool)}
    predictions = {"expression": np.eye(2)[np.where(right, labels["expression"], 1 - labels["expression"])]}
    widths = []
    for clusters in (Clusters.of(np.zeros(2000, int), people, np.full(2000, -1)), alone(2000)):
        found = confidence_intervals(predictions, labels, tasks, clusters, thresholds=np.empty(0), resamples=2000)
        low, high = found["metrics"]["expression.accuracy"]
        assert low < 0.5 < high
        widths.append(high - low)
    # standard deviations sqrt(1/4 / 200) and sqrt(1/4 / 2000), times 2 x 1.96
    assert widths == pytest.approx([0.1386, 0.0438], rel=0.1)


def test_the_same_seed_gives_the_same_intervals_whatever_fits_in_memory(sample, monkeypatch):
    predictions, labels = sample

    def intervals(seed):
        return confidence_intervals(predictions, labels, TASKS, alone(300), thresholds=HALF, resamples=50, seed=seed)[
            "metrics"
        ]

    first = intervals(0)
    monkeypatch.setattr("affect_train.evaluation.intervals.BLOCK", 300 * 7)
    assert intervals(0) == {name: pytest.approx(value, rel=1e-12) for name, value in first.items()}
    assert intervals(1) != first


def test_a_metric_without_labels_has_no_interval(sample):
    predictions, labels = sample
    bare = {**labels, "va_mask": np.zeros(300, bool), "au_mask": labels["au_mask"] & [True, False, True]}
    found = confidence_intervals(predictions, bare, TASKS, alone(300), thresholds=HALF, resamples=20)["metrics"]
    assert found["va.valence_ccc"] is None
    assert found["au.by_action_unit.2.f1"] is None
    assert found["au.by_action_unit.1.f1"] is not None
    assert found["score"] is not None


def test_one_person_gives_no_interval(sample):
    """All labels of AU2 are of one person of three: no resample could say how another person fares."""
    predictions, labels = sample
    people = np.repeat([0, 1, 2], 100)
    mask = labels["au_mask"].copy()
    mask[100:, 1] = False
    clusters = Clusters.of(np.zeros(300, int), people, np.full(300, -1))
    found = confidence_intervals(
        predictions, {**labels, "au_mask": mask}, TASKS, clusters, thresholds=HALF, resamples=50
    )["metrics"]
    assert found["au.by_action_unit.2.f1"] is None
    assert all(found[name] is not None for name in ("au.by_action_unit.1.f1", "au.mean_f1", "expression.accuracy"))
    assert all(found[name] is not None for name in ("va.mean_ccc", "expression.by_class.anger.f1", "score"))
