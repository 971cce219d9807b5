from types import SimpleNamespace

import numpy as np
import pytest
import torch

from affect_data.errors import RecipeError
from affect_train.inputs.batch import SoftTargets
from affect_train.methods import build_method, total_loss
from affect_train.network.label_rates import LabelRates
from affect_train.recipe.methods.confidence_weighted import ConfidenceWeightedOptions
from affect_train.recipe.methods.distillation import DistillationOptions
from affect_train.recipe.methods.supervised import SupervisedOptions
from affect_train.recipe.recipe import recipe_from

# With one more of each: shares 1/2, 3/10 and 1/5; AU1 in 1/5, AU2 in 1/2, AU12 in 4/5 of the labels.
LABELS = SimpleNamespace(
    expression=np.array([0, 0, 0, 0, 1, 1, 2]),
    expression_mask=np.ones(7, dtype=bool),
    au=np.array([[0, 0, 1], [0, 1, 1], [0, 1, 1], *[[0, 0, 0]] * 4]),
    au_mask=np.array([[1, 1, 1], [1, 1, 1], [1, 1, 1], *[[0, 0, 0]] * 4], dtype=bool),
)
SHARES, ODDS = torch.tensor([0.5, 0.3, 0.2]), torch.tensor([0.2, 0.6, 0.8]).logit()


def adjusted(options, tasks, **adjustment):
    method = build_method(options(logit_adjustment=adjustment), tasks)
    method.prepare(LABELS, np.arange(7), "'merged'")
    return method


def test_expressions_are_learned_from_logits_raised_by_the_log_of_their_share(make_batch, make_output, tasks):
    batch, output = make_batch(), make_output()
    found = total_loss(adjusted(SupervisedOptions, tasks, expression=0.5).losses(output, batch)).values
    raised = output.expression_logits + 0.5 * (SHARES.log() - torch.tensor(1 / 3).log())
    mask = batch.expression_mask
    expected = torch.nn.functional.cross_entropy(raised[mask], batch.expression[mask])
    assert found["expression"].item() == pytest.approx(expected.item(), rel=1e-6)
    plain = total_loss(build_method(SupervisedOptions(), tasks).losses(output, batch)).values
    assert {name: found[name] for name in found if name != "expression"} == {
        name: plain[name] for name in plain if name != "expression"
    }


def test_action_units_are_learned_from_logits_raised_by_their_log_odds(make_batch, make_output, tasks):
    batch, output = make_batch(), make_output()
    target = {"action_units": {1: 0.5, 12: 0.5}}
    found = total_loss(adjusted(SupervisedOptions, tasks, au=1.0, target=target).losses(output, batch)).values
    raised = output.au_logits + ODDS * torch.tensor([1.0, 0.0, 1.0])
    every = torch.nn.functional.binary_cross_entropy_with_logits(raised, batch.au, reduction="none")
    assert found["au"].item() == pytest.approx(every[batch.au_mask].mean().item(), rel=1e-6)


def test_teachers_are_learned_as_they_are(make_batch, make_output, tasks):
    generator = torch.Generator().manual_seed(7)
    au, expression = (torch.randn(8, 3, generator=generator) for _ in range(2))
    soft = {"a": SoftTargets(au, torch.ones(3, dtype=torch.bool), expression, None, None)}
    batch, output = make_batch(soft), make_output()
    found = total_loss(adjusted(DistillationOptions, tasks, expression=1.0, au=1.0).losses(output, batch)).values
    plain = total_loss(build_method(DistillationOptions(), tasks).losses(output, batch)).values
    for name in ("au_soft", "expression_soft"):
        assert found[name] == plain[name]
    for name in ("au_hard", "expression_hard"):
        assert found[name] != plain[name]


def test_weights_by_confidence_believe_what_the_loss_sees(make_batch, make_output, tasks):
    batch, output = make_batch(), make_output()
    found = adjusted(ConfidenceWeightedOptions, tasks, expression=1.0).weigh(output, batch)[1]
    raised = (output.expression_logits + SHARES.log()).softmax(dim=1)
    mask = batch.expression_mask
    expected = raised[mask].gather(1, batch.expression[mask][:, None]).squeeze(1)
    assert torch.allclose(found[mask], expected, atol=1e-6)


def test_the_prior_that_is_left_in_the_model_is_known(tasks):
    counted = LabelRates.counted(LABELS, np.arange(7), tasks)
    assert adjusted(SupervisedOptions, tasks, expression=1.0).rates_learned(
        counted
    ).expression.tolist() == pytest.approx([1 / 3] * 3)
    half = adjusted(SupervisedOptions, tasks, au=0.5).rates_learned(counted)
    assert half.expression.tolist() == pytest.approx([0.5, 0.3, 0.2])
    assert half.au.tolist() == pytest.approx((0.5 * ODDS).sigmoid().tolist(), rel=1e-5)
    assert build_method(SupervisedOptions(), tasks).rates_learned(counted) is counted


def recipe_of(method, **sections):
    return recipe_from(
        {
            "dataset": "nowhere",
            "output": "nowhere",
            "tasks": {"action_units": [1, 2], "expression": ["neutral", "anger"]},
            "model": {"backbone": "nowhere", "image_size": 32},
            "method": method,
            "batches": {"size": 8},
            **sections,
        }
    )


@pytest.mark.parametrize(
    ("method", "sections", "message"),
    [
        ({"name": "supervised", "logit_adjustment": {}}, {}, "both `expression` and `au` are 0"),
        (
            {"name": "supervised", "logit_adjustment": {"expression": 0.5}},
            {"batches": {"size": 8, "balance": "corrected"}},
            "`batches.balance` draws them by weights and corrects the same thing; leave one out",
        ),
        (
            {"name": "meta_auxiliary", "logit_adjustment": {"expression": 0.5}},
            {},
            "judges rows by losses of the model's own logits; leave it out, or move the trained model by --prior",
        ),
        (
            {"name": "supervised", "logit_adjustment": {"au": 1.0, "target": {"action_units": {4: 0.5}}}},
            {},
            "method.logit_adjustment.target: the prior names AU4",
        ),
    ],
)
def test_what_cannot_be_adjusted_is_refused_before_anything_is_loaded(method, sections, message):
    with pytest.raises(RecipeError, match=message):
        recipe_of(method, **sections)
