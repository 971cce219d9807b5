"""What one update of the weight network is made of."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

from affect_train.methods.meta.batch import MetaRows
from affect_train.methods.meta.virtual_step import RandomState

if TYPE_CHECKING:
    from affect_train.inputs.batch import AffectBatch


@dataclass(frozen=True)
class Trial:
    """One update of the weight network.

    Attributes:
        batch: of the step that is tried: without the action units of the meta rows.
        meta: by which it is judged.
        random: the random numbers that the pass with gradient draws.
        meta_labels: what the meta rows' loss is divided by, over all processes.
        expressions: rows with an expression, over all processes.
    """

    batch: "AffectBatch"
    meta: MetaRows
    random: RandomState
    meta_labels: Tensor
    expressions: Tensor


@dataclass(frozen=True)
class Seen:
    """What the pass with gradient says of N rows, without graph.

    Attributes:
        features: float [N, D].
        logits: of expressions, float [N, C].
        losses: of expressions, float [N].
    """

    features: Tensor
    logits: Tensor
    losses: Tensor
