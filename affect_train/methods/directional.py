"""How the losses of rows change in a direction of weight space, without a second-order graph."""

import math
import warnings
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from affect_train.losses import sum_dtype
from affect_train.methods.virtual_step import SMALLEST_NORM, length

Rows = tuple[Tensor, Tensor]
"""Of N rows: outputs of the model, float [M, C], and losses, float [N]."""

FIRST_DISTANCE = 2e-4
SHORTEST, LONGEST = 1e-7, 1.0
BAND = 2.0
"""By which factor the outputs may change more or less than they should."""
TRIES = 4


class DirectionalDerivatives:
    """From a direction v of weight space to ``<v, d loss_i / d weights>`` of every row, float [N].

    Differences of losses are taken over such a distance that the outputs change by a given amount (root mean square over rows and classes, one side):
    a network bends over longer ones, with batch normalisation of features that hardly vary within thousandths of weight space, and over shorter ones
    the change is lost in float32. The distance of one direction is the first try for the next.

    Args:
        gradient: ``central_difference``, ``one_sided`` or ``forward_mode``, which takes no difference.
        change: of the outputs.
        add: from a tensor to its sum over processes, so that all take the same distance.
    """

    def __init__(self, gradient: str, change: float, add: Callable[[Tensor], Tensor]) -> None:
        self.gradient = gradient
        self.change = change
        self.distance = FIRST_DISTANCE
        self._add = add

    def __call__(
        self,
        rows: Callable[[Sequence[Tensor]], Rows],
        weights: Sequence[Tensor],
        direction: Sequence[Tensor],
        *,
        random: Callable[[], AbstractContextManager[None]],
        at_weights: Rows | None = None,
    ) -> Tensor:
        """The derivatives; every process has to call it.

        Args:
            rows: the model as a function of its weights.
            weights: where.
            direction: of the same shapes, the same on all processes.
            random: a context in which every pass draws the same random numbers.
            at_weights: what `rows` gives at `weights`, where that is known.
        """
        here = [one.detach() for one in weights]
        if self.gradient == "forward_mode":
            return _forward_mode(rows, here, direction, random)
        norm = length(direction).clamp(min=SMALLEST_NORM)
        with torch.no_grad():
            if self.gradient == "one_sided" and at_weights is None:
                with random():
                    at_weights = rows(here)
            for _ in range(TRIES):
                moves = torch._foreach_mul(list(direction), self.distance / norm)
                with random():
                    ahead = rows(torch._foreach_add(here, moves))
                if self.gradient == "one_sided":
                    assert at_weights is not None
                    changes, sides = [after - before for after, before in zip(ahead, at_weights, strict=True)], 1
                else:
                    with random():
                        behind = rows(torch._foreach_sub(here, moves))
                    changes, sides = [after - before for after, before in zip(ahead, behind, strict=True)], 2
                derivatives = changes[1] * (norm / (sides * self.distance))
                if self._far_enough(changes[0] / sides):
                    break
        return derivatives

    def _far_enough(self, change: Tensor) -> bool:
        """Whether outputs have changed by about as much as they should; sets the distance at which they will."""
        kind = sum_dtype(change.device)
        squares = torch.stack([change.to(kind).square().sum(), change.new_tensor(change.numel(), dtype=kind)])
        total, count = self._add(squares).tolist()
        if not total > 0 or not math.isfinite(total):
            return True
        factor = self.change / math.sqrt(total / count)
        before = self.distance
        self.distance = min(max(before * min(max(factor, 0.01), 100.0), SHORTEST), LONGEST)
        return 1 / BAND <= factor <= BAND or self.distance == before


def _forward_mode(
    rows: Callable[[Sequence[Tensor]], Rows],
    weights: Sequence[Tensor],
    direction: Sequence[Tensor],
    random: Callable[[], AbstractContextManager[None]],
) -> Tensor:
    # The fused kernels of attention have no forward derivative.
    with random(), sdpa_kernel(SDPBackend.MATH), warnings.catch_warnings():
        # Loading torch's forward derivatives for the first time uses a part of torch that is on its way out.
        warnings.filterwarnings("ignore", "`torch.jit", DeprecationWarning)
        found: Tensor = torch.func.jvp(lambda *moved: rows(moved)[1], tuple(weights), tuple(direction))[1]
    return found
