"""Labels of one task that stand in for those of the other: action units for an expression, an expression for action units, hard and soft.

Source: Kollias, Sharmanska & Zafeiriou (arXiv 1910.11111), where all action units of the relations are labelled. Here an expression is spoken of only
where its prototypical action units are predicted and, for soft labels, labelled: brow lowering alone is no anger.
"""

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from affect_train.methods.coupling.relations import Relations

if TYPE_CHECKING:
    from affect_train.inputs.batch import AffectBatch


def given_action_units(batch: "AffectBatch", relations: Relations, classes: int) -> Tensor:
    """The weight with which each action unit counts as present, float [N, A]; 0 where it is not given.

    Args:
        batch: of N rows.
        relations: between the heads.
        classes: of the expression head.
    """
    weights = relations.weights.new_zeros(classes, relations.weights.shape[1])
    weights[relations.classes] = relations.weights
    alone = batch.expression_mask & ~batch.au_mask.any(dim=1)
    return weights[batch.expression.clamp(min=0)] * alone[:, None]


def complete_expressions(batch: "AffectBatch", relations: Relations) -> Tensor:
    """The class all of whose action units are present, int64 [N]; -1 where there is none or the row has an expression of its own.

    Of several the one with the most action units, then the one with the greater weights, then the first. An expression whose prototypical action
    units the head does not predict is never given.
    """
    related = relations.weights > 0
    present = (batch.au > 0.5) & batch.au_mask
    complete = (present[:, None] | ~related).all(dim=2) & relations.decidable
    complete = complete & (batch.au_mask.any(dim=1) & ~batch.expression_mask)[:, None]
    # The weights of one expression sum to no more than its action units: they only break ties.
    width = related.shape[1]
    rank = related.sum(dim=1) + relations.weights.sum(dim=1) / (width + 1)
    best = torch.where(complete, rank, -1.0).argmax(dim=1)
    return relations.classes[best].where(complete.any(dim=1), -1)


def scored_expressions(batch: "AffectBatch", relations: Relations) -> Tensor:
    """The related expressions of which the labelled action units say something, bool [N, R]; neutral where they do of any other.

    An expression has a score where all its prototypical action units are labelled.
    """
    scored = (batch.au_mask[:, None] | ~relations.required).all(dim=2) & relations.decidable
    if relations.neutral is not None:
        others = scored.any(dim=1)
        scored = scored.clone()
        scored[:, relations.neutral] = others
    return scored


def scored_rows(scored: Tensor) -> Tensor:
    """Where there are two expressions to choose between, bool [N]."""
    return scored.sum(dim=1) >= 2


def soft_expressions(batch: "AffectBatch", relations: Relations, *, weighted: bool, temperature: float = 1.0) -> Tensor:
    """float32 [N, R]: softmax of the expressions' scores, 0 where an expression has none.

    The score of an expression is ``sum w y / sum w`` over its labelled action units, that of neutral 1 minus the greatest of the others.

    Args:
        batch: of N rows.
        relations: between the heads.
        weighted: whether w is the weight of the relation; else it is 1.
        temperature: the scores are divided by it.
    """
    weights = relations.weights if weighted else (relations.weights > 0).float()
    labelled = batch.au_mask.float()
    scores = ((batch.au * labelled) @ weights.T) / (labelled @ weights.T).clamp(min=1e-6)
    scored = scored_expressions(batch, relations)
    if relations.neutral is not None:
        others = scored.clone()
        others[:, relations.neutral] = False
        scores = scores.clone()
        scores[:, relations.neutral] = 1 - scores.where(others, 0.0).amax(dim=1)
    open_rows = scored_rows(scored)[:, None]
    logits = (scores / temperature).masked_fill(~(scored | ~open_rows), -torch.inf)
    return logits.softmax(dim=1).where(open_rows, 0.0)


def soft_sum(logits: Tensor, targets: Tensor, scored: Tensor, relations: Relations) -> Tensor:
    """The summed cross-entropy of the predicted distribution over the scored expressions to the soft labels.

    Args:
        logits: float [N, C], of the head.
        targets: float [N, R], from `soft_expressions`.
        scored: bool [N, R], from `scored_expressions`.
        relations: between the heads.
    """
    rows = scored_rows(scored)[:, None]
    chosen = logits[:, relations.classes].float().where(rows, 0.0)
    log_probabilities = chosen.masked_fill(rows & ~scored, -torch.inf).log_softmax(dim=1)
    return -(targets * log_probabilities.where(rows & scored, 0.0)).sum()
