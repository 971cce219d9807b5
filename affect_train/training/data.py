"""The splits that a run trains on and is judged by, and the order of its batches."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from accelerate import Accelerator
from numpy.typing import NDArray

from affect_data.dataset.folder import DatasetFolder
from affect_data.errors import UsageError
from affect_train.clips import describe_pooling
from affect_train.inference.inputs import evaluation_windows
from affect_train.inputs.augment import Augmentation
from affect_train.inputs.batch import AffectBatch
from affect_train.inputs.crops import describe_crops, preprocessing_of
from affect_train.inputs.features import StoredFeatures
from affect_train.inputs.foreign.source import StreamedForeign
from affect_train.inputs.foreign.stream_batches import StreamLoader
from affect_train.inputs.inputs import IndexedInputs, KeptProcesses
from affect_train.inputs.labels import clips_in
from affect_train.inputs.loading import View
from affect_train.inputs.pools import pools_of, taught_by_pool
from affect_train.inputs.sampler import Pool, batch_order
from affect_train.inputs.source import LoadedSource, Source
from affect_train.inputs.split import LoadedSplit, Split
from affect_train.inputs.undecodable import SkippedRows
from affect_train.inputs.windows import FeatureWindows
from affect_train.recipe.recipe import Recipe
from affect_train.runtime import loader_processes
from affect_train.training.habits import with_databases
from affect_train.training.held_out import reserved_rows, rows_in
from affect_train.training.windows import describe_windows, pools_of_windows, training_windows


class Order(Protocol):
    """The order of all processes' batches."""

    steps: int

    def set_position(self, epoch: int, start: int = 0) -> None:
        """Makes the next pass over the batches start in an epoch at the batch `start`."""


class Batches(Protocol):
    """This process's part of the order."""

    def __iter__(self) -> Iterator[AffectBatch]:
        """The batches from the position of the order to the end of its epoch."""
        ...

    def close(self) -> None:
        """Stops reading ahead."""


@dataclass(frozen=True)
class StreamedRows:
    """A training split that is read while training: its rows are not known beforehand, and batches come with their labels.

    Attributes:
        name: of the split.
    """

    name: str
    dataset: None = None
    labels: None = None
    inputs: None = None


@dataclass(frozen=True)
class TrainingData:
    """What a run trains on and is judged by.

    Attributes:
        train: the training split, augmented.
        validation: the validation split, not augmented; None if the recipe names none.
        order: the order of all processes' batches.
        batches: this process's part of the order.
        source: the dataset.
        rows: int64, the rows of the training split that are trained on, ascending; None if rows are streamed.
        reserved: int64, the rows of the training split that the method keeps for itself; None: none.
        notes: what people should know of the rows, a line each.
        skipped: the undecodable rows that this process leaves out; None if an undecodable row ends the run.
        habits: of the databases, as `DatabaseHabits` describes them; None: none are learned.
    """

    train: LoadedSplit | StreamedRows
    validation: Split | None
    order: Order
    batches: Batches
    source: Source
    rows: NDArray[np.int64] | None = None
    reserved: NDArray[np.int64] | None = None
    notes: tuple[str, ...] = ()
    skipped: SkippedRows | None = None
    habits: Mapping[str, Any] | None = None

    @classmethod
    def load(cls, recipe: Recipe, source: Source, accelerator: Accelerator) -> "TrainingData":
        """The splits that a recipe names.

        Args:
            recipe: of the run.
            source: its dataset, from `open_training_source`.
            accelerator: the processes that share the batches.

        Raises:
            DataError: the rows cannot be read.
            NoLabelsError: no training row has a label of a task that the batches are balanced over.
            UnknownNameError: the dataset lacks a split, a balance, a teacher or folds.
            ModelMismatchError: a teacher does not fit the heads.
            UsageError: the processes cannot share a batch evenly.
        """
        if source.streamed is not None:
            return _streamed_data(recipe, source.streamed, accelerator)
        assert source.loaded is not None
        return _loaded_data(recipe, source, source.loaded, accelerator)


