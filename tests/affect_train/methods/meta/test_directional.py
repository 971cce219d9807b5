"""Derivatives in a direction: against calculus, and at distances that suit the outputs."""

from functools import partial

import pytest
import torch

from affect_train.methods.meta.directional import FIRST_DISTANCE, LONGEST, DirectionalDerivatives, OnePass, Passes
from affect_train.methods.meta.virtual_step import random_numbers, random_state

CPU = torch.device("cpu")


def derivatives(change=1e-3, add=lambda sums: sums):
    return DirectionalDerivatives(add, change)


def rows_of(function):
    """The rows whose outputs are their losses."""

    def rows(moved):
        losses = function(moved)
        return losses[:, None], losses

    return rows


def square(moved):
    return (moved[0] ** 2).reshape(-1)


def row_losses(found, rows, weights, direction, **options):
    return found(Passes(rows, weights, partial(random_numbers, CPU, random_state(CPU))), direction, **options)


def along(*arguments, **options):
    return row_losses(*arguments, **options).along


def test_a_cubic_has_its_derivative_in_a_direction():
    weights = [torch.tensor(2.0, dtype=torch.float64), torch.tensor([3.0], dtype=torch.float64)]
    direction = [torch.tensor(1.0, dtype=torch.float64), torch.tensor([-1.0], dtype=torch.float64)]
    found = derivatives()
    slope = along(found, rows_of(lambda moved: (moved[0] ** 3 + moved[0] * moved[1]).reshape(1)), weights, direction)
    # f = a³ + ab at (2, 3) along (1, -1): (3·4 + 3) - 2
    assert slope.item() == pytest.approx(13.0, abs=1e-6)


def test_no_direction_has_no_derivative():
    found = derivatives()
    assert along(found, rows_of(square), [torch.tensor([2.0])], [torch.zeros(1)]).item() == 0
    assert found.distance == FIRST_DISTANCE


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_the_distance_is_the_one_at_which_outputs_change_as_much_as_they_should(scale):
    found = derivatives(change=0.01)
    for _ in range(2):
        slope = along(found, rows_of(lambda moved: scale * moved[0]), [torch.zeros(3)], [torch.tensor([3.0, 4.0, 0.0])])
        assert slope.tolist() == pytest.approx([3 * scale, 4 * scale, 0], rel=1e-4)
    # a unit step changes the three outputs by .6, .8 and 0 of the scale
    assert found.distance == pytest.approx(min(0.01 / (scale * (1 / 3) ** 0.5), LONGEST), rel=1e-3)


def test_a_function_that_bends_early_is_followed_where_it_is_straight():
    def wave(moved):
        return (1000 * moved[0]).sin()

    weights, direction = [torch.tensor([0.001], dtype=torch.float64)], [torch.ones(1, dtype=torch.float64)]
    exact = 1000 * torch.tensor(1.0, dtype=torch.float64).cos().item()
    far = derivatives(change=1.0)
    far.distance = 2e-3
    assert abs(along(far, rows_of(wave), weights, direction).item() / exact - 1) > 0.3
    found = derivatives()
    found.distance = 2e-3
    assert along(found, rows_of(wave), weights, direction).item() == pytest.approx(exact, rel=1e-4)


def test_outputs_that_hardly_change_are_compared_far_apart():
    """A change of the last bits of float32 would be rounding alone."""
    found = derivatives()
    slope = along(found, rows_of(lambda moved: 1 + 1e-3 * moved[0]), [torch.zeros(1)], [torch.ones(1)])
    assert slope.item() == pytest.approx(1e-3, rel=1e-3)
    assert found.distance == LONGEST


def test_a_process_goes_as_far_as_all_processes_together_say():
    """The other process has three outputs, which change a hundred times as much."""
    calls = []

    def add(sums):
        calls.append(sums.tolist())
        ours, count = sums.tolist()
        return torch.tensor([ours * (1 + 3 * 100**2), count * 4])

    found = derivatives(change=0.01, add=add)
    along(found, rows_of(lambda moved: moved[0]), [torch.zeros(1)], [torch.ones(1)])
    together = ((1 + 3 * 100**2) / 4) ** 0.5
    assert found.distance == pytest.approx(0.01 / together, rel=1e-3)
    assert all(count == 1 for _, count in calls)


def test_a_process_without_rows_takes_part():
    calls = []

    def none(moved):
        return torch.zeros(0, 7), torch.zeros(0)

    found = derivatives(add=lambda sums: calls.append(sums) or torch.tensor([1e-6, 1.0]))
    assert along(found, none, [torch.zeros(1)], [torch.ones(1)]).shape == (0,)
    # the other process's output changes as it should
    assert [sums.tolist() for sums in calls] == [[0.0, 0.0]]


def counting(function):
    calls = []

    def rows(moved):
        calls.append(moved)
        return rows_of(function)(moved)

    return rows, calls


def known(outputs):
    return OnePass(torch.tensor(outputs)[:, None], torch.tensor(outputs), [])


@pytest.mark.parametrize(("here", "passes"), [(known([4.0]), 3), (None, 4)])
def test_a_wrong_distance_is_seen_after_one_pass_where_the_losses_at_the_weights_are_known(here, passes):
    rows, calls = counting(square)
    found = derivatives(change=8e-2)
    slope = along(found, rows, [torch.tensor([2.0])], [torch.ones(1)], here=here)
    assert slope.item() == pytest.approx(4.0, rel=1e-4)
    assert found.distance == pytest.approx(2e-2, rel=1e-2)
    assert len(calls) == passes


@pytest.mark.parametrize("here", [known([8.0, 6.0]), None])
def test_the_losses_have_the_gradient_of_calculus(here):
    def cubics(moved):
        return torch.stack([moved[0] ** 3, moved[0] * moved[1]])

    rows, calls = counting(cubics)
    weights, direction = [torch.tensor(2.0), torch.tensor(3.0)], [torch.tensor(1.0), torch.tensor(-1.0)]
    found = row_losses(derivatives(), rows, weights, direction, here=here, graph=True)
    before = len(calls)
    # 10 a³ + 100 ab at (2, 3): (30 · 4 + 100 · 3, 100 · 2)
    first, second = found.gradient(torch.tensor([10.0, 100.0]))
    assert first.item() == pytest.approx(420.0, rel=1e-4)
    assert second.item() == pytest.approx(200.0, rel=1e-4)
    assert len(calls) == before
    assert not any(one.requires_grad for one in weights)


def test_compared_passes_draw_the_same_random_numbers():
    seen = []

    def rows(moved):
        seen.append(torch.rand(3))
        return rows_of(square)(moved)

    state = torch.random.get_rng_state()
    along(derivatives(change=8e-4), rows, [torch.tensor([2.0])], [torch.ones(1)])
    assert len(seen) == 2
    assert all(torch.equal(one, seen[0]) for one in seen)
    assert torch.equal(torch.random.get_rng_state(), state)
