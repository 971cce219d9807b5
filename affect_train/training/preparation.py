"""Everything that a training run needs, loaded and checked against one another before the first step."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.tracking import get_available_trackers
from accelerate.utils import DataLoaderConfiguration, DistributedType, ProjectConfiguration, set_seed
from numpy.typing import NDArray

from affect_data.dataset.folder import DatasetFolder, open_dataset
from affect_data.dataset.schema import LABELS
from affect_data.errors import RecipeError, UnknownNameError, UsageError
from affect_train.errors import BackboneError
from affect_train.inference.features import StoredFeatures, check_features, group_name, read_feature_provenance
from affect_train.inference.inference import build_accelerator
from affect_train.inference.inputs import evaluation_windows
from affect_train.inputs.augment import Augmentation
from affect_train.inputs.batches import AffectBatch, FaceImages, FaceLoader
from affect_train.inputs.foreign.source import ForeignSource, open_source
from affect_train.inputs.foreign.streaming import StreamedFaces, StreamLoader
from affect_train.inputs.labels import LabelArrays, load_folds, load_labels
from affect_train.inputs.pools import pools_of, taught_by_pool
from affect_train.inputs.preprocess import Preprocessing
from affect_train.inputs.sampler import BatchPlan, batch_plan
from affect_train.inputs.windows import FeatureWindows
from affect_train.methods import METHODS, Method, build_method
from affect_train.network.model import AffectModel
from affect_train.recipe.dataset import DatasetSource
from affect_train.recipe.recipe import HeldOut, Recipe
from affect_train.tasks import TaskSet
from affect_train.training.ema import MovingAverage
from affect_train.training.optimization import learning_rate_factor, parameter_groups
from affect_train.training.windows import pools_of_windows, training_windows

if TYPE_CHECKING:
    from datasets import Dataset


RESERVED = "method.meta_batch.held_out"
"""The key of a recipe whose fold the method keeps for itself."""


@dataclass(frozen=True)
class Split:
    """One split, ready to be read.

    Attributes:
        name: of the split.
        dataset: labels and images, joined; None where they are streamed.
        labels: for the recipe's heads; None where they are streamed.
        images: decoded faces, the features that are stored for them, or windows of these; None for a streamed training split.
    """

    name: str
    dataset: "Dataset | None"
    labels: LabelArrays | None
    images: FaceImages | StoredFeatures | FeatureWindows | StreamedFaces | None


@dataclass(frozen=True)
class TrainingData:
    """What a run trains on and is judged by.

    Attributes:
        train: augmented.
        validation: as it is; None where the recipe names none.
        plan: the order of all processes' batches.
        loader: this process's part of the plan.
        source: the dataset.
        reserved: int64, the rows of the training split that the method keeps for itself; None: none.
    """

    train: Split
    validation: Split | None
    plan: BatchPlan | StreamLoader
    loader: FaceLoader | StreamLoader
    source: DatasetFolder | ForeignSource
    reserved: NDArray[np.int64] | None = None

    def close(self) -> None:
        """Ends what reads ahead."""
        if isinstance(self.loader, StreamLoader):
            self.loader.close()

    def batches(self) -> Iterator[AffectBatch]:
        """This process's batches, from the position of the plan to the end of its epoch."""
        if isinstance(self.loader, StreamLoader):
            return iter(self.loader)
        return (self.train.labels.batch(faces) for faces in self.loader)

    @classmethod
    def load(cls, recipe: Recipe, accelerator: Accelerator) -> "TrainingData":
        """The splits that a recipe names.

        Raises:
            NotADatasetError: the dataset is not built.
            NoLabelsError: no training row has a label of a task that the batches are balanced over.
            UnknownNameError: the dataset lacks a split, a balance, a teacher or folds.
            ModelMismatchError: a teacher does not fit the heads.
        """
        folder = check_dataset(recipe)
        if isinstance(folder, ForeignSource) and folder.streaming:
            return cls.stream(recipe, folder, accelerator)
        tasks = recipe.tasks.task_set()
        train, validation = (
            cls._split(recipe, folder, name, tasks)
            for name in (recipe.training.split, recipe.training.validation_split)
        )
        assert train is not None
        train = replace(train, labels=replace(train.labels, taught=taught_by_pool(recipe)))
        pools, windows = pools_of(recipe, train.dataset, train.labels), isinstance(train.images, FeatureWindows)
        plan = batch_plan(
            recipe.batches.sampler,
            pools_of_windows(recipe, pools, train.images.windows) if windows else pools,
            len(train.images),
            recipe.batches.size,
            seed=recipe.seed,
            steps=recipe.batches.steps_per_epoch,
            # Windows hold no other rows.
            kept=None if windows else rows_in(recipe, folder),
        )
        shard = plan.shard(accelerator.num_processes, accelerator.process_index)
        loader = FaceLoader(train.images, shard, recipe.batches.workers)
        return cls(train, validation, plan, loader, folder, reserved_rows(recipe, folder))

    @classmethod
    def stream(cls, recipe: Recipe, source: ForeignSource, accelerator: Accelerator) -> "TrainingData":
        """The splits of a dataset that is read while training.

        Raises:
            SourceError: it cannot be read.
            RecipeError: its columns are not those that the recipe names.
            UsageError: the processes cannot share a batch.
        """
        tasks, options = recipe.tasks.task_set(), recipe.batches
        loader = StreamLoader(
            source.stream(recipe.training.split),
            source.opened.source,
            tasks,
            batch_size=options.size,
            steps=options.steps_per_epoch or (recipe.training.max_steps or 1) * recipe.training.accumulation,
            seed=recipe.seed,
            preprocessing=preprocessing_of(recipe),
            augmentation=Augmentation(**recipe.augmentation.model_dump()),
            threads=options.threads,
            processes=accelerator.num_processes,
            rank=accelerator.process_index,
        )
        name, validation = recipe.training.validation_split, None
        if name is not None:
            faces = StreamedFaces(source.stream(name), tasks, preprocessing_of(recipe), options.threads)
            validation = Split(name, None, None, faces)
        return cls(Split(recipe.training.split, None, None, None), validation, loader, loader, source)

    @staticmethod
    def _split(recipe: Recipe, folder: DatasetFolder | ForeignSource, name: str | None, tasks: TaskSet) -> Split | None:
        if name is None:
            return None
        trained, faces = name == recipe.training.split, None
        if isinstance(folder, ForeignSource):
            loaded = folder.load(name, tasks)
            dataset, labels, faces = loaded.dataset, loaded.labels, loaded.faces
        else:
            dataset, labels = load_labels(folder.path, name, tasks, recipe.soft_labels if trained else ())
        augmentation = Augmentation(**recipe.augmentation.model_dump()) if trained else None
        if recipe.model.features is not None:
            stored = folder.load(name, [LABELS, group_name(recipe.model.features)])
            features = StoredFeatures(stored, recipe.model.features)
            if recipe.model.temporal is None:
                return Split(name, dataset, labels, features)
            if trained:
                windows = training_windows(recipe, dataset, rows_in(recipe, folder))
                return Split(name, dataset, labels, FeatureWindows(features, windows))
            return Split(name, dataset, labels, evaluation_windows(dataset, features, recipe.model.temporal))
        images = FaceImages(
            dataset,
            preprocessing_of(recipe),
            augmentation,
            seed=recipe.seed,
            cache=recipe.batches.cache,
            threads=recipe.batches.threads,
            faces=faces,
        )
        return Split(name, dataset, labels, images)


