"""Loss terms of several processes and how they become one number.

A term is a few sums over rows, so terms of several processes are merged by adding them. The loss is computed from the merged sums: it is the loss of
the global batch, however that batch was divided.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from affect_train.losses import concordance, concordance_defined, sum_dtype

AllReduce = Callable[[Tensor], Tensor]
"""From a float tensor without gradient to its sum over all processes."""


@dataclass(frozen=True)
class LossTerm:
    """A mean over labels: ``sum / count``.

    Attributes:
        sum: scalar in the graph, the loss summed over valid labels.
        count: scalar, the number of these labels.
        weight: factor of the mean in the total.
    """

    sum: Tensor
    count: Tensor
    weight: float = 1.0

    @property
    def statistics(self) -> Tensor:
        """Count and sum, float [2], additive over rows."""
        return torch.stack([self.count.to(self.sum.dtype), self.sum])

    @staticmethod
    def numerator(statistics: Tensor) -> Tensor:
        """The sum, which is divided by the count ``statistics[0]``."""
        return statistics[1]

    @property
    def alone(self) -> tuple[Tensor, Tensor]:
        """The numerator of these rows only, and the number of labels behind it."""
        return self.sum, self.count.detach()


@dataclass(frozen=True)
class ConcordanceTerm:
    """``(1 - CCC) * n / count`` over the n rows with a label: a function of sums over rows, not a mean over rows.

    Attributes:
        sums: float [6] in the graph, from `losses.concordance_statistics`; n comes first.
        count: scalar; n itself, or more rows where the term is one share of a mixture.
        weight: factor of the term in the total.
        epsilon: added to the denominator of the CCC.
    """

    sums: Tensor
    count: Tensor
    weight: float
    epsilon: float

    @property
    def statistics(self) -> Tensor:
        """Count, then the sums, float [7], additive over rows."""
        return torch.cat([self.count.to(self.sums.dtype).reshape(1), self.sums])

    def numerator(self, statistics: Tensor) -> Tensor:
        """``(1 - CCC) * n``, which is divided by the count ``statistics[0]``; 0 if fewer than two rows have a label or labels are constant."""
        return self._numerator(statistics[1:], concordance_defined(statistics[1:].detach()))

    @property
    def alone(self) -> tuple[Tensor, Tensor]:
        """The numerator of these rows only, and the number of labels behind it."""
        sums = self.sums.detach()
        defined = concordance_defined(sums)
        return self._numerator(self.sums, defined), torch.where(defined, sums[0], 0.0)

    def _numerator(self, sums: Tensor, defined: Tensor) -> Tensor:
        loss = (1 - concordance(sums, self.epsilon)) * sums[0].detach()
        # Where it is not defined, epsilon keeps the derivative finite, so that the zero can stay in the graph.
        return loss.where(defined, 0.0)


Term = LossTerm | ConcordanceTerm


@dataclass(frozen=True)
class TotalLoss:
    """The loss of one (micro-)batch over all processes.

    Attributes:
        loss: scalar to call ``backward`` on. Multiplied by the number of processes, because distributed training averages gradients over them.
        values: for the log: the unweighted value of every term over all processes, detached. With micro-batches it is a share of the step's mean.
        counts: the number of labels behind each value over all processes, detached; 0 where a concordance was not defined.
    """

    loss: Tensor
    values: dict[str, Tensor]
    counts: dict[str, Tensor]


def total_loss(
    terms: Mapping[str, Term],
    *,
    step_counts: Mapping[str, Tensor] | None = None,
    step_statistics: Mapping[str, Tensor] | None = None,
    micro_batches: int = 1,
    all_reduce: AllReduce | None = None,
    processes: int = 1,
) -> TotalLoss:
    """The weighted sum of all terms, normalised by label counts over all processes and accumulation steps; one collective call.

    Args:
        terms: from `Method.losses`; every process passes the same names.
        step_counts: for every term, its count over all processes and all micro-batches of an optimizer step, from `Method.counts`; None where a
            step is one batch.
        step_statistics: for every concordance, its statistics over all processes and all micro-batches of an optimizer step, at the same weights of
            the model; None where a step is one batch, or no concordance has a weight.
        micro_batches: how many the optimizer step has.
        all_reduce: sums a tensor over the processes; None where there is one process.
        processes: how many there are.
    """
    if all_reduce is None and step_statistics is None:
        return _loss_alone(terms, step_counts, processes)
    local = {name: term.statistics for name, term in terms.items()}
    kind = sum_dtype(next(iter(local.values())).device)
    flat = torch.cat([statistics.detach().to(kind) for statistics in local.values()])
    merged = torch.split(all_reduce(flat) if all_reduce is not None else flat, [len(part) for part in local.values()])
    loss = torch.zeros((), dtype=torch.float32, device=flat.device)
    values, counts = {}, {}
    for (name, term), everywhere in zip(terms.items(), merged, strict=True):
        # The sums of other processes enter as constants: each process back-propagates through its own rows only.
        whole = everywhere
        if isinstance(term, ConcordanceTerm) and step_statistics is not None:
            whole = step_statistics[name].to(everywhere)
        statistics = local[name] + (whole - local[name].detach()).to(local[name].dtype)
        count = everywhere[0] if step_counts is None else step_counts[name].to(everywhere)
        value = term.numerator(statistics) / count.clamp(min=1).to(statistics.dtype)
        loss = loss + term.weight * value.float()
        if whole is not everywhere:
            # Every micro-batch back-propagates the same value through its own rows; the log adds up the micro-batches.
            value = value / micro_batches
        values[name], counts[name] = value.detach().float(), _count_behind(term, everywhere, whole)
    return TotalLoss(loss * processes, values, counts)


def _loss_alone(terms: Mapping[str, Term], step_counts: Mapping[str, Tensor] | None, processes: int) -> TotalLoss:
    # As from merged statistics, but with all terms in one vector: in a small model's step, such tiny operations take much of the time.
    parts = {name: term.alone for name, term in terms.items()}
    numerators, counted = zip(*parts.values(), strict=True)
    kind = sum_dtype(numerators[0].device)
    counts = [term.count for term in terms.values()] if step_counts is None else [step_counts[n] for n in terms]
    divisors = torch.stack([count.detach().to(kind) for count in counts]).clamp(min=1)
    values = (torch.stack([numerator.to(kind) for numerator in numerators]) / divisors).float()
    weights = _factors(tuple(term.weight for term in terms.values()), values.device)
    shown = dict(zip(terms, values.detach().unbind(), strict=True))
    loss = torch.dot(values, weights)
    return TotalLoss(loss * processes if processes > 1 else loss, shown, dict(zip(terms, counted, strict=True)))


@lru_cache(maxsize=64)
def _factors(weights: tuple[float, ...], device: torch.device) -> Tensor:
    # Kept, because to send numbers to a device is to wait for it.
    return torch.tensor(weights, device=device)


def _count_behind(term: Term, statistics: Tensor, whole: Tensor) -> Tensor:
    if isinstance(term, LossTerm):
        return statistics[0]
    return torch.where(concordance_defined(whole[1:]), statistics[1], 0.0)
