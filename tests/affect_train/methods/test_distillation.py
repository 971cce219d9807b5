import math

import pytest
import torch

from affect_train.inputs.batch import SoftTargets
from affect_train.methods import build_method, total_loss
from affect_train.methods.distillation import mean_probabilities
from affect_train.network.output import AffectOutput
from affect_train.recipe.methods.distillation import DistillationOptions
from affect_train.tasks import TaskSet

EXPRESSION = TaskSet(expressions=("neutral", "anger"))
AU = TaskSet(action_units=(1, 2))


def softmax(values, temperature=1.0):
    exponentials = [math.exp(value / temperature) for value in values]
    return [value / sum(exponentials) for value in exponentials]


def divergence(teacher, student):
    return sum(t * math.log(t / s) for t, s in zip(teacher, student, strict=True))


def binary(target, logit):
    p = 1 / (1 + math.exp(-logit))
    return -(target * math.log(p) + (1 - target) * math.log(1 - p))


def loss_of(tasks, output, batch, **options):
    method = build_method(DistillationOptions(name="distillation", **options), tasks)
    return total_loss(method.losses(output, batch))


@pytest.fixture
def two_rows(make_batch):
    """The first row has labels, the second has none."""

    def make(soft):
        batch = make_batch()
        cut = {name: getattr(batch, name)[:2] for name in ("inputs", "uids", "rows", "valence", "arousal")}
        return type(batch)(
            **cut,
            au=torch.tensor([[1.0, 0.0], [0.0, 0.0]]),
            au_mask=torch.tensor([[True, True], [False, False]]),
            expression=torch.tensor([1, -1]),
            expression_mask=torch.tensor([True, False]),
            va_mask=torch.tensor([False, False]),
            soft=soft,
        )

    return make


STUDENT = [[0.2, -0.3], [1.0, 0.5]]
TEACHER = [[1.5, -1.0], [-0.5, 2.0]]


@pytest.mark.parametrize(("squared", "factor"), [(True, 2.25), (False, 1.0)])
def test_expressions_mix_label_and_teacher_and_take_the_teacher_alone_without_a_label(two_rows, squared, factor):
    batch = two_rows({"teacher": SoftTargets(expression=torch.tensor(TEACHER))})
    output = AffectOutput(expression_logits=torch.tensor(STUDENT))

    found = loss_of(EXPRESSION, output, batch, temperature_squared=squared)

    soft = [divergence(softmax(t, 1.5), softmax(s, 1.5)) * factor for t, s in zip(TEACHER, STUDENT, strict=True)]
    hard = -math.log(softmax(STUDENT[0])[1])
    assert found.values["expression_hard"].item() == pytest.approx(0.6 * hard / 2, rel=1e-5)
    assert found.values["expression_soft"].item() == pytest.approx((0.4 * soft[0] + soft[1]) / 2, rel=1e-5)
    assert found.loss.item() == pytest.approx((0.6 * hard + 0.4 * soft[0] + soft[1]) / 2, rel=1e-5)


THREE = TaskSet(expressions=("neutral", "anger", "contempt"))
STUDENT_OF_THREE = [[0.2, -0.3, 4.0], [1.0, 0.5, -2.0]]


def test_a_teacher_without_a_class_teaches_the_shared_ones_and_moves_no_other_logit(two_rows):
    teacher = torch.tensor([[*values, 0.0] for values in TEACHER])
    soft_targets = SoftTargets(expression=teacher, expression_mask=torch.tensor([True, True, False]))
    logits = torch.tensor(STUDENT_OF_THREE, requires_grad=True)

    found = loss_of(THREE, AffectOutput(expression_logits=logits), two_rows({"teacher": soft_targets}))

    # Student and teacher are renormalised over neutral and anger; the label's loss is over all three classes.
    soft = [
        divergence(softmax(t, 1.5), softmax(s[:2], 1.5)) * 2.25 for t, s in zip(TEACHER, STUDENT_OF_THREE, strict=True)
    ]
    hard = -math.log(softmax(STUDENT_OF_THREE[0])[1])
    assert found.values["expression_soft"].item() == pytest.approx((0.4 * soft[0] + soft[1]) / 2, rel=1e-5)
    assert found.values["expression_hard"].item() == pytest.approx(0.6 * hard / 2, rel=1e-5)
    found.loss.backward()
    # The second row has no label: nothing is said of its contempt.
    assert logits.grad[1, 2] == 0
    assert logits.grad[1, 0] != 0