def _streamed_data(recipe: Recipe, source: StreamedForeign, accelerator: Accelerator) -> TrainingData:
    tasks, options, training = recipe.tasks.task_set(), recipe.batches, recipe.training
    view = training_view(recipe, accelerator.device)
    loader = StreamLoader(
        source.stream(training.split),
        source.options,
        tasks,
        batch_size=options.size,
        steps=options.steps_per_epoch or (training.max_steps or 1) * training.accumulation,
        seed=view.seed,
        preprocessing=view.preprocessing,
        augmentation=view.augmentation,
        threads=view.threads,
        processes=accelerator.num_processes,
        rank=accelerator.process_index,
        skipped=view.skipped,
        changes_later=view.changes_later,
    )
    if view.skipped is not None:
        view.skipped.allow_for(loader.steps * options.size // accelerator.num_processes)
    validation = None
    if training.validation_split is not None:
        validation = source.split(training.validation_split, tasks, plain_view(recipe))
    return TrainingData(StreamedRows(training.split), validation, loader, loader, source, skipped=view.skipped)


def _loaded_data(recipe: Recipe, source: Source, loaded: LoadedSource, accelerator: Accelerator) -> TrainingData:
    options, tasks, folder = recipe.training, recipe.tasks.task_set(), source.folder
    view = training_view(recipe, accelerator.device)
    train = loaded.split(options.split, tasks, view, recipe.soft_labels)
    train = replace(train, labels=replace(train.labels, taught=taught_by_pool(recipe)))
    drawn = _drawn(recipe, source, train)
    train, habits = replace(train, inputs=drawn.inputs), None
    if recipe.model.habits is not None:
        train, habits = with_databases(train, drawn.rows, tasks, recipe.model.habits)
    validation = None
    if options.validation_split is not None:
        validation = _validation(recipe, source, loaded.split(options.validation_split, tasks, plain_view(recipe)))
        validation = replace(validation, inputs=KeptProcesses(validation.inputs))
    order = batch_order(
        recipe.batches.sampler,
        drawn.pools,
        len(drawn.inputs),
        recipe.batches.size,
        seed=recipe.seed,
        steps=recipe.batches.steps_per_epoch,
        kept=drawn.kept,
    )
    shard = order.shard(accelerator.num_processes, accelerator.process_index)
    if view.skipped is not None:
        view.skipped.allow_for(order.steps * order.batch_size // accelerator.num_processes)
    batches = train.batches(shard, loader_processes(recipe.batches.workers, accelerator.device), order.spares)
    reserved = reserved_rows(recipe, folder)
    notes = (*drawn.notes, *_describe_crops(recipe, folder), *(habits.notes if habits is not None else ()))
    learned = None if habits is None else habits.described
    return TrainingData(
        train, validation, order, batches, source, drawn.rows, reserved, notes, skipped=view.skipped, habits=learned
    )


class _Drawn(NamedTuple):
    """What the batches of a run are drawn from.

    Attributes:
        inputs: of the training split; an item is a row or a window.
        pools: of items of the inputs.
        kept: bool [items], the items that may be drawn; None: all.
        rows: int64, the rows that are trained on, ascending.
        notes: what people should know of the rows, a line each.
    """

    inputs: IndexedInputs
    pools: Mapping[str, Pool]
    kept: NDArray[np.bool_] | None
    rows: NDArray[np.int64]
    notes: tuple[str, ...] = ()


def _drawn(recipe: Recipe, source: Source, train: LoadedSplit) -> _Drawn:
    kept = rows_in(recipe, source.folder)
    pools = pools_of(recipe, train.dataset, train.labels, source.folder)
    features = _features(recipe, source, train.name)
    if recipe.model.temporal is not None:
        assert features is not None
        windows = training_windows(recipe, train.dataset, kept)
        # Windows consist of kept rows only.
        return _Drawn(
            FeatureWindows(features, windows, recipe.model.temporal.window),
            pools_of_windows(recipe, pools, windows),
            None,
            np.sort(windows.order),
            (describe_windows(windows), *_describe_clips(recipe, train, windows.order)),
        )
    rows = np.arange(len(train.labels)) if kept is None else np.flatnonzero(kept)
    notes = _describe_clips(recipe, train, rows)
    return _Drawn(train.inputs if features is None else features, pools, kept, rows, notes)


def _describe_crops(recipe: Recipe, folder: DatasetFolder | None) -> tuple[str, ...]:
    """A line about the rows without a crop of their face; none if there are none, or if no picture is read."""
    if folder is None or recipe.model.features is not None:
        return ()
    return describe_crops(folder, preprocessing_of(recipe))


def _describe_clips(recipe: Recipe, train: LoadedSplit, rows: NDArray[np.int64]) -> tuple[str, ...]:
    """A line about the clips among the rows that are trained on; none if there are none."""
    clips = int(clips_in(train.dataset)[rows].sum())
    check_clips(recipe, clips)
    return (describe_pooling(clips, recipe.model.clip_frames),) if clips else ()


def check_clips(recipe: Recipe, clips: int) -> None:
    """Refuses clips where the method takes each row for one picture.

    Args:
        recipe: of the run.
        clips: how many of the rows that are trained on are clips.

    Raises:
        UsageError: it does, and several frames of each clip are shown.
    """
    because = recipe.method.refuses.get("clips")
    if because is None or not clips or recipe.model.clip_frames == 1 or recipe.model.features is not None:
        return
    remedy = "set `model.clip_frames: 1`, which shows one frame of each clip"
    raise UsageError(f"method.name: {recipe.method.name!r} {because}, and '{recipe.dataset}' holds clips; {remedy}")


def _validation(recipe: Recipe, source: Source, split: LoadedSplit) -> LoadedSplit:
    features = _features(recipe, source, split.name)
    if features is None:
        return split
    if recipe.model.temporal is None:
        return replace(split, inputs=features)
    return replace(split, inputs=evaluation_windows(split.dataset, features, recipe.model.temporal))


def _features(recipe: Recipe, source: Source, split: str) -> StoredFeatures | None:
    if recipe.model.features is None:
        return None
    assert source.folder is not None, "a recipe of another dataset names no stored features"
    return StoredFeatures.of(source.folder, split, recipe.model.features)


def plain_view(recipe: Recipe) -> View:
    """How the pictures of a run are shown for evaluation."""
    cached = recipe.batches.cache and recipe.model.features is None
    return View(
        preprocessing_of(recipe),
        None,
        recipe.seed,
        cached,
        recipe.batches.threads,
        clip_frames=recipe.model.clip_frames,
    )


def training_view(recipe: Recipe, device: torch.device) -> View:
    """How the pictures of a run are shown for training: augmented, and without undecodable ones if the recipe says so.

    Pictures are augmented on the device of the model; on a CPU in the loader processes, which share that work.
    """
    skipped = SkippedRows() if recipe.batches.undecodable == "skip" else None
    augmentation = Augmentation(**recipe.augmentation.model_dump(exclude={"mixup"}))
    later = device.type != "cpu"
    return replace(plain_view(recipe), augmentation=augmentation, skipped=skipped, changes_later=later)
