"""One hidden layer with an output for every task, for many seeds and settings in one tensor program."""

import math
from typing import Final

import torch
import torch.nn.functional as F  # noqa: N812 - the usual name
from torch import Tensor
from worlds import CLASSES, UNITS

HIDDEN: Final = 128
BINS: Final = 20
OUTPUTS: Final = {
    "expression": slice(0, len(CLASSES)),
    "valence": slice(len(CLASSES), len(CLASSES) + BINS),
    "arousal": slice(len(CLASSES) + BINS, len(CLASSES) + 2 * BINS),
    "au": slice(len(CLASSES) + 2 * BINS, len(CLASSES) + 2 * BINS + len(UNITS)),
}
WIDTH: Final = OUTPUTS["au"].stop
CENTRES: Final = -1 + (torch.arange(BINS, dtype=torch.float32) + 0.5) * 2 / BINS

Parameters = list[Tensor]
"""First weights [S, D, G H] and biases [S, 1, G H], second weights [S, G, H, O] and biases [S, G, 1, O]: S seeds, each in G settings."""


def new_parameters(width: int, keys: list[list[int]], settings: int) -> Parameters:
    """Fresh weights; a key, the numbers that its generator begins with, decides those of its seed, and all its settings begin alike.

    Args:
        width: of the features, D.
        keys: one for each seed.
        settings: G.
    """
    first, second = [], []
    for key in keys:
        generator = generator_of(*key)
        first.append(torch.randn(width, HIDDEN, generator=generator) / math.sqrt(width))
        second.append(torch.randn(HIDDEN, WIDTH, generator=generator) / math.sqrt(HIDDEN))
    weights = torch.stack(first).repeat(1, 1, settings), torch.stack(second)[:, None].repeat(1, settings, 1, 1)
    seeds = len(keys)
    found = [weights[0], torch.zeros(seeds, 1, settings * HIDDEN), weights[1], torch.zeros(seeds, settings, 1, WIDTH)]
    return [one.requires_grad_() for one in found]


def generator_of(*numbers: int) -> torch.Generator:
    """A generator of torch that depends on all of the numbers."""
    mixed = 0
    for number in numbers:
        mixed = (mixed * 1_000_003 + number + 1) % (2**63 - 1)
    return torch.Generator().manual_seed(mixed)


def logits_of(parameters: Parameters, features: Tensor, kept: Tensor | None = None) -> Tensor:
    """The outputs of all tasks, float [S, G, B, O].

    Args:
        parameters: of S seeds in G settings.
        features: float [S, B, D].
        kept: float [S, 1, B, H], what the hidden values are multiplied by, for dropout; None: 1.
    """
    first, offset, second, last = parameters
    # The settings of a seed see the same faces, so their first layers are one.
    hidden = torch.baddbmm(offset, features, first)
    hidden = F.gelu(hidden).unflatten(2, (-1, HIDDEN)).transpose(1, 2)
    if kept is not None:
        hidden = hidden * kept
    return torch.matmul(hidden, second) + last


def dropped(keys: list[torch.Generator], rows: int, share: float) -> Tensor:
    """Factors of dropout, float [S, 1, rows, H]: each seed draws from a generator of its own, so that it does not matter who runs beside it."""
    drawn = torch.stack([torch.rand(rows, HIDDEN, generator=generator) for generator in keys])
    return ((drawn >= share).float() / (1 - share))[:, None]


def bins_of(values: Tensor) -> Tensor:
    """The bin of values in [-1, 1], int64 of the same shape."""
    return ((values + 1) * (BINS / 2)).floor().long().clamp(0, BINS - 1)


def expectation(logits: Tensor) -> Tensor:
    """The mean of a distribution over bins [..., BINS], float [...]."""
    return logits.softmax(dim=-1) @ CENTRES