def test_teachers_of_other_classes_are_averaged_over_those_that_all_share(two_rows):
    batch = two_rows(
        {
            "whole": SoftTargets(expression=torch.tensor([[1.5, -1.0, 7.0], [-0.5, 2.0, 3.0]])),
            "part": SoftTargets(
                expression=torch.tensor([[0.5, 0.0, 0.0], [1.0, -1.0, 0.0]]),
                expression_mask=torch.tensor([True, True, False]),
            ),
        }
    )
    output = AffectOutput(expression_logits=torch.tensor(STUDENT_OF_THREE))

    found = loss_of(THREE, output, batch, temperature=1.0, confidence="entropy")

    part = [[0.5, 0.0], [1.0, -1.0]]
    means = [
        [(a + b) / 2 for a, b in zip(softmax(one), softmax(other), strict=True)]
        for one, other in zip(TEACHER, part, strict=True)
    ]
    certain = [1 + sum(p * math.log(p) for p in mean) / math.log(2) for mean in means]
    soft = [c * divergence(mean, softmax(s[:2])) for c, mean, s in zip(certain, means, STUDENT_OF_THREE, strict=True)]
    assert found.values["expression_soft"].item() == pytest.approx((0.4 * soft[0] + soft[1]) / 2, rel=1e-5)


def test_action_units_mix_entry_by_entry_without_temperature(two_rows):
    batch = two_rows({"teacher": SoftTargets(au=torch.tensor(TEACHER), au_mask=torch.tensor([True, False]))})
    output = AffectOutput(au_logits=torch.tensor(STUDENT))

    found = loss_of(AU, output, batch, hard_weight=0.7, temperature=3.0)

    # AU2 is not known to the teacher: its label counts fully, and its unlabelled entry not at all.
    taught = [1 / (1 + math.exp(-row[0])) for row in TEACHER]
    hard = 0.7 * binary(1, STUDENT[0][0]) + binary(0, STUDENT[0][1])
    soft = 0.3 * binary(taught[0], STUDENT[0][0]) + binary(taught[1], STUDENT[1][0])
    assert found.loss.item() == pytest.approx((hard + soft) / 3, rel=1e-5)
    assert int(found.counts["au_soft"]) == 3


def test_the_mean_of_images_is_over_the_entries_that_an_image_learns(two_rows):
    batch = two_rows({"teacher": SoftTargets(au=torch.tensor(TEACHER), au_mask=torch.tensor([True, False]))})
    output = AffectOutput(au_logits=torch.tensor(STUDENT))

    found = loss_of(AU, output, batch, au_reduction="image_mean")

    taught = [1 / (1 + math.exp(-row[0])) for row in TEACHER]
    first = 0.6 * binary(1, STUDENT[0][0]) + 0.4 * binary(taught[0], STUDENT[0][0]) + binary(0, STUDENT[0][1])
    second = binary(taught[1], STUDENT[1][0])
    assert found.loss.item() == pytest.approx((first / 2 + second) / 2, rel=1e-5)
    assert int(found.counts["au_soft"]) == 2


def test_valence_and_arousal_mix_bins_and_concordance(make_batch, tasks, make_output):
    generator = torch.Generator().manual_seed(4)
    teacher = torch.randn(8, 4, generator=generator)
    batch, output = make_batch({"teacher": SoftTargets(valence=teacher, arousal=teacher)}), make_output()

    found = loss_of(tasks, output, batch, ccc_epsilon=1e-9).values

    labelled = batch.va_mask
    logits = output.valence_logits.detach()
    hard = torch.nn.functional.cross_entropy(logits[labelled], tasks.bins(batch.valence[labelled]), reduction="sum")
    rows = [
        divergence(softmax(t, 1.5), softmax(s, 1.5)) * 2.25
        for t, s in zip(teacher.tolist(), logits.tolist(), strict=True)
    ]
    soft = sum(row * (0.4 if has_label else 1.0) for row, has_label in zip(rows, labelled.tolist(), strict=True))
    x = (logits.softmax(1) @ tasks.bin_centres())[labelled].double()
    y = batch.valence[labelled].double()
    covariance = ((x - x.mean()) * (y - y.mean())).mean()
    ccc = 2 * covariance / (x.var(correction=0) + y.var(correction=0) + (x.mean() - y.mean()) ** 2)
    assert found["valence_hard"].item() == pytest.approx(0.6 * hard.item() / 8, rel=1e-5)
    assert found["valence_soft"].item() == pytest.approx(soft / 8, rel=1e-5)
    assert found["valence_ccc"].item() == pytest.approx((1 - ccc.item()) * 5 / 8, rel=1e-5)