def rows_in(recipe: Recipe, folder: DatasetFolder) -> NDArray[np.bool_] | None:
    """The rows of the training split that are trained on, bool [rows]; None: all.

    Raises:
        UnknownNameError: the dataset has no folds of the recipe's name.
        UsageError: the folds have no such fold.
    """
    sides = [
        _allowed(recipe, folder, held_out, key)
        for key, held_out in (("training.held_out", recipe.training.held_out), (RESERVED, recipe.method.reserved))
        if held_out is not None
    ]
    return np.all(sides, axis=0) if sides else None


def reserved_rows(recipe: Recipe, folder: DatasetFolder) -> NDArray[np.int64] | None:
    """The rows of the training split that the method keeps for itself and that `training.held_out` allows; None: none.

    Raises:
        UnknownNameError: as for `rows_in`; likewise the others.
    """
    if recipe.method.reserved is None:
        return None
    folds, fold = folds_of(recipe, folder, recipe.method.reserved, RESERVED)
    kept = folds == fold
    if recipe.training.held_out is not None:
        kept &= _allowed(recipe, folder, recipe.training.held_out, "training.held_out")
    return np.flatnonzero(kept)


def _allowed(recipe: Recipe, folder: DatasetFolder, held_out: HeldOut, key: str) -> NDArray[np.bool_]:
    folds, fold = folds_of(recipe, folder, held_out, key)
    return (folds != fold) & ((folds >= 0) | (held_out.others == "trained"))


