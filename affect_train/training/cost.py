"""What a run will cost: steps, pictures, arithmetic, memory and hours, from a few steps that are really taken."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, Final

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode, sdpa_backward_flop_count, sdpa_flop_count

from affect_train.recipe.recipe import Recipe
from affect_train.runtime import Runtime
from affect_train.training.learner import training_accelerator
from affect_train.training.loop import Run, prepared, steps_left, train_step
from affect_train.training.source import open_training_source

TIMED_STEPS: Final = 3

GPU: Final = "A100 80 GB"
GPU_FLOPS: Final = {"no": 156e12, "bf16": 312e12, "fp16": 312e12}
"""Floating-point operations a second that its maker states for dense products: NVIDIA A100 Tensor Core GPU data sheet; `no`: TensorFloat32."""
GPU_SHARE: Final = 0.35
"""What share of these a network is assumed to reach; vision transformers in bf16 reach 0.3 to 0.5 where pictures arrive fast enough."""
GPU_STEP: Final = 0.03
"""Seconds that a step is assumed to take there at least: what it costs to start the kernels of a small network."""


Shape = torch.Size


def _attention(query: Shape, key: Shape, value: Shape, *_: object, **__: object) -> int:
    return int(sdpa_flop_count(query, key, value))  # type: ignore[no-untyped-call]


def _attention_backward(gradient: Shape, query: Shape, key: Shape, value: Shape, *_: object, **__: object) -> int:
    return int(sdpa_backward_flop_count(gradient, query, key, value))  # type: ignore[no-untyped-call]


CPU_ATTENTION: Final = {
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention,
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward: _attention_backward,
}
"""Torch's own counter knows the attention of GPUs alone."""


@dataclass(frozen=True)
class Cost:
    """What a run will cost.

    Attributes:
        steps: optimizer steps.
        rows_of_a_step: rows of all processes' batches of a step.
        images: pictures that are trained on; those of a clip count one by one.
        evaluations: how often the validation split is judged.
        evaluated_rows: rows of that split.
        parameters: of the network.
        learning_parameters: those that change.
        flops_of_a_step: floating-point operations of a step, all that the method adds included, on one process.
        state_bytes: weights, gradients and the optimizer's memory.
        activation_bytes: what the forward pass keeps for the backward pass, at the precision of this device.
        device: of this process.
        seconds_of_a_step: median of the timed steps on it, waiting for pictures included.
        hours: of the training here, evaluations not included.
        gpu: the GPU that the next figures are for.
        gpu_precision: of its forward pass.
        gpu_bytes: memory that the run needs there.
        gpu_hours: of the training there, if pictures arrive fast enough.
    """

    steps: int
    rows_of_a_step: int
    images: int
    evaluations: int
    evaluated_rows: int
    parameters: int
    learning_parameters: int
    flops_of_a_step: int
    state_bytes: int
    activation_bytes: int
    device: str
    seconds_of_a_step: float
    hours: float
    gpu: str
    gpu_precision: str
    gpu_bytes: int
    gpu_hours: float

    def to_json(self) -> dict[str, Any]:
        """The figures by name."""
        return asdict(self)


def cost_of(recipe: Recipe) -> Cost:
    """What a recipe's run will cost on this device, and on one GPU of 80 GB; a few steps are taken, and nothing is written.

    Raises:
        AffectError: dataset, soft labels, model and method do not fit one another, or there are leaks.
    """
    runtime = Runtime.start(training_accelerator(recipe), workers=recipe.batches.workers)
    run = prepared(recipe, open_training_source(recipe), runtime)
    steps = steps_left(run)
    try:
        return _measured(run, steps)
    finally:
        run.data.batches.close()


def _measured(run: Run, steps: Iterator[Any]) -> Cost:
    first = next(steps)
    # A compiled network would hide its products from the counter.
    counts = FlopCounterMode(display=False, custom_mapping=CPU_ATTENTION)
    with kept_bytes() as kept, counts as counter, torch.compiler.set_stance("force_eager"):
        train_step(run, first)
    seconds = [_timed(run, lambda: next(steps, first)) for _ in range(TIMED_STEPS)]
    model = run.learner.model
    images = sum(len(batch.inputs) for batch in first)
    total, device = run.total_steps, run.accelerator.device
    precision = gpu_precision(run.recipe)
    state = state_bytes(model, run.learner.optimizer)
    halved = precision != "no" and run.accelerator.mixed_precision == "no"
    validation = run.data.validation
    return Cost(
        steps=total,
        rows_of_a_step=sum(map(len, first)) * run.accelerator.num_processes,
        images=total * images * run.accelerator.num_processes,
        evaluations=0 if validation is None else evaluations(run),
        evaluated_rows=0 if validation is None or validation.labels is None else len(validation.labels.au_mask),
        parameters=sum(one.numel() for one in model.parameters()),
        learning_parameters=sum(one.numel() for one in model.parameters() if one.requires_grad),
        flops_of_a_step=counter.get_total_flops(),
        state_bytes=state,
        activation_bytes=kept(),
        device=str(device),
        seconds_of_a_step=median(seconds),
        hours=total * median(seconds) / 3600,
        gpu=GPU,
        gpu_precision=precision,
        gpu_bytes=state + kept() // (2 if halved else 1),
        gpu_hours=total * max(counter.get_total_flops() / (GPU_FLOPS[precision] * GPU_SHARE), GPU_STEP) / 3600,
    )


def _timed(run: Run, batches: Callable[[], Any]) -> float:
    begin = time.perf_counter()
    dict(train_step(run, batches()))
    return time.perf_counter() - begin


def evaluations(run: Run) -> int:
    """How often a whole run judges its validation split."""
    every = run.recipe.training.evaluate_every_steps or run.epoch_steps
    return -(-run.total_steps // every)


def gpu_precision(recipe: Recipe) -> str:
    """The precision that the recipe has on a GPU which has bf16."""
    asked = str(recipe.training.mixed_precision)
    return asked if asked in GPU_FLOPS else "bf16"


def state_bytes(model: torch.nn.Module, optimizer: Any) -> int:  # noqa: ANN401 - wrapped by Accelerate
    """Bytes of weights, buffers and gradients, and of what the optimizer remembers after a step."""
    own = [*model.parameters(), *model.buffers()]
    gradients = [one for one in model.parameters() if one.requires_grad]
    states = getattr(optimizer, "optimizer", optimizer).state.values()
    remembered = [value for state in states for value in state.values() if isinstance(value, Tensor)]
    return sum(one.numel() * one.element_size() for one in (*own, *gradients, *remembered))


@contextmanager
def kept_bytes() -> Iterator[Callable[[], int]]:
    """Inside the context, counts the bytes that forward passes keep for backward passes, each storage once; parameters are not counted."""
    found: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        if not isinstance(tensor, torch.nn.Parameter) and tensor.layout == torch.strided:
            storage = tensor.untyped_storage()
            found[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        yield lambda: sum(found.values())
