"""A new last layer from a few examples of each class: multinomial logistic regression, drawn and fitted several times."""

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy

from affect_data.errors import UsageError

PENALTY: Final = 1.0
"""Factor of half the squared weights (of standardised values), added to the summed cross-entropy."""

ITERATIONS: Final = 500


def fit(values: Tensor, classes: Tensor, count: int, penalty: float = PENALTY) -> tuple[Tensor, Tensor]:
    """Weights, float64 [count, D], and biases [count] that minimise summed cross-entropy plus ``penalty / 2`` times the squared weights.

    The objective is convex and the start is zero: the same examples give the same layer.

    Args:
        values: float64 [n, D].
        classes: int64 [n].
        count: number of classes.
        penalty: over 0.
    """
    weights = torch.zeros(count, values.shape[1], dtype=torch.float64, requires_grad=True)
    biases = torch.zeros(count, dtype=torch.float64, requires_grad=True)
    optimizer: torch.optim.Optimizer = torch.optim.LBFGS(
        [weights, biases],
        max_iter=ITERATIONS,
        tolerance_grad=1e-8,
        tolerance_change=1e-14,
        history_size=20,
        line_search_fn="strong_wolfe",
    )

    def objective() -> float:
        optimizer.zero_grad()
        loss = cross_entropy(values @ weights.T + biases, classes, reduction="sum")
        loss = (loss + penalty / 2 * weights.square().sum()) / len(classes)
        torch.autograd.backward(loss)
        return loss.item()

    optimizer.step(objective)
    return weights.detach(), biases.detach()


def learned_classes(
    support: NDArray[np.floating], classes: NDArray[np.int64], query: NDArray[np.floating], count: int
) -> NDArray[np.int64]:
    """The class of each query, int64 [m], by a layer fitted to the support [n, D]; its mean and deviation standardise both."""
    known = torch.from_numpy(support.astype(np.float64))
    mean, deviation = known.mean(dim=0), known.std(dim=0, correction=0)
    deviation = torch.where(deviation > 0, deviation, 1.0)
    weights, biases = fit((known - mean) / deviation, torch.from_numpy(classes), count)
    asked = (torch.from_numpy(query.astype(np.float64)) - mean) / deviation
    return (asked @ weights.T + biases).argmax(dim=1).numpy()


def draw(classes: NDArray[np.int64], names: Sequence[str], shots: int, seed: Sequence[int]) -> NDArray[np.int64]:
    """The positions of `shots` examples of every class, int64 [shots * classes], drawn without replacement.

    Args:
        classes: int64 [n], the classes of the examples to draw from.
        names: of the classes.
        shots: examples of each.
        seed: of the draw.

    Raises:
        UsageError: a class has fewer examples.
    """
    available = np.bincount(classes, minlength=len(names))
    short = [f"{name} {have:,}" for name, have in zip(names, available.tolist(), strict=True) if have < shots]
    if short:
        raise UsageError(
            f"{shots} shots of each class: the support split has only {', '.join(short)}; ask for fewer, or name another split or classes"
        )
    rng = np.random.default_rng(list(seed))
    return np.concatenate(
        [rng.choice(np.flatnonzero(classes == position), shots, replace=False) for position in range(len(names))]
    )


def few_shot(
    support: NDArray[np.floating],
    support_classes: NDArray[np.int64],
    query: NDArray[np.floating],
    names: Sequence[str],
    measured: Callable[[NDArray[np.int64]], dict[str, float]],
    *,
    shots: int,
    draws: int,
    seed: int,
) -> dict[str, Any]:
    """Metrics of layers fitted to a few examples of each class: for every draw, and mean and deviation over draws.

    Args:
        support: float [n, D], the examples to draw from.
        support_classes: int64 [n].
        query: float [m, D], the examples to classify.
        names: of the classes.
        measured: from predicted classes of the queries to metrics.
        shots: examples of each class.
        draws: how many sets of examples.
        seed: of the draws.

    Raises:
        UsageError: a class has too few examples.
    """
    results = []
    for number in range(draws):
        chosen = draw(support_classes, names, shots, (seed, number))
        found = learned_classes(support[chosen], support_classes[chosen], query, len(names))
        results.append(measured(found))
    summary = {name: _summary([result[name] for result in results]) for name in results[0]}
    return {"shots": shots, "seed": seed, **summary, "draws": results}


def _summary(values: Sequence[float]) -> dict[str, float | None]:
    return {"mean": float(np.mean(values)), "deviation": float(np.std(values, ddof=1)) if len(values) > 1 else None}