def folds_of(recipe: Recipe, folder: DatasetFolder, held_out: HeldOut, key: str) -> tuple[NDArray[Any], int]:
    """The fold of each row of the training split, -1 where it is in none, and the one that is held out.

    Raises:
        UnknownNameError: the dataset has no folds of this name.
        UsageError: the folds have no such fold; names the recipe's `key`.
    """
    folds = load_folds(folder, recipe.training.split, held_out.folds)
    if held_out.fold not in folds:
        raise UsageError(f"{key}: the folds '{held_out.folds}' go from 0 to {folds.max()}; found {held_out.fold}")
    return folds, held_out.fold


def trained_rows(recipe: Recipe, data: TrainingData) -> NDArray[np.int64]:
    """The numbers of the training split's rows that are trained on, rising."""
    if isinstance(data.train.images, FeatureWindows):
        return np.sort(data.train.images.windows.order)
    kept = rows_in(recipe, data.source)
    return np.arange(len(data.train.labels)) if kept is None else np.flatnonzero(kept)


def check_dataset(recipe: Recipe) -> DatasetFolder | ForeignSource:
    """The dataset of a recipe; quick, so that a run on an unbuilt one ends before anything else is loaded.

    Raises:
        NotADatasetError: it is not built.
        SourceError: it is no dataset folder, and cannot be opened.
        UnknownNameError: it lacks a split or a teacher that the recipe names.
    """
    if isinstance(recipe.dataset, DatasetSource):
        source = open_source(recipe.dataset)
        assert isinstance(source, ForeignSource)
        for split in filter(None, (recipe.training.split, recipe.training.validation_split)):
            source.check_split(split)
        return source
    folder = open_dataset(recipe.dataset)
    for split in filter(None, (recipe.training.split, recipe.training.validation_split)):
        folder.rows(split)
    if recipe.model.features is not None:
        read_feature_provenance(recipe.dataset, recipe.model.features)
    known = [group.removeprefix("soft.") for group in folder.groups(recipe.training.split) if group.startswith("soft.")]
    for name in recipe.soft_labels:
        if name not in known:
            raise UnknownNameError(f"soft labels in '{recipe.dataset}'", name, known)
    return folder


def preprocessing_of(recipe: Recipe) -> Preprocessing:
    """How the recipe's model sees a face."""
    return Preprocessing(recipe.model.image_size, recipe.crop.margin, recipe.crop.reduced_scale)


def training_accelerator(recipe: Recipe) -> Accelerator:
    """The Accelerator of a run; trackers that write files do so in its output folder.

    Raises:
        UsageError: the device cannot train in the recipe's precision, a tracker is not installed, or how the processes share the work excludes an
            option.
    """
    installed = [str(tracker) for tracker in get_available_trackers()]
    missing = [name for name in recipe.training.trackers if name not in installed]
    if missing:
        raise UsageError(
            f"training.trackers: {', '.join(missing)} not installed; install it with pip, or use {', '.join(installed) or '[]'}"
        )
    try:
        accelerator = build_accelerator(
            mixed_precision=recipe.training.mixed_precision,
            log_with=list(recipe.training.trackers) or None,
            project_config=ProjectConfiguration(project_dir=recipe.output, logging_dir=recipe.output),
            # The batches of the plan are those of all processes together: the schedule goes one step on for each.
            dataloader_config=DataLoaderConfiguration(split_batches=True),
        )
    except ValueError as error:
        raise UsageError(f"training.mixed_precision is {recipe.training.mixed_precision}: {error}") from error
    _check_distribution(recipe, accelerator)
    return accelerator


