"""Moves a trained model to another prior: where it is used, labels are not as frequent as where it was trained."""

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import torch
from torch import nn

from affect_data.errors import UsageError
from affect_train.network.label_rates import LabelRates
from affect_train.network.model import AffectModel
from affect_train.recipe.prior import Prior, read_prior
from affect_train.tasks import DEFAULT_THRESHOLD


@dataclass(frozen=True)
class TargetPrior:
    """Where the logits of a model go, and how far.

    Attributes:
        named: ``uniform``, or a YAML file.
        strength: the part of the way; 1: all of it.
    """

    named: str
    strength: float = 1.0

    @cached_property
    def prior(self) -> Prior:
        """What the name stands for.

        Raises:
            UsageError: there is no such file.
            RecipeError: the file has mistakes.
        """
        return read_prior(self.named)

    @property
    def described(self) -> dict[str, Any]:
        """As plain values, without the file's path."""
        prior = self.prior if isinstance(self.prior, str) else self.prior.model_dump(mode="json", exclude_none=True)
        return {"prior": prior, "strength": self.strength}

    @property
    def digest(self) -> str:
        """A hash of what it does, 12 hexadecimal digits."""
        return hashlib.sha256(json.dumps(self.described, sort_keys=True).encode()).hexdigest()[:12]


def move_to(model: AffectModel, target: TargetPrior, where: str) -> None:
    """Moves the model's logits to the target, by the biases of its last layers; thresholds of moved action units become 0.5.

    A logit is a sum with the bias, so every way of using the model (pictures, clips, windows, stored features) sees the same change.

    Args:
        model: in memory; its files stay as they are.
        target: the prior, and how far.
        where: the model, for messages.

    Raises:
        UsageError: the model does not say how often labels were where it was trained, or the prior does not fit its heads.
        RecipeError: the prior's file has mistakes.
    """
    rates = getattr(model.config, "label_rates", None)
    if not rates:
        raise UsageError(
            f"'{where}' does not say how often its labels were among the training rows: it was trained by an earlier release, with "
            "`batches.balance`, or on streamed rows. Train it again without these, or leave --prior out"
        )
    tasks = model.config.task_set()
    shifts = LabelRates.from_dict(rates).shifts_to(LabelRates.named(target.prior, tasks))
    for head, shift in shifts.items():
        last = cast(nn.Linear, cast(nn.Sequential, model.heads[head])[-1])
        with torch.no_grad():
            last.bias.sub_(torch.as_tensor(target.strength * shift, dtype=last.bias.dtype, device=last.bias.device))
        if head == "au":
            # A threshold that was tuned for the old probabilities would undo the move, or doubt it twice.
            model.config.thresholds = [
                DEFAULT_THRESHOLD if moved else limit
                for moved, limit in zip(shift != 0, model.config.thresholds, strict=True)
            ]
    model.config.target_prior = target.described
