"""The recurrent stage: each frame read together with the frames before and after it in its window."""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

SHARED = "shared"
BRANCHES = {"au": "au", "expression": "expression", "valence": "va", "arousal": "va"}
"""The task whose features each head reads."""


class WindowEncoder(nn.Module):
    """Bidirectional GRUs over windows of frames: one for each task, or one that all tasks share.

    A window shorter than the others is filled up by repeating its last frame. The outputs of these copies are thrown away, so that no loss, metric or
    prediction sees them.

    Source: Deng, Chen & Shi (arXiv 2002.03557): for each task a GRU of 64 units either way over 128 features.

    Args:
        width: of a frame's features.
        heads: names of the heads, of `BRANCHES`.
        options: of the configuration: window, projection, hidden, layers, sharing.
        dropout: between the layers of the GRU.
    """

    def __init__(self, width: int, heads: Iterable[str], options: Mapping[str, Any], dropout: float = 0.0) -> None:
        super().__init__()
        self.window = int(options["window"])
        shares = options["sharing"] == SHARED
        self.branch_of = {head: SHARED if shares else BRANCHES[head] for head in heads}
        names = dict.fromkeys(self.branch_of.values())
        self.branches = nn.ModuleDict({name: _Branch(width, options, dropout) for name in names})
        self.width = 2 * int(options["hidden"])

    def forward(self, features: Tensor, places: Tensor) -> dict[str, Tensor]:
        """What each head reads, float [N, width] by name of the head.

        Args:
            features: float [N, D], the frames of a window next to each other and in order.
            places: [N], each frame's place in its window. A window begins wherever the place is not 1 more than that of the frame before.
        """
        numbers, slots, frames = _layout(places.long(), self.window)
        read = {name: branch(features, frames)[numbers, slots] for name, branch in self.branches.items()}
        return {head: read[name] for head, name in self.branch_of.items()}


class _Branch(nn.Module):
    def __init__(self, width: int, options: Mapping[str, Any], dropout: float) -> None:
        super().__init__()
        projection, layers = int(options["projection"]), int(options["layers"])
        self.project = nn.Sequential(nn.Linear(width, projection), nn.ReLU()) if projection else nn.Identity()
        self.gru = nn.GRU(
            projection or width,
            int(options["hidden"]),
            layers,
            batch_first=True,
            bidirectional=True,
            dropout=dropout if layers > 1 else 0.0,
        )

    def forward(self, features: Tensor, frames: Tensor) -> Tensor:
        """Hidden states, float [windows, W, 2 H], from features, float [N, D], and the frame of every slot, int64 [windows, W]."""
        read = self.project(features)[frames]
        # In full precision: rounding errors add up over a recurrence, and autocast on the CPU has no GRU.
        with torch.autocast(read.device.type, enabled=False):
            hidden: Tensor = self.gru(read.to(self.gru.weight_ih_l0.dtype))[0]
        return hidden.relu()


def _layout(places: Tensor, window: int) -> tuple[Tensor, Tensor, Tensor]:
    """The window of every frame and its slot there, both int64 [N]; and the frame of every slot, int64 [windows, W].

    Raises:
        ValueError: a window has too many frames.
    """
    begins = torch.ones_like(places, dtype=torch.bool)
    begins[1:] = places[1:] != places[:-1] + 1
    first = begins.nonzero().squeeze(1)
    numbers = begins.cumsum(0) - 1
    slots = torch.arange(len(places), device=places.device) - first[numbers]
    last = torch.cat([first[1:] - 1, first.new_tensor([len(places) - 1])])
    if int((last - first).max()) >= window:
        raise ValueError(f"a window has {int((last - first).max()) + 1} frames; the model reads {window}")
    frames = first[:, None] + torch.arange(window, device=places.device)
    return numbers, slots, torch.minimum(frames, last[:, None])
