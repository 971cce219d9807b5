"""The output of a model for some faces."""

from dataclasses import dataclass

from torch import Tensor
from transformers.utils import ModelOutput

from affect_train.clips import pooled


@dataclass
class AffectOutput(ModelOutput):
    """The logits of a model for N faces; None where it has no such head.

    Attributes:
        au_logits: float [N, A].
        expression_logits: float [N, C].
        valence_logits: float [N, B] over bins.
        arousal_logits: float [N, B] over bins.
        features: float [N, D], the pooled features of the backbone.
    """

    au_logits: Tensor | None = None
    expression_logits: Tensor | None = None
    valence_logits: Tensor | None = None
    arousal_logits: Tensor | None = None
    features: Tensor | None = None


def mean_over_clips(output: AffectOutput, counts: Tensor | None) -> AffectOutput:
    """The output with one row for each face or clip.

    Args:
        output: of M pictures, those of a clip next to each other.
        counts: int64 [N], how many pictures each row has; None: one each.
    """
    return (
        output if counts is None else AffectOutput(**{name: pooled(values, counts) for name, values in output.items()})
    )
