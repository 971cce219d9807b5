"""A loss that makes predicted action units agree with those that the predicted expression implies (Kollias et al., arXiv 1910.11111)."""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from affect_train.methods.coupling.relations import Relations

Form = Literal["one_sided", "binary"]
Gradient = Literal["both", "expressions", "action_units", "symmetric"]


def implied_action_units(expression_logits: Tensor, relations: Relations) -> tuple[Tensor, Tensor]:
    """``log q`` and ``log(1 - q)``, float32 [N, M] each, for the M matched action units: ``q = sum over e of p(e | x) p(AU | e)``.

    p(e | x) is the distribution over the related expressions. All is computed in logarithms, so that neither result needs a clamp.

    Args:
        expression_logits: float [N, C].
        relations: between the heads.
    """
    prior = relations.prior[:, relations.matched_columns]
    expressions = expression_logits[:, relations.classes].float().log_softmax(dim=1)[:, :, None]
    return (expressions + prior.log()).logsumexp(dim=1), (expressions + (1 - prior).log()).logsumexp(dim=1)


def matching_losses(
    au_logits: Tensor, expression_logits: Tensor, relations: Relations, form: Form, gradient: Gradient
) -> Tensor:
    """The cross-entropy between predicted action units p and implied ones q, float32 [N, M].

    Form: ``one_sided`` is ``-p log q``, ``binary`` is ``-p log q - (1 - p) log(1 - q)``.

    Gradient: with ``both`` it reaches both heads. With ``expressions`` p is a constant. With ``action_units`` p and q change places, and q is a
    constant. ``symmetric`` is the mean of the last two. Each row is weighted by the predicted probability, as a constant, that it shows any of the
    related expressions.

    Args:
        au_logits: float [N, A].
        expression_logits: float [N, C].
        relations: between the heads.
        form: of the cross-entropy.
        gradient: which head learns.
    """
    log_q, log_not_q = implied_action_units(expression_logits, relations)
    logits = au_logits[:, relations.matched_columns].float()
    log_p, log_not_p = logsigmoid(logits), logsigmoid(-logits)

    def entropy(target: Tensor, log_one: Tensor, log_other: Tensor) -> Tensor:
        one = -target * log_one
        return one if form == "one_sided" else one - (1 - target) * log_other

    sides: dict[Gradient, Callable[[], Tensor]] = {
        "both": lambda: entropy(logits.sigmoid(), log_q, log_not_q),
        "expressions": lambda: entropy(logits.detach().sigmoid(), log_q, log_not_q),
        "action_units": lambda: entropy(log_q.detach().exp(), log_p, log_not_p),
    }
    found = (sides["expressions"]() + sides["action_units"]()) / 2 if gradient == "symmetric" else sides[gradient]()
    return found * _related_share(expression_logits, relations)[:, None]


def _related_share(expression_logits: Tensor, relations: Relations) -> Tensor:
    """The predicted probability of any related expression, without gradient, float32 [N]."""
    if len(relations.classes) == expression_logits.shape[1]:
        return torch.ones_like(expression_logits[:, 0], dtype=torch.float32)
    return expression_logits.detach().float().softmax(dim=1)[:, relations.classes].sum(dim=1)
