import dataclasses

import pytest
import torch
from batch_parts import part_of

from affect_data.errors import UnknownNameError
from affect_train.inputs.batch import SoftTargets
from affect_train.methods import METHODS, ConcordanceTerm, build_method, total_loss
from affect_train.network.output import AffectOutput
from affect_train.recipe.methods.distillation import DistillationOptions
from affect_train.recipe.methods.supervised import SupervisedOptions
from affect_train.tasks import TaskSet

HEADS = ("au_logits", "expression_logits", "valence_logits", "arousal_logits")


def output_of(leaves, part=slice(None)):
    return AffectOutput(**{name: leaf[part] for name, leaf in leaves.items()})


def soft_targets(seed):
    generator = torch.Generator().manual_seed(seed)
    au, expression, valence, arousal = (torch.randn(8, size, generator=generator) for size in (3, 3, 4, 4))
    return SoftTargets(au, torch.tensor([True, True, False]), expression, valence, arousal)


def leaves_like(output):
    return {name: output[name].detach().clone().requires_grad_() for name in HEADS}


@pytest.fixture(params=["supervised", "distillation"])
def method_and_batch(request, tasks, make_batch):
    options = {
        "supervised": SupervisedOptions(au_reduction="sum"),
        "distillation": DistillationOptions(name="distillation"),
    }[request.param]
    soft = {"a": soft_targets(7), "b": soft_targets(8)} if request.param == "distillation" else {}
    return build_method(options, tasks), make_batch(soft)


def test_methods_are_found_by_the_name_that_the_recipe_gives(tasks):
    assert set(METHODS) == {"confidence_weighted", "supervised", "distillation", "meta_auxiliary"}
    assert build_method(SupervisedOptions(), tasks).name == "supervised"
    known = "unknown method 'magic'; known: confidence_weighted, distillation, meta_auxiliary, supervised"
    with pytest.raises(UnknownNameError, match=known):
        build_method(SupervisedOptions.model_construct(name="magic"), tasks)


def test_counts_are_what_the_terms_divide_by(method_and_batch, make_output):
    method, batch = method_and_batch

    terms = method.losses(make_output(), batch)

    assert {name: int(term.count) for name, term in terms.items()} == {
        name: int(count) for name, count in method.counts(batch).items()
    }


@pytest.mark.parametrize("cut", [1, 3, 4, 7])
def test_the_gradient_of_two_processes_is_that_of_one(method_and_batch, make_output, cut):
    """Rows are divided unevenly; each process back-propagates, and gradients are averaged, as distributed training does."""
    method, batch = method_and_batch
    output = make_output()
    whole = leaves_like(output)
    one = total_loss(method.losses(output_of(whole), batch))
    one.loss.backward()

    parts, split = (slice(None, cut), slice(cut, None)), leaves_like(output)
    terms = [method.losses(output_of(split, part), part_of(batch, part)) for part in parts]
    everywhere = sum(torch.cat([term.statistics.detach().double() for term in one_rank.values()]) for one_rank in terms)
    totals = [total_loss(one_rank, all_reduce=lambda _: everywhere, processes=2) for one_rank in terms]
    sum(total.loss for total in totals).backward()

    for name in HEADS:
        torch.testing.assert_close(split[name].grad / 2, whole[name].grad, rtol=1e-5, atol=1e-7)
    for total in totals:
        assert total.loss.item() / 2 == pytest.approx(one.loss.item(), rel=1e-5)
        assert {key: value.item() for key, value in total.values.items()} == pytest.approx(
            {key: value.item() for key, value in one.values.items()}, rel=1e-5
        )


def test_one_process_alone_has_the_loss_and_counts_that_merging_its_sums_gives(method_and_batch, make_output):
    method, batch = method_and_batch
    output = make_output()
    alone, merged = leaves_like(output), leaves_like(output)
    totals = [
        total_loss(method.losses(output_of(leaves), batch), all_reduce=all_reduce)
        for leaves, all_reduce in ((alone, None), (merged, lambda sums: sums))
    ]
    for total in totals:
        total.loss.backward()
    torch.testing.assert_close(totals[0].loss, totals[1].loss, rtol=1e-6, atol=0.0)
    assert {name: int(count) for name, count in totals[0].counts.items()} == {
        name: int(count) for name, count in totals[1].counts.items()
    }
    for name in HEADS:
        torch.testing.assert_close(alone[name].grad, merged[name].grad, rtol=1e-6, atol=1e-9)


