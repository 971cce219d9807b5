"""Mixup for partial labels: pictures are laid over each other in pairs that are labelled alike, and what both say is mixed in the same shares."""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from affect_train.inputs.batch import AffectBatch, MixedClasses

SEED_OFFSET = 2**33
"""Added to the recipe's seed, which is smaller, so that shares follow from other numbers than anything else does."""


def mixed(batch: AffectBatch, alpha: float, key: tuple[int, ...]) -> AffectBatch:
    """A batch whose row n is a share of row n and the rest of a partner, in pictures and labels.

    A partner has labels of the same tasks, so that few labels are lost; a label remains only where both rows have it. Action units, valence and
    arousal become means, weighted by the shares. The classes of both stay, because cross-entropy takes them one by one. A row that no other is
    labelled like is its own partner. Batches with clips, whose rows have several pictures, stay as they are.

    Args:
        batch: on any device; nothing is read from it.
        alpha: of the Beta distribution of the share, which all rows of a batch have.
        key: decides the share, such as seed and step.

    Source: Zhang et al., *mixup*, ICLR 2018 (arXiv 1710.09412), equation 1; the choice of partners is ours.
    """
    if batch.counts is not None:
        return batch
    share = float(np.random.Generator(np.random.PCG64([SEED_OFFSET, *key])).beta(alpha, alpha))
    partner = partners(batch)
    au_mask = batch.au_mask & batch.au_mask[partner]
    expression_mask = batch.expression_mask & batch.expression_mask[partner]
    va_mask = batch.va_mask & batch.va_mask[partner]
    pictures = torch.lerp(batch.inputs[partner].float(), batch.inputs.float(), share)
    return replace(
        batch,
        inputs=pictures.round().to(torch.uint8) if batch.inputs.dtype == torch.uint8 else pictures,
        au=torch.lerp(batch.au[partner], batch.au, share).where(au_mask, 0.0),
        au_mask=au_mask,
        expression=batch.expression.where(expression_mask, -1),
        expression_mask=expression_mask,
        valence=torch.lerp(batch.valence[partner], batch.valence, share).where(va_mask, 0.0),
        arousal=torch.lerp(batch.arousal[partner], batch.arousal, share).where(va_mask, 0.0),
        va_mask=va_mask,
        mixed=MixedClasses(batch.expression[partner].where(expression_mask, -1), share),
    )


def partners(batch: AffectBatch) -> Tensor:
    """For each row the next one that has labels of the same tasks, int64 [N]; after the last of these comes the first."""
    kinds = batch.au_mask.any(1) + 2 * batch.expression_mask.int() + 4 * batch.va_mask.int()
    order = kinds.argsort(stable=True)
    ordered = kinds[order]
    follower = torch.arange(1, len(order) + 1, device=order.device)
    first = torch.searchsorted(ordered, ordered)
    last = torch.searchsorted(ordered, ordered, right=True)
    found = torch.empty_like(order)
    found[order] = order[torch.where(follower < last, follower, first)]
    return found
