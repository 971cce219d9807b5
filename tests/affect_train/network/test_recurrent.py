"""The recurrent stage by itself, against torch's GRU and against the formula."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from affect_train.network.recurrent import WindowEncoder

OPTIONS = {"window": 4, "stride": None, "evaluation_stride": None, "projection": 0, "hidden": 5, "layers": 1}


def encoder(**options: Any) -> WindowEncoder:
    torch.manual_seed(3)
    return WindowEncoder(3, ["expression", "valence"], {**OPTIONS, "sharing": "shared", **options})


def test_a_window_is_read_by_a_gru_of_torch_with_its_last_frame_repeated() -> None:
    stage = encoder()
    features = torch.randn(6, 3)
    # windows of 1, 3 and 2 frames
    found = stage(features, torch.tensor([0, 0, 1, 2, 0, 1]))
    padded = torch.stack([features[[0, 0, 0, 0]], features[[1, 2, 3, 3]], features[[4, 5, 5, 5]]])
    expected, _ = stage.branches["shared"].gru(padded)
    wanted = torch.cat([expected[0, :1], expected[1, :3], expected[2, :2]]).relu()
    assert torch.equal(found["expression"], wanted)
    assert found["valence"] is found["expression"]
    assert wanted.shape == (6, stage.width)


def test_one_step_of_the_gru_is_the_published_formula() -> None:
    stage = encoder(window=2, hidden=1)
    gru = stage.branches["shared"].gru
    x = torch.tensor([[-0.3, 1.0, -0.5]])
    with torch.no_grad():
        gru.weight_ih_l0[2] = torch.tensor([-1.0, 0.5, 0.0])  # the candidate is above 0, where ReLU lets it pass
    first = stage(x, torch.zeros(1))["expression"][0, 0].item()
    reset, update, new = (gru.weight_ih_l0 @ x[0] + gru.bias_ih_l0).tolist()
    b_reset, b_update, b_new = gru.bias_hh_l0.tolist()

    def sigmoid(value: float) -> float:
        return 1 / (1 + np.exp(-value))

    candidate = np.tanh(new + sigmoid(reset + b_reset) * b_new)
    assert first == pytest.approx(max((1 - sigmoid(update + b_update)) * candidate, 0.0), abs=1e-6)
    assert first != 0


def test_no_gradient_comes_from_frames_that_fill_a_window_up() -> None:
    stage = encoder()
    seen: list[torch.Tensor] = []

    def keep(output: torch.Tensor) -> None:
        output.register_hook(seen.append)

    stage.branches["shared"].gru.register_forward_hook(lambda *given: keep(given[2][0]))
    stage(torch.randn(5, 3), torch.tensor([0, 1, 0, 1, 2]))["expression"].square().sum().backward()
    (gradient,) = seen
    assert gradient.shape == (2, 4, 10)
    assert (gradient[0, 2:] == 0).all()
    assert (gradient[1, 3:] == 0).all()
    assert (gradient[0, :2] != 0).any(dim=1).all()
    assert (gradient[1, :3] != 0).any(dim=1).all()


def test_windows_do_not_see_one_another() -> None:
    stage, features = encoder(), torch.randn(5, 3)
    both = stage(features, torch.tensor([0, 1, 0, 1, 2]))["valence"]
    alone = stage(features[2:], torch.tensor([0, 1, 2]))["valence"]
    assert torch.allclose(both[2:], alone, atol=1e-6)
    # where a place does not follow the one before, another window begins
    apart = stage(features[[0, 2]], torch.tensor([0, 2]))["valence"]
    assert torch.allclose(apart[1], stage(features[[2]], torch.tensor([0]))["valence"][0], atol=1e-6)


def test_a_window_of_more_frames_than_the_model_reads_is_refused() -> None:
    with pytest.raises(ValueError, match="a window has 5 frames; the model reads 4"):
        encoder()(torch.randn(5, 3), torch.arange(5))


def test_each_task_has_a_gru_of_its_own_unless_they_share() -> None:
    heads = ["au", "expression", "valence", "arousal"]
    own = WindowEncoder(3, heads, {**OPTIONS, "sharing": "per_task", "projection": 7, "layers": 2}, 0.2)
    assert list(own.branches) == ["au", "expression", "va"]
    read = own(torch.randn(2, 3), torch.tensor([0, 1]))
    assert read["valence"] is read["arousal"]
    assert not torch.equal(read["au"], read["expression"])
    branch = own.branches["au"]
    assert isinstance(branch.project[0], nn.Linear)
    assert branch.project[0].weight.shape == (7, 3)
    assert branch.gru.weight_ih_l0.shape == (15, 7)
    assert branch.gru.dropout == 0.2
    assert list(WindowEncoder(3, heads, {**OPTIONS, "sharing": "shared"}).branches) == ["shared"]
