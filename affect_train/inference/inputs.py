"""The inputs of a model for a split: pictures, or windows of features if it has a recurrent stage."""

from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from affect_data.dataset.folder import DatasetFolder
from affect_train.inference.features import features_of
from affect_train.inference.inference import infer_clip_features, infer_features
from affect_train.inputs.crops import crop_groups, shown_rows
from affect_train.inputs.features import ClipFeatures, FeatureArray, StoredFeatures, uids_of
from affect_train.inputs.inputs import IndexedInputs
from affect_train.inputs.labels import clip_rows, split_rows
from affect_train.inputs.loading import FaceImages, View
from affect_train.inputs.preprocess import Preprocessing
from affect_train.inputs.source import OwnFolder, Source, folder_of
from affect_train.inputs.split import Split
from affect_train.inputs.windows import FeatureRows, FeatureWindows, every_row, track_windows
from affect_train.recipe.model import TemporalOptions
from affect_train.runtime import Runtime

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from datasets import Dataset
    from numpy.typing import NDArray

    from affect_train.network.model import AffectModel


def split_of(model: "AffectModel", preprocessing: Preprocessing, source: Source, name: str, runtime: Runtime) -> Split:
    """A split: its labels for the model's heads, and the model's inputs, without augmentation; all processes call it.

    Args:
        model: on its device.
        preprocessing: of the model.
        source: the dataset.
        name: of the split.
        runtime: of this process.

    Raises:
        UsageError: the model reads windows of videos, for which a dataset folder is needed.
        UnknownNameError: there is no such split.
        DataError: the rows cannot be read.
    """
    tasks, view = model.config.task_set(), View(preprocessing, clip_frames=model.config.clip_frames)
    if model.config.temporal is None:
        return source.split(name, tasks, view)
    folder = folder_of(source, "a model with a recurrent stage reads the videos of a dataset folder")
    split = OwnFolder(folder).split(name, tasks, view)
    return replace(split, inputs=_windows(model, split.inputs, split.dataset, folder, name, runtime))


def inputs_of(
    model: "AffectModel", preprocessing: Preprocessing, folder: DatasetFolder, split: str, runtime: Runtime
) -> IndexedInputs:
    """The pictures of a split without augmentation, or windows of features that cover every row; all processes call it.

    Stored features are used if they are those of the model's own backbone; otherwise features are computed here, once.

    Args:
        model: on its device.
        preprocessing: of the model.
        folder: the dataset.
        split: its name.
        runtime: of this process.
    """
    if model.config.temporal is None:
        rows = shown_rows(folder, split, preprocessing)
        return FaceImages(rows, preprocessing, clip_frames=model.config.clip_frames, videos=folder.videos)
    dataset = split_rows(folder, split, crop_groups(folder, preprocessing))
    pictures = FaceImages(dataset, preprocessing, clip_frames=model.config.clip_frames, videos=folder.videos)
    return _windows(model, pictures, dataset, folder, split, runtime)


def evaluation_windows(dataset: "Dataset", features: FeatureRows, options: TemporalOptions) -> FeatureWindows:
    """Every row of a split in a window; a row without a track or a frame number is a window of its own.

    Args:
        dataset: the split.
        features: of its rows.
        options: of the recurrent stage.
    """
    windows = track_windows(dataset, options.window, options.strides[1])
    return FeatureWindows(features, every_row(windows), options.window)


def computed_features(
    model: "AffectModel",
    pictures: IndexedInputs,
    uids: "pa.Array | pa.ChunkedArray",
    runtime: Runtime,
    clips: "NDArray[np.int64] | None" = None,
) -> FeatureArray:
    """The features of pictures, in the form in which they are stored, on all processes.

    Args:
        model: on its device.
        pictures: of a split.
        uids: of its rows.
        runtime: of this process.
        clips: int64, the rows that are clips; None: none.
    """
    has_clips = clips is not None and len(clips) > 0
    with runtime.reporter.bar("features", len(pictures)) as advance:
        values = [infer_features(model, pictures, runtime, advance=advance)]
    frames = [infer_clip_features(model, pictures, clips, runtime) if clips is not None and has_clips else None]
    if runtime.accelerator.num_processes > 1:
        torch.distributed.broadcast_object_list(values, src=0)
        torch.distributed.broadcast_object_list(frames, src=0)
    assert values[0] is not None
    if clips is None or frames[0] is None:
        return FeatureArray(values[0], uids)
    return FeatureArray(values[0], uids, ClipFeatures.of(frames[0], clips, len(values[0])))


def _windows(
    model: "AffectModel",
    pictures: IndexedInputs,
    dataset: "Dataset",
    folder: DatasetFolder,
    split: str,
    runtime: Runtime,
) -> FeatureWindows:
    name = features_of(model, folder)
    if name is not None:
        features: FeatureRows = StoredFeatures.of(folder, split, name)
    else:
        runtime.reporter.say(
            f"the dataset has no features of this model's backbone: computing those of {len(pictures):,} rows (`affect-train features` stores them)"
        )
        features = computed_features(model, pictures, uids_of(dataset), runtime, clip_rows(folder, split))
    return evaluation_windows(dataset, features, TemporalOptions(**model.config.temporal))
