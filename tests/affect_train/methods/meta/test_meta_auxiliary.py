import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - the usual name
from training_runs import fresh_accelerator

from affect_data.errors import DataError, RecipeError
from affect_train.inputs.batch import AffectBatch
from affect_train.losses import cross_entropy_of_rows
from affect_train.methods import total_loss
from affect_train.methods.meta.directional import DirectionalDerivatives
from affect_train.methods.meta.meta_auxiliary import MetaAuxiliary
from affect_train.methods.meta.meta_rows import MetaRows
from affect_train.methods.supervised import Supervised
from affect_train.recipe.recipe import recipe_from
from affect_train.runtime import build_accelerator, precision_for
from affect_train.training.learner import Learner
from affect_train.training.step import accumulate_gradients, optimizer_step

ROWS = 16
CLASSES = ["neutral", "anger", "happiness"]
VIT = {
    "model_type": "vit",
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "patch_size": 8,
}
EXACT_TO = 1e-2
"""The largest error of a central difference beside the second-order graph."""
RATE = 0.01


def values_of(**sections):
    return {
        "dataset": "in memory",
        "output": "nowhere",
        "tasks": {"action_units": [1, 2, 12], "expression": CLASSES},
        "model": {"backbone": VIT, "image_size": 32},
        "method": {"name": "meta_auxiliary"},
        "batches": {"size": ROWS},
        "optimizer": {"learning_rate": RATE},
        "schedule": {"name": "constant"},
        **sections,
    }


def learner_of(*overrides, seed=0, **sections):
    """A learner whose meta rows are a share of every batch."""
    fresh_accelerator()
    recipe = recipe_from(values_of(seed=seed, **sections), overrides)
    accelerator = build_accelerator(mixed_precision=precision_for(recipe.training.mixed_precision))
    learner = Learner.build(recipe, accelerator, 100)
    train = SimpleNamespace(labels=range(ROWS))
    data = SimpleNamespace(train=train, order=SimpleNamespace(steps=4), reserved=None)
    return replace(learner, wrapper=learner.method.attach(learner, data, accelerator, recipe)), accelerator


def batch_of(seed=3):
    """Rows with action units and rows with an expression in turn; the first has both."""
    generator = torch.Generator().manual_seed(seed)
    rows = torch.arange(ROWS)
    au_mask = (rows % 2 == 0)[:, None].expand(ROWS, 3).clone()
    expression_mask = (rows % 2 == 1) | (rows == 0)
    none = torch.zeros(ROWS)
    return AffectBatch(
        inputs=torch.randint(0, 256, (ROWS, 3, 32, 32), dtype=torch.uint8, generator=generator),
        uids=[str(row) for row in range(ROWS)],
        rows=rows,
        au=((torch.rand(ROWS, 3, generator=generator) < 0.5) & au_mask).float(),
        au_mask=au_mask,
        expression=(rows % 3).where(expression_mask, -1),
        expression_mask=expression_mask,
        valence=none,
        arousal=none,
        va_mask=none.bool(),
    )


def meta_gradient(learner, batch, number=1, random=5):
    """The gradient of the meta loss by the weights of the rows, as the weight network is given it; nothing is changed."""
    method, found = learner.wrapper, []
    method._learn = lambda _, weights, gradient: found.append(gradient.detach())
    torch.manual_seed(random)
    method.before_step(number, [batch])
    method.before_losses(learner.model(batch.inputs), batch)
    del method._learn
    return found[0] if found else None


def with_gradient(learner, kind, **options):
    method = learner.wrapper
    method.options = method.options.model_copy(update={"gradient": kind, **options})
    method.derivatives = DirectionalDerivatives(lambda sums: sums)
    return learner


def relative(found, exact):
    return float((found - exact).norm() / exact.norm())


