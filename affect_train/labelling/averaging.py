"""Several models averaged in probability and expectation, matched by the names of classes and action units; and weights for the mean."""

from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from affect_train.errors import ModelMismatchError
from affect_train.evaluation.metrics import evaluate_predictions
from affect_train.inputs.labels import SHARED_CLASSES
from affect_train.losses import expectation
from affect_train.tasks import TaskSet

Weights = dict[str, tuple[float, ...]]
"""For each task (au, expression, va) the share of every member; the shares of a task are not negative and sum to 1."""

HEAD_TASKS = {"au": "au", "expression": "expression", "valence": "va", "arousal": "va"}
MAIN_METRICS = {"au": "mean_f1", "expression": "macro_f1", "va": "mean_ccc"}
STEPS = 20
"""A share is tried at every multiple of 1 / STEPS."""


def merged_tasks(members: Sequence[tuple[str, TaskSet]]) -> TaskSet:
    """The tasks of several models together: every action unit that one of them has, the classes that all share, and their bins.

    Args:
        members: name and tasks of each.

    Raises:
        ModelMismatchError: fewer than two classes are shared, or bins differ.
    """
    units = tuple(dict.fromkeys(unit for _, tasks in members for unit in tasks.action_units))
    with_classes = [(name, tasks.expressions) for name, tasks in members if tasks.expressions]
    with_bins = [(name, tasks.valence_arousal_bins) for name, tasks in members if tasks.valence_arousal_bins]
    shared = with_classes[0][1] if with_classes else ()
    for name, classes in with_classes[1:]:
        kept = tuple(each for each in shared if each in classes)
        if len(kept) < SHARED_CLASSES:
            raise ModelMismatchError(
                f"'{name}' beside '{with_classes[0][0]}', expression classes",
                ", ".join(classes),
                f"two classes at least of those that the members before it share: {', '.join(shared)}",
                "merge models that share classes: over one class, every distribution is the same",
            )
        shared = kept
    for name, bins in with_bins[1:]:
        if bins != with_bins[0][1]:
            first, expected_bins = with_bins[0]
            raise ModelMismatchError(
                f"'{name}' beside '{first}', valence and arousal bins",
                str(bins),
                str(expected_bins),
                "merge models of the same bins",
            )
    return TaskSet(units, shared, with_bins[0][1] if with_bins else 0)


def equal_weights(tasks: TaskSet, members: int) -> Weights:
    """Weights that give every member the same share."""
    return dict.fromkeys(tasks.names, (1 / members,) * members)


def merge(
    tasks: TaskSet, members: Sequence[tuple[TaskSet, Mapping[str, Tensor]]], weights: Weights | None = None
) -> dict[str, Tensor]:
    """Logits whose sigmoid, softmax and expectation are the weighted means of the members'.

    A member that lacks a head or an action unit does not count there, and the shares of the others are scaled up; if these are all 0, they count
    alike. Classes that the result lacks are left out, and each member's probabilities are renormalised before the mean.

    Args:
        tasks: of the result, from `merged_tasks`.
        members: the tasks and the logits, float [N, width] by head, of each.
        weights: by task; equal by default.

    Returns:
        float32 [N, width] by head, in the order of `tasks`.
    """
    weights = weights or equal_weights(tasks, len(members))
    found: dict[str, Tensor] = {}
    if tasks.action_units:
        found["au"] = _merged_units(tasks, members, weights["au"])
    for head in ("expression", "valence", "arousal"):
        holders = [(own, logits[head], i) for i, (own, logits) in enumerate(members) if head in logits]
        if not holders:
            continue
        shares = _shares([weights[HEAD_TASKS[head]][i] for *_, i in holders])
        parts = []
        for (own, logits, _), share in zip(holders, shares, strict=True):
            if head == "expression":
                logits = logits[:, [own.expressions.index(name) for name in tasks.expressions]]
            parts.append(torch.log_softmax(logits.double(), dim=1) + share)
        found[head] = reduce(torch.logaddexp, parts).float()
    return found


