import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from batch_parts import part_of
from training_runs import fresh_accelerator

from affect_data.errors import RecipeError
from affect_train.errors import CouplingError
from affect_train.inputs.batch import AffectBatch, SoftTargets
from affect_train.inputs.labels import LabelArrays
from affect_train.methods import all_terms, build_method, total_loss
from affect_train.methods.coupling.coupling import Coupled
from affect_train.methods.coupling.relations import co_occurrence
from affect_train.methods.distillation import Distillation
from affect_train.network.output import AffectOutput
from affect_train.recipe.methods.distillation import DistillationOptions
from affect_train.recipe.methods.supervised import SupervisedOptions
from affect_train.recipe.recipe import read_recipe, recipe_from
from affect_train.tasks import TaskSet
from affect_train.training.loop import train

SEVEN = ("neutral", "anger", "disgust", "fear", "happiness", "sadness", "surprise")
NEUTRAL, ANGER, DISGUST, FEAR, HAPPINESS, SADNESS, SURPRISE = range(7)
UNITS = (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 23, 24, 25, 26)
"""The action units of FaceBehaviorNet."""
ALL = TaskSet(UNITS, SEVEN)
FEW = TaskSet((12, 25, 6), ("neutral", "happiness", "surprise"))


def coupled(tasks=ALL, **couplings):
    options = {key: couplings.pop(key) for key in ("task_weights", "au_reduction") if key in couplings}
    return all_terms(build_method(SupervisedOptions(coupling=couplings, **options), tasks))


def batch_of(tasks, *rows):
    """Rows of (action units by number, expression or None); an action unit that is not named is not labelled."""
    count, width = len(rows), len(tasks.action_units)
    au, au_mask = torch.zeros(count, width), torch.zeros(count, width, dtype=torch.bool)
    expression = torch.full((count,), -1)
    for row, (units, name) in enumerate(rows):
        for number, value in units.items():
            au[row, tasks.action_units.index(number)] = value
            au_mask[row, tasks.action_units.index(number)] = True
        if name is not None:
            expression[row] = tasks.expressions.index(name)
    return AffectBatch(
        inputs=torch.zeros(count, 3, 2, 2, dtype=torch.uint8),
        uids=[str(row) for row in range(count)],
        rows=torch.arange(count),
        au=au,
        au_mask=au_mask,
        expression=expression,
        expression_mask=expression >= 0,
        valence=torch.zeros(count),
        arousal=torch.zeros(count),
        va_mask=torch.zeros(count, dtype=torch.bool),
    )


def every_unit(*present):
    return {number: float(number in present) for number in UNITS}