def loss_after_trial(model, batch, inner, chosen, weights):
    """The meta rows' loss after one step of plain descent with these row weights: by hand and in double precision.

    Args:
        model: in double precision.
        batch: of the step.
        inner: bool, its rows with action units that are learned from.
        chosen: bool, its meta rows.
        weights: of the rows.
    """
    output = model(batch.inputs)
    rows = F.cross_entropy(output.expression_logits, batch.expression.clamp(min=0), reduction="none")
    expression = (rows * weights)[batch.expression_mask].sum() / batch.expression_mask.sum()
    loss = F.binary_cross_entropy_with_logits(output.au_logits[inner], batch.au[inner].double()) + expression
    parameters = {name: one for name, one in model.named_parameters() if one.requires_grad}
    slopes = torch.autograd.grad(loss, list(parameters.values()))
    moved = {name: one - RATE * slope for (name, one), slope in zip(parameters.items(), slopes, strict=True)}
    with torch.no_grad():
        after = torch.func.functional_call(model, moved, (batch.inputs[chosen],)).au_logits
    return F.binary_cross_entropy_with_logits(after, batch.au[chosen].double()).item()


@pytest.mark.parametrize("gradient", ["second_order", "central_difference"])
def test_the_gradient_by_a_weight_is_the_change_of_the_meta_loss_when_the_weight_changes(gradient):
    batch = batch_of()
    learner, _ = learner_of(f"method.gradient={gradient}")
    found = meta_gradient(learner, batch)
    with torch.no_grad():
        output = learner.model(batch.inputs)
        rows = cross_entropy_of_rows(output.expression_logits, batch.expression, batch.expression_mask)
        weights = learner.wrapper.network(output.features, rows).double()
    # Of the rows with action units, 0, 2, 4 ..., every second one is a meta row.
    inner, chosen = torch.arange(ROWS) % 4 == 0, torch.arange(ROWS) % 4 == 2
    model = learner.model.double()
    for row in (0, 1, 7, 15):
        step = 1e-3 * torch.eye(ROWS, dtype=torch.float64)[row]
        ahead, behind = (loss_after_trial(model, batch, inner, chosen, weights + sign * step) for sign in (1, -1))
        assert found[row].item() == pytest.approx((ahead - behind) / 2e-3, rel=1e-2, abs=1e-8)
    assert (found[~batch.expression_mask] == 0).all()
    assert (found[batch.expression_mask] != 0).all()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", ["plain", "dropout", "batch_norm"])
def test_derivatives_in_one_direction_agree_with_the_second_order_graph_on_fresh_networks(seed, kind):
    overrides = {"plain": [], "dropout": ["model.dropout=0.3"], "batch_norm": ["model.head.normalisation=batch"]}[kind]
    learner, _ = learner_of(*overrides, seed=seed)
    exact = meta_gradient(with_gradient(learner, "second_order"), batch_of(seed))
    found = meta_gradient(with_gradient(learner, "central_difference"), batch_of(seed))
    assert relative(found, exact) < EXACT_TO


