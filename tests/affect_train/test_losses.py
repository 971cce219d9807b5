import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from affect_train import losses

LOGITS = torch.tensor([[2.0, -1.0], [0.5, 3.0]])
MASK = torch.tensor([[True, False], [True, True]])


def softmax(*values):
    exponentials = [math.exp(value) for value in values]
    return [value / sum(exponentials) for value in exponentials]


def concordance_by_correlation(x, y):
    """Lin's definition with the correlation and population deviations."""
    rho = np.corrcoef(x, y)[0, 1]
    return 2 * rho * np.std(x) * np.std(y) / (np.var(x) + np.var(y) + (np.mean(x) - np.mean(y)) ** 2)


def test_binary_cross_entropy_sums_the_negative_log_likelihood_of_valid_entries():
    targets = torch.tensor([[1.0, 1.0], [0.0, 1.0]])

    total, count = losses.masked_binary_cross_entropy(LOGITS, targets, MASK)

    expected = math.log(1 + math.exp(-2.0)) + math.log(1 + math.exp(0.5)) + math.log(1 + math.exp(-3.0))
    assert total.item() == pytest.approx(expected, rel=1e-6)
    assert count.item() == 3


def test_binary_cross_entropy_takes_probabilities_as_targets():
    total, _ = losses.masked_binary_cross_entropy(torch.tensor([[1.0]]), torch.tensor([[0.25]]), torch.tensor([[True]]))

    p = 1 / (1 + math.exp(-1.0))
    assert total.item() == pytest.approx(-(0.25 * math.log(p) + 0.75 * math.log(1 - p)), rel=1e-6)


def test_cross_entropy_sums_over_valid_rows_whatever_stands_in_the_others():
    logits = torch.tensor([[1.0, 2.0, 3.0], [0.0, 0.0, 0.0], [9.0, 9.0, 9.0]])

    total, count = losses.masked_cross_entropy(logits, torch.tensor([2, 0, -1]), torch.tensor([True, True, False]))

    assert total.item() == pytest.approx(-math.log(softmax(1, 2, 3)[2]) + math.log(3), rel=1e-6)
    assert count.item() == 2


def test_expectation_is_the_mean_over_the_bins():
    logits = torch.tensor([[0.0, math.log(3.0)]])

    assert losses.expectation(logits, torch.tensor([-0.5, 0.5])).item() == pytest.approx(0.25)


def test_concordance_agrees_with_lins_formula():
    generator = np.random.default_rng(3)
    y = generator.uniform(-1, 1, 200)
    x = 0.6 * y + 0.2 + generator.normal(0, 0.2, 200)

    statistics = losses.concordance_statistics(torch.tensor(x), torch.tensor(y), torch.ones(200, dtype=torch.bool))

    assert losses.concordance(statistics, 0.0).item() == pytest.approx(concordance_by_correlation(x, y), rel=1e-9)


def test_concordance_agrees_with_hand_computed_numbers():
    # x = 1 2 3, y = 2 4 6: covariance 4/3, variances 2/3 and 8/3, means 2 and 4.
    x, y = torch.tensor([1.0, 2.0, 3.0, 77.0]), torch.tensor([2.0, 4.0, 6.0, float("nan")])

    statistics = losses.concordance_statistics(x, y, torch.tensor([True, True, True, False]))

    assert statistics.tolist() == [3, 6, 12, 14, 56, 28]
    assert losses.concordance(statistics, 0.0).item() == pytest.approx((8 / 3) / (10 / 3 + 4))
    assert losses.concordance(statistics, 0.5).item() == pytest.approx((8 / 3) / (10 / 3 + 4 + 0.5))


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 40), st.integers(0, 40), st.integers(0, 2**31))
def test_statistics_of_two_parts_add_up_to_those_of_the_whole(size, cut, seed):
    generator = np.random.default_rng(seed)
    x, y = (torch.from_numpy(generator.uniform(-1, 1, size)) for _ in range(2))
    mask = torch.from_numpy(generator.random(size) < 0.7)

    whole = losses.concordance_statistics(x, y, mask)
    parts = [
        losses.concordance_statistics(x[part], y[part], mask[part])
        for part in (slice(None, min(cut, size)), slice(min(cut, size), None))
    ]

    torch.testing.assert_close(parts[0] + parts[1], whole)


