"""Labels of one task made from those of the other, hard and soft: action units from an expression, an expression from action units.

Source: Kollias, Sharmanska & Zafeiriou (arXiv 1910.11111). Their images have labels of all related action units; ours may lack some. So an expression
is given only where the head predicts its prototypical action units and, for soft labels, where these are labelled: brow lowering alone is no anger.
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
    """The class whose action units are all present, int64 [N]; -1 where there is none, or the row has an expression of its own.

    Among several, the most action units win, then the greatest sum of weights, then the first class. An expression is never given if the head lacks
    one of its prototypical action units.
    """
    related = relations.weights > 0
    present = (batch.au > 0.5) & batch.au_mask
    complete = (present[:, None] | ~related).all(dim=2) & relations.decidable
    complete = complete & (batch.au_mask.any(dim=1) & ~batch.expression_mask)[:, None]
    # Divided by width + 1, the sum of weights stays below 1, the difference of one action unit: it only breaks ties.
    width = related.shape[1]
    rank = related.sum(dim=1) + relations.weights.sum(dim=1) / (width + 1)
    best = torch.where(complete, rank, -1.0).argmax(dim=1)
    return relations.classes[best].where(complete.any(dim=1), -1)


def scored_expressions(batch: "AffectBatch", relations: Relations) -> Tensor:
    """Which related expressions have a score, bool [N, R]: those whose prototypical action units are all labelled.

    Neutral has one wherever another expression has.
    """
    scored = (batch.au_mask[:, None] | ~relations.required).all(dim=2) & relations.decidable
    if relations.neutral is not None:
        others = scored.any(dim=1)
        scored = scored.clone()
        scored[:, relations.neutral] = others
    return scored


def scored_rows(scored: Tensor) -> Tensor:
    """Whether a row has scores of at least two expressions to choose between, bool [N]."""
    return scored.sum(dim=1) >= 2


def soft_expressions(batch: "AffectBatch", relations: Relations, *, weighted: bool, temperature: float = 1.0) -> Tensor:
    """The softmax of the expressions' scores, float32 [N, R]; 0 where an expression has no score.

    The score of an expression is ``sum w y / sum w`` over its labelled action units. The score of neutral is 1 minus the greatest other score.

    Args:
        batch: of N rows.
        relations: between the heads.
        weighted: whether w is the weight of the relation; otherwise it is 1.
        temperature: the scores are divided by it.
    """
    weights = relations.weights if weighted else (relations.weights > 0).float()
    labelled = batch.au_mask.float()
    scores = ((batch.au * labelled) @ weights.T) / (labelled @ weights.T).clamp(min=1e-6)
    scored = scored_expressions(batch, relations)
    if relations.neutral is not None:
        others = scored.clone()
        others[:, relations.neutral].fill_(False)  # noqa: FBT003 - the signature of torch
        scores = scores.clone()
        scores[:, relations.neutral] = 1 - scores.where(others, 0.0).amax(dim=1)
    open_rows = scored_rows(scored)[:, None]
    logits = (scores / temperature).masked_fill(~(scored | ~open_rows), -torch.inf)
    return logits.softmax(dim=1).where(open_rows, 0.0)


def soft_sum(logits: Tensor, targets: Tensor, scored: Tensor, relations: Relations) -> Tensor:
    """The cross-entropy between soft labels and the distribution predicted over the scored expressions, summed over rows.

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