@pytest.mark.parametrize("divisor", [1, 8, 64])
@pytest.mark.parametrize("head", ["layer", "batch"])
def test_faces_that_are_alike_leave_central_differences_within_a_percent(head, divisor):
    """What hardly varies is magnified by batch normalisation, and lost in rounding without it."""
    learner, _ = learner_of(f"model.head.normalisation={head}")
    batch = replace(batch_of(), inputs=batch_of().inputs // divisor + 96)
    exact = meta_gradient(with_gradient(learner, "second_order"), batch)
    assert relative(meta_gradient(with_gradient(learner, "central_difference"), batch), exact) < 1e-2


@pytest.mark.parametrize("seed", range(2))
def test_derivatives_in_one_direction_agree_with_the_second_order_graph_on_trained_networks(seed):
    learner, accelerator = learner_of("optimizer.learning_rate=0.003", seed=seed)
    before = learner.model(batch_of(0).inputs)
    losses = [
        optimizer_step(accelerator, learner, [batch_of(number % 3)], number=number + 1)["au"] for number in range(40)
    ]
    assert losses[-1] < 0.5 * losses[0]
    assert before.au_logits.shape == (ROWS, 3)
    exact = meta_gradient(with_gradient(learner, "second_order"), batch_of(9))
    assert relative(meta_gradient(with_gradient(learner, "central_difference"), batch_of(9)), exact) < EXACT_TO


def test_a_trial_changes_neither_weights_nor_running_means_nor_random_numbers():
    for gradient in ("central_difference", "second_order"):
        learner, _ = learner_of("model.head.normalisation=batch", "model.dropout=0.3", f"method.gradient={gradient}")
        other, _ = learner_of("model.head.normalisation=batch", "model.dropout=0.3", "method.every=2")
        meta_gradient(learner, batch_of(), number=1)
        state = torch.random.get_rng_state()
        assert meta_gradient(other, batch_of(), number=2) is None
        assert torch.equal(state, torch.random.get_rng_state())
        for (name, one), value in zip(
            learner.model.state_dict().items(), other.model.state_dict().values(), strict=True
        ):
            assert torch.equal(one, value), name


def test_the_weight_network_follows_the_gradient():
    """Adam's first step goes against the sign of the gradient, which is the chain rule through the weights."""
    batch = batch_of()
    learner, _ = learner_of("method.weight_network={hidden: 3, learning_rate: 0.001, weight_decay: 0}")
    network = learner.wrapper.network
    gradient = meta_gradient(learner, batch)
    output = learner.model(batch.inputs)
    rows = cross_entropy_of_rows(output.expression_logits, batch.expression, batch.expression_mask)
    expected = torch.autograd.grad((network(output.features, rows) * gradient).sum(), list(network.parameters()))
    before = [one.detach().clone() for one in network.parameters()]
    learner.wrapper.before_step(1, [batch])
    learner.wrapper.before_losses(output, batch)
    for one, old, slope in zip(network.parameters(), before, expected, strict=True):
        clear = slope.abs() > 1e-6
        assert torch.allclose((one - old)[clear], -0.001 * slope[clear].sign(), rtol=2e-2)


def test_the_step_is_taken_with_the_new_weights_and_all_action_units():
    batch = batch_of()
    learner, accelerator = learner_of("method.weight_network.learning_rate=0.1")
    model = learner.model
    output = model(batch.inputs)
    values = optimizer_step(accelerator, learner, [batch], number=1)
    rows = cross_entropy_of_rows(output.expression_logits, batch.expression, batch.expression_mask)
    with torch.no_grad():
        weights = learner.wrapper.network(output.features, rows)
    mask = batch.expression_mask
    assert values["expression"] == pytest.approx((rows * weights).sum().item() / 9, rel=1e-5)
    assert values["expression_weight"] == pytest.approx(weights[mask].mean().item(), rel=1e-5)
    every = torch.nn.functional.binary_cross_entropy_with_logits(output.au_logits, batch.au, reduction="none")
    assert values["au"] == pytest.approx(every[batch.au_mask].mean().item(), rel=1e-5)


def with_meta_batch(learner, trial, seed=8):
    """The learner, whose meta rows are the same few at every step."""
    learner.wrapper.options = learner.wrapper.options.model_copy(update={"trial": trial})
    batch = batch_of(seed)
    learner.wrapper.loader = SimpleNamespace(batch=lambda number: MetaRows.of(batch, batch.au_mask.any(dim=1)))
    return learner


@pytest.mark.parametrize("trial", ["separate", "shared"])
@pytest.mark.parametrize("overrides", [[], ["model.dropout=0.3"], ["model.head.normalisation=batch"]])
def test_meta_rows_of_their_own_give_the_gradient_of_the_second_order_graph(overrides, trial):
    given = {}
    for gradient in ("second_order", "central_difference"):
        learner, accelerator = learner_of(*overrides, f"method.gradient={gradient}")
        with_meta_batch(learner, trial).wrapper._learn = lambda *got, name=gradient: given.setdefault(name, got)
        torch.manual_seed(5)
        optimizer_step(accelerator, learner, [batch_of()], number=1, clip_norm=0.001)
    (_, weights, found), (_, expected_weights, expected) = given["central_difference"], given["second_order"]
    assert torch.allclose(weights, expected_weights, atol=1e-6)
    assert relative(found, expected) < 1e-2


def gradients_of_step(learner, accelerator, batch):
    """What the optimizer is about to be given."""
    torch.manual_seed(5)
    learner.wrapper.before_step(1, [batch])
    accumulate_gradients(accelerator, learner, [batch], number=1)
    learner.wrapper.before_update()
    return torch.cat([one.grad.flatten() for one in learner.model.parameters() if one.grad is not None])


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["model.dropout=0.3"],
        ["model.head.normalisation=batch"],
        ["method.task_weights.expression=3"],
        ["method.weight_network.mean=batch"],
    ],
)
def test_a_separate_trial_leaves_the_gradients_of_a_step_with_the_new_weights(overrides):
    """The weights change by half, as no real weight network's do, so that what is added to the gradients counts."""
    batch, changed = batch_of(), {}
    for trial in ("separate", "shared"):
        learner, accelerator = learner_of(*overrides, "method.weight_network.learning_rate=1")
        with_meta_batch(learner, trial)
        changed[trial] = gradients_of_step(learner, accelerator, batch)
    network = learner.wrapper.network.state_dict()
    again, accelerator = learner_of(*overrides)
    again.wrapper.network.load_state_dict(network)
    torch.manual_seed(5)
    accumulate_gradients(accelerator, again, [batch], number=2)
    expected = torch.cat([one.grad.flatten() for one in again.model.parameters() if one.grad is not None])
    added = (expected - changed["shared"]).norm()
    assert added > 0.1 * expected.norm()
    assert (changed["separate"] - expected).norm() < 0.02 * added


