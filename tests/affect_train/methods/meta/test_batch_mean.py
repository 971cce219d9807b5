import pytest
import torch

from affect_train.methods.meta.batch_mean import BatchMean

ALONE = BatchMean(lambda sums: sums)
WEIGHTS = torch.tensor([0.2, 0.9, 0.6])
LABELLED = torch.tensor([True, False, True])


def test_labelled_rows_have_a_mean_weight_of_one():
    # (0.2 + 0.6) / 2 = 0.4
    assert ALONE.divided(WEIGHTS, LABELLED)[LABELLED].tolist() == pytest.approx([0.5, 1.5])


def test_a_row_gains_what_the_mean_loses():
    """With g = (1, 0) and u = (0.5, 1.5), (1 / n) sum g u = 0.25: (1 - 0.25) / 0.4 and (0 - 0.25) / 0.4."""
    found = ALONE.gradient(WEIGHTS, torch.tensor([1.0, 0.0, 0.0]), LABELLED)
    assert found.tolist() == pytest.approx([1.875, 0.0, -0.625])


def test_the_gradient_is_the_one_that_autograd_finds():
    generator = torch.Generator().manual_seed(0)
    weights = torch.rand(12, generator=generator, requires_grad=True)
    labelled = torch.rand(12, generator=generator) < 0.6
    gradient = torch.randn(12, generator=generator).where(labelled, 0.0)
    divided = weights / weights[labelled].mean()
    (expected,) = torch.autograd.grad((divided * gradient)[labelled].sum(), weights)
    assert torch.allclose(ALONE.gradient(weights, gradient, labelled), expected, atol=1e-6)


def test_a_common_factor_of_all_weights_gains_nothing():
    generator = torch.Generator().manual_seed(1)
    weights, gradient = torch.rand(9, generator=generator), torch.randn(9, generator=generator)
    found = ALONE.gradient(weights, gradient, torch.ones(9, dtype=torch.bool))
    assert (found * weights).sum().abs() < 1e-5


@pytest.mark.parametrize("cut", [0, 1, 5])
def test_rows_on_two_processes_have_the_weights_and_gradients_of_one(cut):
    generator = torch.Generator().manual_seed(2)
    weights, gradient = torch.rand(6, generator=generator), torch.randn(6, generator=generator)
    labelled = torch.tensor([True, True, False, True, True, False])
    gradient = gradient.where(labelled, 0.0)
    parts = [slice(None, cut), slice(cut, None)]
    divided = ALONE.divided(weights, labelled)
    whole = {
        1: [(divided * gradient)[labelled].sum()],  # the scalar that both sum: the shared part of the gradient
        2: [torch.stack([weights[labelled].sum(), labelled.sum().float()])],
    }

    def everywhere(values):
        if values.shape == (2,):
            return whole[2][0]
        return labelled.sum() if values.dtype == torch.int64 else whole[1][0]

    shared = BatchMean(everywhere)
    assert torch.allclose(torch.cat([shared.divided(weights[part], labelled[part]) for part in parts]), divided)
    found = torch.cat([shared.gradient(weights[part], gradient[part], labelled[part]) for part in parts])
    assert torch.allclose(found, ALONE.gradient(weights, gradient, labelled), atol=1e-6)


def test_without_a_labelled_row_weights_stay_as_they_are():
    none = torch.zeros(3, dtype=torch.bool)
    assert torch.equal(ALONE.divided(WEIGHTS, none), WEIGHTS)
    assert (ALONE.gradient(WEIGHTS, torch.zeros(3), none) == 0).all()


def test_weights_that_all_vanish_stay_finite():
    assert torch.isfinite(ALONE.divided(torch.zeros(3), LABELLED)).all()
