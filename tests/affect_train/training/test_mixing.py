from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from training_runs import fresh_accelerator, same_bits, train_until

from affect_data.errors import RecipeError
from affect_train.inputs.batch import AffectBatch
from affect_train.methods import build_method
from affect_train.network.output import AffectOutput
from affect_train.recipe.methods.supervised import SupervisedOptions
from affect_train.recipe.recipe import recipe_from
from affect_train.tasks import TaskSet
from affect_train.training.loop import train
from affect_train.training.mixing import mixed, partners

Values = Callable[..., dict[str, Any]]
TASKS = TaskSet((1, 12), ("neutral", "happiness", "fear"), 5)


def batch() -> AffectBatch:
    """Rows 0, 2 and 4 have action units, 1 and 3 expressions, 5 valence and arousal; row 4 lacks the second action unit."""
    on = torch.tensor
    unit_rows = on([True, False, True, False, True, False])
    au_mask = unit_rows[:, None] & on([[True, True]] * 4 + [[True, False], [True, True]])
    classes = on([False, True, False, True, False, False])
    return AffectBatch(
        inputs=torch.arange(6, dtype=torch.uint8).mul(40).reshape(6, 1, 1, 1).expand(6, 3, 4, 4).contiguous(),
        uids=list("abcdef"),
        rows=torch.arange(6),
        au=on([[1.0, 0.0], [0.0, 0.0], [0.0, 1.0], [0.0, 0.0], [1.0, 0.0], [0.0, 0.0]]),
        au_mask=au_mask,
        expression=on([-1, 2, -1, 0, -1, -1]),
        expression_mask=classes,
        valence=on([0.0, 0.0, 0.0, 0.0, 0.0, 0.5]),
        arousal=on([0.0, 0.0, 0.0, 0.0, 0.0, -0.5]),
        va_mask=on([False] * 5 + [True]),
    )


def test_partners_are_labelled_alike_and_every_row_is_one_once() -> None:
    found = partners(batch())
    assert found.tolist() == [2, 3, 4, 1, 0, 5]
    assert sorted(found.tolist()) == list(range(6))


def test_pictures_and_labels_are_mixed_in_the_same_share() -> None:
    plain = batch()
    found = mixed(plain, 1.0, (0, 7))
    assert found.mixed is not None
    share = found.mixed.share
    assert 0 < share < 1
    first = round(share * 0 + (1 - share) * 80)
    assert found.inputs[0].unique().tolist() == [first]
    assert found.au[0].tolist() == pytest.approx([share, 1 - share])
    # Row 2's partner lacks the second action unit.
    assert found.au_mask.tolist()[2] == [True, False]
    assert found.au[2].tolist() == pytest.approx([1 - share, 0.0])
    assert (found.expression.tolist(), found.mixed.expression.tolist()) == (
        [-1, 2, -1, 0, -1, -1],
        [-1, 0, -1, 2, -1, -1],
    )
    assert (found.valence[5].item(), found.inputs[5].unique().tolist()) == (0.5, [200])


def test_the_loss_is_the_mean_of_the_losses_of_both_labels() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = {name: torch.randn(6, size, generator=generator) for name, size in (("au", 2), ("expression", 3))}
    axes = {f"{axis}_logits": torch.randn(6, 5, generator=generator) for axis in ("valence", "arousal")}
    output = AffectOutput(au_logits=logits["au"], expression_logits=logits["expression"], **axes)
    method = build_method(SupervisedOptions(), TASKS)
    found = mixed(batch(), 1.0, (0, 7))
    assert found.mixed is not None
    own = replace(found, mixed=None)
    other = replace(own, expression=found.mixed.expression)
    share = found.mixed.share
    losses = [method.losses(output, one)["expression"].sum for one in (own, other)]
    assert method.losses(output, found)["expression"].sum.item() == pytest.approx(
        (share * losses[0] + (1 - share) * losses[1]).item()
    )
    # By hand: binary cross-entropy of the first action unit of row 0, whose label is its own share.
    probability = 1 / (1 + np.exp(-logits["au"][0, 0].item()))
    alone = replace(
        found, au_mask=torch.zeros_like(found.au_mask).index_put((torch.tensor(0), torch.tensor(0)), torch.tensor(True))
    )
    expected = -share * np.log(probability) - (1 - share) * np.log(1 - probability)
    assert method.losses(output, alone)["au"].sum.item() == pytest.approx(expected, rel=1e-5)


def test_the_share_follows_from_seed_and_step() -> None:
    shares = [mixed(batch(), 0.4, key).mixed for key in ((0, 1), (0, 1), (0, 2), (1, 1))]
    values = [one.share for one in shares if one is not None]
    assert values[0] == values[1]
    assert len(set(values)) == 3


def test_rows_of_clips_stay_as_they_are() -> None:
    clips = replace(batch(), counts=torch.ones(6, dtype=torch.int64))
    assert mixed(clips, 1.0, (0, 1)) is clips


def test_a_run_with_mixed_pictures_goes_on_to_the_same_bits(recipe_values: Values, tmp_path: Path) -> None:
    settings = ["augmentation.mixup=0.4", "training.max_steps=3", "training.save_every_steps=1"]
    settings += ["training.validation_split=null", "training.record_rows=true", "optimizer.learning_rate=0.01"]
    train(recipe_from(recipe_values(), [*settings, f"output={tmp_path / 'whole'}"]))
    fresh_accelerator()
    cut = recipe_from(recipe_values(), [*settings, f"output={tmp_path / 'cut'}"])
    train_until(cut, 2)
    fresh_accelerator()
    train(cut)
    assert same_bits(tmp_path / "whole", tmp_path / "cut")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["method={name: distillation}", "soft_labels=[t]"], "'distillation' learns from one face at a time; set it to 0, or use 'supervised'"),
        (["method={name: supervised, coupling: {prior: du2014, co_annotation: {}}}"], "mixed pictures show two"),
        (["model.features=dinov2", "model.freeze_backbone=true"], "stored features are of single pictures"),
    ],
)  # fmt: skip
def test_mixing_is_refused_where_a_loss_would_not_know_of_it(
    settings: list[str], message: str, recipe_values: Values
) -> None:
    with pytest.raises(RecipeError, match=message):
        recipe_from(recipe_values(), ["augmentation.mixup=0.2", *settings])