def test_recorded_weights_are_those_of_the_step_that_was_taken():
    batch = batch_of()
    for trial, when in (("separate", "after"), ("shared", "before")):
        learner, accelerator = learner_of("method.weight_network.learning_rate=0.1")
        method, weights = with_meta_batch(learner, trial).wrapper, {}
        output = learner.model(batch.inputs)
        rows = cross_entropy_of_rows(output.expression_logits, batch.expression, batch.expression_mask)
        with torch.no_grad():
            weights["before"] = method.network(output.features, rows)
        optimizer_step(accelerator, learner, [batch], number=1)
        with torch.no_grad():
            weights["after"] = method.network(output.features, rows)
        recorded = method.record.table(pa.array(batch.uids))
        expected = weights[when][batch.expression_mask]
        assert recorded.column("weight").to_pylist() == pytest.approx(expected.tolist(), rel=1e-5)
        assert not torch.allclose(weights["before"], weights["after"], rtol=1e-3)


def test_with_a_shared_trial_a_step_has_the_weights_learned_before_it():
    batch = batch_of()
    learner, accelerator = learner_of("method.weight_network.learning_rate=0.1")
    with_meta_batch(learner, "shared")
    first = [one.detach().clone() for one in learner.wrapper.network.parameters()]
    for number in (1, 2):
        with torch.no_grad():
            output = learner.model(batch.inputs)
            rows = cross_entropy_of_rows(output.expression_logits, batch.expression, batch.expression_mask)
            weights = learner.wrapper.network(output.features, rows)[batch.expression_mask]
        values = optimizer_step(accelerator, learner, [batch], number=number)
        assert values["expression_weight"] == pytest.approx(weights.mean().item(), rel=1e-5)
        learned = list(learner.wrapper.network.parameters())
        assert not any(torch.equal(one, old) for one, old in zip(learned, first, strict=True))