def test_concordance_needs_two_rows_with_labels_that_vary():
    def defined(labels, valid):
        x = torch.linspace(-1, 1, len(labels))
        return losses.concordance_defined(
            losses.concordance_statistics(x, torch.tensor(labels), torch.tensor(valid))
        ).item()

    assert defined([0.1, 0.2], [True, True])
    assert not defined([0.1, 0.2], [True, False])
    assert not defined([0.3, 0.3, 0.9], [True, True, False])
    assert not defined([0.3], [False])


def test_the_gradient_of_the_concordance_stays_small_at_constant_predictions():
    y = torch.tensor([-0.1, 0.1, 0.1, -0.1])
    x = torch.full((4,), 0.2, requires_grad=True)
    mask = torch.ones(4, dtype=torch.bool)

    losses.concordance(losses.concordance_statistics(x, y, mask), 0.02).backward()

    # d ccc / d x_i = 2 (y_i - mean y) / n / (var x + var y + (mean x - mean y)^2 + epsilon), for a covariance of 0
    expected = 2 * y / 4 / (0.01 + 0.04 + 0.02)
    torch.testing.assert_close(x.grad, expected, rtol=1e-5, atol=1e-7)
    assert torch.isfinite(x.grad).all()


def test_single_precision_inputs_keep_the_variance_of_nearly_constant_predictions():
    x = (0.9 + torch.tensor([0.0, 1e-4, 2e-4])).float()
    y = torch.tensor([0.0, 0.1, 0.2])

    statistics = losses.concordance_statistics(x, y, torch.ones(3, dtype=torch.bool))

    x64, y64 = x.double().numpy(), y.double().numpy()
    assert losses.concordance(statistics, 0.0).item() == pytest.approx(concordance_by_correlation(x64, y64), rel=1e-6)


GARBAGE = float("nan")


@pytest.mark.parametrize("case", ["binary", "classes", "concordance"])
def test_masked_entries_have_exactly_no_gradient_even_beside_garbage(case):
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(6, 4, generator=generator, requires_grad=True)
    rows = torch.tensor([True, False, True, False, True, True])
    entries = rows[:, None].expand(6, 4).clone()
    entries[0, 1] = False
    match case:
        case "binary":
            targets = torch.rand(6, 4, generator=generator).where(entries, GARBAGE)
            loss, masked = losses.masked_binary_cross_entropy(logits, targets, entries)[0], ~entries
        case "classes":
            loss, masked = losses.masked_cross_entropy(logits, torch.tensor([0, -1, 3, 99, 1, 2]), rows)[0], ~rows
        case _:
            predictions = losses.expectation(logits, torch.tensor([-0.75, -0.25, 0.25, 0.75]))
            targets = torch.rand(6, generator=generator).where(rows, GARBAGE)
            loss, masked = losses.concordance(losses.concordance_statistics(predictions, targets, rows), 0.02), ~rows

    loss.backward()

    assert torch.isfinite(logits.grad).all()
    assert (logits.grad[masked] == 0).all()
    assert (logits.grad[~masked] != 0).any()


@pytest.mark.parametrize("case", ["binary", "classes"])
def test_a_batch_without_any_label_gives_a_zero_that_stays_in_the_graph(case):
    logits = torch.randn(3, 4, requires_grad=True)
    rows = torch.zeros(3, dtype=torch.bool)
    match case:
        case "binary":
            loss, count = losses.masked_binary_cross_entropy(logits, torch.zeros(3, 4), rows[:, None].expand(3, 4))
        case _:
            loss, count = losses.masked_cross_entropy(logits, torch.full((3,), -1), rows)

    loss.backward()

    assert loss.item() == 0
    assert count.item() == 0
    assert (logits.grad == 0).all()
