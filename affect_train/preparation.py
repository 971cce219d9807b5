"""Everything that a training run needs, loaded and checked against one another before the first step."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from accelerate import Accelerator
from accelerate.utils import DataLoaderConfiguration, ProjectConfiguration, set_seed

from affect_data.errors import RecipeError, UnknownNameError, UsageError
from affect_data.schema import LABELS
from affect_data.store import DatasetFolder, open_dataset
from affect_train.augment import Augmentation
from affect_train.batches import FaceImages, FaceLoader
from affect_train.errors import NoLabelsError
from affect_train.features import StoredFeatures, check_features, group_name, read_feature_provenance
from affect_train.inference import build_accelerator
from affect_train.labels import LabelArrays, load_labels
from affect_train.methods import METHODS, Method, build_method
from affect_train.model import AffectModel
from affect_train.preprocess import Preprocessing
from affect_train.recipe import Optimizer as OptimizerOptions
from affect_train.recipe import Recipe
from affect_train.sampler import BatchPlan, batch_plan
from affect_train.tasks import TaskSet

if TYPE_CHECKING:
    from datasets import Dataset


@dataclass(frozen=True)
class Split:
    """One split, ready to be read.

    Attributes:
        name: of the split.
        dataset: labels and images, joined.
        labels: for the recipe's heads.
        images: decoded faces, or the features that are stored for them.
    """

    name: str
    dataset: "Dataset"
    labels: LabelArrays
    images: FaceImages | StoredFeatures


@dataclass(frozen=True)
class TrainingData:
    """What a run trains on and is judged by.

    Attributes:
        train: augmented.
        validation: as it is; None where the recipe names none.
        plan: the order of all processes' batches.
        loader: this process's part of the plan.
    """

    train: Split
    validation: Split | None
    plan: BatchPlan
    loader: FaceLoader

    @classmethod
    def load(cls, recipe: Recipe, accelerator: Accelerator) -> "TrainingData":
        """The splits that a recipe names.

        Raises:
            NotADatasetError: the dataset is not built.
            NoLabelsError: no training row has a label of a task that the batches are balanced over.
            UnknownNameError: the dataset lacks a split or a teacher.
            ModelMismatchError: a teacher does not fit the heads.
        """
        folder = check_dataset(recipe)
        tasks = recipe.tasks.task_set()
        train, validation = (
            cls._split(recipe, folder, name, tasks)
            for name in (recipe.training.split, recipe.training.validation_split)
        )
        assert train is not None
        pools = train.labels.pools(tasks)
        unlabelled = [task for task, rows in pools.items() if not len(rows)]
        if unlabelled:
            raise NoLabelsError(recipe.dataset, train.name, unlabelled)
        plan = batch_plan(
            recipe.batches.sampler,
            pools,
            len(train.labels),
            recipe.batches.size,
            seed=recipe.seed,
            steps=recipe.batches.steps_per_epoch,
        )
        shard = plan.shard(accelerator.num_processes, accelerator.process_index)
        return cls(train, validation, plan, FaceLoader(train.images, shard, recipe.batches.workers))

    @staticmethod
    def _split(recipe: Recipe, folder: DatasetFolder, name: str | None, tasks: TaskSet) -> Split | None:
        if name is None:
            return None
        trained = name == recipe.training.split
        dataset, labels = load_labels(folder.path, name, tasks, recipe.soft_labels if trained else ())
        augmentation = Augmentation(**recipe.augmentation.model_dump()) if trained else None
        if recipe.model.features is not None:
            stored = folder.load(name, [LABELS, group_name(recipe.model.features)])
            return Split(name, dataset, labels, StoredFeatures(stored, recipe.model.features))
        images = FaceImages(
            dataset, preprocessing_of(recipe), augmentation, seed=recipe.seed, cache=recipe.batches.cache
        )
        return Split(name, dataset, labels, images)


def check_dataset(recipe: Recipe) -> DatasetFolder:
    """The built dataset of a recipe; quick, so that a run on an unbuilt one ends before anything else is loaded.

    Raises:
        NotADatasetError: it is not built.
        UnknownNameError: it lacks a split or a teacher that the recipe names.
    """
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
    """The Accelerator of a run; its tracker writes ``OUTPUT/tensorboard``.

    Raises:
        UsageError: the device cannot train in the recipe's precision.
    """
    try:
        return build_accelerator(
            mixed_precision=recipe.training.mixed_precision,
            log_with="tensorboard",
            project_config=ProjectConfiguration(project_dir=recipe.output, logging_dir=recipe.output),
            # The batches of the plan are those of all processes together: the schedule goes one step on for each.
            dataloader_config=DataLoaderConfiguration(split_batches=True),
        )
    except ValueError as error:
        raise UsageError(f"training.mixed_precision is {recipe.training.mixed_precision}: {error}") from error


@dataclass(frozen=True)
class Learner:
    """What learns, prepared for this process.

    Attributes:
        model: wrapped for distributed training where there are several processes.
        method: the training method.
        optimizer: of all parameters that want a gradient.
        schedule: of the learning rate, one step an optimizer step.
    """

    model: Any
    method: Method
    optimizer: Any
    schedule: Any

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
        set_seed(recipe.seed + accelerator.process_index)
        optimizer = torch.optim.AdamW(
            parameter_groups(model, recipe.optimizer), lr=recipe.optimizer.learning_rate, betas=recipe.optimizer.betas
        )
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, learning_rate_factor(recipe, steps))
        model, optimizer, schedule = accelerator.prepare(model, optimizer, schedule)
        return cls(model, method, optimizer, schedule)


def parameter_groups(model: torch.nn.Module, options: OptimizerOptions) -> list[dict[str, Any]]:
    """The learning parameters: matrices and kernels with weight decay, biases, scales and other vectors without."""
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return [
        {"params": [parameter for parameter in learning if parameter.ndim >= 2], "weight_decay": options.weight_decay},
        {"params": [parameter for parameter in learning if parameter.ndim < 2], "weight_decay": 0.0},
    ]


def learning_rate_factor(recipe: Recipe, steps: int) -> Callable[[int], float]:
    """From the number of steps done to what the learning rate is multiplied by: a linear warm-up, then constant or half a cosine down to 0."""
    warmup, cosine = recipe.schedule.warmup_steps, recipe.schedule.name == "cosine"

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / (warmup + 1)
        done = (step - warmup) / max(1, steps - warmup)
        return (1 + math.cos(math.pi * min(1.0, done))) / 2 if cosine else 1.0

    return factor