def test_the_weight_network_learns_at_every_kth_step():
    learner, accelerator = learner_of("method.every=3")
    seen = []
    for number in range(1, 8):
        before = [one.detach().clone() for one in learner.wrapper.network.parameters()]
        optimizer_step(accelerator, learner, [batch_of()], number=number)
        after = learner.wrapper.network.parameters()
        seen.append(any(not torch.equal(one, old) for one, old in zip(after, before, strict=True)))
    assert seen == [True, False, False, True, False, False, True]


def test_the_weight_network_stays_as_it_is_after_its_last_step():
    learner, accelerator = learner_of("method.weight_network.steps=2")
    seen = []
    for number in range(1, 5):
        before = [one.detach().clone() for one in learner.wrapper.network.parameters()]
        values = optimizer_step(accelerator, learner, [batch_of()], number=number)
        after = learner.wrapper.network.parameters()
        seen.append(any(not torch.equal(one, old) for one, old in zip(after, before, strict=True)))
        assert 0 < values["expression_weight"] < 1
    assert seen == [True, True, False, False]


@pytest.mark.parametrize(("mean", "moves"), [("kept", False), ("free", True)])
def test_with_a_kept_mean_a_row_gains_only_what_others_lose(mean, moves):
    """What all rows have in common of a gradient, here all of it, moves the weights only where their mean is free."""
    batch = batch_of()
    learner, _ = learner_of(f"method.weight_network={{mean: {mean}, weight_decay: 0}}")
    method = learner.wrapper
    output = learner.model(batch.inputs)
    rows = cross_entropy_of_rows(output.expression_logits, batch.expression, batch.expression_mask)
    weights = method.network(output.features, rows)
    before = weights[batch.expression_mask].detach()
    method.before_step(1, [batch])
    # A power of two, so that the mean of equal numbers is exact.
    method._learn(method.trial, weights, torch.where(batch.expression_mask, 0.25, 0.0))
    after = method.network(output.features, rows)[batch.expression_mask].detach()
    assert torch.equal(before, after) is not moves
    assert (after <= before).all()


def test_with_a_kept_mean_the_gradient_of_the_rows_sums_to_zero_and_keeps_its_differences():
    batch = batch_of()
    learner, _ = learner_of("method.weight_network.mean=kept")
    method, given = learner.wrapper, []
    gradient = torch.where(batch.expression_mask, torch.linspace(-1, 2, ROWS), 0.0)
    output = learner.model(batch.inputs)
    rows = cross_entropy_of_rows(output.expression_logits, batch.expression, batch.expression_mask)
    weights = method.network(output.features, rows)
    weights.register_hook(lambda slope: given.append(slope.clone()))
    method.before_step(1, [batch])
    method._learn(method.trial, weights, gradient)
    (used,) = given
    assert used.sum().abs() < 1e-6
    assert (used[~batch.expression_mask] == 0).all()
    differences = (used - gradient)[batch.expression_mask]
    assert torch.allclose(differences, differences[:1].expand_as(differences), atol=1e-6)


def test_divided_by_their_mean_the_weights_of_a_step_have_mean_one_and_learn_through_the_division():
    batch = batch_of()
    learner, accelerator = learner_of("method.weight_network={mean: batch, learning_rate: 0.1}")
    method, given = learner.wrapper, []
    output = learner.model(batch.inputs)
    rows = cross_entropy_of_rows(output.expression_logits, batch.expression, batch.expression_mask)
    weights = method.network(output.features, rows)
    weights.register_hook(given.append)
    method.before_step(1, [batch])
    gradient = torch.where(batch.expression_mask, torch.linspace(-1, 2, ROWS), 0.0)
    method._learn(method.trial, weights, gradient)
    known = weights.detach().requires_grad_()
    labelled = batch.expression_mask
    (expected,) = torch.autograd.grad((known / known[labelled].mean() * gradient)[labelled].sum(), known)
    assert torch.allclose(given[0], expected, atol=1e-6)
    values = optimizer_step(accelerator, learner, [batch], number=2)
    with torch.no_grad():
        new = method.network(output.features, rows)
    assert values["expression_weight"] == pytest.approx(1.0, rel=1e-6)
    assert values["expression"] == pytest.approx((rows * new / new[labelled].mean()).sum().item() / 9, rel=1e-5)
    assert method.record.sums[:ROWS, 0].sum().item() == pytest.approx(9.0, rel=1e-5)