def test_several_teachers_are_averaged_in_probability():
    first, second = torch.tensor([[2.0, 0.0]]), torch.tensor([[-4.0, 0.0]])

    found = mean_probabilities([first, second], 2.0)

    expected = [(a + b) / 2 for a, b in zip(softmax([2, 0], 2), softmax([-4, 0], 2), strict=True)]
    torch.testing.assert_close(found, torch.tensor([expected]))


def test_an_action_unit_is_averaged_over_the_teachers_that_have_it(two_rows):
    first = SoftTargets(au=torch.tensor([[2.0, 1.0], [0.0, 0.0]]), au_mask=torch.tensor([True, True]))
    second = SoftTargets(au=torch.tensor([[-1.0, 0.0], [0.0, 0.0]]), au_mask=torch.tensor([True, False]))
    method = build_method(DistillationOptions(name="distillation"), AU)

    found = method._au_probabilities(two_rows({"a": first, "b": second}))

    def sigmoid(value):
        return 1 / (1 + math.exp(-value))

    torch.testing.assert_close(found[0], torch.tensor([(sigmoid(2) + sigmoid(-1)) / 2, sigmoid(1)]))


def test_a_task_that_no_teacher_has_is_learned_from_labels_alone(two_rows):
    batch = two_rows({"teacher": SoftTargets(au=torch.zeros(2, 2), au_mask=torch.tensor([True, True]))})

    found = loss_of(EXPRESSION, AffectOutput(expression_logits=torch.tensor(STUDENT)), batch)

    assert found.loss.item() == pytest.approx(-math.log(softmax(STUDENT[0])[1]), rel=1e-5)
    assert (int(found.counts["expression_hard"]), found.values["expression_soft"].item()) == (1, 0)


def test_a_hard_weight_of_one_ignores_the_teacher_where_there_is_a_label(two_rows):
    batch = two_rows({"teacher": SoftTargets(expression=torch.tensor(TEACHER))})
    logits = torch.tensor(STUDENT, requires_grad=True)

    loss_of(EXPRESSION, AffectOutput(expression_logits=logits), batch, hard_weight=1.0).loss.backward()

    probabilities = torch.tensor(softmax(STUDENT[0]))
    torch.testing.assert_close(logits.grad[0], (probabilities - torch.tensor([0.0, 1.0])) / 2)


def test_a_student_that_equals_its_teacher_without_labels_has_no_gradient(two_rows):
    batch = two_rows({"teacher": SoftTargets(expression=torch.tensor(STUDENT))})
    logits = torch.tensor(STUDENT, requires_grad=True)

    loss_of(EXPRESSION, AffectOutput(expression_logits=logits), batch).loss.backward()

    torch.testing.assert_close(logits.grad[1], torch.zeros(2), atol=1e-6, rtol=0)
    assert logits.grad[0].abs().sum() > 0.01


def test_rows_without_a_label_can_be_left_to_other_tasks(two_rows):
    batch = two_rows({"teacher": SoftTargets(expression=torch.tensor(TEACHER))})
    output = AffectOutput(expression_logits=torch.tensor(STUDENT))

    found = loss_of(EXPRESSION, output, batch, missing_labels="ignore")

    soft = divergence(softmax(TEACHER[0], 1.5), softmax(STUDENT[0], 1.5)) * 2.25
    hard = -math.log(softmax(STUDENT[0])[1])
    assert found.loss.item() == pytest.approx(0.6 * hard + 0.4 * soft, rel=1e-5)
    assert int(found.counts["expression_soft"]) == 1


def test_action_units_without_a_label_can_be_left_out(two_rows):
    batch = two_rows({"teacher": SoftTargets(au=torch.tensor(TEACHER), au_mask=torch.tensor([True, True]))})

    found = loss_of(AU, AffectOutput(au_logits=torch.tensor(STUDENT)), batch, missing_labels="ignore")

    taught = [1 / (1 + math.exp(-value)) for value in TEACHER[0]]
    hard = binary(1, STUDENT[0][0]) + binary(0, STUDENT[0][1])
    soft = binary(taught[0], STUDENT[0][0]) + binary(taught[1], STUDENT[0][1])
    assert found.loss.item() == pytest.approx((0.6 * hard + 0.4 * soft) / 2, rel=1e-5)
    assert int(found.counts["au_hard"]) == 2


def entropy(probabilities):
    return -sum(p * math.log(p) for p in probabilities)


