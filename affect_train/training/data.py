"""The splits that a run trains on and is judged by, and the order of its batches."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from accelerate import Accelerator
from numpy.typing import NDArray

from affect_data.dataset.folder import DatasetFolder, open_dataset
from affect_data.dataset.kinds.features import FEATURES
from affect_data.dataset.kinds.soft_labels import SOFT_LABELS
from affect_data.dataset.schema import LABELS
from affect_train.inference.features import StoredFeatures
from affect_train.inference.inputs import evaluation_windows
from affect_train.inputs.augment import Augmentation
from affect_train.inputs.batch import AffectBatch, Faces
from affect_train.inputs.foreign.source import ForeignSource, open_source
from affect_train.inputs.foreign.streaming import StreamedFaces, StreamLoader
from affect_train.inputs.labels import LabelArrays, load_labels
from affect_train.inputs.loading import FaceImages, FaceLoader
from affect_train.inputs.pools import pools_of, taught_by_pool
from affect_train.inputs.sampler import BatchPlan, batch_plan
from affect_train.inputs.windows import FeatureWindows
from affect_train.recipe.dataset import DatasetSource
from affect_train.recipe.recipe import Recipe
from affect_train.tasks import TaskSet
from affect_train.training.windows import pools_of_windows, training_windows

if TYPE_CHECKING:
    from datasets import Dataset
from affect_train.training.held_out import reserved_rows, rows_in
from affect_train.training.learner import preprocessing_of


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
    images: Faces | StreamedFaces | None


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
        labels = self.train.labels
        assert labels is not None
        return (labels.batch(faces) for faces in self.loader)

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
        assert train.labels is not None
        assert isinstance(train.images, Faces)
        labels, images = replace(train.labels, taught=taught_by_pool(recipe)), train.images
        train, pools = replace(train, labels=labels), pools_of(recipe, train.dataset, labels)
        windows = images.windows if isinstance(images, FeatureWindows) else None
        plan = batch_plan(
            recipe.batches.sampler,
            pools if windows is None else pools_of_windows(recipe, pools, windows),
            len(images),
            recipe.batches.size,
            seed=recipe.seed,
            steps=recipe.batches.steps_per_epoch,
            # Windows hold no other rows.
            kept=rows_in(recipe, folder) if windows is None else None,
        )
        shard = plan.shard(accelerator.num_processes, accelerator.process_index)
        loader = FaceLoader(images, shard, recipe.batches.workers)
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
            assert isinstance(folder, DatasetFolder)
            stored = folder.load(name, [LABELS, FEATURES.group(recipe.model.features)])
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


def trained_rows(recipe: Recipe, data: TrainingData) -> NDArray[np.int64]:
    """The numbers of the training split's rows that are trained on, rising."""
    if isinstance(data.train.images, FeatureWindows):
        return np.sort(data.train.images.windows.order)
    assert data.train.labels is not None
    kept = rows_in(recipe, data.source)
    return np.arange(len(data.train.labels)) if kept is None else np.flatnonzero(kept)


def check_dataset(recipe: Recipe) -> DatasetFolder | ForeignSource:
    """The dataset of a recipe; quick, so that a run on an unbuilt one ends before anything else is loaded.

    Raises:
        NotADatasetError: it is not built.
        SourceError: it is no dataset folder, and cannot be opened.
        UnknownNameError: it lacks a split, features or a teacher that the recipe names.
        StaleGroupError: these were made for other rows or labels.
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
        FEATURES.read(folder, recipe.model.features)
    for name in recipe.soft_labels:
        SOFT_LABELS.read(folder, name)
    return folder
