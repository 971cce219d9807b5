from functools import partial

import pytest
import torch

from affect_train.methods.virtual_step import (
    WeightSpace,
    directional_derivatives,
    gradients,
    length,
    random_numbers,
    random_state,
    same_state,
)
from affect_train.model import AffectModel
from affect_train.recipe_model import Model
from affect_train.tasks import TaskSet

TASKS = TaskSet((1, 2), ("neutral", "anger", "happiness"), 0)
VIT = {
    "model_type": "vit",
    "hidden_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "patch_size": 8,
}
CPU = torch.device("cpu")


def model_of(**options):
    torch.manual_seed(0)
    return AffectModel.build(TASKS, Model(backbone=VIT, image_size=32, **options))


def pixels(rows=4):
    return torch.randint(0, 256, (rows, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def derivatives(losses, weights, direction, gradient, step=1e-3, **options):
    random = partial(random_numbers, CPU, random_state(CPU))
    return directional_derivatives(losses, weights, direction, gradient=gradient, step=step, random=random, **options)


@pytest.mark.parametrize(
    ("gradient", "expected"),
    # f = a³ + ab at (2, 3) along (1, -1): (3·4 + 3) - 2 = 13. The forward difference adds step/|v| · f''/2 = h (6a - 2) / 2 = 5 h.
    [("forward_mode", 13.0), ("central_difference", 13.0), ("one_sided", 13.0 + 5 * 0.1 / 2**0.5)],
)
def test_a_cubic_has_its_derivative_in_a_direction(gradient, expected):
    weights = [torch.tensor(2.0, dtype=torch.float64), torch.tensor([3.0], dtype=torch.float64)]
    direction = [torch.tensor(1.0, dtype=torch.float64), torch.tensor([-1.0], dtype=torch.float64)]

    def losses(moved):
        return (moved[0] ** 3 + moved[0] * moved[1]).reshape(1)

    found = derivatives(losses, weights, direction, gradient, step=0.1 if gradient == "one_sided" else 1e-3)
    # what is left is the cubic term: h² for one side
    assert found.item() == pytest.approx(expected, abs=0.1**2 / 2 + 1e-9 if gradient == "one_sided" else 1e-6)


@pytest.mark.parametrize("gradient", ["forward_mode", "central_difference", "one_sided"])
def test_no_direction_has_no_derivative(gradient):
    found = derivatives(lambda moved: moved[0] ** 2, [torch.tensor([2.0])], [torch.zeros(1)], gradient)
    assert found.item() == 0


def test_losses_at_the_weights_are_not_computed_again_where_they_are_known():
    calls = []

    def losses(moved):
        calls.append(1)
        return moved[0] ** 2

    known = derivatives(losses, [torch.tensor([2.0])], [torch.ones(1)], "one_sided", at_weights=torch.tensor([4.0]))
    assert len(calls) == 1
    again = derivatives(losses, [torch.tensor([2.0])], [torch.ones(1)], "one_sided")
    assert len(calls) == 3
    assert torch.equal(known, again)


def test_compared_passes_draw_the_same_random_numbers():
    seen = []

    def losses(moved):
        seen.append(torch.rand(3))
        return moved[0] ** 2

    state = torch.random.get_rng_state()
    for gradient in ("central_difference", "one_sided", "forward_mode"):
        derivatives(losses, [torch.tensor([2.0])], [torch.ones(1)], gradient)
    assert len(seen) == 5
    assert all(torch.equal(one, seen[0]) for one in seen)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_drawing_a_random_number_changes_the_state():
    before = random_state(CPU)
    assert same_state(before, random_state(CPU))
    torch.rand(1)
    assert not same_state(before, random_state(CPU))


def test_the_model_at_its_own_weights_is_the_model():
    model = model_of()
    space = WeightSpace(model)
    assert set(space.names) == {name for name, one in model.named_parameters() if one.requires_grad}
    output, found = model(pixels()), space(space.own, pixels())
    for name in ("au_logits", "expression_logits", "features"):
        assert torch.equal(output[name], found[name])
    moved = space([one + 0.1 for one in space.own], pixels())
    assert not torch.allclose(output.au_logits, moved.au_logits, atol=1e-2)
    assert torch.equal(model(pixels()).au_logits, output.au_logits)


def test_gradients_reach_the_given_weights_and_not_the_models_own():
    model = model_of()
    space = WeightSpace(model)
    leaves = [one.detach().clone().requires_grad_() for one in space.own]
    found = gradients(space(leaves, pixels()).au_logits.sum(), leaves)
    expected = gradients(model(pixels()).au_logits.sum(), space.own)
    for one, other in zip(found, expected, strict=True):
        assert torch.allclose(one, other, atol=1e-6)
    expression = space.names.index("heads.expression.1.weight")
    assert found[expression].abs().sum() == 0
    assert all(one.grad is None for one in model.parameters())


def test_the_last_layers_leave_out_what_comes_before():
    model = model_of()
    heads = WeightSpace(model, last_layers=0).names
    assert {name.split(".")[0] for name in heads} == {"norm", "heads"}
    one = set(WeightSpace(model, last_layers=1).names) - set(heads)
    assert any(".2." in name for name in one)
    assert not any(".0." in name or ".1." in name or "embeddings" in name for name in one if "layer" in name)
    assert len(WeightSpace(model, last_layers=4).names) == len(WeightSpace(model).names)
    space = WeightSpace(model, last_layers=0)
    leaves = [one.detach().requires_grad_() for one in space.own]
    output = space(leaves, pixels())
    assert not output.features.requires_grad


def test_only_batch_statistics_couple_rows():
    assert not WeightSpace(model_of()).couples_rows
    model = model_of(head={"normalisation": "batch"})
    assert WeightSpace(model).couples_rows
    assert not WeightSpace(model.eval()).couples_rows


def test_running_statistics_stay_as_they_were():
    model = model_of(head={"normalisation": "batch"})
    before = {name: value.clone() for name, value in model.named_buffers()}
    assert "norm.running_mean" in before
    space = WeightSpace(model)
    space(space.own, pixels())
    assert all(torch.equal(value, before[name]) for name, value in model.named_buffers())
    model(pixels())
    assert not torch.equal(model.norm.running_mean, before["norm.running_mean"])


def test_the_length_is_that_of_one_vector():
    assert length([torch.tensor([3.0]), torch.tensor([[0.0, 4.0]]), torch.tensor(12.0)]).item() == 13
