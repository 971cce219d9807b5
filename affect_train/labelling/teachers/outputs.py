"""From the outputs of a foreign model to logits by head."""

from collections.abc import Sequence

import torch
from torch import Tensor

from affect_train.tasks import TaskSet

SMALLEST = 1e-7
"""Probabilities are kept this far from 0 and 1, so that their logits stay finite in half precision."""


def logits_of_classes(probabilities: Tensor) -> Tensor:
    """Logits, float32 [N, C], whose softmax is `probabilities`."""
    return probabilities.double().clamp(min=SMALLEST).log().float()


def logits_of_units(probabilities: Tensor) -> Tensor:
    """Logits, float32 [N, A], whose sigmoid is `probabilities`."""
    return probabilities.double().clamp(SMALLEST, 1 - SMALLEST).logit().float()


def logits_of_numbers(values: Tensor, bins: int) -> Tensor:
    """Logits, float [N, bins], of a distribution whose expectation over the bins' centres is `values`.

    The probability is shared between the two centres nearest to the number. A number beyond the outermost centre becomes that centre.

    Args:
        values: float [N] in [-1, 1].
        bins: number of equal bins over [-1, 1].
    """
    centres = TaskSet(valence_arousal_bins=bins).bin_centres().double().to(values.device)
    place = ((values.double() - centres[0]) / (centres[1] - centres[0])).clamp(0, bins - 1)
    lower = place.floor().clamp(max=bins - 2).long()
    share = place - lower
    shares = torch.zeros(len(values), bins, dtype=torch.float64, device=values.device)
    shares.scatter_(1, lower[:, None], (1 - share)[:, None]).scatter_(1, lower[:, None] + 1, share[:, None])
    return logits_of_classes(shares)


def kept_columns(classes: Sequence[str | None]) -> list[int]:
    """The positions of the classes that are kept."""
    return [position for position, name in enumerate(classes) if name is not None]
