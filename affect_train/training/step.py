"""One optimizer step over the micro-batches of all processes."""

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.optimizer import AcceleratedOptimizer
from torch import Tensor

from affect_train.inputs.batch import AffectBatch
from affect_train.methods import ConcordanceTerm, total_loss
from affect_train.methods.terms import AllReduce
from affect_train.training.learner import WHOLE_WEIGHTS, Learner
from affect_train.training.values import StepValues, read


def optimizer_step(
    accelerator: Accelerator,
    learner: Learner,
    micro_batches: Sequence[AffectBatch],
    *,
    number: int,
    clip_norm: float | None = None,
) -> StepValues:
    """The value of every loss term; the weights change by one step.

    The gradient is that of one batch with the micro-batches of all processes.

    Args:
        accelerator: of this process.
        learner: what learns.
        micro_batches: this process's micro-batches.
        number: of the step, from 1; for messages.
        clip_norm: largest norm of the gradient; None: any.

    Raises:
        NonFiniteLossError: a term is NaN or infinite; no weight was changed. Where the learner has a guard, this is raised only when values are
            read; until then no weight changes either.
    """
    if not learner.model.training:
        learner.model.train()
    learner.wrapper.before_step(number, micro_batches)
    values = accumulate_gradients(accelerator, learner, micro_batches, number=number)
    learner.wrapper.before_update()
    if clip_norm is not None:
        accelerator.clip_grad_norm_(learner.model.parameters(), clip_norm)
    optimizer = without_wrapper(learner.optimizer)
    optimizer.step()
    learner.schedule.step()
    optimizer.zero_grad()
    if learner.average is not None:
        learner.average.update()
    return values


def without_wrapper(optimizer: Any) -> Any:  # noqa: ANN401 - Accelerate's class, or what DeepSpeed makes of it
    """The torch optimizer itself if Accelerate's wrapper adds nothing but time: at every step it looks for a package on disk."""
    plain = (
        type(optimizer) is AcceleratedOptimizer
        and optimizer.scaler is None
        and optimizer.accelerator_state.distributed_type in WHOLE_WEIGHTS
    )
    return optimizer.optimizer if plain else optimizer


def back_propagate(accelerator: Accelerator, loss: Tensor) -> None:
    """Back-propagates as ``accelerator.backward`` does, but skips its division by 1 if that is all it would add."""
    adds_nothing = accelerator.scaler is None and accelerator.distributed_type in WHOLE_WEIGHTS
    if adds_nothing and accelerator.gradient_accumulation_steps == 1:
        torch.autograd.backward(loss)
    else:
        accelerator.backward(loss)


def accumulate_gradients(
    accelerator: Accelerator, learner: Learner, micro_batches: Sequence[AffectBatch], *, number: int
) -> StepValues:
    """The value of every loss term, summed over the micro-batches; back-propagates through each."""
    counts = step_counts(accelerator, learner, micro_batches) if len(micro_batches) > 1 else None
    merged = None
    if len(micro_batches) > 1 and learner.terms.needs_step_statistics:
        merged = step_statistics(accelerator, learner, micro_batches)
    values = StepValues(number)
    for position, batch in enumerate(micro_batches, start=1):
        with nullcontext() if position == len(micro_batches) else accelerator.no_sync(learner.model):
            output = learner.model(batch.inputs, batch.places, batch.counts, batch.databases)
            learner.wrapper.before_losses(output, batch)
            total = total_loss(
                learner.terms.losses(output, batch),
                step_counts=counts,
                step_statistics=merged,
                micro_batches=len(micro_batches),
                all_reduce=sum_over_processes(accelerator) if accelerator.num_processes > 1 else None,
                processes=accelerator.num_processes,
            )
            found = values.add(total, batch)
            if learner.guard is None:
                read([values])
            else:
                learner.guard.watch(found)
            back_propagate(accelerator, total.loss)
    return values


def step_counts(accelerator: Accelerator, learner: Learner, micro_batches: Sequence[AffectBatch]) -> dict[str, Tensor]:
    """For every loss term, its number of labels in all micro-batches of a step, over all processes."""
    counted = [learner.terms.counts(batch) for batch in micro_batches]
    names = list(counted[0])
    own = torch.stack([torch.stack([counts[name].double() for counts in counted]).sum() for name in names])
    everywhere = sum_over_processes(accelerator)(own)
    return dict(zip(names, everywhere, strict=True))


def step_statistics(
    accelerator: Accelerator, learner: Learner, micro_batches: Sequence[AffectBatch]
) -> dict[str, Tensor]:
    """For every concordance, its statistics over all micro-batches of a step and all processes.

    It costs a forward pass without gradient for each micro-batch. This pass draws the same dropout as the later pass with gradient, and leaves the
    running statistics of batch normalisation as they were. (A compiled model may draw different dropout; the concordance is then that of this pass.)
    """
    buffers = [(buffer, buffer.clone()) for buffer in learner.model.buffers()]
    sums: dict[str, Tensor] = {}
    device = accelerator.device
    devices = [] if device.type == "cpu" else [device.index or 0]
    kind = {} if device.type == "cpu" else {"device_type": device.type}
    with torch.no_grad(), accelerator.no_sync(learner.model), torch.random.fork_rng(devices, **kind):
        for batch in micro_batches:
            output = learner.model(batch.inputs, batch.places, batch.counts, batch.databases)
            for name, term in learner.terms.losses(output, batch).items():
                if isinstance(term, ConcordanceTerm):
                    sums[name] = sums[name] + term.statistics if name in sums else term.statistics
        for buffer, before in buffers:
            buffer.copy_(before)
    everywhere = sum_over_processes(accelerator)(torch.stack(list(sums.values())))
    return dict(zip(sums, everywhere, strict=True))


def sum_over_processes(accelerator: Accelerator) -> AllReduce:
    """A function from a tensor to its sum over all processes."""
    return lambda tensor: accelerator.reduce(tensor, reduction="sum")
