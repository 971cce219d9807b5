import math

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss

from affect_train.methods import build_method, total_loss
from affect_train.network.output import AffectOutput
from affect_train.recipe.methods.supervised import SupervisedOptions
from affect_train.tasks import TaskSet


def values_of(output, batch, tasks, **options):
    return total_loss(build_method(SupervisedOptions(**options), tasks).losses(output, batch))


def test_every_loss_is_the_mean_over_its_own_labels(tasks, make_batch, make_output):
    batch, output = make_batch(), make_output()

    found = values_of(output, batch, tasks, ccc_epsilon=1e-9).values

    au = output.au_logits[batch.au_mask].detach().double().sigmoid().numpy()
    expression = output.expression_logits[batch.expression_mask].detach().double().softmax(1).numpy()
    assert found["au"].item() == pytest.approx(log_loss(batch.au[batch.au_mask].numpy(), au, labels=[0, 1]), rel=1e-5)
    assert found["expression"].item() == pytest.approx(
        log_loss(batch.expression[batch.expression_mask].numpy(), expression, labels=[0, 1, 2]), rel=1e-5
    )
    for axis in ("valence", "arousal"):
        labels = getattr(batch, axis)[batch.va_mask].double().numpy()
        shares = output[f"{axis}_logits"][batch.va_mask].detach().double().softmax(1).numpy()
        bins = np.clip(np.digitize(labels, np.linspace(-1, 1, 5)) - 1, 0, 3)
        assert found[axis].item() == pytest.approx(log_loss(bins, shares, labels=[0, 1, 2, 3]), rel=1e-5)
        x = shares @ np.array([-0.75, -0.25, 0.25, 0.75])
        covariance = np.mean((x - x.mean()) * (labels - labels.mean()))
        ccc = 2 * covariance / (x.var() + labels.var() + (x.mean() - labels.mean()) ** 2)
        assert found[f"{axis}_ccc"].item() == pytest.approx(1 - ccc, rel=1e-5)


def test_the_total_is_the_weighted_sum(tasks, make_batch, make_output):
    weights = {"au": 2.0, "expression": 3.0, "va": 5.0}

    total = values_of(
        make_output(),
        make_batch(),
        tasks,
        task_weights=weights,
        ccc_weight=0.5,
        bins_weight=0.25,
        au_reduction="sum",
    )

    value = {name: found.item() for name, found in total.values.items()}
    expected = (
        2 * 3 * value["au"]
        + 3 * value["expression"]
        + 5 * 0.25 * (value["valence"] + value["arousal"])
        + 5 * 0.5 * (value["valence_ccc"] + value["arousal_ccc"])
    )
    assert total.loss.item() == pytest.approx(expected, rel=1e-6)


def test_the_mean_of_images_gives_every_image_the_same_say(tasks, make_batch, make_output):
    batch, output = make_batch(), make_output()

    found = values_of(output, batch, tasks, au_reduction="image_mean")

    probabilities = output.au_logits.detach().double().sigmoid().numpy()
    labelled = [row for row in range(8) if batch.au_mask[row].any()]
    images = []
    for row in labelled:
        mask = batch.au_mask[row].numpy()
        images.append(log_loss(batch.au[row].numpy()[mask], probabilities[row][mask], labels=[0, 1]))
    assert {int(batch.au_mask[row].sum()) for row in labelled} > {1}
    assert found.values["au"].item() == pytest.approx(np.mean(images), rel=1e-5)
    assert int(found.counts["au"]) == len(labelled)


def test_a_larger_epsilon_lowers_the_concordance(make_batch, make_output, tasks):
    small = values_of(make_output(), make_batch(), tasks, ccc_epsilon=1e-6).values["valence_ccc"]
    large = values_of(make_output(), make_batch(), tasks, ccc_epsilon=10.0).values["valence_ccc"]

    assert abs(1 - large) < abs(1 - small)


def test_tasks_without_a_head_have_no_terms(make_batch):
    tasks = TaskSet(expressions=("neutral", "anger"))
    method = build_method(SupervisedOptions(), tasks)
    batch = make_batch(expression=torch.tensor([0, 1, -1, 0, -1, -1, 1, -1]))

    terms = method.losses(AffectOutput(expression_logits=torch.zeros(8, 2, requires_grad=True)), batch)

    assert set(terms) == set(method.counts(batch)) == {"expression"}
    assert total_loss(terms).loss.item() == pytest.approx(math.log(2))


def test_training_on_the_losses_fits_the_labels(tasks, make_batch, make_output):
    batch, output = make_batch(), make_output()
    method = build_method(SupervisedOptions(), tasks)
    optimizer = torch.optim.Adam([output[name] for name in output], lr=0.2)
    for _ in range(150):
        optimizer.zero_grad()
        total = total_loss(method.losses(output, batch))
        total.loss.backward()
        optimizer.step()

    assert (output.expression_logits.argmax(1) == batch.expression)[batch.expression_mask].all()
    assert ((output.au_logits > 0).float() == batch.au)[batch.au_mask].all()
    assert total.values["valence_ccc"] < 0.2
