from types import SimpleNamespace

import numpy as np
import pytest
import torch

from affect_data.errors import DataError
from affect_train.methods import build_method
from affect_train.methods.method import class_weights
from affect_train.recipe.methods.distillation import DistillationOptions
from affect_train.recipe.methods.supervised import SupervisedOptions

# AU1 is present in 1 of 4 labels, AU2 in 1 of 2, AU12 in 2 of 2: inverse rates 4, 2 and 1, mean 7/3.
LABELS = SimpleNamespace(
    au=np.array([[1, 1, 1], [0, 0, 1], [0, -1, -1], [0, -1, -1], [1, 1, 1]], dtype=np.int8),
    au_mask=np.array([[1, 1, 1], [1, 1, 1], [1, 0, 0], [1, 0, 0], [1, 1, 1]], dtype=bool),
)
ROWS = np.arange(4)
EXPECTED = [12 / 7, 6 / 7, 3 / 7]


def test_rare_action_units_weigh_more_with_mean_one():
    found = class_weights(LABELS, ROWS, (1, 2, 12), "'merged'")
    assert found.tolist() == pytest.approx(EXPECTED)
    assert found.mean().item() == pytest.approx(1)


@pytest.mark.parametrize("options", [SupervisedOptions, DistillationOptions])
def test_every_label_counts_by_its_action_unit(options, tasks, make_batch, make_output):
    batch, output = make_batch(), make_output()
    method = build_method(options(au_class_weights="inverse_rate"), tasks)
    method.prepare(LABELS, ROWS, "'merged'")
    found = next(term for name, term in method.losses(output, batch).items() if name.startswith("au"))
    every = torch.nn.functional.binary_cross_entropy_with_logits(output.au_logits, batch.au, reduction="none")
    expected = (every * torch.tensor(EXPECTED))[batch.au_mask].sum()
    assert found.sum.item() == pytest.approx(expected.item(), rel=1e-5)
    assert found.count == batch.au_mask.sum()


def test_weights_multiply_the_shares_of_image_means(tasks, make_batch, make_output):
    batch, output = make_batch(), make_output()
    method = build_method(SupervisedOptions(au_class_weights="inverse_rate", au_reduction="image_mean"), tasks)
    method.prepare(LABELS, ROWS, "'merged'")
    every = torch.nn.functional.binary_cross_entropy_with_logits(output.au_logits, batch.au, reduction="none")
    weighted = every * torch.tensor(EXPECTED) * batch.au_mask
    rows = weighted.sum(dim=1) / batch.au_mask.sum(dim=1).clamp(min=1)
    assert method.losses(output, batch)["au"].sum.item() == pytest.approx(rows.sum().item(), rel=1e-5)


def test_without_the_option_nothing_is_weighted(tasks, make_batch, make_output):
    method = build_method(SupervisedOptions(), tasks)
    method.prepare(LABELS, ROWS, "'merged'")
    every = torch.nn.functional.binary_cross_entropy_with_logits(
        make_output().au_logits, make_batch().au, reduction="none"
    )
    found = method.losses(make_output(), make_batch())["au"]
    assert found.sum.item() == pytest.approx(every[make_batch().au_mask].sum().item(), rel=1e-5)


def test_an_action_unit_that_is_never_present_is_refused():
    with pytest.raises(DataError, match=r"au_class_weights: AU2 is present in none of the 1 rows .* use 'none'"):
        class_weights(
            SimpleNamespace(au=LABELS.au[:, 1:2], au_mask=LABELS.au_mask[:, 1:2]), np.array([1]), (2,), "'merged'"
        )
