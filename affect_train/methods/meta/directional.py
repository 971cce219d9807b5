"""How the losses of rows change in a direction of weight space, without a second-order graph."""

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from torch import Tensor

from affect_train.losses import sum_dtype
from affect_train.methods.meta.virtual_step import SMALLEST_NORM, Weights, gradients, length

LOGIT_CHANGE = 1e-3
"""How far the outputs of a compared pass should be from those at the unmoved weights: root mean square over rows and classes."""
FIRST_DISTANCE = 2e-4
SHORTEST, LONGEST = 1e-7, 1.0
BAND = 2.0
"""The outputs may change by this factor more or less than they should."""
TRIES = 4


@dataclass(frozen=True)
class OnePass:
    """Outputs and losses of N rows at some weights.

    Attributes:
        outputs: float [M, C], without graph, of the M rows whose outputs are compared.
        losses: float [N].
        leaves: the weights. The graph of the losses, if there is one, starts from them.
    """

    outputs: Tensor
    losses: Tensor
    leaves: Weights


class Passes:
    """The model as a function of its weights: every pass draws the same random numbers.

    Args:
        rows: from weights to outputs, float [M, C], and losses, float [N].
        weights: the unmoved weights.
        random: a context in which a pass draws its random numbers.
    """

    def __init__(
        self,
        rows: Callable[[Sequence[Tensor]], tuple[Tensor, Tensor]],
        weights: Sequence[Tensor],
        random: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self._rows = rows
        self._weights = [one.detach() for one in weights]
        self._random = random

    def take(self, moves: Sequence[Tensor] | None = None, *, graph: bool = False) -> OnePass:
        """A pass at the weights plus `moves`; None: at the weights."""
        weights = self._weights if moves is None else torch._foreach_add(self._weights, list(moves))
        leaves = [one.detach().requires_grad_(graph) for one in weights]
        with self._random(), torch.set_grad_enabled(graph):
            outputs, losses = self._rows(leaves)
        return OnePass(outputs.detach(), losses, leaves)


@dataclass(frozen=True)
class RowLosses:
    """How the losses of N rows change in a direction of weight space.

    Attributes:
        along: float [N], the derivative of each loss in the direction.
        ahead: the pass a little way in that direction; with graph where it was asked for.
    """

    along: Tensor
    ahead: OnePass

    def gradient(self, factors: Tensor) -> Weights:
        """The gradient, by the weights, of the sum of the losses times factors (float [N]). Ask once: it frees the graph. Zeros without a graph."""
        return gradients((self.ahead.losses * factors).sum(), self.ahead.leaves)


class DirectionalDerivatives:
    """From a direction v of weight space to ``<v, d loss_i / d weights>`` of every row, by central differences.

    The distance is chosen so that the outputs change by a given amount. Over longer distances the network is not linear (with batch normalisation of
    features that hardly vary, thousandths are too long); over shorter ones the change is lost in float32. The distance found for one direction is
    the first try for the next.

    Source: Liu, Simonyan & Yang, *DARTS* (arXiv 1806.09055), section 2.3. They fix the distance in weight space; choosing it by the outputs is ours.

    Args:
        add: from a tensor to its sum over processes, so that all take the same distance.
        change: wanted change of the outputs, as `LOGIT_CHANGE`.
    """

    def __init__(self, add: Callable[[Tensor], Tensor], change: float = LOGIT_CHANGE) -> None:
        self.change = change
        self.distance = FIRST_DISTANCE
        self._add = add

    def __call__(
        self, passes: Passes, direction: Sequence[Tensor], *, here: OnePass | None = None, graph: bool = False
    ) -> RowLosses:
        """The derivatives of the losses, and the pass that gives their gradient; every process has to call it.

        Args:
            passes: of the model.
            direction: a tensor for each weight, the same on all processes.
            here: the pass at the unmoved weights, if it is known.
            graph: whether the pass ahead keeps its graph. The gradient of the losses then costs only a backward pass; it is the gradient at the moved
                weights, where the outputs differ by `change`.
        """
        norm = length(direction).clamp(min=SMALLEST_NORM)
        for tries_left in reversed(range(TRIES)):
            distance = self.distance
            moves = torch._foreach_mul(list(direction), distance / norm)
            ahead = passes.take(moves, graph=graph)
            # With the pass at the unmoved weights known, the pass ahead alone tells whether the distance is right.
            if here is not None and not self._far_enough(ahead.outputs - here.outputs) and tries_left:
                continue
            behind = passes.take(torch._foreach_neg(moves))
            if here is not None or self._far_enough((ahead.outputs - behind.outputs) / 2):
                break
        # (l(w + d v / |v|) - l(w - d v / |v|)) / 2 d is the derivative along v / |v|; times |v| it is the one along v.
        along = (ahead.losses.detach() - behind.losses) * (norm / (2 * distance))
        return RowLosses(along, ahead)

    def _far_enough(self, change: Tensor) -> bool:
        """Whether the outputs have changed by about as much as they should; sets the distance to try next."""
        kind = sum_dtype(change.device)
        squares = torch.stack([change.to(kind).square().sum(), change.new_tensor(change.numel(), dtype=kind)])
        total, count = self._add(squares).tolist()
        if not total > 0 or not math.isfinite(total):
            return True
        factor = self.change / math.sqrt(total / count)
        before = self.distance
        self.distance = min(max(before * min(max(factor, 0.01), 100.0), SHORTEST), LONGEST)
        return 1 / BAND <= factor <= BAND or self.distance == before