def _merged_units(
    tasks: TaskSet, members: Sequence[tuple[TaskSet, Mapping[str, Tensor]]], weights: Sequence[float]
) -> Tensor:
    columns = []
    for unit in tasks.action_units:
        holders = [i for i, (own, _) in enumerate(members) if unit in own.action_units]
        present, absent = [], []
        for i, share in zip(holders, _shares([weights[i] for i in holders]), strict=True):
            own, logits = members[i]
            column = logits["au"][:, own.action_units.index(unit)].double()
            present.append(torch.nn.functional.logsigmoid(column) + share)
            absent.append(torch.nn.functional.logsigmoid(-column) + share)
        columns.append(reduce(torch.logaddexp, present) - reduce(torch.logaddexp, absent))
    return torch.stack(columns, dim=1).float()


def _shares(weights: Sequence[float]) -> list[float]:
    """The logarithms of weights scaled to a sum of 1; a large negative number where a weight is 0."""
    total = sum(weights)
    scaled = [weight / total for weight in weights] if total > 0 else [1 / len(weights)] * len(weights)
    return [float(np.log(share)) if share > 0 else -1e9 for share in scaled]


def predictions_of(tasks: TaskSet, logits: Mapping[str, Tensor]) -> dict[str, NDArray[Any]]:
    """Probabilities and expectations from logits, as `evaluate_predictions` takes them."""
    found = {}
    if "au" in logits:
        found["au"] = logits["au"].float().sigmoid()
    if "expression" in logits:
        found["expression"] = logits["expression"].float().softmax(dim=1)
    if "valence" in logits:
        centres = tasks.bin_centres()
        found |= {axis: expectation(logits[axis], centres) for axis in ("valence", "arousal")}
    return {name: values.numpy() for name, values in found.items()}


def fit_weights(
    tasks: TaskSet, members: Sequence[tuple[TaskSet, Mapping[str, Tensor]]], labels: Mapping[str, NDArray[Any]]
) -> Weights:
    """For each task the convex weights with the highest main metric, by coordinate search from equal weights.

    The share of one member at a time is tried from 0 to 1 in steps, while the others keep their proportions, and the best is kept. The search ends
    with a round without improvement. A task without a label keeps equal weights.

    Args:
        tasks: from `merged_tasks`.
        members: tasks and logits of each, for the rows of `labels`.
        labels: as `evaluate_predictions` takes them.
    """
    fitted = equal_weights(tasks, len(members))
    for task in tasks.names:
        fitted[task] = _fit_task(task, tasks, members, labels)
    return fitted


def _fit_task(
    task: str,
    tasks: TaskSet,
    members: Sequence[tuple[TaskSet, Mapping[str, Tensor]]],
    labels: Mapping[str, NDArray[Any]],
) -> tuple[float, ...]:
    only = {
        "au": TaskSet(action_units=tasks.action_units) if tasks.action_units else None,
        "expression": TaskSet(expressions=tasks.expressions) if tasks.expressions else None,
        "va": TaskSet(valence_arousal_bins=tasks.valence_arousal_bins) if tasks.valence_arousal_bins else None,
    }[task]
    assert only is not None
    heads = [head for head, of in HEAD_TASKS.items() if of == task]
    own = [(each, {head: logits[head] for head in heads if head in logits}) for each, logits in members]

    def quality(weights: tuple[float, ...]) -> float:
        merged = merge(only, own, {task: weights})
        value = evaluate_predictions(predictions_of(only, merged), labels, only)[task][MAIN_METRICS[task]]
        return -np.inf if value is None else float(value)

    best = (1 / len(members),) * len(members)
    score = quality(best)
    improved = len(members) > 1 and np.isfinite(score)
    while improved:
        improved = False
        for i in range(len(members)):
            for step in range(STEPS + 1):
                tried = _with_share(best, i, step / STEPS)
                value = quality(tried)
                # A smaller gain is rounding error, and no reason to leave equal weights.
                if value > score + 1e-6:
                    best, score, improved = tried, value, True
    return tuple(round(weight, 6) for weight in best)


def _with_share(weights: tuple[float, ...], member: int, share: float) -> tuple[float, ...]:
    rest = sum(weights) - weights[member]
    others = len(weights) - 1
    scaled = [weight / rest * (1 - share) if rest > 0 else (1 - share) / others for weight in weights]
    scaled[member] = share
    return tuple(scaled)
