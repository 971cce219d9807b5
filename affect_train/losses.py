"""Losses over partial labels, each as a sum over valid labels and their count.

A masked entry has exactly zero gradient, whatever it holds. A loss without any valid label is a zero that stays in the graph. Sums, not means, as
the caller divides by a count over several processes.
"""

import torch
import torch.nn.functional as F  # noqa: N812 - the usual name
from torch import Tensor

CONSTANT_VARIANCE = 1e-8
"""Labels with less variance than this count as constant: their concordance is not defined."""


def masked_binary_cross_entropy(
    logits: Tensor, targets: Tensor, mask: Tensor, weights: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Binary cross-entropy summed over the valid entries, and their count.

    Args:
        logits: float [N, A].
        targets: float [N, A] in [0, 1]: labels or probabilities.
        mask: bool [N, A].
        weights: float [N, A], the factor of each entry's loss; None: 1.
    """
    losses = F.binary_cross_entropy_with_logits(_where(mask, logits), _where(mask, targets), reduction="none")
    return _masked_sum(losses if weights is None else losses * weights, mask)


def row_shares(mask: Tensor) -> Tensor:
    """Factors that turn a sum over entries into a sum of row means, float32 [N, A]: one over the row's valid entries, 0 where not valid."""
    return mask / mask.sum(dim=1, keepdim=True).clamp(min=1)


def masked_cross_entropy(logits: Tensor, classes: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Cross-entropy summed over the valid rows, and their count.

    Args:
        logits: float [N, C].
        classes: int64 [N]; masked rows may hold anything.
        mask: bool [N].
    """
    return cross_entropy_of_rows(logits, classes, mask).sum(), mask.sum()


def cross_entropy_of_rows(logits: Tensor, classes: Tensor, mask: Tensor) -> Tensor:
    """Cross-entropy of each row, float32 [N], 0 where it is not valid; arguments as for `masked_cross_entropy`."""
    losses = F.cross_entropy(_where(mask[:, None], logits), classes.where(mask, 0), reduction="none")
    return losses.float().where(mask, 0.0)


def expectation(logits: Tensor, centres: Tensor) -> Tensor:
    """The mean of a distribution over bins, float32 [N].

    Args:
        logits: float [N, B].
        centres: float [B], the bins' centres.
    """
    return logits.float().softmax(dim=1) @ centres.float()


def concordance_statistics(predictions: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
    """n, and the sums of x, y, x², y² and xy over the valid rows, float [6], additive over processes.

    In double precision where the device has it, because the variance is a difference of nearly equal sums.

    Args:
        predictions: float [N], x.
        targets: float [N], y.
        mask: bool [N].
    """
    kind = sum_dtype(predictions.device)
    x, y = _where(mask, predictions).to(kind), _where(mask, targets).to(kind)
    return torch.stack([mask.sum().to(kind), x.sum(), y.sum(), (x * x).sum(), (y * y).sum(), (x * y).sum()])


def concordance(statistics: Tensor, epsilon: float) -> Tensor:
    """The concordance correlation coefficient of merged statistics, a scalar, with population variances.

    ``2 cov / (var x + var y + (mean x - mean y)² + epsilon)``. The epsilon bounds the gradient where neither predictions nor labels vary.

    Source: Lin, *A concordance correlation coefficient to evaluate reproducibility*, Biometrics 45 (1989); the epsilon is ours.
    """
    n, x, y, xx, yy, xy = (statistics / statistics[0].clamp(min=1)).unbind()
    del n
    # Rounding can push the variance of constant values slightly below zero.
    return 2 * (xy - x * y) / ((xx - x * x).clamp(min=0) + (yy - y * y).clamp(min=0) + (x - y) ** 2 + epsilon)


def concordance_defined(statistics: Tensor) -> Tensor:
    """Whether at least two rows are valid and their labels vary: a bool scalar."""
    n, _, y, _, yy, _ = statistics.unbind()
    rows = n.clamp(min=1)
    return (n >= 2) & (yy / rows - (y / rows) ** 2 > CONSTANT_VARIANCE)


def sum_dtype(device: torch.device) -> torch.dtype:
    """The dtype for sums on a device: float64 where it has double precision."""
    return torch.float32 if device.type == "mps" else torch.float64


def _where(mask: Tensor, values: Tensor) -> Tensor:
    # Masking before the loss, not after: a NaN behind the mask would come back through 0 * NaN in the gradient.
    return values.where(mask, 0.0)


def _masked_sum(losses: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    return losses.float().where(mask, 0.0).sum(), mask.sum()
