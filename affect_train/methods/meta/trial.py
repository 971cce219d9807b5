"""The data of one update of the weight network."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

from affect_train.methods.meta.meta_rows import MetaRows
from affect_train.methods.meta.virtual_step import RandomState

if TYPE_CHECKING:
    from affect_train.inputs.batch import AffectBatch


@dataclass(frozen=True)
class Trial:
    """One update of the weight network.

    Attributes:
        batch: of the trial step, without the action units of the meta rows.
        meta: the meta rows, by which the step is judged.
        random: state from which the pass with gradient draws its random numbers.
        meta_labels: scalar, the divisor of the meta rows' loss, over all processes.
        expressions: scalar, how many rows have an expression, over all processes.
    """

    batch: "AffectBatch"
    meta: MetaRows
    random: RandomState
    meta_labels: Tensor
    expressions: Tensor


@dataclass(frozen=True)
class Seen:
    """Results of the pass with gradient for N rows, without graph.

    Attributes:
        features: float [N, D].
        logits: float [N, C], of expressions.
        losses: float [N], of expressions.
    """

    features: Tensor
    logits: Tensor
    losses: Tensor
