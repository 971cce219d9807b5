"""What a model is shown of a split: pictures, or windows of features where it has a recurrent stage."""

from typing import TYPE_CHECKING

import torch

from affect_data.dataset.folder import DatasetFolder, load_dataset
from affect_data.dataset.kinds.features import FEATURES
from affect_data.dataset.schema import LABELS
from affect_train.inference.features import FeatureArray, StoredFeatures, features_of
from affect_train.inference.inference import infer_features
from affect_train.inputs.loading import FaceImages
from affect_train.inputs.preprocess import Preprocessing
from affect_train.inputs.windows import FeatureRows, FeatureWindows, every_row, track_windows
from affect_train.recipe.model import Temporal
from affect_train.reporting import Reporter

if TYPE_CHECKING:
    from accelerate import Accelerator
    from datasets import Dataset

    from affect_train.network.model import AffectModel


def inputs_of(
    model: "AffectModel",
    preprocessing: Preprocessing,
    folder: DatasetFolder,
    split: str,
    accelerator: "Accelerator",
    *,
    workers: int = 0,
) -> FaceImages | FeatureWindows:
    """The un-augmented pictures of a split, or every row of it in a window of features; all processes call it.

    Features come from the dataset where it has those of the model's own backbone; else they are computed once, now.

    Args:
        model: on its device.
        preprocessing: of the model.
        folder: the dataset.
        split: its name.
        accelerator: of this process.
        workers: loader processes.
    """
    rows = load_dataset(folder.path, split)
    images = FaceImages(rows, preprocessing)
    if model.config.temporal is None:
        return images
    name = features_of(model, folder)
    if name is not None:
        features: FeatureRows = StoredFeatures(folder.load(split, [LABELS, FEATURES.group(name)]), name)
    else:
        features = _computed(model, images, rows, accelerator, workers)
    return evaluation_windows(rows, features, Temporal(**model.config.temporal))


def evaluation_windows(dataset: "Dataset", features: FeatureRows, options: Temporal) -> FeatureWindows:
    """Every row of a split in a window, those without a track or a frame number alone.

    Args:
        dataset: the split.
        features: of its rows.
        options: of the recurrent stage.
    """
    windows = track_windows(dataset, options.window, options.strides[1])
    return FeatureWindows(features, every_row(windows))


def _computed(
    model: "AffectModel", images: FaceImages, dataset: "Dataset", accelerator: "Accelerator", workers: int
) -> FeatureArray:
    reporter = Reporter(speaks=accelerator.is_main_process)
    reporter.say(
        f"the dataset has no features of this model's backbone: computing those of {len(images):,} rows (`affect-train features` stores them)"
    )
    with reporter.bar("features", len(images)) as advance:
        values = [infer_features(model, images, accelerator, workers=workers, advance=advance)]
    if accelerator.num_processes > 1:
        torch.distributed.broadcast_object_list(values, src=0)
    (found,) = values
    assert found is not None
    return FeatureArray(found, dataset)