@pytest.mark.parametrize("gradient", ["second_order", "central_difference"])
def test_divided_weights_are_tried_as_they_are_used(gradient):
    """The gradient by a row's factor is that of the meta loss after a step with the divided weights, by hand."""
    batch = batch_of()
    learner, _ = learner_of("method.weight_network.mean=batch", f"method.gradient={gradient}")
    with torch.no_grad():
        output = learner.model(batch.inputs)
        rows = cross_entropy_of_rows(output.expression_logits, batch.expression, batch.expression_mask)
        weights = learner.wrapper.network(output.features, rows).double()
    factors = weights / weights[batch.expression_mask].mean()
    found = meta_gradient(learner, batch)
    inner, chosen = torch.arange(ROWS) % 4 == 0, torch.arange(ROWS) % 4 == 2
    model = learner.model.double()
    for row in (1, 7):
        step = 1e-3 * torch.eye(ROWS, dtype=torch.float64)[row]
        ahead, behind = (loss_after_trial(model, batch, inner, chosen, factors + sign * step) for sign in (1, -1))
        assert found[row].item() == pytest.approx((ahead - behind) / 2e-3, rel=1e-2, abs=1e-8)


@pytest.mark.parametrize("task", ["au", "expression"])
def test_a_batch_without_action_units_or_without_expressions_teaches_the_weights_nothing(task):
    learner, accelerator = learner_of()
    changes = {"au_mask": torch.zeros(ROWS, 3, dtype=torch.bool), "au": torch.zeros(ROWS, 3)}
    if task == "expression":
        changes = {"expression_mask": torch.zeros(ROWS, dtype=torch.bool), "expression": torch.full((ROWS,), -1)}
    before = [one.detach().clone() for one in learner.wrapper.network.parameters()]
    values = optimizer_step(accelerator, learner, [replace(batch_of(), **changes)], number=1)
    assert values[task] == 0
    assert all(math.isfinite(value) for value in values.values())
    assert all(torch.equal(one, old) for one, old in zip(learner.wrapper.network.parameters(), before, strict=True))


def test_bfloat16_compares_losses_in_full_precision():
    full, _ = learner_of()
    exact = meta_gradient(with_gradient(full, "second_order"), batch_of())
    learner, _ = learner_of("training.mixed_precision=bf16")
    logits = learner.model.heads["au"]
    seen = []
    handle = logits.register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
    found = meta_gradient(learner, batch_of())
    handle.remove()
    # the pass with gradient, then the meta batch and the passes that are compared, at one distance or several
    assert seen[0] == torch.bfloat16
    assert len(seen) >= 4
    assert set(seen[1:]) == {torch.float32}
    # what is left of the error is the direction of the step that is tried, which has bfloat16's gradient
    assert relative(found, exact) < 0.05


SMALL = {**VIT, "hidden_size": 16, "num_hidden_layers": 1, "intermediate_size": 32}


