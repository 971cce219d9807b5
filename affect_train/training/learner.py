"""What learns in a run: model, method, optimizer, schedule and average, prepared for this process."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from accelerate import Accelerator
from accelerate.tracking import get_available_trackers
from accelerate.utils import DataLoaderConfiguration, DistributedType, ProjectConfiguration, set_seed

from affect_data.dataset.kinds.features import FeatureProvenance
from affect_data.errors import UsageError
from affect_train.errors import BackboneError
from affect_train.inference.features import check_features
from affect_train.inference.inference import note_inference
from affect_train.inputs.crops import preprocessing_of
from affect_train.methods import LossTerms, Method, PlainStep, StepWrapper, all_terms, build_method
from affect_train.network.model import AffectModel
from affect_train.network.synchronised import synchronise
from affect_train.recipe.recipe import Recipe
from affect_train.runtime import FLOAT32_SETTINGS, build_accelerator, precision_for
from affect_train.training.ema import MovingAverage
from affect_train.training.optimization import optimizer_of, schedule_of
from affect_train.training.values import Guard, obeys_flag

WHOLE_WEIGHTS = (DistributedType.NO, DistributedType.MULTI_CPU, DistributedType.MULTI_GPU)
"""Kinds of training in which every process has all the weights."""

TENSORBOARD = "tensorboard"
"""Name of the tracker that needs no server, and of its folder in the run folder."""


def training_accelerator(recipe: Recipe) -> Accelerator:
    """The Accelerator of a run; trackers that write files do so in its output folder.

    Raises:
        UsageError: the device cannot train in the recipe's precision, a tracker is not installed, or an option does not go with the kind of
            distributed training.
    """
    installed = [str(tracker) for tracker in get_available_trackers()]
    missing = [name for name in recipe.training.trackers if name not in installed]
    if missing:
        raise UsageError(
            f"training.trackers: {', '.join(missing)} not installed; install it with pip, or use {', '.join(installed) or '[]'}"
        )
    try:
        accelerator = build_accelerator(
            mixed_precision=precision_for(recipe.training.mixed_precision),
            # TensorBoard's own writer names the machine; `logs` writes for it.
            log_with=[name for name in recipe.training.trackers if name != TENSORBOARD] or None,
            project_config=ProjectConfiguration(project_dir=recipe.output, logging_dir=recipe.output),
            # A batch of the order is that of all processes together, so the schedule advances once for each.
            dataloader_config=DataLoaderConfiguration(split_batches=True),
        )
    except ValueError as error:
        raise UsageError(f"training.mixed_precision is {recipe.training.mixed_precision}: {error}") from error
    _check_distribution(recipe, accelerator)
    if accelerator.device.type == "cuda":
        for setting in FLOAT32_SETTINGS:
            setting.fp32_precision = "tf32" if recipe.training.tf32 else "ieee"
    return accelerator


def _check_distribution(recipe: Recipe, accelerator: Accelerator) -> None:
    """Refuses options that FSDP or DeepSpeed, which divide the weights over processes, do not allow."""
    if recipe.training.mixed_precision == "fp16" and accelerator.device.type == "cpu":
        # Accelerate would silently train in full precision.
        raise UsageError("training.mixed_precision is fp16, which takes a GPU; use bf16, or no")
    version = getattr(getattr(accelerator.state, "fsdp_plugin", None), "fsdp_version", None)
    if accelerator.distributed_type == DistributedType.FSDP and version == 1:
        raise UsageError(
            "fsdp_version is 1, whose weights are whole only inside of its own wrapper; set it to 2 in Accelerate's configuration"
        )
    kind, divides = accelerator.distributed_type, (DistributedType.FSDP, DistributedType.DEEPSPEED)
    if kind in divides and recipe.training.ema_decay is not None:
        raise UsageError(f"training.ema_decay: no average is kept of weights that {kind} divides; set it to null")
    if kind in divides and recipe.model.habits is not None:
        raise UsageError(f"model.habits: they are read whole, but {kind} divides all weights; set it to null")
    if kind in divides and "divided_weights" in recipe.method.refuses:
        why = recipe.method.refuses["divided_weights"]
        raise UsageError(f"the method {recipe.method.name!r} {why}, and {kind} divides them; use multi_gpu")
    if kind == DistributedType.DEEPSPEED:
        if recipe.training.accumulation > 1:
            raise UsageError("training.accumulation: DeepSpeed steps after every backward pass; set it to 1")
        # DeepSpeed would read it from a loader that Accelerate prepared; ours is not.
        accelerator.state.deepspeed_plugin.deepspeed_config["train_micro_batch_size_per_gpu"] = (
            recipe.batches.size // accelerator.num_processes
        )


@dataclass(frozen=True)
class Learner:
    """What learns, prepared for this process.

    Attributes:
        model: wrapped for distributed training where there are several processes.
        method: the training method.
        terms: all loss terms, those of a coupling included.
        optimizer: of all parameters that have a gradient.
        schedule: of the learning rate; it advances with every optimizer step.
        average: of the weights; None if the recipe keeps none.
        wrapper: the method's hooks around each step.
        guard: of the optimizer, where losses are read from the device only when they are logged; None: every step looks at them.
    """

    model: Any
    method: Method
    terms: LossTerms
    optimizer: Any
    schedule: Any
    average: MovingAverage | None = None
    wrapper: StepWrapper = field(default_factory=PlainStep)
    guard: Guard | None = None

    @classmethod
    def build(
        cls,
        recipe: Recipe,
        accelerator: Accelerator,
        steps: int,
        features: FeatureProvenance | None = None,
        habits: Mapping[str, Any] | None = None,
    ) -> "Learner":
        """A fresh model with everything that trains it.

        Args:
            recipe: of the run.
            accelerator: prepares model, optimizer and schedule.
            steps: optimizer steps of the whole run, for the schedule.
            features: provenance of stored features, which the backbone must match; None if the model learns from pictures.
            habits: of the databases, as `DatabaseHabits` describes them; None: none are learned.

        Raises:
            BackboneError: the backbone cannot be loaded or does not fit.
        """
        method = build_method(recipe.method, recipe.tasks.task_set())
        # All processes start from the same weights; later each draws its own dropout.
        set_seed(recipe.seed)
        preprocessing = preprocessing_of(recipe)
        model = AffectModel.build(
            recipe.tasks.task_set(), recipe.model, preprocessing.to_dict(), preprocessing.digest(), habits
        )
        note_inference(model, recipe.batches.evaluation, accelerator.mixed_precision)
        if features is not None:
            check_features(model, features)
        if recipe.model.gradient_checkpointing:
            recompute_activations(model)
        if accelerator.num_processes > 1:
            synchronise(model)
        if recipe.training.compile is not None:
            # In place, so that the names of the weights stay.
            model.compile(backend=recipe.training.compile)
        set_seed(recipe.seed + accelerator.process_index)
        rate = 1.0 if recipe.model.habits is None else recipe.model.habits.learning_rate
        optimizer = optimizer_of(model, recipe.optimizer, fused=steps_on_device(accelerator), habits_rate=rate)
        guard = Guard(optimizer) if steps_on_device(accelerator) and obeys_flag(optimizer) else None
        schedule = schedule_of(optimizer, recipe, steps)
        model, optimizer, schedule = accelerator.prepare(model, optimizer, schedule)
        average = None
        if recipe.training.ema_decay is not None:
            average = MovingAverage(accelerator.unwrap_model(model), recipe.training.ema_decay)
        return cls(model, method, all_terms(method), optimizer, schedule, average, guard=guard)

    def set_learning_rate(self) -> tuple[float, float]:
        """The largest learning rate before and after: every group of parameters gets the rate of the schedule at its step."""
        schedule = getattr(self.schedule, "scheduler", self.schedule)
        rates = [
            base * factor(schedule.last_epoch)
            for base, factor in zip(schedule.base_lrs, schedule.lr_lambdas, strict=True)
        ]
        before = max(group["lr"] for group in self.optimizer.param_groups)
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"] = rate
        schedule._last_lr = rates
        return before, max(rates)

    def parts(self, accelerator: Accelerator) -> dict[str, Any]:
        """What a checkpoint keeps, by name."""
        # Weights that FSDP has divided are gathered through its wrapper.
        divided = accelerator.distributed_type == DistributedType.FSDP
        model = self.model if divided else accelerator.unwrap_model(self.model)
        found = {"model": model, "optimizer": self.optimizer, "schedule": self.schedule}
        if accelerator.scaler is not None:
            found["scaler"] = accelerator.scaler
        if self.average is not None:
            found["average"] = self.average
        return {**found, **self.wrapper.parts()}


def steps_on_device(accelerator: Accelerator) -> bool:
    """Whether an optimizer step is one operation of the device, which also looks whether the losses are finite.

    A CPU is not waited for. Weights that are divided over processes, and the loss scaling of ``fp16``, have steps of their own.
    """
    whole = accelerator.distributed_type in WHOLE_WEIGHTS and accelerator.scaler is None
    return whole and accelerator.device.type == "cuda"


def recompute_activations(model: AffectModel) -> None:
    """Makes the backbone compute its activations again in the backward pass instead of keeping them.

    Raises:
        BackboneError: the backbone has no layers that can.
    """
    enable = getattr(model.backbone, "activation_checkpointing_enable", model.backbone.gradient_checkpointing_enable)
    kind = model.config.backbone_config.model_type
    try:
        enable()
    except ValueError as error:
        raise BackboneError(
            kind, f"it cannot recompute activations ({error})", "Set `model.gradient_checkpointing: false`"
        ) from error
