from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor

from affect_data.errors import UnknownNameError, UsageError
from affect_train.inputs.batch import AffectBatch
from affect_train.methods import build_method, total_loss
from affect_train.network.habits import DatabaseHabits, label_as
from affect_train.network.model import AffectConfig, AffectModel, load_model
from affect_train.network.output import AffectOutput
from affect_train.recipe.methods.supervised import SupervisedOptions
from affect_train.tasks import TaskSet

TASKS = TaskSet((1, 12), ("neutral", "anger", "happiness"), 20)
DESCRIBED = {
    "databases": ["leads", "other"],
    "free": {"au": [[0, 0], [1, 0]], "expression": [0, 1], "va": [0, 1]},
}


def drawn(rows: int = 6) -> AffectOutput:
    generator = torch.Generator().manual_seed(3)
    widths = {"au": 2, "expression": 3, "valence": 20, "arousal": 20}
    logits = {f"{name}_logits": torch.randn(rows, width, generator=generator) for name, width in widths.items()}
    return AffectOutput(**logits)


def planted() -> DatabaseHabits:
    """Habits with numbers other than those that they begin with."""
    habits = DatabaseHabits(TASKS, DESCRIBED)
    with torch.no_grad():
        habits.confusion.copy_(torch.randn(habits.confusion.shape, generator=torch.Generator().manual_seed(1)))
        habits.log_gain.copy_(torch.tensor([[9.0, 9.0], [0.2, -0.3]]))
        habits.offset.copy_(torch.tensor([[9.0, 9.0], [0.05, -0.1]]))
        habits.shift.copy_(torch.tensor([[9.0, 9.0], [0.7, 9.0]]))
    return habits


def test_a_face_of_the_database_that_the_network_follows_keeps_its_logits_to_the_bit() -> None:
    output = drawn()
    found = planted()(output, torch.zeros(6, dtype=torch.int64))
    assert all(torch.equal(found[name], values) for name, values in output.items())


def test_expressions_go_through_the_confusion_matrix_of_their_database() -> None:
    output, habits = drawn(), planted()
    found = habits(output, torch.ones(6, dtype=torch.int64))
    matrix = [list(row.values()) for row in habits.to_dict()["other"]["confusion"].values()]
    assert np.sum(matrix, axis=1) == pytest.approx([1, 1, 1])
    expected = output.expression_logits.softmax(1).numpy() @ np.array(matrix)
    assert found.expression_logits.softmax(1).detach().numpy() == pytest.approx(expected, abs=1e-6)


def test_a_threshold_is_shifted_only_where_another_database_leads() -> None:
    output = drawn()
    found = planted()(output, torch.ones(6, dtype=torch.int64))
    assert (found.au_logits - output.au_logits).detach().numpy() == pytest.approx(np.tile([0.7, 0.0], (6, 1)), abs=1e-6)


def test_valence_and_arousal_get_gain_and_offset() -> None:
    # Distributions near zero, so that nothing meets the end of the scale.
    centres = TASKS.bin_centres()
    peaked = -20 * (centres - torch.linspace(-0.3, 0.3, 6)[:, None]) ** 2
    output = AffectOutput(valence_logits=peaked, arousal_logits=peaked)
    found = planted()(output, torch.ones(6, dtype=torch.int64))
    before = peaked.softmax(1) @ centres
    for axis, gain, offset in (("valence", np.exp(0.2), 0.05), ("arousal", np.exp(-0.3), -0.1)):
        after = found[f"{axis}_logits"].softmax(1) @ centres
        assert after.detach().numpy() == pytest.approx(gain * before.numpy() + offset, abs=5e-3)


def test_every_parameter_has_a_finite_gradient() -> None:
    habits = planted()
    sum(values.sum() for values in habits(drawn(), torch.tensor([0, 1, 0, 1, 1, 0])).values()).backward()
    for name, parameter in habits.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        # The database that the network follows never gets habits.
        assert not parameter.grad[0].any(), name