def train_on_toys(seed, steps):
    """What the weight network was given of clean and of flipped rows: gradients by step, and the learner."""
    learner, accelerator = learner_of(
        "method.weight_network={input: loss, hidden: 16, learning_rate: 0.01, weight_decay: 0}",
        "optimizer.learning_rate=0.002",
        seed=seed,
        tasks={"action_units": [1], "expression": CLASSES[:2]},
        model={"backbone": SMALL, "image_size": 32},
    )
    method, given = learner.wrapper, []
    learn = method._learn

    def watched(trial, weights, gradient):
        given.append(gradient)
        learn(trial, weights, gradient)

    method._learn = watched
    gradients = {False: [], True: []}
    for number in range(1, steps + 1):
        batch, flipped = toy_batch(number + 1000 * seed)
        optimizer_step(accelerator, learner, [batch], number=number)
        for kind, values in gradients.items():
            values.append(given[-1][batch.expression_mask & (flipped == kind)].mean().item())
    return gradients, learner


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_flipped_rows_are_pushed_down_while_clean_rows_are_pushed_up(seed):
    """The expression is the action unit; a third of the expressions is flipped."""
    gradients, _ = train_on_toys(seed, 75)
    # once the network has begun to see anything
    assert np.mean(gradients[False][-30:]) < 0 < np.mean(gradients[True][-30:])


@pytest.mark.slow
def test_flipped_rows_get_smaller_weights():
    """On toys whose expression is the action unit, a third flipped; the weight network sees the loss alone."""
    _, learner = train_on_toys(1, 90)
    weights = {True: [], False: []}
    for number in range(5000, 5008):
        batch, flipped = toy_batch(number)
        with torch.no_grad():
            output = learner.model(batch.inputs)
            rows = cross_entropy_of_rows(output.expression_logits, batch.expression, batch.expression_mask)
            found = learner.wrapper.network(output.features, rows)
        for kind, values in weights.items():
            values += found[batch.expression_mask & (flipped == kind)].tolist()
    area = np.mean([clean > flipped for clean in weights[False] for flipped in weights[True]])
    assert area > 0.9
    assert np.mean(weights[False]) > np.mean(weights[True]) + 0.05


def toy_batch(number, rows=32):
    """Action unit 1 is a bright upper half. Half of the rows have it labelled, the others an expression, which is that unit but for a third."""
    generator = torch.Generator().manual_seed(number)
    bright = torch.rand(rows, generator=generator) < 0.5
    pixels = torch.randint(40, 140, (rows, 3, 32, 32), generator=generator)
    pixels[:, :, :16] += 30 * bright[:, None, None, None]
    pixels[:, :, 16:] += 30 * ~bright[:, None, None, None]
    even = torch.arange(rows) % 2 == 0
    flipped = (torch.rand(rows, generator=generator) < 1 / 3) & ~even
    none = torch.zeros(rows)
    batch = AffectBatch(
        inputs=pixels.to(torch.uint8),
        uids=[str(row) for row in range(rows)],
        rows=torch.arange(rows) % ROWS,
        au=(bright & even).float()[:, None],
        au_mask=even[:, None],
        expression=(bright ^ flipped).long().where(~even, -1),
        expression_mask=~even,
        valence=none,
        arousal=none,
        va_mask=none.bool(),
    )
    return batch, flipped


def test_other_tasks_are_learned_as_ever(make_batch, tasks):
    sections = {"tasks": {"action_units": [1, 2, 12], "expression": CLASSES, "valence_arousal": {"bins": 4}}}
    learner, accelerator = learner_of(**sections)
    batch = replace(make_batch(), inputs=torch.randint(0, 256, (8, 3, 32, 32), dtype=torch.uint8))
    with torch.no_grad():
        output = learner.model(batch.inputs)
    plain = Supervised(recipe_from(values_of(method={"name": "supervised"})).method, tasks)
    expected = total_loss(plain.losses(output, batch)).values
    values = optimizer_step(accelerator, learner, [batch], number=1)
    for name in ("au", "valence", "arousal", "valence_ccc", "arousal_ccc"):
        assert values[name] == pytest.approx(expected[name].item(), rel=1e-4)
    assert values["expression"] < expected["expression"]