def test_accumulated_micro_batches_have_the_gradient_and_the_values_of_one_batch(method_and_batch, make_output):
    """Micro-batches of 1, 1, 2 and 4 rows; the concordance takes the statistics of all of them."""
    method, batch = method_and_batch
    output = make_output()
    whole, pieces = leaves_like(output), leaves_like(output)
    one = total_loss(method.losses(output_of(whole), batch))
    one.loss.backward()

    parts = [slice(0, 1), slice(1, 2), slice(2, 4), slice(4, 8)]
    counts = [method.counts(part_of(batch, part)) for part in parts]
    of_step = {name: sum(one[name] for one in counts) for name in counts[0]}
    terms = [method.losses(output_of(pieces, part), part_of(batch, part)) for part in parts]
    merged = {
        name: sum(one_part[name].statistics.detach() for one_part in terms)
        for name, term in terms[0].items()
        if isinstance(term, ConcordanceTerm)
    }
    assert merged
    assert method.needs_step_statistics
    values = dict.fromkeys(one.values, 0.0)
    for term in terms:
        total = total_loss(term, step_counts=of_step, step_statistics=merged, micro_batches=len(parts))
        total.loss.backward()
        values = {name: value + total.values[name].item() for name, value in values.items()}

    for name in HEADS:
        torch.testing.assert_close(pieces[name].grad, whole[name].grad, rtol=1e-5, atol=1e-8)
    assert values == pytest.approx({name: value.item() for name, value in one.values.items()}, rel=1e-5)


def test_statistics_of_a_window_are_only_asked_for_where_the_concordance_counts(tasks):
    assert not build_method(SupervisedOptions(ccc_weight=0.0), tasks).needs_step_statistics
    assert not build_method(SupervisedOptions(task_weights={"va": 0.0}), tasks).needs_step_statistics
    assert not build_method(SupervisedOptions(), TaskSet((1, 2), (), 0)).needs_step_statistics
    assert build_method(SupervisedOptions(), tasks).needs_step_statistics


def test_a_process_without_any_label_still_takes_part(method_and_batch, make_output):
    method, batch = method_and_batch
    empty = dataclasses.replace(
        batch,
        au_mask=torch.zeros_like(batch.au_mask),
        expression_mask=torch.zeros_like(batch.expression_mask),
        va_mask=torch.zeros_like(batch.va_mask),
        soft={},
    )
    leaves = leaves_like(make_output())

    terms = method.losses(output_of(leaves), empty)
    total = total_loss(terms)
    total.loss.backward()

    assert set(terms) == set(method.losses(make_output(), batch))
    assert total.loss.item() == 0
    assert all((leaf.grad == 0).all() for leaf in leaves.values())
    assert all(count == 0 for count in total.counts.values())


def test_constant_labels_have_no_concordance_and_are_counted_as_none(tasks, make_batch, make_output):
    method = build_method(SupervisedOptions(), tasks)
    batch = make_batch(valence=torch.full((8,), 0.25))

    total = total_loss(method.losses(make_output(), batch))

    assert total.values["valence_ccc"] == 0
    assert (int(total.counts["valence_ccc"]), int(total.counts["valence"])) == (0, 5)
    assert int(total.counts["arousal_ccc"]) == 5


def test_a_loss_that_is_not_a_number_is_not_hidden(tasks, make_batch, make_output):
    method = build_method(SupervisedOptions(), tasks)
    leaves = leaves_like(make_output())
    with torch.no_grad():
        leaves["valence_logits"][0, 0] = float("nan")

    total = total_loss(method.losses(output_of(leaves), make_batch()))

    assert not torch.isfinite(total.loss)
    assert {name for name, value in total.values.items() if not torch.isfinite(value)} == {"valence", "valence_ccc"}
