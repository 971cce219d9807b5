import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from affect_train.evaluation.significance import (
    benjamini_hochberg,
    p_value,
    student_t_quantile,
    student_t_share,
)


@pytest.mark.parametrize("degrees", [1, 2, 3, 4, 5, 9, 10, 31, 200, 999])
def test_students_t_is_that_of_scipy(degrees: int) -> None:
    for value in (-8.0, -2.1, -0.3, 0.0, 0.7, 1.96, 5.0):
        assert student_t_share(value, degrees) == pytest.approx(stats.t.cdf(value, degrees), abs=1e-12)
    for share in (0.005, 0.025, 0.5, 0.9, 0.975):
        assert student_t_quantile(share, degrees) == pytest.approx(stats.t.ppf(share, degrees), abs=1e-9)


def test_with_very_many_degrees_of_freedom_it_is_the_normal_distribution() -> None:
    assert student_t_share(1.5, 10**6) == pytest.approx(stats.norm.cdf(1.5))
    assert student_t_quantile(0.975, 10**6) == pytest.approx(stats.norm.ppf(0.975))


def test_the_p_value_is_that_of_a_paired_t_test() -> None:
    apart = np.random.default_rng(0).normal(0.3, 1, 12)
    expected = stats.ttest_1samp(apart, 0).pvalue
    assert p_value(apart.mean(), apart.std(ddof=1) / 12**0.5, 11) == pytest.approx(expected)
    assert (p_value(0.0, 0.0, 3), p_value(0.1, 0.0, 3)) == (1.0, 0.0)


@given(st.lists(st.floats(0, 1), max_size=40))
def test_the_false_discovery_rate_is_that_of_scipy(p_values: list[float]) -> None:
    expected = stats.false_discovery_control(p_values) if p_values else []
    assert benjamini_hochberg(p_values) == pytest.approx(list(expected))