def test_a_coupling_is_part_of_the_step_that_is_tried():
    alone, _ = learner_of()
    coupled, accelerator = learner_of("method.coupling={distribution_matching: {weight: 50}}")
    values = optimizer_step(accelerator, coupled, [batch_of()], number=1)
    assert {"distribution_matching", "expression_weight"} <= set(values)
    coupled, _ = learner_of("method.coupling={distribution_matching: {weight: 50}}")
    method = coupled.wrapper
    found = []
    for learner, inner in ((alone, alone.wrapper), (coupled, method)):
        inner._learn = lambda _, weights, gradient: found.append(gradient)
        learner.wrapper.before_step(1, [batch_of()])
        learner.wrapper.before_losses(learner.model(batch_of().inputs), batch_of())
    assert relative(found[1], found[0]) > 0.01


# ------------------------------------------------------------ what is refused


def test_what_a_recipe_lacks_or_excludes_is_listed_before_anything_is_loaded():
    with pytest.raises(RecipeError) as caught:
        recipe_from(
            values_of(
                tasks={"action_units": [1], "valence_arousal": {"bins": 4}},
                method={"name": "meta_auxiliary", "task_weights": {"au": 0}},
                training={"accumulation": 2, "mixed_precision": "fp16", "compile": "inductor"},
                batches={"size": 2},
            ),
            ["model.gradient_checkpointing=true"],
        )
    mistakes = {line.removeprefix("command line: ").split(":")[0]: line for line in caught.value.mistakes}
    assert set(mistakes) == {
        "tasks.expression",
        "method.task_weights",
        "training.accumulation",
        "training.mixed_precision",
        "training.compile",
        "model.gradient_checkpointing",
        "method.meta_batch.share",
    }
    assert len(mistakes) == len(caught.value.mistakes)
    excluded = "the method 'meta_auxiliary' tries a step with the model's weights moved, which this excludes"
    assert f"{excluded}; set it to 1 and `batches.size` to the rows of a step" in mistakes["training.accumulation"]
    assert f"{excluded}; use bf16, or no" in mistakes["training.mixed_precision"]
    assert mistakes["model.gradient_checkpointing"].startswith("command line: ")
    assert (
        "missing; the method 'meta_auxiliary' learns action units with expressions as" in mistakes["tasks.expression"]
    )


def test_a_shared_trial_needs_a_meta_batch_of_its_own_and_no_graph():
    for options, message in (
        ({"meta_batch": {"share": 0.5}}, "give `meta_batch.size` in place of `share`"),
        ({"meta_batch": {"size": 4}, "gradient": "second_order"}, "use `trial: separate`"),
    ):
        with pytest.raises(RecipeError, match=message):
            recipe_from(values_of(method={"name": "meta_auxiliary", "trial": "shared", **options}))


def test_a_meta_batch_has_one_source():
    for values, message in (
        ({"share": 0.5, "size": 4}, "give either `share`, a part of each batch, or `size`"),
        ({}, "give either `share`, a part of each batch, or `size`"),
        ({"share": 0.5, "held_out": {"folds": "people", "fold": 0}}, "give their `size` in place of `share`"),
    ):
        with pytest.raises(RecipeError, match=message):
            recipe_from(values_of(method={"name": "meta_auxiliary", "meta_batch": values}))


@pytest.mark.parametrize(("lacking", "name"), [("au_mask", "action units"), ("expression_mask", "an expression")])
def test_training_rows_without_a_needed_label_are_refused(lacking, name):
    recipe = recipe_from(values_of())
    masks = {"au_mask": np.ones((4, 3), dtype=bool), "expression_mask": np.ones(4, dtype=bool)}
    masks[lacking][:3] = False
    method = MetaAuxiliary(recipe.method, recipe.tasks.task_set())
    with pytest.raises(DataError, match=rf"'merged': the method .* none of the 3 rows .* has a label of {name}; add a"):
        method.prepare(SimpleNamespace(**masks), np.arange(3), "'merged'")
    method.prepare(SimpleNamespace(**masks), np.arange(4), "'merged'")
