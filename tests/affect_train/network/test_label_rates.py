import math
from types import SimpleNamespace

import numpy as np
import pytest

from affect_data.errors import RecipeError, UsageError
from affect_train.network.label_rates import LabelRates
from affect_train.recipe.prior import PriorOptions, read_prior
from affect_train.tasks import TaskSet

TASKS = TaskSet((1, 12), ("neutral", "happiness"), 4)

# Of five rows four have an expression (happiness in one), four AU1 (present in one), three AU12 (present in all).
LABELS = SimpleNamespace(
    expression=np.array([0, 0, 1, 0, -1]),
    expression_mask=np.array([True, True, True, True, False]),
    au=np.array([[1, 1], [0, 1], [0, -1], [0, -1], [-1, 1]]),
    au_mask=np.array([[1, 1], [1, 1], [1, 0], [1, 0], [0, 1]], dtype=bool),
)


def rates_of(shares=None, units=None):
    return LabelRates(None if shares is None else np.array(shares), None if units is None else np.array(units))


def test_rates_are_counted_over_known_labels_with_one_more_of_each_class():
    found = LabelRates.counted(LABELS, np.arange(5), TASKS)
    assert found.expression.tolist() == pytest.approx([4 / 6, 2 / 6])
    assert found.au.tolist() == pytest.approx([2 / 6, 4 / 5])


def test_only_rows_that_are_trained_on_count_and_only_heads_that_are_there():
    found = LabelRates.counted(LABELS, np.array([2]), TaskSet((), ("neutral", "happiness"), 0))
    assert found.expression.tolist() == pytest.approx([1 / 3, 2 / 3])
    assert found.au is None


def test_a_shift_is_the_difference_of_log_shares_and_of_log_odds():
    found = rates_of([0.8, 0.2], [0.1, 0.6]).shifts_to(rates_of([0.5, 0.5], [0.5, 0.3]))
    assert found["expression"].tolist() == pytest.approx([math.log(1.6), math.log(0.4)])
    assert found["au"].tolist() == pytest.approx([math.log(1 / 9), math.log(1.5) - math.log(3 / 7)])


def test_a_shifted_posterior_is_that_of_the_other_prior():
    """Likelihoods 0.3 and 0.9 with shares 0.8 and 0.2: 0.24 to 0.18; with equal shares 0.3 to 0.9."""
    prior, likelihood = np.array([0.8, 0.2]), np.array([0.3, 0.9])
    logits = np.log(prior * likelihood) - rates_of(prior).shifts_to(LabelRates.named("uniform", TASKS))["expression"]
    probabilities = np.exp(logits) / np.exp(logits).sum()
    assert probabilities.tolist() == pytest.approx([0.25, 0.75])


def test_half_of_the_way_is_the_geometric_mean():
    found = rates_of([0.9, 0.1], [0.2]).moved(rates_of([0.5, 0.5], [0.5]), {"expression": 0.5, "au": 1.0})
    assert found.expression.tolist() == pytest.approx([0.75, 0.25])  # sqrt(.45) to sqrt(.05) is 3 to 1
    assert found.au.tolist() == pytest.approx([0.5])


def test_what_one_of_two_priors_does_not_say_stays():
    here = rates_of([0.9, 0.1], [0.2, 0.3])
    assert list(here.shifts_to(rates_of(units=[0.5, np.nan]))) == ["au"]
    assert here.shifts_to(rates_of(units=[0.5, np.nan]))["au"][1] == 0.0
    assert here.moved(rates_of(units=[0.5, np.nan]), {"expression": 1.0, "au": 0.0}).au.tolist() == pytest.approx(
        [0.2, 0.3]
    )


def test_rates_survive_being_written():
    for rates in (rates_of([0.9, 0.1], [0.25, 0.5]), rates_of([0.9, 0.1])):
        again = LabelRates.from_dict(rates.to_dict())
        assert again.to_dict() == rates.to_dict()


def test_a_prior_is_read_by_name(tmp_path):
    file = tmp_path / "clinic.yaml"
    file.write_text("expression: {happy: 0.25, neutral: 0.75}\naction_units: {12: 0.4}\n")
    found = LabelRates.named(read_prior(str(file)), TASKS)
    assert found.expression.tolist() == [0.75, 0.25]
    assert np.isnan(found.au[0])
    assert found.au[1] == 0.4
    assert LabelRates.named("uniform", TASKS).au.tolist() == [0.5, 0.5]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "expression: {happiness: 0.25, neutral: 0.5}",
            r"clinic.yaml:1: expression: the shares add up to 0.75; expected 1",
        ),
        ("action_units: {12: 1.0}", r"clinic.yaml:1: action_units.*less than 1"),
        ("action_units: {3: 0.5}", r"clinic.yaml:1: action_units: .*AU3"),
        ("{}", r"name the shares of `expression`, the rates of `action_units`, or both"),
        ("expresion: {happiness: 1.0}", r"expresion"),
    ],
)
def test_mistakes_in_a_prior_are_named_with_their_line(tmp_path, text, message):
    file = tmp_path / "clinic.yaml"
    file.write_text(text)
    with pytest.raises(RecipeError, match=message):
        read_prior(str(file))


def test_a_prior_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"--prior: found 'unifrom'; expected uniform, or a YAML file"):
        read_prior("unifrom")


@pytest.mark.parametrize(
    ("prior", "message"),
    [
        (
            PriorOptions(expression={"anger": 0.5, "neutral": 0.5}),
            "expressions are anger, neutral, the model's are neutral, happiness; give a share",
        ),
        (PriorOptions(action_units={4: 0.5}), "names AU4, but the model's action units are AU1, AU12; leave it out"),
    ],
)
def test_a_prior_of_other_heads_is_refused(prior, message):
    with pytest.raises(UsageError, match=message):
        LabelRates.named(prior, TASKS)
