"""What figures of several seeds say of a claim, against scipy's paired t-test and a case by hand."""

import math

import numpy as np
import pytest
from scipy import stats

from affect_train.study.claims import findings, mean_and_half_width
from affect_train.study.description import Claim, Step, Study

STEP = Step(run="affect-data demo x")


def study(*claims: Claim, metrics: tuple[str, ...] = ("F1",)) -> Study:
    return Study(
        title="t",
        steps={"a": STEP},
        scores={"one": STEP, "other": STEP},
        metrics={name: name for name in metrics},
        claims=claims,
    )


@pytest.mark.parametrize("seeds", [2, 4, 10])
def test_the_interval_is_that_of_a_paired_t_test(seeds: int) -> None:
    rng = np.random.default_rng(seeds)
    one, other = rng.normal(0.6, 0.1, seeds), rng.normal(0.5, 0.1, seeds)
    figures = {
        "one": {seed: {"F1": float(one[seed])} for seed in range(seeds)},
        "other": {seed: {"F1": float(other[seed])} for seed in range(seeds)},
    }
    found = findings(study(Claim(claim="c", better="one", than="other")), figures)[0]
    interval = stats.ttest_rel(one, other).confidence_interval(0.95)
    assert found.half_width is not None
    assert found.difference - found.half_width == pytest.approx(interval.low)
    assert found.difference + found.half_width == pytest.approx(interval.high)
    assert found.p == found.q == pytest.approx(stats.ttest_rel(one, other).pvalue)
    assert found.better == pytest.approx(one.mean())
    assert found.seeds == seeds


def test_differences_of_one_and_three_have_the_mean_two_and_miss_certainty() -> None:
    # mean 2, deviation sqrt(2), so 12.706 * sqrt(2) / sqrt(2) on either side
    mean, half_width = mean_and_half_width([1.0, 3.0])
    assert mean == 2.0
    assert half_width == pytest.approx(12.706, abs=1e-3)
    assert mean_and_half_width([5.0]) == (5.0, None)


@pytest.mark.parametrize(
    ("differences", "verdict"),
    [
        ([0.10, 0.11, 0.12], "holds"),
        # .063 ± .066: 98 % of the interval are above zero; .055 ± .079: 85 %
        ([0.10, 0.05, 0.04, 0.00, 0.02, 0.17], "points that way"),
        ([0.10, 0.05, 0.04, -0.05, 0.02, 0.17], "not shown"),
        ([0.10, -0.05, 0.04], "not shown"),
        ([-0.10, 0.05, 0.04], "not shown"),
        ([-0.10, -0.11, -0.12], "opposite"),
        ([0.3], "one seed"),
        ([0.0, 0.0], "not shown"),
    ],
)
def test_a_claim_holds_only_where_the_whole_interval_is_above_zero_and_is_pointed_at_from_nine_tenths_on(
    differences: list[float], verdict: str
) -> None:
    figures = {
        "one": {seed: {"F1": 0.5 + value} for seed, value in enumerate(differences)},
        "other": {seed: {"F1": 0.5} for seed in range(len(differences))},
    }
    assert findings(study(Claim(claim="c", better="one", than="other")), figures)[0].verdict == verdict


def test_the_false_discovery_rate_is_controlled_over_all_findings_of_a_study() -> None:
    rng = np.random.default_rng(4)
    names = tuple(f"F{number}" for number in range(12))
    apart = rng.normal(0.0, 0.1, (12, 5)) + np.where(np.arange(12) < 4, 0.12, 0.0)[:, None]
    figures = {
        "one": {seed: {name: 0.5 + apart[i, seed] for i, name in enumerate(names)} for seed in range(5)},
        "other": {seed: dict.fromkeys(names, 0.5) for seed in range(5)},
    }
    found = findings(study(Claim(claim="c", better="one", than="other"), metrics=names), figures)
    expected = stats.false_discovery_control([stats.ttest_1samp(values, 0).pvalue for values in apart])
    assert [finding.q for finding in found] == pytest.approx(expected)
    alone = [finding for finding in found if finding.p is not None and finding.p <= 0.05]
    holding = [finding for finding in found if finding.verdict == "holds"]
    assert len(holding) < len(alone), "by itself each of them would hold"


def test_a_claim_against_a_bound_and_a_figure_that_is_missing() -> None:
    figures = {
        "one": {0: {"F1": 0.9, "CCC": None}, 1: {"F1": 0.8, "CCC": None}, 2: {"F1": None, "CCC": None}},
        "other": {},
    }
    found = findings(study(Claim(claim="c", better="one", above=0.5), metrics=("F1", "CCC")), figures)
    assert [finding.metric for finding in found] == ["F1"]
    assert found[0].difference == pytest.approx(0.35)
    assert found[0].seeds == 2
    assert not any(math.isnan(value) for value in (found[0].better, found[0].other))