def batch_of(rows: int, generator: torch.Generator) -> tuple[AffectBatch, AffectOutput]:
    """Labels that two databases gave to the same kind of faces, and the logits behind them; the second has known habits."""
    databases = torch.arange(rows) % 2
    other = databases == 1
    means = 3 * torch.randn(rows, 3, generator=generator)
    classes = torch.multinomial(means.softmax(1), 1, generator=generator)[:, 0]
    confused = torch.multinomial(CONFUSION[classes], 1, generator=generator)[:, 0]
    au_logits = torch.randn(rows, 2, generator=generator)
    shifted = au_logits + other[:, None] * torch.tensor([-0.8, 0.0])
    au = torch.rand(rows, 2, generator=generator) < shifted.sigmoid()
    shown, unsure = 0.25 * torch.randn(rows, 2, generator=generator), 0.15
    felt = shown + unsure * torch.randn(rows, 2, generator=generator)
    rated = torch.where(other[:, None], 0.7 * felt + torch.tensor([0.15, -0.1]), felt)
    bins = [-0.5 * ((TASKS.bin_centres() - shown[:, axis : axis + 1]) / unsure) ** 2 for axis in range(2)]
    known = torch.ones(rows, dtype=torch.bool)
    batch = AffectBatch(
        inputs=means,
        uids=[str(row) for row in range(rows)],
        rows=torch.arange(rows),
        au=au.float(),
        au_mask=known[:, None].expand(-1, 2),
        expression=torch.where(other, confused, classes),
        expression_mask=known,
        valence=rated[:, 0],
        arousal=rated[:, 1],
        va_mask=known,
        databases=databases,
    )
    return batch, AffectOutput(
        au_logits=au_logits, expression_logits=means, valence_logits=bins[0], arousal_logits=bins[1]
    )


CONFUSION = torch.tensor([[0.7, 0.2, 0.1], [0.0, 0.9, 0.1], [0.25, 0.15, 0.6]])


def test_planted_habits_come_back_through_the_losses_of_labels() -> None:
    batch, output = batch_of(8_000, torch.Generator().manual_seed(5))
    habits, method = DatabaseHabits(TASKS, DESCRIBED), build_method(SupervisedOptions(), TASKS)
    optimizer = torch.optim.Adam(habits.parameters(), lr=0.1)
    assert batch.databases is not None
    for step in range(40):
        optimizer.param_groups[0]["lr"] = 0.1 * (1 - step / 40)
        loss = total_loss(method.losses(habits(output, batch.databases), batch)).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    found = habits.to_dict()["other"]
    matrix = np.array([list(row.values()) for row in found["confusion"].values()])
    assert matrix == pytest.approx(CONFUSION.numpy(), abs=0.05)
    assert found["logit_shift"] == {"AU1": pytest.approx(-0.8, abs=0.1)}
    assert list(found["gain"].values()) == pytest.approx([0.7, 0.7], abs=0.03)
    assert list(found["offset"].values()) == pytest.approx([0.15, -0.1], abs=0.03)


@pytest.fixture
def model(world: SimpleNamespace) -> AffectModel:
    from transformers import AutoConfig

    settings = {key: value for key, value in world.tiny_vit.items() if key != "model_type"}
    backbone = AutoConfig.for_model("vit", image_size=32, **settings)
    torch.manual_seed(0)
    found = AffectModel(AffectConfig(backbone, **TASKS.to_dict(), image_size=32, habits=DESCRIBED)).eval()
    found.habits.load_state_dict(planted().state_dict())
    return found


def pixels() -> Tensor:
    return torch.arange(2 * 3 * 32 * 32).reshape(2, 3, 32, 32).to(torch.uint8)


def test_a_model_keeps_its_habits_and_uses_them_only_when_asked(model: AffectModel, tmp_path) -> None:
    model.save_pretrained(tmp_path / "model")
    loaded = load_model(tmp_path / "model")
    assert loaded.habits.to_dict() == model.habits.to_dict()
    with torch.no_grad():
        plain = loaded(pixels())
        asked = loaded(pixels(), databases=torch.tensor([1, 1]))
        label_as(loaded, "other", "runs/teacher")
        chosen = loaded(pixels())
    assert torch.equal(plain.au_logits + torch.tensor([0.7, 0.0]), asked.au_logits)
    assert all(torch.equal(chosen[name], values) for name, values in asked.items())


def test_only_a_database_that_was_learned_from_can_be_chosen(model: AffectModel) -> None:
    with pytest.raises(UnknownNameError, match=r"'affectnet'.*leads, other"):
        label_as(model, "affectnet", "runs/teacher")


def test_a_model_without_habits_says_how_to_learn_them(model: AffectModel) -> None:
    model.habits = None
    with pytest.raises(UsageError, match=r"learned no habits of databases; train it with `model.habits: \{\}`"):
        label_as(model, "other", "runs/teacher")
