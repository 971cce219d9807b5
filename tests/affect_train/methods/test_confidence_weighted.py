from dataclasses import replace

import pytest
import torch

from affect_data.errors import RecipeError
from affect_train.methods import build_method, total_loss
from affect_train.network.output import AffectOutput
from affect_train.recipe.methods.confidence_weighted import ConfidenceWeightedOptions
from affect_train.recipe.methods.supervised import SupervisedOptions
from affect_train.recipe.recipe import recipe_from

PROBABILITIES = torch.tensor([[0.8, 0.1, 0.1], [0.3, 0.2, 0.5], [0.2, 0.4, 0.4]])


def two_labels(make_batch):
    """Rows of which the first two have an expression, to which the model gives 0.8 and 0.2."""
    labels = {"expression": torch.tensor([0, 1, -1]), "expression_mask": torch.tensor([True, True, False])}
    whole = make_batch()
    rows = {
        name: getattr(whole, name)[:3]
        for name in ("inputs", "uids", "rows", "au", "au_mask", "valence", "arousal", "va_mask")
    }
    return replace(whole, **rows, **labels)


def output_of(probabilities):
    return AffectOutput(expression_logits=probabilities.log().requires_grad_())


def expression_of(make_batch, tasks, **options):
    method = build_method(ConfidenceWeightedOptions(**options), tasks)
    return total_loss(method.losses(output_of(PROBABILITIES), two_labels(make_batch)))


def test_a_row_counts_by_the_probability_of_its_own_label_over_the_mean(make_batch, tasks):
    """0.8 and 0.2 have mean 0.5, so the weights are 1.6 and 0.4: (1.6 * -ln 0.8 + 0.4 * -ln 0.2) / 2."""
    found = expression_of(make_batch, tasks).values
    assert found["expression"].item() == pytest.approx((1.6 * 0.2231436 + 0.4 * 1.6094379) / 2, rel=1e-5)
    assert found["expression_weight"].item() == pytest.approx(0.5)


def test_a_power_sharpens_the_weights(make_batch, tasks):
    """0.64 and 0.04 have mean 0.34."""
    found = expression_of(make_batch, tasks, power=2.0).values
    assert found["expression"].item() == pytest.approx((0.64 * 0.2231436 + 0.04 * 1.6094379) / 0.68, rel=1e-5)


def test_no_gradient_flows_through_the_weight(make_batch, tasks):
    """The gradient of a row is weight / n times (p - label)."""
    output = output_of(PROBABILITIES)
    method = build_method(ConfidenceWeightedOptions(), tasks)
    total_loss(method.losses(output, two_labels(make_batch))).loss.backward()
    expected = torch.stack([0.8 * torch.tensor([-0.2, 0.1, 0.1]), 0.2 * torch.tensor([0.3, -0.8, 0.5]), torch.zeros(3)])
    assert torch.allclose(output.expression_logits.grad, expected, atol=1e-6)


def test_other_tasks_are_those_of_supervised(make_batch, make_output, tasks):
    found, plain = (
        total_loss(build_method(options, tasks).losses(make_output(), make_batch())).values
        for options in (ConfidenceWeightedOptions(), SupervisedOptions())
    )
    assert {name: found[name] for name in plain if name != "expression"} == {
        name: value for name, value in plain.items() if name != "expression"
    }


def test_rows_count_alike_until_the_model_knows_something(make_batch, tasks):
    found = expression_of(make_batch, tasks, after_steps=3).values
    assert found["expression"].item() == pytest.approx((0.2231436 + 1.6094379) / 2, rel=1e-5)


def test_what_it_cannot_do_is_refused_before_anything_is_loaded():
    values = {
        "dataset": "nowhere",
        "output": "nowhere",
        "tasks": {"action_units": [1, 2]},
        "model": {"backbone": "nowhere", "image_size": 32},
        "method": {"name": "confidence_weighted"},
        "batches": {"size": 4},
        "training": {"accumulation": 2},
    }
    with pytest.raises(RecipeError) as caught:
        recipe_from(values)
    assert {line.split(":")[0] for line in caught.value.mistakes} == {"tasks.expression", "training.accumulation"}
    assert "divides weights by their mean over the rows of a step" in str(caught.value)