def _check_distribution(recipe: Recipe, accelerator: Accelerator) -> None:
    """Makes sure that what divides the weights over processes allows what the recipe asks for."""
    if recipe.training.mixed_precision == "fp16" and accelerator.device.type == "cpu":
        # Accelerate would go on in full precision without a word.
        raise UsageError("training.mixed_precision is fp16, which takes a GPU; use bf16, or no")
    kind, divides = accelerator.distributed_type, (DistributedType.FSDP, DistributedType.DEEPSPEED)
    if kind in divides and recipe.training.ema_decay is not None:
        raise UsageError(f"training.ema_decay: no average is kept of weights that {kind} divides; set it to null")
    if kind == DistributedType.DEEPSPEED:
        if recipe.training.accumulation > 1:
            raise UsageError("training.accumulation: DeepSpeed steps after every backward pass; set it to 1")
        # DeepSpeed wants to know what it would read off a loader that Accelerate prepared.
        accelerator.state.deepspeed_plugin.deepspeed_config["train_micro_batch_size_per_gpu"] = (
            recipe.batches.size // accelerator.num_processes
        )


@dataclass(frozen=True)
class Learner:
    """What learns, prepared for this process.

    Attributes:
        model: wrapped for distributed training where there are several processes.
        method: the training method.
        optimizer: of all parameters that want a gradient.
        schedule: of the learning rate, one step an optimizer step.
        average: of the weights; None where the recipe keeps none.
    """

    model: Any
    method: Method
    optimizer: Any
    schedule: Any
    average: MovingAverage | None = None

    @classmethod
    def build(cls, recipe: Recipe, accelerator: Accelerator, steps: int) -> "Learner":
        """A fresh model and what trains it.

        Args:
            recipe: of the run.
            accelerator: prepares them.
            steps: optimizer steps of the whole run, for the schedule.

        Raises:
            BackboneError: the backbone cannot be loaded or does not fit.
            RecipeError: the recipe lacks what the method needs.
        """
        mistakes = METHODS[recipe.method.name].mistakes(recipe) if recipe.method.name in METHODS else []
        if mistakes:
            raise RecipeError("recipe", mistakes)
        method = build_method(recipe.method, recipe.tasks.task_set())
        # All processes start from the same weights and then draw dropout each for itself.
        set_seed(recipe.seed)
        preprocessing = preprocessing_of(recipe)
        model = AffectModel.build(
            recipe.tasks.task_set(), recipe.model, preprocessing.to_dict(), preprocessing.digest()
        )
        if recipe.model.features is not None:
            check_features(model, read_feature_provenance(recipe.dataset, recipe.model.features))
        if recipe.model.gradient_checkpointing:
            recompute_activations(model)
        if recipe.training.compile is not None:
            # In place: the names of the weights stay.
            model.compile(backend=recipe.training.compile)
        set_seed(recipe.seed + accelerator.process_index)
        optimizer = torch.optim.AdamW(
            parameter_groups(model, recipe.optimizer), lr=recipe.optimizer.learning_rate, betas=recipe.optimizer.betas
        )
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, learning_rate_factor(recipe, steps))
        model, optimizer, schedule = accelerator.prepare(model, optimizer, schedule)
        average = None
        if recipe.training.ema_decay is not None:
            average = MovingAverage(accelerator.unwrap_model(model), recipe.training.ema_decay)
            accelerator.register_for_checkpointing(average)
        return cls(model, method, optimizer, schedule, average)


def recompute_activations(model: AffectModel) -> None:
    """Has the backbone compute its activations again on the way back instead of keeping them.

    Raises:
        BackboneError: it has no layers that can.
    """
    enable = getattr(model.backbone, "activation_checkpointing_enable", model.backbone.gradient_checkpointing_enable)
    kind = model.config.backbone_config.model_type
    try:
        enable()
    except ValueError as error:
        raise BackboneError(
            kind, f"it cannot recompute activations ({error})", "Set `model.gradient_checkpointing: false`"
        ) from error