def test_an_unsure_teacher_counts_less_row_by_row(two_rows):
    batch = two_rows({"teacher": SoftTargets(expression=torch.tensor(TEACHER))})
    output = AffectOutput(expression_logits=torch.tensor(STUDENT))

    found = loss_of(EXPRESSION, output, batch, confidence="entropy")

    # confidence is judged at temperature 1, whatever the loss's temperature
    sure = [1 - entropy(softmax(row)) / math.log(2) for row in TEACHER]
    soft = [divergence(softmax(t, 1.5), softmax(s, 1.5)) * 2.25 for t, s in zip(TEACHER, STUDENT, strict=True)]
    hard = -math.log(softmax(STUDENT[0])[1])
    assert found.loss.item() == pytest.approx((0.6 * hard + 0.4 * sure[0] * soft[0] + sure[1] * soft[1]) / 2, rel=1e-5)


def test_an_unsure_teacher_counts_less_action_unit_by_action_unit(two_rows):
    batch = two_rows({"teacher": SoftTargets(au=torch.tensor(TEACHER), au_mask=torch.tensor([True, True]))})

    found = loss_of(AU, AffectOutput(au_logits=torch.tensor(STUDENT)), batch, confidence="entropy")

    total = 0.6 * (binary(1, STUDENT[0][0]) + binary(0, STUDENT[0][1]))
    for row, share in ((0, 0.4), (1, 1.0)):
        for column in (0, 1):
            p = 1 / (1 + math.exp(-TEACHER[row][column]))
            sure = 1 - entropy([p, 1 - p]) / math.log(2)
            total += share * sure * binary(p, STUDENT[row][column])
    assert found.loss.item() == pytest.approx(total / 4, rel=1e-5)


def test_a_teacher_that_guesses_teaches_nothing(two_rows):
    batch = two_rows({"teacher": SoftTargets(expression=torch.zeros(2, 2))})
    found = loss_of(EXPRESSION, AffectOutput(expression_logits=torch.tensor(STUDENT)), batch, confidence="entropy")
    assert found.values["expression_soft"].item() == pytest.approx(0, abs=1e-7)


def test_a_task_has_its_own_label_weight_and_temperature(two_rows):
    batch = two_rows({"teacher": SoftTargets(expression=torch.tensor(TEACHER))})
    own = {"expression": {"hard_weight": 0.9, "temperature": 3.0}, "va": {"hard_weight": 0.1}}

    found = loss_of(EXPRESSION, AffectOutput(expression_logits=torch.tensor(STUDENT)), batch, soft_tasks=own)

    soft = [divergence(softmax(t, 3), softmax(s, 3)) * 9 for t, s in zip(TEACHER, STUDENT, strict=True)]
    hard = -math.log(softmax(STUDENT[0])[1])
    assert found.loss.item() == pytest.approx((0.9 * hard + 0.1 * soft[0] + soft[1]) / 2, rel=1e-5)


@pytest.mark.parametrize(("squared", "factor"), [(True, 4.0), (False, 1.0)])
def test_action_units_have_a_temperature_where_it_is_asked_for(two_rows, squared, factor):
    batch = two_rows({"teacher": SoftTargets(au=torch.tensor(TEACHER), au_mask=torch.tensor([True, True]))})
    own = {"au": {"temperature": 2.0}}

    found = loss_of(
        AU, AffectOutput(au_logits=torch.tensor(STUDENT)), batch, soft_tasks=own, temperature_squared=squared
    )

    total = 0.6 * (binary(1, STUDENT[0][0]) + binary(0, STUDENT[0][1]))
    for row, share in ((0, 0.4), (1, 1.0)):
        for column in (0, 1):
            p = 1 / (1 + math.exp(-TEACHER[row][column] / 2))
            total += share * factor * binary(p, STUDENT[row][column] / 2)
    assert found.loss.item() == pytest.approx(total / 4, rel=1e-5)


def test_a_task_that_is_switched_off_learns_from_its_labels_alone(two_rows):
    soft = SoftTargets(expression=torch.tensor(TEACHER), au=torch.tensor(TEACHER), au_mask=torch.tensor([True, True]))
    off = {"expression": {"learn": False}, "au": {"learn": False}}

    expression = loss_of(
        EXPRESSION, AffectOutput(expression_logits=torch.tensor(STUDENT)), two_rows({"t": soft}), soft_tasks=off
    )
    units = loss_of(AU, AffectOutput(au_logits=torch.tensor(STUDENT)), two_rows({"t": soft}), soft_tasks=off)

    assert expression.loss.item() == pytest.approx(-math.log(softmax(STUDENT[0])[1]), rel=1e-5)
    assert units.loss.item() == pytest.approx((binary(1, STUDENT[0][0]) + binary(0, STUDENT[0][1])) / 2, rel=1e-5)