def output_of(tasks, rows, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return AffectOutput(
        au_logits=torch.randn(rows, len(tasks.action_units), generator=generator, requires_grad=True),
        expression_logits=torch.randn(rows, len(tasks.expressions), generator=generator, requires_grad=True),
    )


def sigmoid(value):
    return 1 / (1 + math.exp(-value))


def softmax(values):
    exponentials = [math.exp(value) for value in values]
    return [value / sum(exponentials) for value in exponentials]


def value_of(method, name, output, batch):
    return total_loss(method.losses(output, batch)).values[name].item()


# ---------------------------------------------------------------- co-annotation


def test_an_expression_alone_gives_its_action_units_with_their_weights():
    method = coupled(co_annotation={})
    batch = batch_of(ALL, ({}, "happiness"), ({}, "neutral"), ({12: 1.0}, "happiness"), ({12: 0.0}, None))
    output = output_of(ALL, 4)

    term = method.losses(output, batch)["co_annotation_au"]

    logits = dict(zip(UNITS, output.au_logits[0].tolist(), strict=True))
    expected = -(math.log(sigmoid(logits[12])) + math.log(sigmoid(logits[25])) + 0.51 * math.log(sigmoid(logits[6])))
    assert term.sum.item() == pytest.approx(expected, rel=1e-5)
    assert int(term.count) == 3
    term.sum.backward()
    touched = {(row, UNITS[column]) for row, column in output.au_logits.grad.nonzero().tolist()}
    assert touched == {(0, 12), (0, 25), (0, 6)}


def test_given_action_units_follow_the_reduction_of_the_labels():
    batch = batch_of(ALL, ({}, "happiness"), ({}, "surprise"))
    output = output_of(ALL, 2)
    happy, surprised = (dict(zip(UNITS, row, strict=True)) for row in output.au_logits.tolist())
    one = [-math.log(sigmoid(happy[n])) * w for n, w in ((12, 1), (25, 1), (6, 0.51))]
    other = [-math.log(sigmoid(surprised[n])) * w for n, w in ((1, 1), (2, 1), (25, 1), (26, 1), (5, 0.66))]

    found = {
        name: total_loss(
            {"term": coupled(co_annotation={}, au_reduction=name).losses(output, batch)["co_annotation_au"]}
        ).loss.item()
        for name in ("mean", "sum", "image_mean")
    }

    assert found["mean"] == pytest.approx((sum(one) + sum(other)) / 8, rel=1e-5)
    assert found["sum"] == pytest.approx(17 * (sum(one) + sum(other)) / 8, rel=1e-5)
    assert found["image_mean"] == pytest.approx((sum(one) / 3 + sum(other) / 5) / 2, rel=1e-5)


def test_action_units_alone_give_the_expression_all_of_whose_units_are_present():
    method = coupled(co_annotation={})
    happy, sad = (12, 25, 6), (4, 15, 1, 6, 17)
    fear = (1, 4, 20, 25, 2, 5, 26)
    surprise = (1, 2, 25, 26, 5)
    batch = batch_of(
        ALL,
        (every_unit(*happy), None),
        (every_unit(12, 25), None),
        (every_unit(*happy), "anger"),
        (every_unit(*happy, *sad), None),
        (every_unit(*fear, *surprise), None),
        ({12: 1.0, 25: 1.0, 6: 1.0}, None),
        ({12: 1.0, 25: 1.0}, None),
        ({}, None),
    )
    output = output_of(ALL, 8)

    term = method.losses(output, batch)["co_annotation_expression"]

    given = {0: HAPPINESS, 3: SADNESS, 4: FEAR, 5: HAPPINESS}
    logits = output.expression_logits.tolist()
    assert int(term.count) == 4
    assert term.sum.item() == pytest.approx(
        sum(-math.log(softmax(logits[row])[name]) for row, name in given.items()), rel=1e-5
    )
    term.sum.backward()
    assert set(output.expression_logits.grad.abs().sum(1).nonzero().flatten().tolist()) == set(given)


def test_no_expression_is_given_without_its_prototypical_units_in_the_head():
    eight = TaskSet((1, 2, 4, 6, 12, 15, 20, 25), SEVEN)
    method = coupled(eight, co_annotation={})
    everything = dict.fromkeys(eight.action_units, 1.0)
    batch = batch_of(eight, ({**dict.fromkeys(eight.action_units, 0.0), 4: 1.0}, None), (everything, None))
    output = output_of(eight, 2)

    term = method.losses(output, batch)["co_annotation_expression"]

    # AU4 alone would otherwise be anger and disgust; of fear (5 units left), sadness (4) and happiness (3) the first has the most.
    assert int(term.count) == 1
    assert term.sum.item() == pytest.approx(-math.log(softmax(output.expression_logits[1].tolist())[FEAR]), rel=1e-5)


def test_the_weights_of_both_directions_are_multiplied_by_those_of_the_tasks():
    method = coupled(
        co_annotation={"au_weight": 0.5, "expression_weight": 3.0}, task_weights={"au": 4.0, "expression": 0.1}
    )
    terms = method.losses(output_of(ALL, 1), batch_of(ALL, ({}, "happiness")))
    assert terms["co_annotation_au"].weight == pytest.approx(2.0)
    assert terms["co_annotation_expression"].weight == pytest.approx(0.3)
    off = {"weight": 0.0}
    one_way = coupled(co_annotation={"expression_weight": 0.0}, soft_co_annotation=off, distribution_matching=off)
    batch = batch_of(ALL, ({}, None))
    assert (
        set(one_way.counts(batch))
        == {"au", "expression", "co_annotation_au"}
        == set(one_way.losses(output_of(ALL, 1), batch))
    )


# ---------------------------------------------------------------- soft co-annotation


def soft_loss(scores, logits):
    return -sum(t * math.log(p) for t, p in zip(softmax(scores), softmax(logits), strict=True))


@pytest.mark.parametrize(
    ("weighted", "happy", "surprised"),
    [(True, (1 + 0.51) / 2.51, (1 + 0.66) / 4.66), (False, 2 / 3, 2 / 5)],
)
def test_soft_labels_are_the_softmax_of_the_weighted_shares_of_present_units(weighted, happy, surprised):
    tasks = TaskSet((12, 25, 6, 1, 2, 26, 5), ("happiness", "surprise", "neutral"))
    method = coupled(tasks, soft_co_annotation={"weighted": weighted})
    units = {12: 1.0, 25: 0.0, 6: 1.0, 1: 1.0, 2: 0.0, 26: 0.0, 5: 1.0}
    batch, output = batch_of(tasks, (units, None), (units, "neutral"), ({}, "neutral")), output_of(tasks, 3)

    term = method.losses(output, batch)["soft_co_annotation"]

    scores = [happy, surprised, 1 - max(happy, surprised)]
    expected = sum(soft_loss(scores, row) for row in output.expression_logits[:2].tolist())
    assert int(term.count) == 2
    assert term.sum.item() == pytest.approx(expected, rel=1e-5)
    term.sum.backward()
    assert output.au_logits.grad is None
    assert not output.expression_logits.grad[2].any()


def test_soft_labels_are_sharper_at_a_lower_temperature():
    method = coupled(FEW, soft_co_annotation={"temperature": 0.25}, neutral="include")
    batch, output = batch_of(FEW, ({12: 1.0, 25: 1.0, 6: 0.0}, None)), output_of(FEW, 1)

    found = value_of(method, "soft_co_annotation", output, batch)

    # Surprise takes AU1, AU2 and AU26, which the head lacks: the choice is between neutral and happiness.
    happy = 2 / 2.51
    logits = output.expression_logits[0, :2].tolist()
    assert found == pytest.approx(soft_loss([(1 - happy) / 0.25, happy / 0.25], logits), rel=1e-5)


def test_expressions_whose_prototypical_units_are_not_labelled_are_not_spoken_of():
    method = coupled(soft_co_annotation={})
    # AU23 says something of anger alone, whose AU4, AU7 and AU24 are missing.
    batch = batch_of(ALL, ({12: 1.0, 25: 1.0, 4: 0.0, 15: 0.0}, None), ({23: 1.0}, None))
    output = output_of(ALL, 2)

    term = method.losses(output, batch)["soft_co_annotation"]
    term.sum.backward()

    logits = output.expression_logits[0].tolist()
    chosen = [logits[name] for name in (NEUTRAL, HAPPINESS, SADNESS)]
    assert int(term.count) == 1
    assert term.sum.item() == pytest.approx(soft_loss([0.0, 1.0, 0.0], chosen), rel=1e-5)
    moved = output.expression_logits.grad.nonzero().tolist()
    assert {(row, name) for row, name in moved} == {(0, NEUTRAL), (0, HAPPINESS), (0, SADNESS)}


def test_neutral_left_out_has_no_score():
    method = coupled(soft_co_annotation={}, neutral="leave_out")
    output = output_of(ALL, 1)
    found = value_of(method, "soft_co_annotation", output, batch_of(ALL, (every_unit(12, 25, 6), None)))

    weights = {  # Du et al. without AU11
        ANGER: {4: 1, 7: 1, 24: 1, 10: 0.26, 17: 0.52, 23: 0.29},
        DISGUST: {9: 1, 10: 1, 17: 1, 4: 0.31, 24: 0.26},
        FEAR: {1: 1, 4: 1, 20: 1, 25: 1, 2: 0.57, 5: 0.63, 26: 0.33},
        HAPPINESS: {12: 1, 25: 1, 6: 0.51},
        SADNESS: {4: 1, 15: 1, 1: 0.6, 6: 0.5, 17: 0.67},
        SURPRISE: {1: 1, 2: 1, 25: 1, 26: 1, 5: 0.66},
    }
    scores = [sum(w for n, w in units.items() if n in (12, 25, 6)) / sum(units.values()) for units in weights.values()]
    assert found == pytest.approx(soft_loss(scores, output.expression_logits[0, 1:].tolist()), rel=1e-5)


# ---------------------------------------------------------------- distribution matching

AU_LOGITS, EXPRESSION_LOGITS = [0.4, -1.1, 0.7], [0.2, 1.5, -0.3]


def matching_output():
    return AffectOutput(
        au_logits=torch.tensor([AU_LOGITS], requires_grad=True),
        expression_logits=torch.tensor([EXPRESSION_LOGITS], requires_grad=True),
    )


def implied(prior):
    """Of AU12, AU25 and AU6, by hand: happiness shows them as the prior says, surprise AU25 alone, neutral none."""
    _, happy, surprised = softmax(EXPRESSION_LOGITS)
    return [happy * prior[0], happy * prior[1] + surprised, happy * prior[2]]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("form", ["one_sided", "binary"])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_distribution_matching_is_the_cross_entropy_of_predicted_and_implied_units(weighted, form, reduction):
    method = coupled(
        FEW,
        distribution_matching={"form": form, "gradient": "both", "weighted": weighted, "reduction": reduction},
    )
    p, q = [sigmoid(logit) for logit in AU_LOGITS], implied([1, 1, 0.51 if weighted else 1])
    losses = [-a * math.log(b) for a, b in zip(p, q, strict=True)]
    if form == "binary":
        losses = [one - (1 - a) * math.log(1 - b) for one, a, b in zip(losses, p, q, strict=True)]

    found = value_of(method, "distribution_matching", matching_output(), batch_of(FEW, ({}, None)))

    assert found == pytest.approx(sum(losses) / (3 if reduction == "mean" else 1), rel=1e-5)


def test_the_gradient_switch_decides_which_head_learns():
    p, q = [sigmoid(logit) for logit in AU_LOGITS], implied([1, 1, 1])
    found = {}
    for gradient in ("both", "expressions", "action_units", "symmetric"):
        method, output = coupled(FEW, distribution_matching={"gradient": gradient}), matching_output()
        total = total_loss({"matching": method.losses(output, batch_of(FEW, ({}, None)))["distribution_matching"]})
        total.loss.backward()
        found[gradient] = (total.loss.item(), output.au_logits.grad, output.expression_logits.grad)

    assert found["expressions"][1] is None or not found["expressions"][1].any()
    assert found["action_units"][2] is None or not found["action_units"][2].any()
    # With q as the target, the gradient of a cross-entropy with respect to a logit is p - q, here of a mean over three.
    by_hand = torch.tensor([[(a - b) / 3 for a, b in zip(p, q, strict=True)]])
    torch.testing.assert_close(found["action_units"][1], by_hand, rtol=1e-5, atol=1e-7)
    # With both, the gradient of -p log q - (1 - p) log(1 - q) with respect to the logit of p.
    by_hand = torch.tensor([[a * (1 - a) * math.log((1 - b) / b) / 3 for a, b in zip(p, q, strict=True)]])
    torch.testing.assert_close(found["both"][1], by_hand, rtol=1e-4, atol=1e-7)
    torch.testing.assert_close(found["both"][2], found["expressions"][2])
    torch.testing.assert_close(found["symmetric"][1], found["action_units"][1] / 2)
    torch.testing.assert_close(found["symmetric"][2], found["expressions"][2] / 2)
    assert found["symmetric"][0] == pytest.approx((found["expressions"][0] + found["action_units"][0]) / 2)


def test_matching_takes_rows_with_and_without_labels_and_leaves_out_units_without_relation():
    tasks = TaskSet((12, 14, 25, 45), ("neutral", "happiness", "surprise"))
    method, output = coupled(tasks, distribution_matching={}), output_of(tasks, 3)

    term = method.losses(output, batch_of(tasks, ({12: 1.0}, "happiness"), ({}, None), ({14: 1.0}, None)))[
        "distribution_matching"
    ]
    term.sum.backward()

    assert int(term.count) == 3 * 2
    assert output.au_logits.grad.ne(0).tolist() == [[True, False, True, False]] * 3
    assert method.coupling.relations.matched.tolist() == [True, False, True, False]


def test_a_class_without_relations_takes_its_share_of_the_row_with_it():
    with_other = TaskSet((12, 25, 6), ("neutral", "happiness", "surprise", "other"))
    output = AffectOutput(
        au_logits=torch.tensor([AU_LOGITS]), expression_logits=torch.tensor([[*EXPRESSION_LOGITS, 1.0]])
    )
    found = value_of(
        coupled(with_other, distribution_matching={}), "distribution_matching", output, batch_of(with_other, ({}, None))
    )
    without = value_of(
        coupled(FEW, distribution_matching={}), "distribution_matching", matching_output(), batch_of(FEW, ({}, None))
    )
    assert found == pytest.approx(without * (1 - softmax([*EXPRESSION_LOGITS, 1.0])[3]), rel=1e-5)


def test_matching_stays_finite_for_extreme_logits():
    for gradient in ("both", "symmetric"):
        output = AffectOutput(
            au_logits=torch.tensor([[90.0, -90.0, 90.0]], requires_grad=True),
            expression_logits=torch.tensor([[200.0, -200.0, 0.0]], requires_grad=True),
        )
        method = coupled(FEW, distribution_matching={"gradient": gradient})
        total = total_loss({"matching": method.losses(output, batch_of(FEW, ({}, None)))["distribution_matching"]})
        total.loss.backward()
        assert math.isfinite(total.loss.item())
        assert output.au_logits.grad.isfinite().all()
        assert output.expression_logits.grad.isfinite().all()


# ---------------------------------------------------------------- relations


def label_arrays(tasks, *rows):
    batch = batch_of(tasks, *rows)
    return LabelArrays(
        au=np.where(batch.au_mask, batch.au, -1).astype(np.int8),
        au_mask=batch.au_mask.numpy(),
        expression=batch.expression.numpy(),
        expression_mask=batch.expression_mask.numpy(),
        valence=batch.valence.numpy(),
        arousal=batch.arousal.numpy(),
        va_mask=batch.va_mask.numpy(),
        soft={},
    )


BOTH = [
    *[({12: 1.0, 25: 1.0, 6: 0.0}, "happiness")] * 3,
    ({12: 1.0, 25: 0.0, 6: 1.0}, "happiness"),
    *[({12: 0.0, 25: 1.0, 6: 0.0}, "surprise")] * 3,
    ({12: 0.0, 25: 0.0}, "surprise"),
    ({12: 1.0, 25: 0.0, 6: 0.0}, "neutral"),
    *[({12: 0.0, 25: 0.0, 6: 0.0}, "neutral")] * 9,
    ({12: 1.0}, None),
    ({}, "happiness"),
]


def prepared(rows, tasks=FEW, kept=None, **coupling):
    method = coupled(tasks, prior="data", distribution_matching={}, **coupling)
    notes = method.prepare(label_arrays(tasks, *rows), np.arange(len(rows)) if kept is None else kept, "'merged'")
    return method, notes


def test_frequencies_of_the_data_are_those_that_were_counted_by_hand():
    method, notes = prepared(BOTH, least_rows=3)

    assert method.coupling.relations.classes.tolist() == [0, 1, 2]
    hand = torch.tensor([[0.1, 0.0, 0.0], [1.0, 0.75, 0.25], [0.0, 0.75, 0.0]])
    torch.testing.assert_close(method.coupling.relations.prior, hand)
    # 0.70 makes an action unit prototypical, 0.20 lists it at all; neutral has none.
    weights = torch.tensor([[0.0, 0.0, 0.0], [1.0, 1.0, 0.25], [0.0, 1.0, 0.0]])
    torch.testing.assert_close(method.coupling.relations.weights, weights)
    assert method.coupling.relations.matched.tolist() == [True, True, True]
    assert notes == [
        "coupling: frequencies of 3 action units; rows with both labels: neutral 10, happiness 4, surprise 4"
    ]


def test_the_counts_are_of_rows_with_both_labels_alone():
    present, counts = co_occurrence(label_arrays(FEW, *BOTH), np.arange(len(BOTH)), FEW)
    assert counts.tolist() == [[10, 10, 10], [4, 4, 4], [4, 4, 3]]
    assert present.tolist() == [[1, 0, 0], [4, 3, 1], [0, 3, 0]]


def test_rows_that_are_held_out_do_not_count():
    method, _ = prepared(BOTH, kept=np.array([*range(4), *range(8, 18)]), least_rows=3)
    assert method.coupling.relations.classes.tolist() == [0, 1]


def test_matching_by_frequencies_uses_them_as_they_are():
    method, _ = prepared(BOTH, least_rows=3)
    found = value_of(method, "distribution_matching", matching_output(), batch_of(FEW, ({}, None)))
    n, h, s = softmax(EXPRESSION_LOGITS)
    p, q = [sigmoid(logit) for logit in AU_LOGITS], [0.1 * n + h, 0.75 * h + 0.75 * s, 0.25 * h]

    def entropy(a, b):
        return -a * math.log(b) - (1 - a) * math.log(1 - b)

    sides = [(entropy(a, b) + entropy(b, a)) / 2 for a, b in zip(p, q, strict=True)]
    assert found == pytest.approx(sum(sides) / 3, rel=1e-5)


def test_a_frequency_takes_enough_rows():
    method, notes = prepared(BOTH, least_rows=4)
    assert method.coupling.relations.matched.tolist() == [True, True, False]
    assert "coupling: distribution matching leaves out AU6: the prior does not say who shows it" in notes


def test_an_expression_with_too_few_rows_is_left_out_with_a_note():
    method, notes = prepared(BOTH[4:], least_rows=3)
    assert method.coupling.relations.classes.tolist() == [0, 2]
    assert "coupling: fewer than 3 rows with both labels, so left out: happiness" in notes


def test_labels_that_never_meet_have_no_frequencies():
    apart = [({12: 1.0, 25: 1.0}, None)] * 20 + [({}, "happiness")] * 20
    with pytest.raises(
        CouplingError,
        match=r"prior: data takes training rows that carry an expression and action units, 10 at least of each of two expressions "
        r"\(`least_rows`\); found neutral 0, happiness 0, surprise 0; to fix: set `prior: du2014`",
    ):
        prepared(apart)


def test_relations_that_no_head_predicts_are_dropped_and_counted():
    method = coupled(distribution_matching={})
    rows = [(dict.fromkeys(UNITS, 1.0), None), ({}, "anger")]
    notes = method.prepare(label_arrays(ALL, *rows), np.arange(2), "'merged'")
    assert notes == [
        "coupling: 31 relations between 7 expressions and 16 action units",
        "coupling: dropped 1 relations that no head predicts: AU11 of sadness",
        "coupling: distribution matching leaves out AU14: the prior does not say who shows it",
    ]


def test_a_relation_to_a_unit_that_no_database_codes_is_refused():
    method = coupled(FEW, co_annotation={})
    rows = [({12: 1.0, 25: 0.0}, "neutral")] * 3
    with pytest.raises(
        CouplingError,
        match=r"method\.coupling: the relations name AU6, which no database of 'merged', split train codes: .*; to fix: remove it from "
        r"`tasks\.action_units`",
    ):
        method.prepare(label_arrays(FEW, *rows), np.arange(3), "'merged', split train")


def test_labels_without_any_expression_are_refused():
    rows = [({12: 1.0, 25: 0.0, 6: 1.0}, None)] * 3
    with pytest.raises(CouplingError, match=r"no row of 'merged' has an expression; to fix: remove `method.coupling`"):
        coupled(FEW, co_annotation={}).prepare(label_arrays(FEW, *rows), np.arange(3), "'merged'")


def test_a_table_of_the_recipe_takes_the_place_of_that_of_du():
    method = coupled(
        FEW, distribution_matching={"weighted": True}, relations={"happy": {12: 0.9}, "surprised": {25: 1.0}}
    )
    torch.testing.assert_close(
        method.coupling.relations.prior, torch.tensor([[0.0, 0.0, 0.0], [0.9, 0.0, 0.0], [0.0, 1.0, 0.0]])
    )
    assert method.coupling.relations.matched.tolist() == [True, True, False]


# ---------------------------------------------------------------- with other methods, and however rows are divided

EVERYTHING = {
    "co_annotation": {},
    "soft_co_annotation": {},
    "distribution_matching": {},
}
MIXED_ROWS = [
    ({}, "happiness"),
    (every_unit(12, 25, 6), None),
    (every_unit(4, 7, 24), "anger"),
    ({}, None),
    ({12: 1.0, 25: 1.0}, None),
    ({}, "neutral"),
    (every_unit(1, 2, 25, 26, 5), None),
    ({}, "surprise"),
]


def teachers():
    generator = torch.Generator().manual_seed(5)
    return {
        "teacher": SoftTargets(
            au=torch.randn(8, len(UNITS), generator=generator),
            au_mask=torch.ones(len(UNITS), dtype=torch.bool),
            expression=torch.randn(8, 7, generator=generator),
        )
    }


@pytest.fixture(params=["supervised", "distillation", "image_mean"])
def method_and_batch(request):
    batch = batch_of(ALL, *MIXED_ROWS)
    if request.param == "distillation":
        options = DistillationOptions(name="distillation", au_reduction="image_mean", coupling=EVERYTHING)
        return all_terms(build_method(options, ALL)), replace(batch, soft=teachers())
    reduction = "image_mean" if request.param == "image_mean" else "mean"
    return all_terms(build_method(SupervisedOptions(coupling=EVERYTHING, au_reduction=reduction), ALL)), batch


def test_the_terms_of_the_method_stay_as_they_are(method_and_batch):
    method, batch = method_and_batch
    output = output_of(ALL, 8)
    own, both = method.method.losses(output, batch), method.losses(output, batch)
    couplings = {"co_annotation_au", "co_annotation_expression", "soft_co_annotation", "distribution_matching"}
    assert isinstance(method, Coupled)
    assert isinstance(method.method, Distillation) == bool(batch.soft)
    assert set(both) == set(own) | couplings
    assert all(torch.equal(both[name].sum, own[name].sum) and both[name].weight == own[name].weight for name in own)


def test_counts_are_what_the_terms_divide_by(method_and_batch):
    method, batch = method_and_batch
    terms = method.losses(output_of(ALL, 8), batch)
    assert {name: int(term.count) for name, term in terms.items()} == {
        name: int(count) for name, count in method.counts(batch).items()
    }
    empty = method.losses(output_of(ALL, 1), part_of(batch, slice(3, 4)))
    assert {name for name, term in empty.items() if int(term.count)} == (
        {"distribution_matching", "au_hard", "au_soft", "expression_hard", "expression_soft"}
        if batch.soft
        else {"distribution_matching"}
    )
    assert all(term.sum.requires_grad for term in empty.values())


@pytest.mark.parametrize("cut", [1, 4, 7])
def test_the_gradient_of_two_processes_is_that_of_one(method_and_batch, cut):
    method, batch = method_and_batch
    whole, split = output_of(ALL, 8), output_of(ALL, 8)
    one = total_loss(method.losses(whole, batch))
    one.loss.backward()

    terms = [
        method.losses(
            AffectOutput(au_logits=split.au_logits[part], expression_logits=split.expression_logits[part]),
            part_of(batch, part),
        )
        for part in (slice(None, cut), slice(cut, None))
    ]
    everywhere = sum(torch.cat([term.statistics.detach().double() for term in rank.values()]) for rank in terms)
    totals = [total_loss(rank, all_reduce=lambda _: everywhere, processes=2) for rank in terms]
    sum(total.loss for total in totals).backward()

    for name in ("au_logits", "expression_logits"):
        torch.testing.assert_close(split[name].grad / 2, whole[name].grad, rtol=1e-5, atol=1e-7)
    for total in totals:
        assert {name: value.item() for name, value in total.values.items()} == pytest.approx(
            {name: value.item() for name, value in one.values.items()}, rel=1e-5
        )


def test_the_gradient_of_accumulated_micro_batches_is_that_of_one_batch(method_and_batch):
    method, batch = method_and_batch
    whole, pieces = output_of(ALL, 8), output_of(ALL, 8)
    total_loss(method.losses(whole, batch)).loss.backward()

    parts = [slice(0, 1), slice(1, 2), slice(2, 4), slice(4, 8)]
    counts = [method.counts(part_of(batch, part)) for part in parts]
    of_step = {name: sum(one[name] for one in counts) for name in counts[0]}
    for part in parts:
        output = AffectOutput(au_logits=pieces.au_logits[part], expression_logits=pieces.expression_logits[part])
        terms = method.losses(output, part_of(batch, part))
        total_loss(terms, step_counts=of_step, micro_batches=4).loss.backward()

    for name in ("au_logits", "expression_logits"):
        torch.testing.assert_close(pieces[name].grad, whole[name].grad, rtol=1e-5, atol=1e-8)


# ---------------------------------------------------------------- recipes


def recipe(coupling, **tasks):
    return recipe_from(
        {
            "dataset": "merged",
            "output": "run",
            "tasks": {"action_units": [1, 12, 25], "expression": "aff_wild2_7", **tasks},
            "model": {"backbone": {"model_type": "vit"}, "image_size": 32},
            "method": {"name": "supervised", "coupling": coupling},
        }
    )


def test_a_table_of_relations_survives_being_written(tmp_path):
    values = recipe({"co_annotation": {}, "relations": {"happy": {12: 1.0, 6: 0.5}}})
    assert values.method.coupling.relations == {"happiness": {12: 1.0, 6: 0.5}}
    values.write(tmp_path / "recipe.yaml")
    assert read_recipe(tmp_path / "recipe.yaml") == values


@pytest.mark.parametrize(
    ("coupling", "tasks", "message"),
    [
        ({}, {}, r"method\.coupling: couples nothing; give one of co_annotation, soft_co_annotation, distribution_matching"),
        ({"co_anotation": {}}, {}, r"method\.coupling\.co_anotation: unknown key; did you mean 'co_annotation'\?"),
        ({"co_annotation": {}}, {"expression": None}, r"method\.coupling: takes `tasks\.action_units` and `tasks\.expression`"),
        ({"co_annotation": {}}, {"action_units": [45]}, r"method\.coupling: no relation between the expressions neutral, .* and AU45;"),
        ({"co_annotation": {}, "relations": {"happy": {99: 1.0}}}, {}, r"relations: AU99 is no action unit of the vocabulary"),
        ({"co_annotation": {}, "relations": {"joyous": {12: 1.0}}}, {}, r"relations: 'joyous' is no expression"),
        ({"co_annotation": {}, "relations": {"happy": {12: 1.5}}}, {}, r"relations\.happy\S*: found 1\.5; expected less than or equal"),
        ({"co_annotation": {}, "relations": {"neutral": {12: 1.0}}}, {}, r"relations: neutral has relations"),
        (
            {"co_annotation": {}, "relations": {"happy": {12: 1.0}, "happiness": {6: 1.0}}},
            {},
            r"relations: found happy, happiness; name every expression once",
        ),
        ({"co_annotation": {}, "prior": "data", "relations": {"happy": {12: 1.0}}}, {}, r"`relations` are given and `prior` is 'data'"),
        ({"distribution_matching": {"form": "two_sided"}}, {}, r"form: found 'two_sided'; expected 'one_sided' or 'binary'"),
    ],
)  # fmt: skip
def test_a_coupling_that_cannot_be_is_a_mistake_of_the_recipe(coupling, tasks, message):
    with pytest.raises(RecipeError, match=message):
        recipe(coupling, **tasks)


# ---------------------------------------------------------------- a run


@pytest.fixture
def run(recipe_values, tmp_path):
    def start(coupling, name="supervised", accumulation=2):
        values = recipe_values(
            method={"name": name, "au_reduction": "image_mean", "coupling": coupling},
            output=str(tmp_path / "run"),
            batches={"size": 10},
            training={"epochs": 1, "max_steps": 2, "accumulation": accumulation, "log_every": 1, "validation_split": None, "keep_best": 0},
        )  # fmt: skip
        try:
            return train(recipe_from(values))
        finally:
            fresh_accelerator()

    return start


def test_a_run_logs_every_term_and_says_what_was_dropped(run, tmp_path, capsys):
    assert run(EVERYTHING)["steps"] == 2
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    logged = json.dumps(rows)
    for term in ("co_annotation_au", "co_annotation_expression", "soft_co_annotation", "distribution_matching"):
        assert term in logged
    said = capsys.readouterr().err
    assert "coupling: 7 relations between 7 expressions and 3 action units" in said
    assert "coupling: dropped 25 relations that no head predicts: AU4 of anger, AU7 of anger" in said


def test_sample_weights_are_learned_beside_a_coupling(run, tmp_path):
    assert run(EVERYTHING, "meta_auxiliary", accumulation=1)["steps"] == 2
    logged = (tmp_path / "run" / "metrics.jsonl").read_text()
    assert "expression_weight" in logged
    assert "distribution_matching" in logged
    assert (tmp_path / "run" / "weights.parquet").exists()


def test_a_run_whose_labels_never_meet_has_no_prior_from_its_data(run):
    with pytest.raises(
        CouplingError, match="found neutral 0, anger 0, disgust 0, fear 0, happiness 0, sadness 0, surprise 0"
    ):
        run({**EVERYTHING, "prior": "data"})
