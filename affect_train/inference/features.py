"""A backbone's features for every row, computed once and stored as a column group, so that heads train without decoding images."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from torch import nn

from affect_data.bounds import read_json
from affect_data.dataset.folder import DatasetFolder
from affect_data.dataset.kinds.features import FEATURES, FeatureProvenance
from affect_data.dataset.writing import add_group
from affect_data.errors import DataError
from affect_train.errors import ModelMismatchError
from affect_train.inference.inference import infer_clip_features, infer_features, open_model
from affect_train.inputs.crops import shown_rows
from affect_train.inputs.features import ClipFeatures, frames_column
from affect_train.inputs.labels import clip_rows
from affect_train.inputs.loading import FaceImages
from affect_train.inputs.preprocess import Preprocessing
from affect_train.inputs.source import open_own_folder
from affect_train.network.model import AffectConfig, AffectModel
from affect_train.recipe.model import ModelOptions
from affect_train.run_folder import MODEL_CONFIG, model_folder
from affect_train.runtime import Runtime
from affect_train.tasks import TaskSet


def backbone_digest(backbone: nn.Module) -> str:
    """sha256 of the names and values of a backbone's weights, hexadecimal."""
    digest = hashlib.sha256()
    for name, values in sorted(backbone.state_dict().items()):
        digest.update(name.encode())
        digest.update(values.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def normalisation_of(model: AffectModel) -> str:
    """What a model does to the pixels before its backbone, in words."""
    shown = (" ".join(f"{value:g}" for value in values) for values in (model.config.image_mean, model.config.image_std))
    mean, deviation = shown
    then = ", then every image to mean 0 and deviation 1" if model.config.standardise else ""
    return f"mean {mean}, deviation {deviation}{then}"


def store_features(
    source: str,
    dataset: Path | str,
    name: str,
    *,
    image_size: int = 112,
    margin: float = 0.2,
    runtime: Runtime | None = None,
) -> dict[str, Any] | None:
    """What was written, on the main process, None on the others: the column group ``features.<name>`` of all rows, without augmentation.

    Args:
        source: a run or model folder of affect_train, whose own preprocessing is used; or a backbone, a folder of transformers or a Hub id.
        dataset: dataset folder.
        name: of the features.
        image_size: side of a backbone's input, in pixels; a run has its own.
        margin: for a backbone, around the face box, relative to its longer side; a run has its own.
        runtime: loader processes and batch size; None: what machine and run have.

    Raises:
        UsageError: features cannot have this name.
        NotADatasetError: the dataset is not built.
        BackboneError: the backbone cannot be loaded or does not fit.
        DataError: a feature is not finite.
    """
    FEATURES.check_name(name)
    folder = open_own_folder(dataset, "affect-train features")
    runtime = replace(runtime or Runtime.start(workers=None), precision="no")
    model, preprocessing = _open(source, image_size, margin)
    model.to(runtime.accelerator.device)
    features: dict[str, FeatureArrays] = {}
    for split in folder.splits:
        found = _features_of(model, preprocessing, folder, split, runtime)
        if found is not None:
            features[split] = found
    written = None
    if runtime.accelerator.is_main_process:
        provenance = FeatureProvenance(
            name=name,
            model_id=Path(source).resolve().name if Path(source).exists() else source,
            backbone_digest=backbone_digest(model.backbone),
            pooling=model.config.pooling,
            width=next(iter(features.values())).values.shape[1],
            preprocessing=preprocessing.to_dict(),
            preprocessing_hash=preprocessing.digest(),
            clip_frames=model.config.clip_frames if folder.manifest.layout.clips else None,
            normalisation=normalisation_of(model),
            made_from=FEATURES.made_from(folder),
            created=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        _write(folder, provenance, features)
        written = {
            "name": name,
            "dataset": folder.path.name,
            "rows": dict(folder.manifest.rows),
            "provenance": provenance.model_dump(),
        }
    runtime.accelerator.wait_for_everyone()
    return written


class FeatureArrays(NamedTuple):
    """Features of a split.

    Attributes:
        values: float16 [rows, D].
        frames: those of the frames of its clips.
    """

    values: NDArray[np.float16]
    frames: ClipFeatures


def _features_of(
    model: AffectModel, preprocessing: Preprocessing, folder: DatasetFolder, split: str, runtime: Runtime
) -> FeatureArrays | None:
    """The features of a split, on the main process; None on the others."""
    shown = shown_rows(folder, split, preprocessing)
    images = FaceImages(shown, preprocessing, clip_frames=model.config.clip_frames, videos=folder.videos)
    with runtime.reporter.bar(f"features {split}", len(images)) as advance:
        found = infer_features(model, images, runtime, advance=advance)
    clips = clip_rows(folder, split)
    frames = infer_clip_features(model, images, clips, runtime) if len(clips) else None
    pooled = f"; {len(clips):,} clips have the mean of up to {model.config.clip_frames} frames" if len(clips) else ""
    runtime.reporter.say(f"features of {split}: {len(images):,} rows{pooled}")
    if found is None:
        return None
    values = _finite(found, split)
    none = ClipFeatures.none(values)
    return FeatureArrays(values, none if frames is None else ClipFeatures.of(frames, clips, len(values)))


def _open(source: str, image_size: int, margin: float) -> tuple[AffectModel, Preprocessing]:
    path = Path(source)
    if (path / "model").is_dir() or (path / "recipe.yaml").is_file() or _is_affect_model(path):
        return open_model(model_folder(path))
    preprocessing = Preprocessing(image_size, margin)
    options = ModelOptions(backbone=source, image_size=image_size, freeze_backbone=True)
    # Heads are never asked: any task will do.
    tasks = TaskSet((), (), 2)
    return AffectModel.build(tasks, options, preprocessing.to_dict(), preprocessing.digest()), preprocessing


def _is_affect_model(path: Path) -> bool:
    if not (path / MODEL_CONFIG).is_file():
        return False
    try:
        config = read_json(path / MODEL_CONFIG)
        return bool(config.get("model_type") == AffectConfig.model_type)
    except ValueError:
        # The loader of backbones says what is wrong with the file.
        return False


def _finite(features: NDArray[np.float16], split: str) -> NDArray[np.float16]:
    if not np.isfinite(features).all():
        row = int(np.argwhere(~np.isfinite(features))[0, 0])
        raise DataError(
            f"features of split '{split}': row {row} is not finite as float16; the backbone diverged or its outputs are too large"
        )
    return features


def _write(folder: DatasetFolder, provenance: FeatureProvenance, features: Mapping[str, FeatureArrays]) -> None:
    from datasets import Features, List, Value

    column, width, has_clips = FEATURES.group(provenance.name), provenance.width, folder.manifest.layout.clips
    described = {column: List(Value("float16"), length=width)}
    if has_clips:
        described[frames_column(provenance.name)] = List(List(Value("float16"), length=width))
    tables = []
    for split, found in features.items():
        columns = {column: _vectors(found.values)}
        if has_clips:
            offsets = pa.array(np.concatenate([[0], found.frames.ends]).astype(np.int32))
            columns[frames_column(provenance.name)] = pa.ListArray.from_arrays(offsets, _vectors(found.frames.values))
        tables.append((split, pa.table(columns)))
    add_group(folder, column, tables, Features(described), provenance.model_dump(mode="json"))


def _vectors(values: NDArray[np.float16]) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(np.ascontiguousarray(values).reshape(-1)), values.shape[1])


def check_features(model: AffectModel, provenance: FeatureProvenance) -> None:
    """Refuses stored features that a model's backbone would not give.

    Raises:
        ModelMismatchError: the backbone's weights, the pooling or the preprocessing differ.
    """
    for what, stored, own in differences(model, provenance):
        raise ModelMismatchError(
            f"features '{provenance.name}', {what}",
            stored,
            own,
            "give the recipe the backbone, image size, normalisation and crop that the features were made with, or store them again",
        )


def differences(model: AffectModel, provenance: FeatureProvenance) -> list[tuple[str, str, str]]:
    """How the model differs from the one that gave the stored features: name, stored value and own value of each difference."""
    shown = str(model.config.clip_frames)
    compared = [
        ("frames of a clip", shown if provenance.clip_frames is None else str(provenance.clip_frames), shown),
        ("backbone weights", provenance.backbone_digest, backbone_digest(model.backbone)),
        ("pooling", provenance.pooling, model.config.pooling),
        ("preprocessing", provenance.preprocessing_hash, model.config.preprocessing_hash),
        ("normalisation", provenance.normalisation or normalisation_of(model), normalisation_of(model)),
    ]
    return [(what, stored, own) for what, stored, own in compared if stored != own]


def features_of(model: AffectModel, folder: DatasetFolder) -> str | None:
    """The name of stored features that equal those of the model's own backbone; None if the dataset has none."""
    for name in FEATURES.fitting(folder):
        if not differences(model, FEATURES.read(folder, name)):
            return name
    return None
