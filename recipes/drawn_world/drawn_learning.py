"""A small network on vectors, trained by the losses of affect_train."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from drawn_faces import BINS, EXPRESSIONS, TASKS, UNITS, WIDTH
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score
from torch import Tensor, nn

from affect_train.evaluation.metrics import concordance_correlation
from affect_train.inputs.batch import AffectBatch
from affect_train.methods import all_terms, build_method, total_loss
from affect_train.network.habits import DatabaseHabits
from affect_train.network.output import AffectOutput
from affect_train.recipe.methods.options import MethodOptions

HEADS = {"au": len(UNITS), "expression": len(EXPRESSIONS), "valence": BINS, "arousal": BINS}


class Network(nn.Module):
    """A hidden layer that all heads share, and the habits of databases if there are any."""

    def __init__(self, hidden: int, habits: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        # Half of the hidden layer is linear, for what is linear in the vectors.
        self.bent, self.straight = nn.Linear(WIDTH, hidden), nn.Linear(WIDTH, hidden)
        self.heads = nn.ModuleDict({name: nn.Linear(2 * hidden, width) for name, width in HEADS.items()})
        self.habits = None if habits is None else DatabaseHabits(TASKS, habits)

    def forward(self, vectors: Tensor, databases: Tensor | None = None) -> AffectOutput:
        """The logits of all heads; with `databases`, as these would label the faces."""
        hidden = torch.cat([nn.functional.gelu(self.bent(vectors)), self.straight(vectors)], dim=1)
        output = AffectOutput(**{f"{name}_logits": head(hidden) for name, head in self.heads.items()})
        if self.habits is None or databases is None:
            return output
        found: AffectOutput = self.habits(output, databases)
        return found


@dataclass(frozen=True)
class Training:
    """How long and how fast: steps, rows of a step, learning rates of the network and of habits, weight decay."""

    steps: int
    rows: int
    rate: float = 5e-3
    habit_rate: float = 2e-2
    decay: float = 0.02
    hidden: int = 32


def train(
    data: AffectBatch, options: MethodOptions, training: Training, seed: int, habits: Mapping[str, Any] | None = None
) -> Network:
    """A network that has learned from the labels."""
    torch.manual_seed(seed)
    network, terms = Network(training.hidden, habits), all_terms(build_method(options, TASKS))
    own = [] if network.habits is None else list(network.habits.parameters())
    shared = [one for name, one in network.named_parameters() if not name.startswith("habits.")]
    groups = [
        {"params": shared, "lr": training.rate, "weight_decay": training.decay},
        {"params": own, "lr": training.habit_rate, "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW([group for group in groups if group["params"]])
    steps = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, training.steps)
    for _ in range(training.steps):
        batch = some(data, torch.randint(len(data.rows), (training.rows,)))
        total_loss(terms.losses(network(batch.inputs, batch.databases), batch)).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        steps.step()
    return network.eval()


def some(data: AffectBatch, chosen: Tensor) -> AffectBatch:
    """The rows of these numbers, int64 [M]."""
    names = [name for name, value in vars(data).items() if isinstance(value, Tensor)]
    return replace(data, **{name: getattr(data, name)[chosen] for name in names})


def scores(network: Network, data: AffectBatch, truth: NDArray[np.int64] | None = None) -> dict[str, float]:
    """Accuracy and mean log-likelihood of expressions, mean average precision of action units, mean CCC of valence and arousal.

    Args:
        network: without habits, as it is used.
        data: faces of other people.
        truth: int64 [N], the expressions to judge by; None: the labels.
    """
    with torch.no_grad():
        output = network(data.inputs)
    classes = data.expression if truth is None else torch.from_numpy(truth)
    shares = output.expression_logits.log_softmax(dim=1)
    au, said = data.au.numpy(), output.au_logits.numpy()
    precision = [average_precision_score(au[:, unit], said[:, unit]) for unit in range(len(UNITS))]
    centres = TASKS.bin_centres()
    ccc = [
        concordance_correlation((logits.softmax(dim=1) @ centres).numpy(), labels.numpy())
        for logits, labels in ((output.valence_logits, data.valence), (output.arousal_logits, data.arousal))
    ]
    return {
        "accuracy": float((shares.argmax(dim=1) == classes).float().mean()),
        "likelihood": float(shares.gather(1, classes[:, None]).mean()),
        "ap": float(np.mean(precision)),
        "ccc": float(np.mean(ccc)),
    }
